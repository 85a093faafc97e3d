//! Which sinks there are: a new one is its folder and its lines here.

use std::sync::Arc;

use super::elasticsearch::ElasticsearchHub;
use super::redis::RedisHub;
use super::{SinkError, SinkHub};
use crate::config::{PipelineSpec, RedisShape, Settings, SinkKind, SinkSpec};
use crate::event::Shape;
use crate::retry::{self, Server};
use crate::transform::{IdTemplate, Projection};

/// The hub of a branch's sink.
///
/// # Errors
/// [`SinkError::Refused`] where the specs or settings make none.
pub fn hub(
    settings: &Settings,
    pipeline: &PipelineSpec,
    sink: &SinkSpec,
) -> Result<Arc<dyn SinkHub>, SinkError> {
    Ok(match &sink.kind {
        SinkKind::Elasticsearch(spec) => Arc::new(ElasticsearchHub::new(
            pipeline,
            sink,
            spec,
            &settings.elasticsearch,
        )?),
        SinkKind::Redis(spec) => Arc::new(RedisHub::new(
            spec,
            sink,
            &settings.redis,
            &pipeline.topic,
            &pipeline.name,
        )?),
    })
}

/// The server of a sink, for whoever tries it again.
pub fn server(settings: &Settings, sink: &SinkSpec) -> Arc<Server> {
    match &sink.kind {
        SinkKind::Elasticsearch(_) => retry::elasticsearch(&settings.elasticsearch),
        SinkKind::Redis(_) => retry::redis(&settings.redis),
    }
}

/// How a branch makes documents and their ids.
///
/// # Errors
/// [`SinkError::Refused`] where the key's template does not fit the topic.
pub fn projection(pipeline: &PipelineSpec, sink: &SinkSpec) -> Result<Projection, SinkError> {
    let key = &pipeline.topic.key;
    let made = match &sink.kind {
        SinkKind::Elasticsearch(_) => Ok((Shape::Json, IdTemplate::joined(key))),
        SinkKind::Redis(spec) => IdTemplate::parse(&spec.key, key).map(|id| {
            let shape = match spec.shape {
                RedisShape::Hash => Shape::Fields,
                RedisShape::String => Shape::Json,
            };
            (shape, id)
        }),
    };
    made.and_then(|(shape, id)| Projection::new(&pipeline.topic, &pipeline.document, shape, id))
        .map_err(|why| SinkError::Refused(format!("{}: {why}", pipeline.file.display())))
}
