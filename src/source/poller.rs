//! The thread that owns the consumer: polls, copies records into chunks, serves rebalances, seeks, commits.
//!
//! Promises: every record of an open partition is taken once a generation and in order; a partition's
//! generation opens only here, together with the seek that begins it, so that no record is skipped; an offset
//! is committed only for the generation that resolved it, never below the one committed before, and only
//! through a stored offset, which refuses a partition that is no longer ours. Before partitions are given up
//! it stops taking, waits for what is in flight within a deadline, and commits.
//!
//! It has a thread to itself since librdkafka calls back on whichever thread polls, and draining before a
//! revocation must block that thread and no arbiter.

mod offer;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use self::offer::offer;
use super::command::{Command, Event};
use super::consumer_config;
use super::group::{Group, list, lock};
use crate::branch::Branch;
use crate::commit::{Lease, Ledger};
use crate::event::Mark;
use crate::route::Router;
use crate::supervise::{Exit, Progress, Steps};

/// Records between the watermarks and the last ones taken: bounds the ledger, not the payloads.
pub(super) const MOST_RECORDS: usize = 200_000;
/// Records taken between two looks at that.
const LOOK_EVERY: u32 = 256;
/// Records taken between two looks at what else there is to do. Looking at each took a sixth of the thread's time (perf).
const BURST: u32 = 64;
/// How long a poll may wait for a record. Commands wait for it too.
pub(super) const POLL: Duration = Duration::from_millis(20);
/// How long a seek may take.
pub(super) const SEEK: Duration = Duration::from_secs(5);
/// How long a partition may refuse to be sought before the consumer is made anew. librdkafka (2.12) forgets to ask again
/// where a group's coordinator answers the question for its offsets with an error of the whole group, as a broker does
/// that was stopped past the session timeout and goes on: such a partition never starts.
const UNSOUGHT: Duration = Duration::from_secs(3);
/// Between a commit that failed and the next attempt.
const COMMIT_AGAIN: Duration = Duration::from_millis(250);
/// A chunk waits at most this long for more records while others keep coming.
const FLUSH: Duration = Duration::from_millis(5);

/// After a wait, what else is about to come is let come before it is taken: a response of a few records to each of many
/// partitions otherwise wakes this thread and the workers once a partition.
const TOGETHER: Duration = Duration::from_millis(1);

/// What a poller is given.
pub(super) struct Means {
    pub(super) branch: Arc<Branch>,
    pub(super) lease: Arc<Lease>,
    pub(super) router: Router,
    pub(super) committed: BTreeMap<i32, i64>,
    pub(super) commands: Receiver<Command>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) progress: Progress,
    pub(super) steps: Steps,
}

/// Runs the poll loop to its end; for a thread of its own.
pub(super) fn run(means: Means) {
    let (to, branch) = (means.events.clone(), Arc::clone(&means.branch));
    let ended = catch_unwind(AssertUnwindSafe(move || Poller::new(means)?.run()));
    let ended = ended.unwrap_or_else(|panic| {
        let Exit::Panicked(why) = Exit::from_panic(&*panic) else {
            return Err("the poll loop panicked".to_owned());
        };
        Err(format!("the poll loop panicked: {why}"))
    });
    branch.pollers.ended();
    // The source may be gone already; then nobody waits for this.
    let _ = to.blocking_send(Event::Ended(ended));
}

pub(super) struct Poller {
    pub(super) consumer: Arc<BaseConsumer<Group>>,
    pub(super) commands: Receiver<Command>,
    /// A record polled for which there was no room yet.
    pub(super) held: Option<rdkafka::message::OwnedMessage>,
    pub(super) paused: bool,
    packed: Vec<u8>,
    until_look: u32,
    flushed: Instant,
    /// When it was last looked whether a commit has failed.
    committed_again: Instant,
    /// Since when partitions have refused to be sought, and when they last did.
    unsought: BTreeMap<i32, (Instant, Instant)>,
    /// Asked to stop while it waited for room.
    pub(super) stopping: Option<Duration>,
}

// === impl Poller ===

impl Poller {
    fn new(means: Means) -> Result<Self, String> {
        let config = consumer_config(&means.branch.settings.kafka, &means.branch.name);
        let topic = means.branch.topic().name.clone();
        let commands = means.commands;
        // It turns for as long as it lives, whether records come or not: rebalances are served so.
        means.progress.has_work(true);
        let group = Group {
            branch: means.branch,
            lease: means.lease,
            router: Mutex::new(means.router),
            committed: Mutex::new(means.committed),
            assigned: Mutex::default(),
            uncommitted: AtomicBool::new(false),
            turned: Mutex::new(Instant::now()),
            events: means.events,
            runtime: means.runtime,
            progress: means.progress,
            steps: means.steps,
        };
        let consumer = BaseConsumer::from_config_and_context(&config, group)
            .map_err(|e| format!("no consumer can be made of these settings: {e}"))?;
        let consumer: Arc<BaseConsumer<Group>> = Arc::new(consumer);
        consumer.context().branch.pollers.add(&consumer);
        consumer
            .subscribe(&[&topic])
            .map_err(|e| format!("subscribing to {topic}: {e}"))?;
        Ok(Self {
            consumer,
            commands,
            held: None,
            paused: false,
            packed: Vec::new(),
            until_look: LOOK_EVERY,
            flushed: Instant::now(),
            committed_again: Instant::now(),
            unsought: BTreeMap::new(),
            stopping: None,
        })
    }

    fn run(mut self) -> Result<(), String> {
        loop {
            self.turn()?;
            if let Some(deadline) = self.stopping {
                return self.stop(deadline);
            }
            match self.commands.try_recv() {
                Ok(Command::Stop(deadline)) => return self.stop(deadline),
                Ok(command) => {
                    self.obey(command)?;
                    continue;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return self.stop(Duration::ZERO),
            }
            if !self.group().branch.control.may_take() {
                self.wait_for_room()?;
                continue;
            }
            if let Some(message) = self.held.take() {
                let taken = self.take(&message)?;
                if !taken {
                    self.held = Some(message);
                    self.wait_for_room()?;
                }
                continue;
            }
            if self.until_look == 0 {
                self.until_look = LOOK_EVERY;
                if self.flushed.elapsed() >= FLUSH {
                    self.flush()?;
                }
                if !self.ledger().wait_span(MOST_RECORDS, Duration::ZERO) {
                    self.wait_for_room()?;
                    continue;
                }
            }
            self.take_some()?;
        }
    }

    /// Takes up to [`BURST`] records that are there, or waits for one.
    fn take_some(&mut self) -> Result<(), String> {
        for _ in 0..BURST {
            let mut polled = self.consumer.poll(Duration::ZERO);
            let last = polled.is_none();
            if last {
                self.flush()?;
                polled = self.consumer.poll(POLL);
            }
            let came = polled.is_some();
            if let Some(polled) = polled {
                let took = polled.map(|m| self.take_or_hold(&m));
                self.after(took)?;
            }
            if last && came {
                std::thread::sleep(TOGETHER);
            }
            if last || self.held.is_some() || self.stopping.is_some() {
                break;
            }
        }
        Ok(())
    }
}

/// What taking a borrowed message led to.
enum Took {
    Yes,
    Hold(rdkafka::message::OwnedMessage),
    Failed(String),
}

impl Poller {
    fn take_or_hold(&self, message: &BorrowedMessage<'_>) -> Took {
        // The scratch for headers is per call here, since the message borrows the consumer; most have none.
        let mut packed = Vec::new();
        match offer(self.consumer.context(), message, &mut packed) {
            Ok(true) => Took::Yes,
            Ok(false) => Took::Hold(message.detach()),
            Err(why) => Took::Failed(why),
        }
    }

    fn take(&mut self, message: &rdkafka::message::OwnedMessage) -> Result<bool, String> {
        let mut packed = std::mem::take(&mut self.packed);
        let taken = offer(self.consumer.context(), message, &mut packed);
        self.packed = packed;
        taken
    }

    fn after(&mut self, took: Result<Took, KafkaError>) -> Result<(), String> {
        self.until_look = self.until_look.saturating_sub(1);
        match took {
            Ok(Took::Yes) => Ok(()),
            Ok(Took::Hold(message)) => {
                self.held = Some(message);
                self.wait_for_room()
            }
            Ok(Took::Failed(why)) => Err(why),
            Err(KafkaError::PartitionEOF(partition)) => {
                self.reached_end(partition);
                Ok(())
            }
            Err(e) => self.polled_error(&e),
        }
    }

    /// Every record of the partition's log was given out.
    fn reached_end(&self, partition: i32) {
        let branch = &self.group().branch;
        // A record that is held was given out, and not taken yet.
        let held = self
            .held
            .as_ref()
            .is_some_and(|m| m.partition() == partition);
        if let Some(next) = branch.ledger.next(partition).filter(|_| !held) {
            branch.stats.reached_end(partition, next, Instant::now());
        }
    }

    pub(super) fn polled_error(&self, error: &KafkaError) -> Result<(), String> {
        let branch = &self.group().branch;
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::NoOffset,
            ) => {
                branch.halt(format!(
                    "{}: the log no longer holds the offset to read from ({error}): records were removed before they were \
                     read. This branch needs a backfill; then resume it",
                    branch.topic().name
                ));
                Ok(())
            }
            // While it waits for room it gives back what it polls, so this end says nothing.
            Some(RDKafkaErrorCode::PartitionEOF) => Ok(()),
            _ if super::probe::is_fatal(error) => Err(error.to_string()),
            // librdkafka tries again by itself; what lasts shows as lag, and in its own log lines.
            _ => {
                tracing::warn!(
                    branch = branch.name,
                    topic = branch.topic().name,
                    "consuming: {error}"
                );
                Ok(())
            }
        }
    }

    /// One turn of the loop.
    pub(super) fn turn(&mut self) -> Result<(), String> {
        let group = Arc::clone(self.consumer.context());
        let since = group.turned();
        let session = group.branch.settings.kafka.session_timeout;
        if since >= session {
            return Err(self.stood_still(since, session));
        }
        if self.committed_again.elapsed() >= COMMIT_AGAIN {
            self.committed_again = Instant::now();
            group.commit_again(&self.consumer, CommitMode::Async);
        }
        group.progress.did(0);
        group.steps.at("poll").map_err(|e| e.to_string())
    }

    /// The process was stopped for longer than its group waits for it. The group has given its partitions to others, and
    /// says so only after what was fetched before: all of that would be written twice. So nothing of it is taken, and what
    /// is in hand is given up, as where the group says it first ([`Group::forfeit`]); a new consumer joins the group.
    fn stood_still(&self, since: Duration, session: Duration) -> String {
        let group = self.group();
        let ours: Vec<i32> = lock(&group.assigned).iter().copied().collect();
        group.forfeit(&ours);
        format!("the process stood still for {since:.1?}, and its group waits for {session:?}")
    }

    pub(super) fn obey(&mut self, command: Command) -> Result<(), String> {
        self.group().progress.did(0);
        match command {
            Command::Begin { mark, committed } => self.begin(mark, committed),
            Command::Rewind(partition) => {
                if let Some(offset) = self.lease().rewind(partition) {
                    let branch = &self.group().branch;
                    tracing::warn!(
                        branch = branch.name,
                        topic = branch.topic().name,
                        partition,
                        offset,
                        "rewinding to the watermark"
                    );
                    self.drop_held(partition);
                    self.seek(Mark { partition, offset })?;
                }
                Ok(())
            }
            Command::Commit(marks) => {
                let group = self.group();
                group.steps.at("commit").map_err(|e| e.to_string())?;
                group.commit(&self.consumer, marks, CommitMode::Async);
                Ok(())
            }
            Command::TurnBack { marks, answer } => self.turn_back(&marks, answer),
            Command::Stop(_) => Ok(()),
        }
    }

    fn begin(&mut self, mark: Mark, committed: Option<i64>) -> Result<(), String> {
        let group = self.group();
        if !lock(&group.assigned).contains(&mark.partition) {
            return Ok(());
        }
        self.lease().close(mark.partition);
        self.drop_held(mark.partition);
        if self.seek(mark)? {
            self.lease().open(mark.partition, mark.offset);
            let group = self.group();
            let committed = {
                let mut known = lock(&group.committed);
                let at = known.entry(mark.partition).or_insert(0);
                *at = (*at).max(committed.unwrap_or(0));
                *at
            };
            group.branch.stats.partition(mark.partition, |p| {
                p.watermark = mark.offset;
                p.committed = committed;
            });
            if !self.paused {
                let tpl = self.list([mark.partition]);
                self.consumer.resume(&tpl).map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    /// Seeks; `false` where the partition cannot be sought now and the source was told.
    pub(super) fn seek(&mut self, mark: Mark) -> Result<bool, String> {
        let group = Arc::clone(self.consumer.context());
        let topic = &group.branch.topic().name;
        let waiting = group.progress.waiting("kafka");
        let sought = self
            .consumer
            .seek(topic, mark.partition, Offset::Offset(mark.offset), SEEK);
        drop(waiting);
        match sought {
            Ok(()) => {
                self.unsought.remove(&mark.partition);
                Ok(true)
            }
            Err(why) => {
                let now = Instant::now();
                let before = self.unsought.get(&mark.partition);
                // Long ago it was another assignment.
                let since = match before.filter(|(_, last)| last.elapsed() < SEEK) {
                    Some((since, _)) => *since,
                    None => {
                        tracing::warn!(
                            branch = group.branch.name,
                            topic,
                            partition = mark.partition,
                            offset = mark.offset,
                            "seeking: {why}; trying again"
                        );
                        now
                    }
                };
                self.unsought.insert(mark.partition, (since, now));
                if since.elapsed() >= UNSOUGHT {
                    return Err(format!(
                        "{topic} partition {} cannot be sought to offset {} for {UNSOUGHT:?}: {why}",
                        mark.partition, mark.offset
                    ));
                }
                self.lease().close(mark.partition);
                group
                    .events
                    .blocking_send(Event::Lost(mark.partition))
                    .map_err(|_| "the source is gone".to_owned())?;
                Ok(false)
            }
        }
    }

    pub(super) fn drop_held(&mut self, partition: i32) {
        if self
            .held
            .as_ref()
            .is_some_and(|m| m.partition() == partition)
        {
            self.held = None;
        }
    }

    pub(super) fn list(&self, partitions: impl IntoIterator<Item = i32>) -> TopicPartitionList {
        list(&self.group().branch.topic().name, partitions)
    }

    pub(super) fn flush(&mut self) -> Result<(), String> {
        self.flushed = Instant::now();
        lock(&self.group().router)
            .flush()
            .map_err(|e| e.to_string())
    }

    /// Stops taking, drains, commits, leaves.
    fn stop(self, deadline: Duration) -> Result<(), String> {
        let group = Arc::clone(self.consumer.context());
        group.steps.at("drain").map_err(|e| e.to_string())?;
        let partitions: Vec<i32> = lock(&group.assigned).iter().copied().collect();
        let began = Instant::now();
        group.give_up(&self.consumer, &partitions, deadline);
        // A group that is rebalancing takes no commit. It goes on only while somebody polls; what is polled is not taken,
        // and another member's or the next start's.
        while group.uncommitted.load(Ordering::Relaxed) && began.elapsed() < deadline {
            if let Some(Err(why)) = self.consumer.poll(POLL) {
                self.polled_error(&why)?;
            }
            group.commit_again(&self.consumer, CommitMode::Sync);
        }
        // Closing calls back with a revocation, which finds everything given up already.
        drop(self);
        Ok(())
    }

    pub(super) fn group(&self) -> &Group {
        self.consumer.context()
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.group().lease
    }

    pub(super) fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.group().branch.ledger)
    }
}
