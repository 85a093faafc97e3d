//! Puts a branch together and takes it apart again: workers first, then the committer, then the source; the
//! other way round at the end.

use std::sync::Arc;

use actix::{Addr, Arbiter};

use super::{Branch, Control, Stats};
use crate::commit::{Committer, Ledger};
use crate::config::{Format, PipelineSpec, Settings, SinkSpec, TopicSpec};
use crate::decode;
use crate::route::Router;
use crate::schema_registry::SchemaRegistry;
use crate::sink::dead_letter::DeadLetters;
use crate::sink::{SinkError, SinkHub, registry};
use crate::source::{Budget, Commands, Probe, Source};
use crate::supervise::{self, Child, ChildSpec, Incarnation, Tree};
use crate::transform::Projection;
use crate::worker::Worker;

/// Chunks out at one time at the most, and so what a worker's mailbox must hold.
const CHUNKS: usize = 1_024;

/// A branch at work.
pub struct RunningBranch {
    /// What its actors share.
    pub branch: Arc<Branch>,
    source: Child<Source>,
    committer: Child<Committer>,
    workers: Vec<Child<Worker>>,
    arbiters: Vec<Arbiter>,
}

/// Starts the branch of one sink.
///
/// # Errors
/// [`SinkError::Refused`] where the specs make no branch. Servers that are away do not count: they are waited
/// for.
pub fn start(
    settings: &Arc<Settings>,
    pipeline: &Arc<PipelineSpec>,
    spec: &SinkSpec,
    tree: &Arc<Tree>,
) -> Result<RunningBranch, SinkError> {
    let hub = registry::hub(settings, pipeline, spec)?;
    start_with(hub, settings, pipeline, spec, tree)
}

/// As [`start`], with a hub of the caller's own for the spec's sink.
///
/// # Errors
/// As [`start`].
pub fn start_with(
    hub: Arc<dyn SinkHub>,
    settings: &Arc<Settings>,
    pipeline: &Arc<PipelineSpec>,
    spec: &SinkSpec,
    tree: &Arc<Tree>,
) -> Result<RunningBranch, SinkError> {
    let name = format!("{}.{}", pipeline.name, spec.name);
    let refused = |e: rdkafka::error::KafkaError| {
        SinkError::Refused(format!("the settings under [kafka] make no client: {e}"))
    };
    let topic = &pipeline.topic;
    let registry = registry_of(settings, topic)?;
    let branch = Arc::new(Branch {
        registry,
        schemas: Arc::default(),
        ledger: Arc::new(Ledger::default()),
        budget: Budget::new(spec.buffer_bytes, CHUNKS),
        dead: DeadLetters::new(&settings.kafka, &topic.name, &pipeline.name, &spec.name)
            .map_err(refused)?,
        probe: Probe::new(&settings.kafka, Arc::clone(topic), &name).map_err(refused)?,
        commands: Commands::default(),
        control: Control::default(),
        stats: Stats::default(),
        pipeline: Arc::clone(pipeline),
        spec: spec.clone(),
        settings: Arc::clone(settings),
        hub,
        name,
    });
    let child = |part: &str, mailbox| ChildSpec {
        name: format!("{}/{part}", branch.name),
        mailbox,
        max_restarts: pipeline.supervise.max_restarts,
        within: pipeline.supervise.within,
    };
    let mut arbiters = Vec::new();
    let mut workers = Vec::new();
    // Made once here, so that a spec that makes none is refused before anything runs.
    registry::projection(pipeline, spec)?;
    for n in 0..spec.workers {
        let arbiter = Arbiter::new();
        let branch = Arc::clone(&branch);
        let made = move |_: &Incarnation| {
            let worker = || {
                let projection: Projection = registry::projection(&branch.pipeline, &branch.spec)?;
                let decoder = decode::decoder(&branch.pipeline.topic, &branch.schemas);
                let sink = branch.hub.connect()?;
                Ok::<_, SinkError>(Worker::new(Arc::clone(&branch), decoder, projection, sink))
            };
            worker().map_err(|e| e.to_string())
        };
        let spec = child(&format!("worker-{n}"), CHUNKS);
        workers.push(supervise::start(
            &arbiter.handle(),
            Arc::clone(tree),
            spec,
            made,
        ));
        arbiters.push(arbiter);
    }
    let arbiter = Arbiter::new();
    let committer = {
        let branch = Arc::clone(&branch);
        let made = move |_: &Incarnation| Ok(Committer::new(Arc::clone(&branch)));
        let spec = child("committer", 16);
        supervise::start(&arbiter.handle(), Arc::clone(tree), spec, made)
    };
    let source = {
        let addrs: Vec<Addr<Worker>> = workers.iter().map(|w| w.addr.clone()).collect();
        let to = Arc::clone(&branch);
        let router: Arc<dyn Fn() -> Router + Send + Sync> =
            Arc::new(move || Router::new(&addrs, Arc::clone(&to.ledger), Arc::clone(&to.budget)));
        let branch = Arc::clone(&branch);
        let made = move |i: &Incarnation| {
            Ok(Source::new(
                Arc::clone(&branch),
                Arc::clone(&router),
                i.clone(),
            ))
        };
        let spec = child("source", 16);
        supervise::start(&arbiter.handle(), Arc::clone(tree), spec, made)
    };
    arbiters.push(arbiter);
    Ok(RunningBranch {
        branch,
        source,
        committer,
        workers,
        arbiters,
    })
}

/// A client of the schema registry; none where the settings name none and the topic's format can do without.
fn registry_of(
    settings: &Settings,
    topic: &TopicSpec,
) -> Result<Option<SchemaRegistry>, SinkError> {
    match (&settings.schema_registry, topic.format) {
        (Some(settings), Format::DebeziumAvro | Format::Avro) => SchemaRegistry::new(settings)
            .map(Some)
            .map_err(SinkError::Refused),
        (None, Format::DebeziumAvro) => Err(SinkError::Refused(format!(
            "topic {} is in Avro with a schema registry: set schema_registry.url",
            topic.name
        ))),
        (None, Format::Avro)
        | (
            Some(_) | None,
            Format::DebeziumJson | Format::CanalJson | Format::MaxwellJson | Format::Json,
        ) => Ok(None),
    }
}

// === impl RunningBranch ===

impl RunningBranch {
    /// Drains within the settings' shutdown deadline, commits, and ends every actor and thread.
    pub async fn stop(self) {
        self.branch.control.stop();
        self.source.ended().await;
        self.committer.stop();
        self.committer.ended().await;
        for worker in &self.workers {
            worker.stop();
        }
        for worker in &self.workers {
            worker.ended().await;
        }
        for arbiter in self.arbiters {
            arbiter.stop();
            // Its thread ends with its runtime; a panic there was caught by the supervisor.
            let _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
        }
    }
}
