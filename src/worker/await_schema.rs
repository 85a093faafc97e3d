//! Records that cannot be read before a schema registry has answered.
//!
//! Promises: the registry is asked once for each schema, however many records wait for it, and for as long as
//! one of them does; a registry that is away makes no dead letter. What waits keeps its chunk, and with it its
//! part of the budget, so that a long wait stops the poll and nothing piles up. A record that waited is taken
//! later than its neighbours, which the versions allow.

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;

use super::Worker;
use super::deliver::REMIND;
use crate::decode::{DecodeError, Reason, SchemaId};
use crate::event::Version;
use crate::retry::Delays;
use crate::route::Chunk;
use crate::schema_registry::RegistryError;

/// What waits for one schema.
pub(super) struct Waiting {
    records: Vec<(Arc<Chunk>, usize)>,
    delays: Delays,
    reminded: Option<Instant>,
}

// === impl Worker ===

impl Worker {
    /// Sets a record aside until its schema is here.
    pub(super) fn wait_for(
        &mut self,
        id: SchemaId,
        chunk: &Arc<Chunk>,
        index: usize,
        ctx: &mut Context<Self>,
    ) {
        if self.branch.registry.is_none() {
            let why = format!(
                "its schema is {id} of a registry, and none is set: set schema_registry.url"
            );
            return self.bury_unread(chunk, index, why, ctx);
        }
        let record = (Arc::clone(chunk), index);
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.records.push(record);
            return;
        }
        let waiting = Waiting {
            records: vec![record],
            delays: Delays::server(),
            reminded: None,
        };
        self.waiting.insert(id, waiting);
        self.ask(id, ctx);
    }

    fn ask(&mut self, id: SchemaId, ctx: &mut Context<Self>) {
        let branch = Arc::clone(&self.branch);
        let asked = async move {
            match &branch.registry {
                Some(registry) => registry.schema(id).await,
                None => Err(RegistryError::Unknown("there is no registry".to_owned())),
            }
        };
        ctx.spawn(
            asked
                .into_actor(self)
                .map(move |answer, worker, ctx| worker.answered(id, answer, ctx)),
        );
    }

    fn answered(
        &mut self,
        id: SchemaId,
        answer: Result<String, RegistryError>,
        ctx: &mut Context<Self>,
    ) {
        match answer {
            Ok(text) => {
                self.branch.schemas.insert(id, text);
                for (chunk, index) in self.no_longer_waiting(id) {
                    if self.branch.control.is_halted() {
                        break;
                    }
                    self.take(&chunk, index, false, ctx);
                    if self.is_full() {
                        self.close_building();
                    }
                }
                self.dispatch(ctx);
            }
            Err(RegistryError::Unknown(why)) => {
                for (chunk, index) in self.no_longer_waiting(id) {
                    if self.branch.control.is_halted() {
                        break;
                    }
                    self.bury_unread(&chunk, index, why.clone(), ctx);
                }
            }
            Err(RegistryError::Away { detail, alarm }) => self.away(id, &detail, alarm, ctx),
        }
    }

    /// What waited and is still ours.
    fn no_longer_waiting(&mut self, id: SchemaId) -> Vec<(Arc<Chunk>, usize)> {
        let waiting = self.waiting.remove(&id);
        let mut records = waiting.map_or_else(Vec::new, |waiting| waiting.records);
        records.retain(|(chunk, index)| self.is_current(chunk, *index));
        records
    }

    fn is_current(&self, chunk: &Chunk, index: usize) -> bool {
        let claim = chunk.get(index).map(|(claim, _)| claim);
        claim.is_some_and(|claim| self.branch.ledger.is_current(&claim))
    }

    /// Asks again later, while a record waits whose partition is still ours.
    fn away(&mut self, id: SchemaId, detail: &str, alarm: bool, ctx: &mut Context<Self>) {
        let Some(mut waiting) = self.waiting.remove(&id) else {
            return;
        };
        waiting
            .records
            .retain(|(chunk, index)| self.is_current(chunk, *index));
        if self.branch.control.is_halted() || waiting.records.is_empty() {
            // The ledger has them as abandoned; they come again.
            return;
        }
        let delay = waiting.delays.next_delay();
        if waiting.reminded.is_none_or(|at| at.elapsed() >= REMIND) {
            waiting.reminded = Some(Instant::now());
            let (branch, topic) = (&self.branch.name, &self.branch.topic().name);
            let records = waiting.records.len();
            if alarm {
                tracing::error!(
                    branch,
                    topic,
                    records,
                    ?delay,
                    "an operator must act: records wait for schema {id}: {detail}; trying again"
                );
            } else {
                tracing::warn!(
                    branch,
                    topic,
                    records,
                    ?delay,
                    "records wait for schema {id}: {detail}; trying again"
                );
            }
        }
        self.waiting.insert(id, waiting);
        ctx.run_later(delay, move |worker, ctx| worker.ask(id, ctx));
    }

    /// Sends a record whose schema is not to be had to the dead letters.
    fn bury_unread(
        &mut self,
        chunk: &Arc<Chunk>,
        index: usize,
        why: String,
        ctx: &mut Context<Self>,
    ) {
        let Some((claim, record)) = chunk.get(index) else {
            return;
        };
        match Version::new(self.branch.topic().epoch, record.position.offset) {
            Ok(version) => {
                let why = DecodeError::new(Reason::Schema, why);
                self.bury(chunk, index, claim, version, why, ctx);
            }
            Err(why) => self
                .branch
                .halt(format!("{}: {why}", self.branch.topic().name)),
        }
    }
}
