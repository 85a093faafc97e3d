//! The committer: carries watermarks to the sink's checkpoint and then to Kafka, sends partitions back whose
//! deliveries were dropped, and does what a branch does now and then.
//!
//! It holds no state that its death would lose: the ledger has the watermarks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::FutureExt as _;

use super::{search, stuck};
use crate::branch::{Branch, State};
use crate::event::Mark;
use crate::retry::{Because, Delays};
use crate::sink::SinkError;
use crate::source::Command;
use crate::supervise::{Incarnation, Planned, Progress, Steps};

/// How often watermarks are committed: what a crash makes come again at the most, beside what is in flight.
const COMMIT_EVERY: Duration = Duration::from_millis(250);
/// How often an idle sink is asked whether it still remembers.
const VERIFY_EVERY: Duration = Duration::from_secs(1);
/// How often the log's end is asked for, for the lag.
const ENDS_EVERY: Duration = Duration::from_secs(1);
/// How often tombstones past the horizon are removed.
const PURGE_EVERY: Duration = Duration::from_secs(3_600);

/// How often an alarm that goes on is logged.
const REMIND: Duration = Duration::from_secs(60);
/// Kafka's own default for `retention.ms`: 7 days.
const DEFAULT_RETENTION_MS: u64 = 604_800_000;

/// The committer's actor.
pub struct Committer {
    branch: Arc<Branch>,
    incarnation: Incarnation,
}

// === impl Committer ===

impl Committer {
    /// The steps at which tests may make it fail.
    pub const STEPS: &'static [&'static str] = &["tick", "checkpoint", "commit", "rewind"];

    /// A committer for `branch`.
    pub fn new(branch: Arc<Branch>, incarnation: Incarnation) -> Self {
        Self {
            branch,
            incarnation,
        }
    }

    /// What one of its loops is given: the branch, an activity of its own, the steps.
    fn means(&self, activity: &'static str) -> (Arc<Branch>, Progress, Steps) {
        let progress = self.incarnation.progress.activity(activity);
        progress.has_work(true);
        let steps = self.incarnation.steps.clone();
        (Arc::clone(&self.branch), progress, steps)
    }
}

impl Actor for Committer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // A planned failure in one of them ends the actor by itself.
        ctx.spawn(commit(self.means("commit")).map(drop).into_actor(self));
        ctx.spawn(rewind(self.means("rewind")).map(drop).into_actor(self));
        ctx.spawn(ask_ends(self.means("ends")).into_actor(self));
        ctx.spawn(purge(self.means("purge")).into_actor(self));
        let (branch, progress, _) = self.means("stuck");
        ctx.spawn(stuck::watch(branch, progress).into_actor(self));
        let (branch, progress, _) = self.means("search");
        ctx.spawn(search::look_for_samples(branch, progress).into_actor(self));
    }
}

async fn commit((branch, progress, steps): (Arc<Branch>, Progress, Steps)) -> Result<(), Planned> {
    let mut sent: BTreeMap<i32, (i64, u64)> = BTreeMap::new();
    let mut quiet_since = Instant::now();
    let mut tick = tokio::time::interval(COMMIT_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut delays = Delays::server();
    // A sink that has lost writes of one partition has seldom lost them of that one alone.
    let mut suspicious = false;
    loop {
        if !suspicious {
            progress.wait("the next tick", tick.tick()).await;
        }
        steps.pass("tick").await?;
        let marks = branch.ledger.marks();
        for (mark, _) in &marks {
            branch
                .stats
                .partition(mark.partition, |p| p.watermark = mark.offset);
        }
        let new: Vec<(Mark, u64)> = marks
            .iter()
            .filter(|(m, g)| sent.get(&m.partition) != Some(&(m.offset, *g)))
            .copied()
            .collect();
        let outcome = if suspicious {
            let open: Vec<i32> = marks.iter().map(|m| m.0.partition).collect();
            progress.wait("the sink", branch.hub.verify(&open)).await
        } else if !new.is_empty() {
            steps.pass("checkpoint").await?;
            let moved: Vec<i32> = new.iter().map(|m| m.0.partition).collect();
            let marks = branch.ledger.watermarks_of(&moved);
            progress
                .wait("the sink", branch.hub.checkpoint(&marks))
                .await
        } else if quiet_since.elapsed() >= VERIFY_EVERY {
            quiet_since = Instant::now();
            let open: Vec<i32> = marks.iter().map(|m| m.0.partition).collect();
            progress.wait("the sink", branch.hub.verify(&open)).await
        } else {
            continue;
        };
        let looked = std::mem::replace(
            &mut suspicious,
            matches!(outcome, Err(SinkError::Forgot { .. })),
        );
        match outcome {
            Ok(()) if looked => {}
            Ok(()) => {
                delays.reset();
                branch.server.answered();
                if !new.is_empty() {
                    quiet_since = Instant::now();
                    steps.pass("commit").await?;
                    progress.did(1);
                    if branch.commands.send(Command::Commit(new.clone())) {
                        sent.extend(new.into_iter().map(|(m, g)| (m.partition, (m.offset, g))));
                    }
                }
            }
            Err(SinkError::Forgot { partition, marker }) => {
                tracing::warn!(
                    branch = branch.name,
                    partition,
                    marker,
                    "the sink has forgotten acknowledged writes: rewinding to its marker"
                );
                branch.ledger.close(partition);
                branch.control.forgot(partition);
            }
            Err(SinkError::Refused(why)) => branch.halt(why),
            Err(
                why @ (SinkError::Unavailable { .. } | SinkError::Late(_) | SinkError::TooLarge(_)),
            ) => {
                tracing::debug!(branch = branch.name, "not committed yet: {why}");
                let again = branch.server.again(&mut delays, Because::Away);
                progress.wait("the sink", again).await;
            }
        }
    }
}

async fn rewind((branch, progress, steps): (Arc<Branch>, Progress, Steps)) -> Result<(), Planned> {
    // What cannot be sent now (no poller) is either moot or found due again.
    let mut delays = Delays::new(Duration::from_millis(20), Duration::from_secs(1));
    loop {
        let due = branch.ledger.rewinds_due();
        if due.is_empty() {
            delays.reset();
            progress.wait("a rewind", branch.ledger.rewind_due()).await;
            continue;
        }
        steps.pass("rewind").await?;
        for partition in due {
            branch.commands.send(Command::Rewind(partition));
            progress.did(1);
        }
        // No server is asked here, so no server's turn is waited for.
        let pause = tokio::time::sleep(delays.next_delay());
        progress.wait("the poller", pause).await;
    }
}

async fn ask_ends((branch, progress, _): (Arc<Branch>, Progress, Steps)) {
    let mut delays = Delays::server();
    let mut warned: Option<Instant> = None;
    loop {
        if let Some(why) = behind_retention(&branch)
            && warned.is_none_or(|t| t.elapsed() >= REMIND)
        {
            warned = Some(Instant::now());
            tracing::error!(
                branch = branch.name,
                topic = branch.topic().name,
                "an operator must act: {why}"
            );
        }
        // Also of those that are closed for the moment, such as while they wait for their sink.
        for partition in branch.stats.partitions().into_keys() {
            let asked = branch.probe.watermarks(partition);
            match progress.wait("kafka", asked).await {
                Ok((_, end)) => {
                    branch.stats.saw_end(partition, end, Instant::now());
                    branch.kafka.answered();
                    delays.reset();
                }
                Err(why) => {
                    tracing::debug!(branch = branch.name, "the log's end is not known: {why}");
                    let again = branch.kafka.again(&mut delays, Because::Away);
                    progress.wait("kafka", again).await;
                }
            }
        }
        let pause = tokio::time::sleep(ENDS_EVERY);
        progress.wait("the next tick", pause).await;
    }
}

/// Whether the branch is so far behind that the log may forget what it has not read.
fn behind_retention(branch: &Branch) -> Option<String> {
    let config = &branch.topic().config;
    if config.get("cleanup.policy").is_some_and(|p| p == "compact") {
        return None;
    }
    let retention = match config.get("retention.ms") {
        Some(ms) => u64::try_from(ms.parse::<i64>().ok()?).ok()?,
        None => DEFAULT_RETENTION_MS,
    };
    let known = branch.stats.partitions();
    let open = branch.ledger.marks();
    let lag: i64 = open
        .iter()
        .filter_map(|(m, _)| Some((known.get(&m.partition)?.end - m.offset).max(0)))
        .sum();
    let age = branch.stats.last_freshness()?.as_millis();
    (lag > 0 && age > u128::from(retention / 2)).then(|| {
        format!(
            "{lag} records behind, the last one acknowledged was {} s old, and the log keeps records for {} s: what it removes \
             unread needs a backfill. Add workers, or raise retention.ms",
            age / 1_000,
            retention / 1_000
        )
    })
}

async fn purge((branch, progress, _): (Arc<Branch>, Progress, Steps)) {
    loop {
        let mut state = branch.control.watch();
        let running = state.wait_for(|s| *s == State::Running);
        if progress.wait("the source", running).await.is_err() {
            return;
        }
        match progress.wait("the sink", branch.hub.purge()).await {
            Ok(n) => {
                branch.stats.purged.fetch_add(n, Ordering::Relaxed);
            }
            Err(why) => tracing::warn!(branch = branch.name, "tombstones not removed: {why}"),
        }
        let pause = tokio::time::sleep(PURGE_EVERY);
        progress.wait("the next tick", pause).await;
    }
}
