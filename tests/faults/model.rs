//! Random changes, and what they must leave in the sinks.

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;

use twolane::cli::demo::rng::Rng;

use crate::lane::rig::{self, Rig};

/// What was sent.
pub struct Model {
    ids: i64,
    inner: RefCell<Inner>,
}

struct Inner {
    rng: Rng,
    rev: i64,
    sent: u64,
    poison: u64,
    /// Of each row its newest `rev`, or that it was deleted.
    rows: BTreeMap<i64, Option<i64>>,
    /// By partition, in the order of the offsets.
    log: BTreeMap<i32, Vec<Sent>>,
}

/// A record of the log.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub offset: i64,
    pub id: i64,
    /// No sink takes it.
    pub poison: bool,
}

/// A record to be sent: its row, whether it is poison, and its value.
type Planned = (i64, bool, Option<String>);

// === impl Model ===

impl Model {
    /// Changes of rows with the ids 0 to `ids` − 1; the same for the same seed.
    pub fn new(seed: u64, ids: i64) -> Self {
        Self {
            ids,
            inner: RefCell::new(Inner {
                rng: Rng::new(seed),
                rev: 0,
                sent: 0,
                poison: 0,
                rows: BTreeMap::new(),
                log: BTreeMap::new(),
            }),
        }
    }

    pub fn ids(&self) -> i64 {
        self.ids
    }

    /// The highest `rev` so far.
    pub fn rev(&self) -> i64 {
        self.inner.borrow().rev
    }

    /// Records acknowledged, nulls included.
    pub fn sent(&self) -> u64 {
        self.inner.borrow().sent
    }

    /// Those of them that no sink takes.
    pub fn poison(&self) -> u64 {
        self.inner.borrow().poison
    }

    pub fn log(&self) -> Ref<'_, BTreeMap<i32, Vec<Sent>>> {
        Ref::map(self.inner.borrow(), |inner| &inner.log)
    }

    /// The rows that are there, and their `rev`.
    pub fn live(&self) -> BTreeMap<i64, i64> {
        let inner = self.inner.borrow();
        let live = inner.rows.iter();
        live.filter_map(|(id, rev)| Some((*id, (*rev)?))).collect()
    }

    /// Sends inserts, updates, deletes and inserts of what was deleted; returns when all are acknowledged.
    pub async fn change(&self, rig: &Rig, changes: usize) {
        let planned = self.inner.borrow_mut().plan(self.ids, changes);
        self.send(rig, planned).await;
    }

    /// Sends one record of a row that no sink takes.
    pub async fn poison_with(&self, rig: &Rig, id: i64, value: &[u8]) -> (i32, i64) {
        let key = rig::key(id);
        let at = rig.send_to(None, Some(key.as_bytes()), Some(value)).await;
        self.inner.borrow_mut().note(at, id, true);
        at
    }

    /// The topic was made anew: what was sent before is not in its log. The rows stay what they are.
    pub fn forget_log(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.log.clear();
        (inner.sent, inner.poison) = (0, 0);
    }

    /// Sends every row that is there once more, as a snapshot would.
    pub async fn snapshot(&self, rig: &Rig) {
        let rows: Vec<i64> = self.live().into_keys().collect();
        for id in rows {
            self.upsert(rig, id).await;
        }
    }

    /// Sets a row and sends at once, behind it, a value for it that Elasticsearch's mapping refuses.
    pub async fn poison_behind(&self, rig: &Rig, id: i64) {
        let planned = self.inner.borrow_mut().behind(id);
        self.send(rig, planned).await;
    }

    /// Sets a row.
    pub async fn upsert(&self, rig: &Rig, id: i64) -> (i32, i64, String) {
        let planned = self.inner.borrow_mut().upsert(id);
        let value = planned.2.clone().unwrap_or_default();
        let sent = self.send(rig, vec![planned]).await;
        let (partition, offset) = *sent.first().expect("acknowledged");
        (partition, offset, value)
    }

    /// Sets these rows, all at once.
    pub async fn upsert_all(&self, rig: &Rig, ids: &[i64]) {
        let planned = {
            let mut inner = self.inner.borrow_mut();
            ids.iter().map(|id| inner.upsert(*id)).collect()
        };
        self.send(rig, planned).await;
    }

    /// Deletes a row.
    pub async fn delete(&self, rig: &Rig, id: i64) -> (i32, i64, String) {
        let planned = self.inner.borrow_mut().delete(id);
        let value = planned.first().and_then(|p| p.2.clone());
        let sent = self.send(rig, planned).await;
        let (partition, offset) = *sent.first().expect("acknowledged");
        (partition, offset, value.unwrap_or_default())
    }

    async fn send(&self, rig: &Rig, planned: Vec<Planned>) -> Vec<(i32, i64)> {
        let records: Vec<_> = planned
            .iter()
            .map(|(id, _, value)| (rig::key(*id), value.clone()))
            .collect();
        let sent = rig.send_all(&records).await;
        let mut inner = self.inner.borrow_mut();
        for ((id, poison, _), at) in planned.into_iter().zip(&sent) {
            inner.note(*at, id, poison);
        }
        sent
    }
}

// === impl Inner ===

impl Inner {
    fn note(&mut self, (partition, offset): (i32, i64), id: i64, poison: bool) {
        self.sent += 1;
        self.poison += u64::from(poison);
        let log = self.log.entry(partition).or_default();
        // Two may send at once.
        let at = log.partition_point(|sent| sent.offset < offset);
        log.insert(at, Sent { offset, id, poison });
    }

    fn plan(&mut self, ids: i64, changes: usize) -> Vec<Planned> {
        let mut planned = Vec::new();
        for _ in 0..changes {
            let id = self.rng.between(0, ids - 1);
            if self.rng.one_in(5) {
                planned.extend(self.delete(id));
            } else {
                planned.push(self.upsert(id));
            }
        }
        planned
    }

    fn upsert(&mut self, id: i64) -> Planned {
        self.rev += 1;
        let before = self.rows.insert(id, Some(self.rev));
        let op = match before.flatten() {
            Some(_) => "u",
            None => "c",
        };
        (id, false, Some(rig::event(op, id, self.rev, "ada")))
    }

    /// The event, and the null behind it.
    fn delete(&mut self, id: i64) -> Vec<Planned> {
        self.rows.insert(id, None);
        vec![(id, false, Some(rig::deletion(id))), (id, false, None)]
    }

    fn behind(&mut self, id: i64) -> Vec<Planned> {
        let good = self.upsert(id);
        let wrong = rig::event("u", id, 0, "eve").replace("\"rev\":0", "\"rev\":\"many\"");
        vec![good, (id, true, Some(wrong))]
    }
}
