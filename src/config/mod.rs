//! Settings, topic specs and pipeline specs: read from TOML, checked, and refused with the file, the line,
//! the field and what would have been right.

mod column;
mod column_parse;
mod differences;
mod live;
mod load;
mod pipeline;
mod problem;
mod read;
pub mod reference;
mod secret;
mod settings;
mod topic;
mod zone;

pub use column::ColumnType;
pub use live::{CommentSpec, InboxSpec, KeptSpec, LikeSpec, LiveSpec, OutSpec, RateSpec, RoomSpec};
pub use load::{Config, LoadOptions, Origin, ShownSetting, load, load_settings, shown_settings};
pub use pipeline::{
    Decimals, Deletes, DocumentSpec, ElasticsearchSpec, Mask, PipelineSpec, RedisShape, RedisSpec,
    SinkKind, SinkSpec, SuperviseSpec,
};
pub use problem::{Place, Problem, Problems};
pub(crate) use read::show_duration;
pub use secret::Secret;
pub use settings::{
    AdminSettings, CalloutSettings, ElasticsearchSettings, GatewaySettings, GroupProtocol,
    IngestClient, IngestSettings, KafkaSettings, LiveSettings, LogFormat, LogSettings,
    NatsSettings, ProduceSettings, Properties, RedisSettings, SchemaRegistrySettings, Settings,
    TokenAlgorithm, TokenSettings,
};
pub use topic::{
    AvroFile, BinaryMode, Compatibility, DecimalMode, Format, OnNewColumn, OnTruncate, Partitioner,
    Reading, TimeMode, TopicSpec,
};
pub use zone::Zone;
