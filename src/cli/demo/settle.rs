//! Waits until the lane has carried everything: by asking Kafka and the sinks, never by sleeping long enough.
//!
//! Every marker row is updated after the last change, so the binlog holds them last. It is over when both
//! sinks show every marker, the topic has not grown for a second, and both groups have committed its end.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::changes::MARKERS;
use super::compare::Store;
use super::kafka::{Kafka, Offsets, Reader};
use super::probe::{Markers, rev_in};
use super::stores::Stores;
use crate::config::PipelineSpec;

/// Nothing has moved for so long: something is broken, and waiting on would hide it. A restarted sink or
/// connector is back well within it.
const STANDSTILL: Duration = Duration::from_secs(60);
/// How long the topic must not have grown.
const QUIET: Duration = Duration::from_secs(1);
/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// How far the lane is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Records that each branch has not committed yet, by the sink's name.
    pub lag: Vec<(String, i64)>,
    /// Marker rows that are not in the sink yet.
    pub markers: [(Store, usize); 2],
}

/// Asks how far the lane is.
pub struct Settle {
    topic: String,
    ends: Reader,
    /// By the sink's name.
    groups: Vec<(String, Reader)>,
    stores: Stores,
}

// === impl Settle ===

impl Settle {
    /// For this pipeline's branches.
    ///
    /// # Errors
    /// Where no client can be made.
    pub fn new(kafka: &Kafka, pipeline: &PipelineSpec, stores: &Stores) -> anyhow::Result<Self> {
        let groups = pipeline.sinks.iter().map(|sink| {
            let group = format!("{}.{}", pipeline.name, sink.name);
            Ok((sink.name.clone(), kafka.reader(Some(&group))?))
        });
        Ok(Self {
            topic: pipeline.topic.name.clone(),
            ends: kafka.reader(None)?,
            groups: groups.collect::<anyhow::Result<_>>()?,
            stores: stores.clone(),
        })
    }

    /// Waits; calls `show` after every question.
    ///
    /// # Errors
    /// Where Kafka or the database fails, or where nothing has moved for a minute: the message says what is
    /// missing.
    pub async fn wait(
        &self,
        markers: &mut Markers,
        mut show: impl FnMut(&Progress),
    ) -> anyhow::Result<()> {
        let rev = markers.touch_all().await?;
        let mut pending: [(Store, Vec<u64>); 2] =
            [Store::Elasticsearch, Store::Redis].map(|store| (store, MARKERS.collect()));
        let mut ends = self.ends.ends(&self.topic).await?;
        let (mut grown, mut moved) = (Instant::now(), Instant::now());
        let mut last = None;
        loop {
            for (store, ids) in &mut pending {
                let mut left = Vec::new();
                for id in std::mem::take(ids) {
                    // A sink that does not answer has not answered yet.
                    let found = rev_in(&self.stores, *store, id).await.ok().flatten();
                    if found.is_none_or(|found| found < rev) {
                        left.push(id);
                    }
                }
                *ids = left;
            }
            let now = self.ends.ends(&self.topic).await?;
            if now != ends {
                grown = Instant::now();
                ends = now;
            }
            let progress = Progress {
                lag: self.lag(&ends).await?,
                markers: [0, 1].map(|i| (pending[i].0, pending[i].1.len())),
            };
            show(&progress);
            if progress.is_done() && grown.elapsed() > QUIET {
                return Ok(());
            }
            if last.as_ref() != Some(&progress) || grown.elapsed() < QUIET {
                moved = Instant::now();
                last = Some(progress);
            } else if moved.elapsed() > STANDSTILL {
                bail!(
                    "the lane has stood still for {} s: {progress}",
                    STANDSTILL.as_secs()
                );
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Records between the committed offset and the end, by group.
    async fn lag(&self, ends: &Offsets) -> anyhow::Result<Vec<(String, i64)>> {
        let mut lag = Vec::new();
        for (sink, reader) in &self.groups {
            let committed = reader
                .committed(&self.topic, ends.keys().copied().collect())
                .await
                .with_context(|| format!("the group of {sink}"))?;
            // A partition without a commit counts from its start, which is at least 0.
            let behind = ends
                .iter()
                .map(|(p, end)| end - committed.get(p).copied().unwrap_or(0));
            lag.push((sink.clone(), behind.sum()));
        }
        Ok(lag)
    }
}

// === impl Progress ===

impl Progress {
    fn is_done(&self) -> bool {
        self.lag.iter().all(|(_, lag)| *lag == 0) && self.markers.iter().all(|(_, left)| *left == 0)
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lags: Vec<_> = self
            .lag
            .iter()
            .map(|(group, lag)| format!("{group} {lag}"))
            .collect();
        let [(a, m), (b, n)] = self.markers;
        write!(
            f,
            "records behind: {}; last changes unseen: {a} {m}, {b} {n}",
            lags.join(", ")
        )
    }
}
