//! Settings, topic specs and pipeline specs: read from TOML, checked, and refused with the file, the line,
//! the field and what would have been right.

mod column;
mod pipeline;
mod secret;
mod settings;
mod topic;

pub use column::ColumnType;
pub use pipeline::{
    Deletes, DocumentSpec, ElasticsearchSpec, Mask, PipelineSpec, RedisShape, RedisSpec, SinkKind,
    SinkSpec, SuperviseSpec,
};
pub use secret::Secret;
pub use settings::{
    AdminSettings, ElasticsearchSettings, GroupProtocol, KafkaSettings, LogFormat, LogSettings,
    RedisSettings, Settings,
};
pub use topic::{Format, Partitioner, TopicSpec};
