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

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::consumer_config;
use crate::branch::Branch;
use crate::commit::Ledger;
use crate::event::{Headers, Mark, Position};
use crate::route::{Incoming, Router};

/// What the poller is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Reads an assigned partition.
    Begin {
        /// From this offset on.
        mark: Mark,
        /// The group's committed offset, which may be higher: the sink may have forgotten what it had.
        committed: Option<i64>,
    },
    /// Goes back to a partition's watermark.
    Rewind(i32),
    /// Commits watermarks, each for the generation that it was read in.
    Commit(Vec<(Mark, u64)>),
    /// Leaves the group, after draining for at most this long.
    Stop(Duration),
}

/// What the poller tells the source.
#[derive(Debug)]
pub enum Event {
    /// Partitions came, and wait for [`Command::Begin`].
    Assigned(Vec<i32>),
    /// Partitions went.
    Revoked(Vec<i32>),
    /// A partition must be begun anew: its seek failed.
    Lost(i32),
    /// The thread has ended.
    Ended(Result<(), String>),
}

/// Records between the watermarks and the last ones taken: bounds the ledger, not the payloads.
const MOST_RECORDS: usize = 200_000;
/// Records taken between two looks at that.
const LOOK_EVERY: u32 = 256;
/// How long a poll may wait for a record. Commands wait for it too.
const POLL: Duration = Duration::from_millis(20);
/// Without room for this long the partitions are paused; before that, only polling stops, since a pause
/// throws the prefetched records away.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a seek may take.
const SEEK: Duration = Duration::from_secs(5);
/// A chunk waits at most this long for more records while others keep coming.
const FLUSH: Duration = Duration::from_millis(5);

/// Runs the poll loop to its end; for a thread of its own.
pub fn run(
    branch: Arc<Branch>,
    router: Router,
    committed: BTreeMap<i32, i64>,
    commands: Receiver<Command>,
    events: mpsc::Sender<Event>,
    runtime: tokio::runtime::Handle,
) {
    let to = events.clone();
    let ended = catch_unwind(AssertUnwindSafe(move || {
        Poller::new(branch, router, committed, commands, events, runtime)?.run()
    }));
    let ended = ended.unwrap_or_else(|_| Err("the poll loop panicked".to_owned()));
    // The source may be gone already; then nobody waits for this.
    let _ = to.blocking_send(Event::Ended(ended));
}

struct Poller {
    consumer: BaseConsumer<Group>,
    commands: Receiver<Command>,
    /// A record polled for which there was no room yet.
    held: Option<rdkafka::message::OwnedMessage>,
    paused: bool,
    packed: Vec<u8>,
    until_look: u32,
    flushed: Instant,
    /// Asked to stop while it waited for room.
    stopping: Option<Duration>,
}

/// What the consumer's callbacks share with the loop; both run on the poller's thread.
struct Group {
    branch: Arc<Branch>,
    router: Mutex<Router>,
    committed: Mutex<BTreeMap<i32, i64>>,
    assigned: Mutex<BTreeSet<i32>>,
    events: mpsc::Sender<Event>,
    runtime: tokio::runtime::Handle,
}

// === impl Poller ===

impl Poller {
    fn new(
        branch: Arc<Branch>,
        router: Router,
        committed: BTreeMap<i32, i64>,
        commands: Receiver<Command>,
        events: mpsc::Sender<Event>,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, String> {
        let config = consumer_config(&branch.settings.kafka, &branch.name);
        let topic = branch.topic().name.clone();
        let group = Group {
            branch,
            router: Mutex::new(router),
            committed: Mutex::new(committed),
            assigned: Mutex::default(),
            events,
            runtime,
        };
        let consumer = BaseConsumer::from_config_and_context(&config, group)
            .map_err(|e| format!("no consumer can be made of these settings: {e}"))?;
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
            stopping: None,
        })
    }

    fn run(mut self) -> Result<(), String> {
        loop {
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
            match self.consumer.poll(Duration::ZERO) {
                Some(polled) => {
                    let message = polled.map(|m| self.take_or_hold(&m));
                    self.after(message)?;
                }
                None => {
                    self.flush()?;
                    if let Some(polled) = self.consumer.poll(POLL) {
                        let message = polled.map(|m| self.take_or_hold(&m));
                        self.after(message)?;
                    }
                }
            }
        }
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
            Err(e) => self.polled_error(&e),
        }
    }

    fn polled_error(&self, error: &KafkaError) -> Result<(), String> {
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

    fn obey(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::Begin { mark, committed } => self.begin(mark, committed),
            Command::Rewind(partition) => {
                if let Some(offset) = self.ledger().rewind(partition) {
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
                self.group()
                    .commit(&self.consumer, marks, CommitMode::Async);
                Ok(())
            }
            Command::Stop(_) => Ok(()),
        }
    }

    fn begin(&mut self, mark: Mark, committed: Option<i64>) -> Result<(), String> {
        let group = self.group();
        if !lock(&group.assigned).contains(&mark.partition) {
            return Ok(());
        }
        self.ledger().close(mark.partition);
        self.drop_held(mark.partition);
        if self.seek(mark)? {
            self.ledger().open(mark.partition, mark.offset);
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
    fn seek(&self, mark: Mark) -> Result<bool, String> {
        let group = self.group();
        let topic = &group.branch.topic().name;
        let sought = self
            .consumer
            .seek(topic, mark.partition, Offset::Offset(mark.offset), SEEK);
        match sought {
            Ok(()) => Ok(true),
            Err(why) => {
                tracing::warn!(
                    branch = group.branch.name,
                    topic,
                    partition = mark.partition,
                    offset = mark.offset,
                    "seeking: {why}; trying again"
                );
                self.ledger().close(mark.partition);
                group
                    .events
                    .blocking_send(Event::Lost(mark.partition))
                    .map_err(|_| "the source is gone".to_owned())?;
                Ok(false)
            }
        }
    }

    fn drop_held(&mut self, partition: i32) {
        if self
            .held
            .as_ref()
            .is_some_and(|m| m.partition() == partition)
        {
            self.held = None;
        }
    }

    /// Waits until there is room again, pausing the partitions when that takes long. Serves commands only
    /// between waits, and rebalances while paused.
    fn wait_for_room(&mut self) -> Result<(), String> {
        self.flush()?;
        let started = Instant::now();
        loop {
            let bytes = self.held.as_ref().map_or(0, size_of_held);
            let group = self.group();
            let (budget, ledger) = (Arc::clone(&group.branch.budget), self.ledger());
            let room = if self.paused {
                budget.wait_half(POLL) && ledger.wait_span(MOST_RECORDS / 2, POLL)
            } else {
                budget.wait_for(bytes, POLL) && ledger.wait_span(MOST_RECORDS, POLL)
            };
            if room {
                break;
            }
            if !self.paused && started.elapsed() >= PATIENCE {
                self.pause_all(true)?;
            }
            if self.paused {
                // A record that comes here was fetched before the pause: its partition is sought back.
                if let Some(Ok(message)) = self.consumer.poll(Duration::ZERO) {
                    let partition = message.partition();
                    if self.held.is_none() {
                        let message = message.detach();
                        self.held = Some(message);
                    } else if let Some(offset) = self.ledger().next(partition) {
                        let offset = match &self.held {
                            Some(m) if m.partition() == partition => m.offset() + 1,
                            Some(_) | None => offset,
                        };
                        drop(message);
                        self.seek(Mark { partition, offset })?;
                    }
                }
            }
            match self.commands.try_recv() {
                Ok(Command::Stop(deadline)) => {
                    self.stopping = Some(deadline);
                    return Ok(());
                }
                Ok(command) => self.obey(command)?,
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    self.stopping = Some(Duration::ZERO);
                    return Ok(());
                }
            }
        }
        if self.paused {
            self.pause_all(false)?;
        }
        Ok(())
    }

    fn pause_all(&mut self, pause: bool) -> Result<(), String> {
        let ledger = self.ledger();
        let assigned = lock(&self.group().assigned).clone();
        let open = assigned.into_iter().filter(|p| ledger.mark(*p).is_some());
        let tpl = self.list(open);
        let done = if pause {
            self.consumer.pause(&tpl)
        } else {
            self.consumer.resume(&tpl)
        };
        self.paused = pause;
        done.map_err(|e| e.to_string())
    }

    fn list(&self, partitions: impl IntoIterator<Item = i32>) -> TopicPartitionList {
        list(&self.group().branch.topic().name, partitions)
    }

    fn flush(&mut self) -> Result<(), String> {
        self.flushed = Instant::now();
        lock(&self.group().router)
            .flush()
            .map_err(|e| e.to_string())
    }

    /// Stops taking, drains, commits, leaves.
    fn stop(self, deadline: Duration) -> Result<(), String> {
        let group = Arc::clone(self.consumer.context());
        let partitions: Vec<i32> = lock(&group.assigned).iter().copied().collect();
        group.give_up(&self.consumer, &partitions, deadline);
        // Closing calls back with a revocation, which finds everything given up already.
        drop(self);
        Ok(())
    }

    fn group(&self) -> &Group {
        self.consumer.context()
    }

    fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.group().branch.ledger)
    }
}

/// About what the record takes of the budget; headers are counted when it is offered.
fn size_of_held(message: &rdkafka::message::OwnedMessage) -> usize {
    message.payload().map_or(0, <[u8]>::len)
        + message.key().map_or(0, <[u8]>::len)
        + crate::route::RECORD_OVERHEAD
}

/// Offers a message to the router; `false` without room for it.
fn offer(
    group: &Group,
    message: &impl rdkafka::Message,
    packed: &mut Vec<u8>,
) -> Result<bool, String> {
    packed.clear();
    if let Some(headers) = message.headers() {
        for h in headers.iter() {
            Headers::push(packed, h.key, h.value);
        }
    }
    let incoming = Incoming {
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key(),
        value: message.payload(),
        headers: packed,
    };
    let mut router = lock(&group.router);
    if !router.reserve(&incoming) {
        return Ok(false);
    }
    let position = Position {
        partition: message.partition(),
        offset: message.offset(),
    };
    let claim = group
        .branch
        .ledger
        .take(position)
        .map_err(|e| format!("{} {position}: {e}", group.branch.topic().name))?;
    match claim {
        Some(claim) => {
            router.push(claim, &incoming).map_err(|e| e.to_string())?;
            Ok(true)
        }
        // Not open: whoever opens it seeks to where it begins.
        None => Ok(true),
    }
}

// === impl Group ===

impl Group {
    /// Drains these partitions within `deadline`, commits what is resolved, and ends their generations.
    fn give_up(&self, consumer: &BaseConsumer<Self>, partitions: &[i32], deadline: Duration) {
        if let Err(gone) = lock(&self.router).flush() {
            tracing::warn!(branch = self.branch.name, "{gone}");
        }
        let ledger = &self.branch.ledger;
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
        for partition in partitions {
            ledger.close(*partition);
            self.branch.stats.forget_partition(*partition);
        }
        let plain: Vec<Mark> = marks.iter().map(|m| m.0).collect();
        let checkpoint = async {
            tokio::time::timeout(deadline.max(SEEK), self.branch.hub.checkpoint(&plain)).await
        };
        match self.runtime.block_on(checkpoint) {
            Ok(Ok(())) => self.store(consumer, plain, CommitMode::Sync),
            Ok(Err(why)) => {
                tracing::warn!(branch = self.branch.name, "not committed: {why}");
            }
            Err(_) => {
                tracing::warn!(branch = self.branch.name, "not committed: the sink is slow");
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
    fn commit(&self, consumer: &BaseConsumer<Self>, marks: Vec<(Mark, u64)>, mode: CommitMode) {
        let current = marks.into_iter().filter(|(mark, generation)| {
            let now = self.branch.ledger.mark(mark.partition);
            now.is_some_and(|(_, g)| g == *generation)
        });
        self.store(consumer, current.map(|m| m.0).collect(), mode);
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
        if any
            && let Err(why) = consumer.commit_consumer_state(mode)
            && why.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset)
        {
            tracing::warn!(branch = self.branch.name, topic, "committing: {why}");
        }
    }

    fn tell(&self, event: Event) {
        // The source outlives its poller but for its own failure, which ends the poller next.
        if self.events.blocking_send(event).is_err() {
            tracing::debug!(branch = self.branch.name, "the source is gone");
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
        tracing::warn!(branch = self.branch.name, "kafka client: {error}: {reason}");
    }
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(tpl) = rebalance {
            let partitions = partitions(tpl);
            tracing::info!(branch = self.branch.name, ?partitions, "revoked");
            let ours: Vec<i32> = {
                let assigned = lock(&self.assigned);
                partitions
                    .iter()
                    .copied()
                    .filter(|p| assigned.contains(p))
                    .collect()
            };
            if !ours.is_empty() {
                self.give_up(consumer, &ours, self.drain_deadline());
                self.tell(Event::Revoked(ours));
            }
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(tpl) => {
                let partitions = partitions(tpl);
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
                self.tell(Event::Assigned(partitions));
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(why) => {
                tracing::warn!(branch = self.branch.name, "rebalancing: {why}");
            }
        }
    }
}

fn partitions(tpl: &TopicPartitionList) -> Vec<i32> {
    tpl.elements().iter().map(|e| e.partition()).collect()
}

fn list(topic: &str, partitions: impl IntoIterator<Item = i32>) -> TopicPartitionList {
    let mut tpl = TopicPartitionList::new();
    for partition in partitions {
        tpl.add_partition(topic, partition);
    }
    tpl
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
