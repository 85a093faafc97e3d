//! A branch: one sink of one pipeline, with a consumer group, workers, a watermark and a committer of its
//! own, so that a sink that is down holds up nobody else.

mod behind;
mod control;
mod motion;
mod rewind;
mod sample;
mod start;
mod stats;

pub use control::{Control, Judge, Pause, Pausing, REJECTIONS, State, WINDOW};
pub use motion::Turn;
pub use rewind::{NotRewound, rewind};
pub use sample::Sample;
pub use start::{Prepared, RunningBranch, start, start_with};
pub use stats::{Histogram, PartitionStats, Stats};

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::commit::Ledger;
use crate::config::{PipelineSpec, Settings, SinkSpec, TopicSpec};
use crate::decode::Schemas;
use crate::retry::Server;
use crate::runbook;
use crate::schema_registry::SchemaRegistry;
use crate::sink::SinkHub;
use crate::sink::dead_letter::DeadLetters;
use crate::source::{Budget, Commands, Pollers, Probe};

/// What a branch's actors share.
pub struct Branch {
    /// `<pipeline>.<sink>`: the consumer group, and the name in logs and metrics.
    pub name: String,
    /// Its pipeline.
    pub pipeline: Arc<PipelineSpec>,
    /// Its sink's spec.
    pub spec: SinkSpec,
    /// Where the servers are.
    pub settings: Arc<Settings>,
    /// What is taken and not resolved.
    pub ledger: Arc<Ledger>,
    /// Its memory.
    pub budget: Arc<Budget>,
    /// The sink.
    pub hub: Arc<dyn SinkHub>,
    /// Where rejected records go.
    pub dead: DeadLetters,
    /// Asks Kafka.
    pub probe: Probe,
    /// The sink's server, as everybody who tries it again shares it.
    pub server: Arc<Server>,
    /// The brokers, likewise.
    pub kafka: Arc<Server>,
    /// Asks for Avro schemas, where there is a registry.
    pub registry: Option<SchemaRegistry>,
    /// Those that it has answered.
    pub schemas: Arc<Schemas>,
    /// The way to the poller.
    pub commands: Commands,
    /// The pollers that live.
    pub pollers: Pollers,
    /// Its switch.
    pub control: Control,
    /// Its counters.
    pub stats: Stats,
}

// === impl Branch ===

impl Branch {
    /// The topic that it reads.
    pub fn topic(&self) -> &Arc<TopicSpec> {
        &self.pipeline.topic
    }

    /// For how long the oldest record that is known to be unresolved has been in the log; `None` where there is none.
    pub fn waits(&self, now: Instant) -> Option<Duration> {
        let known = self.stats.partitions().into_iter();
        // One that is closed for the moment stands where it was last seen; one that was never read, nowhere.
        let marks = known.filter_map(|(partition, seen)| {
            let open = self.ledger.mark(partition).map(|(offset, _)| offset);
            let read = seen.watermark > 0 || seen.committed > 0;
            Some((partition, open.or(read.then_some(seen.watermark))?))
        });
        self.stats.waits(marks, now)
    }

    /// How far the sink may be behind its source: as [`Branch::waits`], and while the branch is halted at least for as
    /// long as it has been, since nobody looks at its log then. Zero where nothing is unresolved.
    pub fn staleness(&self, now: Instant) -> Duration {
        let halted = self.control.halted_since();
        let halted = halted.map(|since| now.saturating_duration_since(since));
        self.waits(now).max(halted).unwrap_or_default()
    }

    /// What an actor had in hand is out of reach, since it blocks its thread: its records are read again, and its
    /// memory is written off.
    pub fn left_behind(&self) {
        self.budget.write_off();
        self.ledger.give_up_pending();
    }

    /// Halts with an alarm: logged once, shown on the admin address, ended by an operator's resume.
    pub fn halt(&self, reason: impl Into<String>) {
        let reason = reason.into();
        if self.control.halt(reason.clone()) {
            tracing::error!(
                branch = self.name,
                topic = self.topic().name,
                runbook = runbook::section(&reason).unwrap_or("halted"),
                reason,
                "halted: resume it with POST /pipelines/{}/{}/resume once the cause is mended",
                self.pipeline.name,
                self.spec.name,
            );
        }
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
