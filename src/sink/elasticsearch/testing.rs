//! Specs for the unit tests of this folder.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{
    ColumnType, Deletes, DocumentSpec, ElasticsearchSpec, Format, PipelineSpec, SinkKind, SinkSpec,
    SuperviseSpec, TopicSpec,
};
use crate::event::Epoch;

pub(super) fn sink(spec: &ElasticsearchSpec) -> SinkSpec {
    SinkSpec {
        name: String::from("elasticsearch"),
        kind: SinkKind::Elasticsearch(spec.clone()),
        deletes: Deletes::Tombstone,
        horizon: Duration::from_secs(7 * 86_400),
        workers: 1,
        in_flight: 2,
        batch_documents: 1_000,
        batch_bytes: 1 << 20,
        linger: Duration::from_millis(5),
        buffer_bytes: 24 << 20,
        alone_deadline: Duration::from_secs(600),
    }
}

pub(super) fn pipeline(columns: &[(&str, ColumnType)], sink: &SinkSpec) -> PipelineSpec {
    PipelineSpec {
        name: String::from("profiles"),
        topic: Arc::new(TopicSpec {
            name: String::from("app.app.user_profile"),
            format: Format::DebeziumJson,
            key: vec![String::from("id")],
            partitions: 8,
            epoch: Epoch::new(1).unwrap(),
            replication: None,
            partitioner: None,
            reading: Default::default(),
            config: Default::default(),
            columns: columns
                .iter()
                .map(|(name, column)| ((*name).to_owned(), column.clone()))
                .collect(),
            file: "topics/app.app.user_profile.toml".into(),
        }),
        document: DocumentSpec::default(),
        sinks: vec![sink.clone()],
        supervise: SuperviseSpec {
            max_restarts: 5,
            within: Duration::from_secs(60),
        },
        file: "pipelines/profiles.toml".into(),
    }
}
