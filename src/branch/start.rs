//! Puts a branch together and takes it apart again: workers first, then the committer, then the source; the
//! other way round at the end.
//!
//! A branch is a supervisor, one-for-one: its actors hold nothing of each other. A worker's addresses and its queue
//! outlive it, and what it had in hand comes again through the ledger; the committer's state is the ledger; a
//! source begins at the commits. Were the rest made anew as well, each worker that fails would cost the
//! consumer group a rebalance. One that fails too often takes its branch down, which is then made anew as a
//! whole, and no other branch; see [`crate::lane`] for what follows.

use std::sync::Arc;
use std::time::Duration;

use super::{Branch, Control, Stats};
use crate::commit::{Committer, Ledger};
use crate::config::{Format, PipelineSpec, Settings, SinkSpec, TopicSpec};
use crate::decode;
use crate::retry;
use crate::route::{Deliver, Router};
use crate::schema_registry::SchemaRegistry;
use crate::sink::dead_letter::DeadLetters;
use crate::sink::{SinkError, SinkHub, registry};
use crate::source::{Budget, Commands, Pollers, Probe, Source};
use crate::supervise::{
    self, ChildSpec, Hook, Incarnation, Post, Restart, Supervisor, SupervisorSpec, Thread,
};
use crate::transform::Projection;
use crate::worker::Worker;

/// Chunks out at one time at the most, and so what a worker's mailbox must hold.
const CHUNKS: usize = 1_024;

/// An actor with work that does not move for this long is made anew. Its work between two waits that it declares
/// takes milliseconds; a machine that is busy beyond measure may hold it up for a second.
const STALL: Duration = Duration::from_millis(3_500);
/// How long the source may take to leave its group, beside draining: the last checkpoint and the last commit.
const LEAVING: Duration = Duration::from_secs(15);

/// A branch at work.
pub struct RunningBranch {
    /// What its actors share.
    pub branch: Arc<Branch>,
    supervisor: Supervisor,
    threads: Vec<Thread>,
}

/// A branch that could be made, and does not run yet: nothing that may be refused is left to be done.
pub struct Prepared {
    branch: Arc<Branch>,
    threads: Vec<Thread>,
}

/// Starts the branch of one sink, as a child of `parent`.
///
/// # Errors
/// As [`Prepared::new`].
pub fn start(
    settings: &Arc<Settings>,
    pipeline: &Arc<PipelineSpec>,
    spec: &SinkSpec,
    parent: impl Into<Supervisor>,
) -> Result<RunningBranch, SinkError> {
    Ok(Prepared::new(settings, pipeline, spec)?.start(parent))
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
    parent: impl Into<Supervisor>,
) -> Result<RunningBranch, SinkError> {
    Ok(Prepared::with(hub, settings, pipeline, spec)?.start(parent))
}

// === impl Prepared ===

impl Prepared {
    /// The branch of one sink: its clients and threads, of which none has done anything yet.
    ///
    /// # Errors
    /// [`SinkError::Refused`] where the specs make no branch. Servers that are away do not count: they are waited
    /// for.
    pub fn new(
        settings: &Arc<Settings>,
        pipeline: &Arc<PipelineSpec>,
        spec: &SinkSpec,
    ) -> Result<Self, SinkError> {
        let hub = registry::hub(settings, pipeline, spec)?;
        Self::with(hub, settings, pipeline, spec)
    }

    fn with(
        hub: Arc<dyn SinkHub>,
        settings: &Arc<Settings>,
        pipeline: &Arc<PipelineSpec>,
        spec: &SinkSpec,
    ) -> Result<Self, SinkError> {
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
            server: registry::server(settings, spec),
            kafka: retry::kafka(&settings.kafka),
            commands: Commands::default(),
            pollers: Pollers::default(),
            control: Control::default(),
            stats: Stats::default(),
            pipeline: Arc::clone(pipeline),
            spec: spec.clone(),
            settings: Arc::clone(settings),
            hub,
            name,
        });
        // Made once here, so that a spec that makes none is refused before anything runs.
        registry::projection(pipeline, spec)?;
        let thread = || {
            Thread::start()
                .map_err(|e| SinkError::Refused(format!("no thread can be started: {e}")))
        };
        let threads = (0..=spec.workers)
            .map(|_| thread())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { branch, threads })
    }

    /// What its actors will share.
    pub fn branch(&self) -> &Arc<Branch> {
        &self.branch
    }

    /// Starts it, as a child of `parent`.
    pub fn start(self, parent: impl Into<Supervisor>) -> RunningBranch {
        run(self.branch, self.threads, parent.into())
    }
}

fn run(branch: Arc<Branch>, threads: Vec<Thread>, parent: Supervisor) -> RunningBranch {
    let (pipeline, settings) = (Arc::clone(&branch.pipeline), Arc::clone(&branch.settings));
    let supervisor = Supervisor::start(
        parent,
        SupervisorSpec {
            name: branch.name.clone(),
            ..SupervisorSpec::default()
        },
    );
    let abandoned = Arc::clone(&branch);
    let child = |part: &str, steps| ChildSpec {
        name: format!("{}/{part}", branch.name),
        restart: Restart::Permanent,
        max_restarts: pipeline.supervise.max_restarts,
        within: pipeline.supervise.within,
        stall: Some(STALL),
        steps,
        ..ChildSpec::default()
    };
    let mut workers = Vec::new();
    for (n, thread) in threads.iter().take(branch.spec.workers).enumerate() {
        let branch = Arc::clone(&branch);
        let abandoned = Arc::clone(&abandoned);
        let made = move |i: &Incarnation| {
            let worker = || {
                let projection: Projection = registry::projection(&branch.pipeline, &branch.spec)?;
                let decoder = decode::decoder(&branch.pipeline.topic, &branch.schemas);
                let sink = branch.hub.connect()?;
                let branch = Arc::clone(&branch);
                Ok::<_, SinkError>(Worker::new(branch, i.clone(), decoder, projection, sink))
            };
            worker().map_err(|e| e.to_string())
        };
        let spec = ChildSpec {
            mailbox: CHUNKS,
            abandoned: Some(Hook::new(move || abandoned.left_behind())),
            ..child(&format!("worker-{n}"), Worker::STEPS)
        };
        workers.push(supervise::start(thread, &supervisor, spec, made));
    }
    let posts: Vec<Post<Deliver>> = workers.iter().map(|w| w.inbox.post()).collect();
    if let Some(thread) = threads.last() {
        let of = Arc::clone(&branch);
        let made = move |i: &Incarnation| Ok(Committer::new(Arc::clone(&of), i.clone()));
        let spec = child("committer", Committer::STEPS);
        supervise::start(thread, &supervisor, spec, made);
        let to = Arc::clone(&branch);
        let router: Arc<dyn Fn() -> Router + Send + Sync> = Arc::new(move || {
            Router::new(
                posts.clone(),
                Arc::clone(&to.ledger),
                Arc::clone(&to.budget),
            )
        });
        let of = Arc::clone(&branch);
        let made =
            move |i: &Incarnation| Ok(Source::new(Arc::clone(&of), Arc::clone(&router), i.clone()));
        let spec = ChildSpec {
            drains: true,
            shutdown: settings.shutdown + LEAVING,
            ..child("source", Source::STEPS)
        };
        supervise::start(thread, &supervisor, spec, made);
    }
    RunningBranch {
        branch,
        supervisor,
        threads,
    }
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
    /// Its supervisor.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Drains within the settings' shutdown deadline, commits, and ends every actor and thread.
    pub async fn stop(self) {
        self.branch.control.stop();
        self.supervisor.stop().await;
        futures_util::future::join_all(self.threads.into_iter().map(Thread::stop)).await;
    }
}
