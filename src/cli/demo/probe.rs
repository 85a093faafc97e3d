//! Freshness as a reader sees it: the time from the database's commit to the moment in which a sink answers
//! with the new row.
//!
//! It updates marker rows, which the load leaves alone, one after the other, and asks a sink for the row until
//! it shows the new `rev`; each sink has marker rows of its own, so that a slow one holds up no measurement. The binlog's own commit times are whole seconds, too coarse for this.
//! Elasticsearch is asked by id, which sees a write at once; a search sees it after the index's refresh.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Params};

use super::changes::{MARKERS, Rev};
use super::compare::Store;
use super::people;
use super::rng::Rng;
use super::stores::Stores;
use super::table::{COLUMNS, Database, TABLE, column_names};

/// Between two probes.
const EVERY: Duration = Duration::from_millis(200);
/// A probe that takes longer counts as taking this long, and the next begins.
const GIVE_UP: Duration = Duration::from_secs(10);
/// Between two questions, at first and at most: what is measured is late by no more than one pause.
const PAUSE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(20);
/// How far the shown quantiles look back.
const WINDOW: Duration = Duration::from_secs(20);
/// Measurements kept for the quantiles of the whole run: an hour and a half of them.
const KEPT: usize = 30_000;

/// Writes marker rows.
#[derive(Debug)]
pub struct Markers {
    conn: Conn,
    rev: Rev,
    ids: RangeInclusive<u64>,
    next: u64,
}

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Freshness {
    elasticsearch: Arc<Mutex<Samples>>,
    redis: Arc<Mutex<Samples>>,
    ended: Arc<AtomicU64>,
}

/// When a probe ended, and how long it took.
type Samples = VecDeque<(Instant, Duration)>;

/// Two quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantiles {
    /// Half took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
}

// === impl Markers ===

impl Markers {
    /// A connection that updates the marker rows with these ids in turn.
    ///
    /// # Errors
    /// Where the database cannot be reached.
    pub async fn open(
        database: &Database,
        rev: Rev,
        ids: RangeInclusive<u64>,
    ) -> anyhow::Result<Self> {
        let conn = database.connect().await?;
        let next = *ids.start();
        Ok(Self {
            conn,
            rev,
            ids,
            next,
        })
    }

    /// Makes the marker rows that are missing.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn fill(&mut self) -> anyhow::Result<()> {
        let mut rng = Rng::new(1);
        let one = ["?"; COLUMNS.len()].join(",");
        let names = column_names();
        let insert = format!("INSERT IGNORE INTO {TABLE} ({names}) VALUES ({one})");
        for id in MARKERS {
            let mut row = people::person(&mut rng, id, self.rev.raise());
            // Nothing extreme or NULL here: people look at these rows first.
            row[2] = format!("⏱ marker {}", id - MARKERS.start()).into();
            self.conn
                .exec_drop(&insert, Params::Positional(row))
                .await
                .context("cannot write the marker rows")?;
        }
        Ok(())
    }

    /// Updates one marker row, the next in turn; returns its id, its new `rev` and when the commit was
    /// acknowledged.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn touch(&mut self) -> anyhow::Result<(u64, u64, Instant)> {
        let id = self.next;
        self.next = if id == *self.ids.end() {
            *self.ids.start()
        } else {
            id + 1
        };
        let rev = self.rev.raise();
        self.update(&format!("id = {id}"), rev).await?;
        Ok((id, rev, Instant::now()))
    }

    /// Updates every marker row in one transaction and returns their new `rev`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn touch_all(&mut self) -> anyhow::Result<u64> {
        let rev = self.rev.raise();
        self.update(&format!("id >= {}", MARKERS.start()), rev)
            .await?;
        Ok(rev)
    }

    async fn update(&mut self, rows: &str, rev: u64) -> anyhow::Result<()> {
        self.conn
            .query_drop(format!(
                "UPDATE {TABLE} SET rev = {rev}, last_seen = UTC_TIMESTAMP(6) WHERE {rows}"
            ))
            .await
            .context("cannot update the marker rows")
    }

    /// Probes one store until `stop` says so.
    ///
    /// # Errors
    /// Where the database fails; a sink that fails is merely late.
    pub async fn probe(
        mut self,
        stores: Stores,
        store: Store,
        freshness: Freshness,
        mut stop: tokio::sync::watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        while !*stop.borrow() {
            let (id, rev, at) = self.touch().await?;
            let seen_and_paused = async {
                shows(&stores, store, id, rev, at, &freshness).await;
                tokio::time::sleep(EVERY).await;
            };
            tokio::select! {
                () = seen_and_paused => {}
                _ = stop.changed() => break,
            }
        }
        Ok(())
    }
}

/// The `rev` that a store shows; an error is as good as no row to someone who waits.
pub async fn rev_in(stores: &Stores, store: Store, id: u64) -> anyhow::Result<Option<u64>> {
    match store {
        Store::Elasticsearch => stores.documents.rev(id).await,
        Store::Redis => stores.hashes.rev(id).await,
    }
}

async fn shows(
    stores: &Stores,
    store: Store,
    id: u64,
    rev: u64,
    at: Instant,
    freshness: &Freshness,
) {
    let mut pause = *PAUSE.start();
    while at.elapsed() < GIVE_UP {
        if matches!(rev_in(stores, store, id).await, Ok(Some(found)) if found >= rev) {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = pause.mul_f32(1.3).min(*PAUSE.end());
    }
    freshness.note(store, at.elapsed().min(GIVE_UP));
}

// === impl Freshness ===

impl Freshness {
    fn of(&self, store: Store) -> &Mutex<Samples> {
        match store {
            Store::Elasticsearch => &self.elasticsearch,
            Store::Redis => &self.redis,
        }
    }

    fn note(&self, store: Store, took: Duration) {
        let mut samples = self
            .of(store)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.ended.fetch_add(1, Ordering::Relaxed);
        samples.push_back((Instant::now(), took));
        if samples.len() > KEPT {
            samples.pop_front();
        }
    }

    /// Probes that have ended, each of which changed a row.
    pub fn count(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// The quantiles of the last 20 s; `None` without a measurement.
    pub fn recent(&self, store: Store) -> Option<Quantiles> {
        let samples = self
            .of(store)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let recent = samples
            .iter()
            .rev()
            .take_while(|(at, _)| at.elapsed() < WINDOW);
        quantiles(recent.map(|(_, took)| *took).collect())
    }

    /// The quantiles of the whole run; `None` without a measurement.
    pub fn overall(&self, store: Store) -> Option<Quantiles> {
        let samples = self
            .of(store)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        quantiles(samples.iter().map(|(_, took)| *took).collect())
    }
}

/// The quantiles of these measurements; `None` without any.
pub(super) fn quantiles(mut took: Vec<Duration>) -> Option<Quantiles> {
    took.sort_unstable();
    // The smallest value that the share does not exceed (nearest rank).
    let rank = |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1));
    Some(Quantiles {
        p50: *rank(50)?,
        p99: *rank(99)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        assert_eq!(quantiles(Vec::new()), None);
        let ms = Duration::from_millis;
        assert_eq!(
            quantiles(vec![ms(7)]),
            Some(Quantiles {
                p50: ms(7),
                p99: ms(7)
            })
        );
        let hundred = (1..=100).rev().map(ms).collect();
        assert_eq!(
            quantiles(hundred),
            Some(Quantiles {
                p50: ms(50),
                p99: ms(99)
            })
        );
    }
}
