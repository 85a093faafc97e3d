//! What the consumer's callbacks share with the poll loop: assignments, giving partitions up, commits.
//!
//! librdkafka calls back on the thread that polls, so everything here runs on the poller's thread, and may
//! block it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol,
};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::command::Event;
use super::poller::SEEK;
use crate::branch::Branch;
use crate::commit::Lease;
use crate::event::Mark;
use crate::planted::{Bug, planted};
use crate::route::Router;
use crate::supervise::{Progress, Steps};

/// How long the leaders may take to say where the partitions of an assignment end.
const ENDS: Duration = Duration::from_secs(2);

/// The consumer's context.
pub(super) struct Group {
    pub(super) branch: Arc<Branch>,
    pub(super) lease: Arc<Lease>,
    pub(super) router: Mutex<Router>,
    pub(super) committed: Mutex<BTreeMap<i32, i64>>,
    pub(super) assigned: Mutex<BTreeSet<i32>>,
    /// A commit has failed: what is stored is to be committed again, though nothing new may come to be stored.
    pub(super) uncommitted: AtomicBool,
    /// When the poll loop last turned, or the group last spoke to it, which may take long to be obeyed.
    pub(super) turned: Mutex<Instant>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) progress: Progress,
    pub(super) steps: Steps,
}

// === impl Group ===

impl Group {
    /// How long ago the last turn was; this is one.
    pub(super) fn turned(&self) -> Duration {
        std::mem::replace(&mut *lock(&self.turned), Instant::now()).elapsed()
    }

    /// Drains these partitions within `deadline`, commits what is resolved, and ends their generations.
    pub(super) fn give_up(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[i32],
        deadline: Duration,
    ) {
        // Each part of it has a deadline.
        let _waiting = self.progress.waiting("the drain");
        if let Err(gone) = lock(&self.router).flush() {
            tracing::warn!(branch = self.branch.name, "{gone}");
        }
        let ledger = &self.branch.ledger;
        let deadline = if planted(Bug::UndrainedRevoke) {
            Duration::ZERO
        } else {
            deadline
        };
        if !ledger.wait_drained(partitions, deadline) {
            tracing::warn!(
                branch = self.branch.name,
                topic = self.branch.topic().name,
                ?partitions,
                ?deadline,
                "not drained in time: what is left will be consumed again"
            );
        }
        let marks: Vec<(Mark, u64)> = ledger
            .marks()
            .into_iter()
            .filter(|(m, _)| partitions.contains(&m.partition))
            .collect();
        let vouched = ledger.watermarks_of(partitions);
        let checkpoint = async {
            tokio::time::timeout(deadline.max(SEEK), self.branch.hub.checkpoint(&vouched)).await
        };
        match self.runtime.block_on(checkpoint) {
            Ok(Ok(())) => self.commit(consumer, marks, CommitMode::Sync),
            Ok(Err(why)) => {
                tracing::warn!(branch = self.branch.name, "not committed: {why}");
            }
            Err(_) => {
                tracing::warn!(branch = self.branch.name, "not committed: the sink is slow");
            }
        }
        self.forget(partitions);
    }

    /// Ends the generations of partitions that the group has taken away: no commit of ours is accepted any more, and what is
    /// in hand would only be written twice.
    pub(super) fn forfeit(&self, partitions: &[i32]) {
        tracing::warn!(
            branch = self.branch.name,
            topic = self.branch.topic().name,
            ?partitions,
            "the group has waited in vain for this process, and others may have its partitions: what it had in hand is given up"
        );
        if let Err(gone) = lock(&self.router).flush() {
            tracing::warn!(branch = self.branch.name, "{gone}");
        }
        self.forget(partitions);
    }

    fn forget(&self, partitions: &[i32]) {
        for partition in partitions {
            self.lease.close(*partition);
            if self.lease.holds() {
                self.branch.stats.forget_partition(*partition);
            }
        }
        let mut known = lock(&self.committed);
        let mut assigned = lock(&self.assigned);
        for partition in partitions {
            known.remove(partition);
            assigned.remove(partition);
        }
    }

    /// Commits watermarks whose generations still stand.
    pub(super) fn commit(
        &self,
        consumer: &BaseConsumer<Self>,
        marks: Vec<(Mark, u64)>,
        mode: CommitMode,
    ) {
        let current = marks.into_iter().filter(|(mark, generation)| {
            let now = self.branch.ledger.mark(mark.partition);
            now.is_some_and(|(_, g)| g == *generation)
        });
        self.store(consumer, current.map(|m| m.0).collect(), mode);
    }

    /// Commits again what is stored, where a commit has failed: the client tries some errors again by itself, but not that
    /// of a group which was rebalancing.
    pub(super) fn commit_again(&self, consumer: &BaseConsumer<Self>, mode: CommitMode) {
        if self.uncommitted.swap(false, Ordering::Relaxed)
            && let Err(why) = consumer.commit_consumer_state(mode)
            && why.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset)
        {
            self.uncommitted.store(true, Ordering::Relaxed);
            tracing::debug!(branch = self.branch.name, "committing again: {why}");
        }
    }

    fn store(&self, consumer: &BaseConsumer<Self>, marks: Vec<Mark>, mode: CommitMode) {
        let topic = &self.branch.topic().name;
        let mut known = lock(&self.committed);
        let mut any = false;
        for mark in marks {
            let at = known.entry(mark.partition).or_insert(0);
            if mark.offset <= *at {
                continue;
            }
            // `store_offset` would commit one past what it is given; the list is taken as it stands.
            let mut tpl = TopicPartitionList::new();
            let stored = tpl
                .add_partition_offset(topic, mark.partition, Offset::Offset(mark.offset))
                .and_then(|()| consumer.store_offsets(&tpl));
            match stored {
                Ok(()) => {
                    *at = mark.offset;
                    any = true;
                    self.branch
                        .stats
                        .partition(mark.partition, |p| p.committed = mark.offset);
                }
                // No longer ours: whoever has it commits for itself.
                Err(why) => tracing::debug!(topic, partition = mark.partition, "not stored: {why}"),
            }
        }
        drop(known);
        // An asynchronous commit may have failed unseen, so that the last word repeats what is stored.
        if (any || matches!(mode, CommitMode::Sync))
            && let Err(why) = consumer.commit_consumer_state(mode)
            && why.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset)
        {
            self.uncommitted.store(true, Ordering::Relaxed);
            tracing::warn!(
                branch = self.branch.name,
                topic,
                "committing: {why}; trying again"
            );
        }
    }

    fn tell(&self, event: Event) {
        // The source outlives its poller but for its own failure, which ends the poller next.
        if self.events.blocking_send(event).is_err() {
            tracing::debug!(branch = self.branch.name, "the source is gone");
        }
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, partitions: &[i32]) {
        if partitions.is_empty() {
            return;
        }
        tracing::info!(branch = self.branch.name, ?partitions, "assigned");
        // Nothing is taken before the sink has said where to begin.
        let paused = list(&self.branch.topic().name, partitions.iter().copied());
        if let Err(why) = consumer.pause(&paused) {
            tracing::warn!(branch = self.branch.name, "pausing: {why}");
        }
        lock(&self.assigned).extend(partitions.iter().copied());
        self.tell(Event::Assigned(partitions.to_vec()));
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, partitions: &[i32]) {
        tracing::info!(branch = self.branch.name, ?partitions, "revoked");
        let ours: Vec<i32> = {
            let assigned = lock(&self.assigned);
            let of_them = partitions.iter().copied();
            of_them.filter(|p| assigned.contains(p)).collect()
        };
        if !ours.is_empty() {
            // A rebalance has no way to fail: the failure that is planned here ends the source by itself.
            let _ = self.steps.at("drain");
            if consumer.assignment_lost() {
                self.forfeit(&ours);
            } else {
                self.give_up(consumer, &ours, self.drain_deadline());
            }
            self.tell(Event::Revoked(ours));
        }
    }

    /// Time to drain before a revocation: well below the session timeout, past which the broker gives the
    /// partitions to others anyway.
    fn drain_deadline(&self) -> Duration {
        self.branch.settings.kafka.session_timeout / 2
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                tracing::warn!(branch = self.branch.name, fac, "kafka client: {message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(branch = self.branch.name, fac, "kafka client: {message}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is no error, and is seen by whoever polls.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        tracing::warn!(branch = self.branch.name, "kafka client: {error}: {reason}");
    }
}

impl ConsumerContext for Group {
    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let failed = match result {
            Ok(()) => offsets.elements().iter().any(|e| e.error().is_err()),
            // There was nothing that is not committed.
            Err(why) => why.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset),
        };
        if failed {
            self.uncommitted.store(true, Ordering::Relaxed);
        }
    }

    /// As the client does it by itself, but that a partition starts at the offset that is its end now, paused, rather than
    /// where its group stands: the source says where it begins and seeks there, so the group need not be asked. librdkafka
    /// (2.12) never starts a partition at all where the coordinator answers that question with an error of the whole
    /// group, as a broker does that was stopped past the session timeout and goes on.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        tpl: &mut TopicPartitionList,
    ) {
        let cooperative = matches!(
            consumer.rebalance_protocol(),
            RebalanceProtocol::Cooperative
        );
        let done = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                start_at_ends(consumer, tpl);
                let assigned = if cooperative {
                    consumer.incremental_assign(tpl)
                } else {
                    consumer.assign(tpl)
                };
                self.assigned(consumer, &partitions(tpl));
                assigned
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                self.revoked(consumer, &partitions(tpl));
                if cooperative {
                    consumer.incremental_unassign(tpl)
                } else {
                    consumer.unassign()
                }
            }
            other => {
                let gone = consumer.unassign();
                tracing::warn!(
                    branch = self.branch.name,
                    "rebalancing: {}",
                    RDKafkaErrorCode::from(other)
                );
                gone
            }
        };
        if let Err(why) = done {
            tracing::warn!(branch = self.branch.name, "rebalancing: {why}");
        }
        self.turned();
    }
}

/// Gives each partition its present end as an offset to start at. A logical offset would not do: librdkafka looks it up, and
/// goes there when the answer comes, though it was told to seek elsewhere meanwhile. Where the end is not known the
/// client asks the group.
fn start_at_ends(consumer: &BaseConsumer<Group>, tpl: &mut TopicPartitionList) {
    let asked = Instant::now();
    for mut element in tpl.elements() {
        let left = ENDS.saturating_sub(asked.elapsed());
        if left.is_zero() {
            break;
        }
        let ends = consumer.fetch_watermarks(element.topic(), element.partition(), left);
        if let Ok((_, end)) = ends
            && let Err(why) = element.set_offset(Offset::Offset(end))
        {
            tracing::debug!(
                partition = element.partition(),
                end,
                "no offset to start at: {why}"
            );
        }
    }
}

fn partitions(tpl: &TopicPartitionList) -> Vec<i32> {
    tpl.elements().iter().map(|e| e.partition()).collect()
}

pub(super) fn list(topic: &str, partitions: impl IntoIterator<Item = i32>) -> TopicPartitionList {
    let mut tpl = TopicPartitionList::new();
    for partition in partitions {
        tpl.add_partition(topic, partition);
    }
    tpl
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
