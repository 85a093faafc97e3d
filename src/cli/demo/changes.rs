//! The load: inserts, updates, deletes and changes of the primary key, in transactions of mixed sizes.
//!
//! Promises: every change of a row sets its `rev` to a number greater than all before it; deleted ids come
//! back, so that a tombstone is followed by a row; some transactions are rolled back and must leave no trace
//! in the sinks; the same seed on the same table gives the same changes. It relies on being the only one that
//! changes the rows, but for the marker rows ([`MARKERS`]), which it never touches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Params, Value};

use super::people;
use super::rng::Rng;
use super::table::{COLUMNS, Database, TABLE, column_names};

/// The ids kept for marker rows: the highest there are, enough for every partition of the demo's topic to
/// probably hold one.
pub const MARKERS: std::ops::RangeInclusive<u64> = u64::MAX - 15..=u64::MAX;

/// The most rows that one transaction of the steady load changes.
const LARGEST_TRANSACTION: u64 = 300;
/// Rows written by one INSERT when the table is filled; about 400 KB of SQL.
const FILL_CHUNK: u64 = 500;
/// Deleted ids that are remembered, to be given out again.
const REMEMBERED_IDS: usize = 1_000;

/// The number that the last change of any row set as its `rev`.
#[derive(Debug, Clone, Default)]
pub struct Rev(Arc<AtomicU64>);

/// Rows changed, by kind. Rolled back changes are not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Made {
    /// Transactions committed.
    pub transactions: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Rows whose primary key was changed.
    pub rekeyed: u64,
}

/// The load on one connection.
#[derive(Debug)]
pub struct Changes {
    conn: Conn,
    rng: Rng,
    rev: Rev,
    /// The ids in the table, in no order.
    ids: Vec<u64>,
    gone: VecDeque<u64>,
    next_id: u64,
    /// The number of rows around which the table stays.
    target: usize,
}

// === impl Rev ===

impl Rev {
    /// The next number.
    pub fn raise(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn at_least(&self, rev: u64) {
        self.0.fetch_max(rev, Ordering::Relaxed);
    }
}

// === impl Made ===

impl Made {
    /// Rows changed in all.
    pub fn rows(&self) -> u64 {
        self.inserted + self.updated + self.deleted + self.rekeyed
    }

    /// Records that Debezium makes of them: two of a delete, which a null value follows, and three of a new
    /// key, which is a delete and an insert.
    pub fn records(&self) -> u64 {
        self.inserted + self.updated + 2 * self.deleted + 3 * self.rekeyed
    }
}

impl std::ops::AddAssign for Made {
    fn add_assign(&mut self, more: Self) {
        self.transactions += more.transactions;
        self.inserted += more.inserted;
        self.updated += more.updated;
        self.deleted += more.deleted;
        self.rekeyed += more.rekeyed;
    }
}

// === impl Changes ===

impl Changes {
    /// Takes up the table as it is, whatever an earlier run left in it. `rev` is raised to the highest
    /// in the table; `target` is the number of rows to stay near.
    ///
    /// # Errors
    /// Where the database cannot be reached or has no such table.
    pub async fn open(
        database: &Database,
        seed: u64,
        target: usize,
        rev: Rev,
    ) -> anyhow::Result<Self> {
        let mut conn = database.connect().await?;
        let highest: Option<Option<u64>> = conn
            .query_first(format!("SELECT max(rev) FROM {TABLE}"))
            .await
            .context("cannot read the highest rev")?;
        let highest = highest.flatten().unwrap_or(0);
        rev.at_least(highest);
        let ids: Vec<u64> = conn
            .exec(
                format!("SELECT id FROM {TABLE} WHERE id < ? ORDER BY id"),
                (MARKERS.start(),),
            )
            .await
            .context("cannot read the table's ids")?;
        let low = ids
            .iter()
            .copied()
            .filter(|id| *id <= u64::from(u32::MAX))
            .max();
        Ok(Self {
            conn,
            // A second run with the same seed must not draw the ids of the first again.
            rng: Rng::new(Rng::new(seed).bits() ^ highest),
            rev,
            ids,
            gone: VecDeque::new(),
            next_id: low.unwrap_or(0) + 1,
            target: target.max(1),
        })
    }

    /// Rows in the table, without the markers.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Inserts rows until the table has its target; returns how many.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn fill(&mut self) -> anyhow::Result<u64> {
        let missing = self.target.saturating_sub(self.ids.len()) as u64;
        let mut left = missing;
        while left > 0 {
            let chunk = left.min(FILL_CHUNK);
            self.insert(chunk).await?;
            left -= chunk;
        }
        Ok(missing)
    }

    /// One transaction of 1 to `at_most` rows (never more than 300), most of them small. A rolled back one
    /// returns zeroes.
    ///
    /// # Errors
    /// Where the database fails; what the transaction did is then undone by the server.
    pub async fn transaction(&mut self, at_most: u64) -> anyhow::Result<Made> {
        let size = match self.rng.below(20) {
            0..=11 => 1,
            12..=16 => 2 + self.rng.below(6),
            17..=18 => 8 + self.rng.below(40),
            _ => 50 + self.rng.below(LARGEST_TRANSACTION - 50),
        }
        .min(at_most.max(1));
        if self.rng.one_in(50) && !self.ids.is_empty() {
            self.undone().await?;
            return Ok(Made::default());
        }
        self.run("START TRANSACTION").await?;
        let mut made = Made {
            transactions: 1,
            ..Made::default()
        };
        while made.rows() < size {
            made += self.step(size - made.rows()).await?;
        }
        self.run("COMMIT").await?;
        Ok(made)
    }

    /// One statement within a transaction.
    async fn step(&mut self, at_most: u64) -> anyhow::Result<Made> {
        let mut made = Made::default();
        let few = (1 + self.rng.below(4)).min(at_most);
        match self.rng.below(100) {
            _ if self.ids.is_empty() => made.inserted = self.insert(1).await?,
            0..=7 if self.ids.len() < self.target => made.inserted = self.insert(few).await?,
            0..=7 => made.deleted = self.delete(few).await?,
            8..=10 => made.rekeyed = self.rekey().await?,
            11..=12 => made.deleted = self.delete(1).await?,
            13..=14 => made.inserted = self.insert(1).await?,
            15..=34 => made.updated = self.update_many(at_most.min(40)).await?,
            35..=54 => made.updated = self.replace().await?,
            _ => made.updated = self.update_some().await?,
        }
        Ok(made)
    }

    async fn insert(&mut self, rows: u64) -> anyhow::Result<u64> {
        let mut values = Vec::with_capacity(COLUMNS.len() * usize::try_from(rows)?);
        for _ in 0..rows {
            let id = self.new_id();
            values.extend(people::person(&mut self.rng, id, self.rev.raise()));
            self.ids.push(id);
        }
        let one = format!("({})", ["?"; COLUMNS.len()].join(","));
        let all = vec![one; usize::try_from(rows)?].join(",");
        self.exec(
            &format!("INSERT INTO {TABLE} ({}) VALUES {all}", column_names()),
            values,
        )
        .await?;
        Ok(rows)
    }

    async fn delete(&mut self, rows: u64) -> anyhow::Result<u64> {
        let mut ids = Vec::new();
        while (ids.len() as u64) < rows && !self.ids.is_empty() {
            let at = self.rng.index(self.ids.len());
            ids.push(self.ids.swap_remove(at));
        }
        self.run(&format!("DELETE FROM {TABLE} WHERE id IN ({})", list(&ids)))
            .await?;
        let rows = ids.len() as u64;
        for id in ids {
            self.forget(id);
        }
        Ok(rows)
    }

    /// A new id for a row, which keeps its other columns.
    async fn rekey(&mut self) -> anyhow::Result<u64> {
        let at = self.rng.index(self.ids.len());
        let new = self.new_id();
        let old = std::mem::replace(&mut self.ids[at], new);
        let values = vec![new.into(), self.rev.raise().into(), old.into()];
        self.exec(
            &format!("UPDATE {TABLE} SET id = ?, rev = ? WHERE id = ?"),
            values,
        )
        .await?;
        self.forget(old);
        Ok(1)
    }

    /// All columns of one row.
    async fn replace(&mut self) -> anyhow::Result<u64> {
        let id = self.ids[self.rng.index(self.ids.len())];
        let mut values = people::person(&mut self.rng, id, self.rev.raise());
        values.push(id.into());
        let set: Vec<_> = COLUMNS.iter().map(|c| format!("{} = ?", c.name)).collect();
        self.exec(
            &format!("UPDATE {TABLE} SET {} WHERE id = ?", set.join(", ")),
            values,
        )
        .await?;
        Ok(1)
    }

    /// A few columns of one row.
    async fn update_some(&mut self) -> anyhow::Result<u64> {
        let id = self.ids[self.rng.index(self.ids.len())];
        let (set, value): (_, Value) = match self.rng.below(7) {
            0 => ("nickname", people::nickname(&mut self.rng).into()),
            1 => ("city", people::city(&mut self.rng).into()),
            2 => ("balance", people::balance(&mut self.rng).into()),
            3 => ("due_at", people::due_at(&mut self.rng).into()),
            4 => ("interests", people::interests(&mut self.rng).into()),
            5 => ("preferences", people::preferences(&mut self.rng).into()),
            _ => ("favourites", self.rng.below(5_000).into()),
        };
        let sql = format!(
            "UPDATE {TABLE} SET {set} = ?, last_seen = UTC_TIMESTAMP(6), rev = ? WHERE id = ?"
        );
        let values = vec![value, self.rev.raise().into(), id.into()];
        self.exec(&sql, values).await?;
        Ok(1)
    }

    /// Several rows by one statement, which the binlog holds as one event.
    async fn update_many(&mut self, at_most: u64) -> anyhow::Result<u64> {
        let rows = 1 + self.rng.below(at_most);
        let mut ids: Vec<_> = (0..rows)
            .map(|_| self.ids[self.rng.index(self.ids.len())])
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let followers = self.rng.between(-8_388_608, 8_388_607);
        self.run(&format!(
            "UPDATE {TABLE} SET followers = {followers}, updated_at = UTC_TIMESTAMP(6), rev = {} WHERE id IN ({})",
            self.rev.raise(),
            list(&ids)
        ))
        .await?;
        Ok(ids.len() as u64)
    }

    /// Changes that are rolled back.
    async fn undone(&mut self) -> anyhow::Result<()> {
        let id = self.ids[self.rng.index(self.ids.len())];
        self.run("START TRANSACTION").await?;
        let sql = format!("UPDATE {TABLE} SET nickname = 'rolled back', rev = ? WHERE id = ?");
        self.exec(&sql, vec![self.rev.raise().into(), id.into()])
            .await?;
        self.run(&format!("DELETE FROM {TABLE} WHERE id = {id}"))
            .await?;
        self.run("ROLLBACK").await
    }

    /// An id that no row has: often one that a row had, sometimes one above 2^63.
    fn new_id(&mut self) -> u64 {
        match self.rng.below(10) {
            0..=3 => {
                if let Some(id) = self.gone.pop_front() {
                    return id;
                }
            }
            4 => return (1 << 63) | (self.rng.bits() >> 2),
            _ => {}
        }
        self.next_id += 1;
        self.next_id - 1
    }

    fn forget(&mut self, id: u64) {
        self.gone.push_back(id);
        if self.gone.len() > REMEMBERED_IDS {
            self.gone.pop_front();
        }
    }

    async fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        self.conn
            .query_drop(sql)
            .await
            .map_err(|e| refused(sql, &e))
    }

    async fn exec(&mut self, sql: &str, values: Vec<Value>) -> anyhow::Result<()> {
        let values = Params::Positional(values);
        self.conn
            .exec_drop(sql, values)
            .await
            .map_err(|e| refused(sql, &e))
    }
}

/// The client's error says everything itself; its sources would repeat it.
fn refused(sql: &str, error: &mysql_async::Error) -> anyhow::Error {
    let head: String = sql.chars().take(80).collect();
    anyhow::anyhow!("the database refused a change ({head} …): {error}")
}

fn list(ids: &[u64]) -> String {
    let texts: Vec<_> = ids.iter().map(u64::to_string).collect();
    texts.join(",")
}
