//! Looks at both sinks and at the groups' commits all the time, and judges what it sees:
//! **S** a key's version never falls, and **C** whatever lies below a committed offset is in the sink.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use twolane::event::Epoch;

use super::model::Model;
use super::sink::{self, Rows, Sink};
use crate::lane::rig::Rig;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the broker may take to say what is committed.
const ASK: Duration = Duration::from_secs(2);

/// What is looked at, and what was seen.
pub struct Watch {
    pub sinks: Vec<Sink>,
    pub elasticsearch: String,
    /// Where Redis is now; a failover changes it.
    pub redis: RefCell<String>,
    index: String,
    prefix: String,
    topic: String,
    pipeline: String,
    partitions: i32,
    epoch: Cell<u32>,
    client: reqwest::Client,
    groups: BTreeMap<Sink, Arc<BaseConsumer>>,
    model: Rc<Model>,
    seen: RefCell<Seen>,
    /// Whether versions and commits are judged at every look, or only the end is: where a sink forgets by itself, the
    /// lane follows it back.
    pub each: Cell<bool>,
    ended: Cell<bool>,
}

#[derive(Default)]
struct Seen {
    looks: u64,
    versions: BTreeMap<(Sink, i64), u64>,
    below: BTreeMap<(Sink, i32), Below>,
    rows: BTreeMap<Sink, Rows>,
    falls: u64,
    violations: Vec<String>,
}

/// The newest record of each row below a committed offset.
#[derive(Default)]
struct Below {
    known: usize,
    newest: BTreeMap<i64, i64>,
}

// === impl Watch ===

impl Watch {
    pub fn new(rig: &Rig, sinks: &[Sink], model: Rc<Model>) -> Rc<Self> {
        let pipeline = &rig.config.pipelines[0];
        let group = |sink: &Sink| {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", &rig.config.settings.kafka.brokers)
                .set("group.id", format!("{}.{}", pipeline.name, sink.name()))
                .set("enable.auto.commit", "false")
                .create()
                .expect("a client");
            (*sink, Arc::new(consumer))
        };
        Rc::new(Self {
            elasticsearch: rig.elasticsearch.clone(),
            redis: RefCell::new(rig.redis.clone()),
            index: format!("{}-v1", rig.index),
            prefix: rig.prefix.clone(),
            topic: rig.topic.clone(),
            pipeline: pipeline.name.clone(),
            partitions: pipeline.topic.partitions,
            epoch: Cell::new(pipeline.topic.epoch.get().into()),
            client: reqwest::Client::new(),
            groups: sinks.iter().map(group).collect(),
            sinks: sinks.to_vec(),
            model,
            seen: RefCell::default(),
            each: Cell::new(true),
            ended: Cell::new(false),
        })
    }

    /// Looks until [`Watch::end`].
    pub fn begin(self: &Rc<Self>) {
        let watch = Rc::clone(self);
        actix::spawn(async move {
            while !watch.ended.get() {
                for sink in watch.sinks.clone() {
                    watch.look(sink).await;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    pub fn end(&self) {
        self.ended.set(true);
    }

    /// A server that was killed may have shown what it had not acknowledged yet.
    pub fn forgive(&self, sink: Sink) {
        self.seen
            .borrow_mut()
            .versions
            .retain(|(of, _), _| *of != sink);
    }

    /// The highest `rev` that a sink was seen to have.
    pub fn top(&self, sink: Sink) -> i64 {
        let seen = self.seen.borrow();
        let rows = seen
            .rows
            .get(&sink)
            .into_iter()
            .flat_map(|rows| rows.values());
        rows.filter_map(|held| held.rev).max().unwrap_or(0)
    }

    pub fn falls(&self) -> u64 {
        self.seen.borrow().falls
    }

    pub fn violations(&self) -> Vec<String> {
        self.seen.borrow().violations.clone()
    }

    pub fn looks(&self) -> u64 {
        self.seen.borrow().looks
    }

    /// One look at a sink, judged.
    pub async fn look(&self, sink: Sink) -> Option<Rows> {
        // First the commits: what lies below them is in the sink then, and stays there.
        let committed = self.committed(sink).await;
        let rows = self.rows(sink).await?;
        let mut seen = self.seen.borrow_mut();
        seen.looks += 1;
        if self.each.get() {
            self.judge_versions(&mut seen, sink, &rows);
            self.judge_commits(&mut seen, sink, &rows, &committed.unwrap_or_default());
        }
        seen.rows.insert(sink, rows.clone());
        Some(rows)
    }

    /// What a sink holds now.
    pub async fn rows(&self, sink: Sink) -> Option<Rows> {
        match sink {
            Sink::Elasticsearch => {
                sink::documents(&self.client, &self.elasticsearch, &self.index).await
            }
            Sink::Redis => {
                let url = self.redis.borrow().clone();
                sink::hashes(&url, &self.prefix, self.model.ids()).await
            }
        }
    }

    /// What a sink's group has committed, by partition.
    pub async fn committed(&self, sink: Sink) -> Option<BTreeMap<i32, i64>> {
        let consumer = Arc::clone(self.groups.get(&sink)?);
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.topic, 0, self.partitions - 1);
        let answer = tokio::task::spawn_blocking(move || consumer.committed_offsets(asked, ASK));
        let answer = answer.await.ok()?.ok()?;
        let elements = answer.elements();
        let known = elements.iter().filter_map(|e| match e.offset() {
            Offset::Offset(offset) => Some((e.partition(), offset)),
            _ => None,
        });
        Some(known.collect())
    }

    /// Records of the log that are not below a commit and are in the sink all the same: what will be read once more.
    pub async fn read_again(&self, sink: Sink) -> Option<u64> {
        let committed = self.committed(sink).await?;
        let rows = self.rows(sink).await?;
        let mut again = 0;
        for (partition, log) in &*self.model.log() {
            let from = committed.get(partition).copied().unwrap_or(0);
            let above = log.iter().filter(|sent| sent.offset >= from);
            let held = |id| rows.get(&id).map_or(0, |held| held.version);
            again += above
                .filter(|sent| held(sent.id) >= self.version(sent.offset))
                .count() as u64;
        }
        Some(again)
    }

    /// The group of a sink.
    pub fn group(&self, sink: Sink) -> String {
        format!("{}.{}", self.pipeline, sink.name())
    }

    /// The topic was made anew, and records have the versions of another epoch.
    pub fn set_epoch(&self, epoch: u32) {
        self.epoch.set(epoch);
        self.seen.borrow_mut().below.clear();
    }

    fn version(&self, offset: i64) -> u64 {
        let epoch = Epoch::new(self.epoch.get()).expect("an epoch");
        // Not the lane's own, which may have a bug planted.
        (u64::from(epoch.get()) << 48) | (offset.unsigned_abs() + 1)
    }

    /// A row that is no longer there has fallen as well: deleted ones keep their versions.
    fn judge_versions(&self, seen: &mut Seen, sink: Sink, rows: &Rows) {
        let Seen {
            versions,
            falls,
            violations,
            ..
        } = seen;
        let known = versions.iter_mut().filter(|((of, _), _)| *of == sink);
        for ((_, id), last) in known {
            let now = rows.get(id).map_or(0, |held| held.version);
            if now < *last {
                if *falls == 0 {
                    violations.push(format!(
                        "S: row {id} in {sink:?} fell from version {last} to {now}"
                    ));
                }
                *falls += 1;
                *last = now;
            }
        }
        for (id, held) in rows {
            versions.insert((sink, *id), held.version);
        }
    }

    fn judge_commits(
        &self,
        seen: &mut Seen,
        sink: Sink,
        rows: &Rows,
        committed: &BTreeMap<i32, i64>,
    ) {
        let log = self.model.log();
        for (partition, committed) in committed {
            let below = seen.below.entry((sink, *partition)).or_default();
            let sent = log.get(partition).map_or(&[][..], Vec::as_slice);
            let new = sent.iter().skip(below.known);
            for record in new.take_while(|record| record.offset < *committed) {
                below.known += 1;
                if !record.poison {
                    below.newest.insert(record.id, record.offset);
                }
            }
            let missing = below.newest.iter().find(|(id, offset)| {
                let held = rows.get(id).map_or(0, |held| held.version);
                held < self.version(**offset)
            });
            if let Some((id, offset)) = missing
                && !seen.violations.iter().any(|v| v.starts_with("C:"))
            {
                seen.violations.push(format!(
                    "C: {} has committed {committed} in partition {partition}, and row {id} of offset {offset} is not in \
                     {sink:?}: {:?}",
                    self.group(sink),
                    rows.get(id)
                ));
            }
        }
    }
}
