//! One delivery of LIVE_IN in a worker's hand, from receipt to its last word.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Subject;
use async_nats::jetstream;
use bytes::Bytes;

use crate::config::LiveSpec;
use crate::live::dead;
use crate::live::names::{self, Inbound, RoomId, UserId};
use crate::live::tally::{Class, Outcome, Receipt, Tally};

/// Every delivery in hand, so that the server can be told that work on it goes on.
#[derive(Debug, Clone, Default)]
pub(super) struct InHand(Rc<RefCell<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    held: HashMap<u64, (Subject, Instant)>,
}

/// A delivery. Dropped without [`Held::resolve`] it counts as abandoned, and comes again.
#[derive(Debug)]
pub(super) struct Held {
    /// Its sequence in LIVE_IN.
    pub seq: u64,
    /// How often it was delivered, this time included.
    pub delivered: u64,
    /// When LIVE_IN took it, in milliseconds since 1970.
    pub received_ms: i64,
    /// Comments that waited in LIVE_IN for any worker when this one was delivered.
    pub behind: u64,
    /// Its room and its author, where its subject names them as it should.
    pub address: Option<(RoomId, UserId)>,
    /// The subject that it was published on.
    pub subject: Subject,
    /// What its author sent.
    pub payload: Bytes,
    /// Where its acknowledgement goes.
    pub reply: Subject,
    /// The message id that it is published with.
    pub msg_id: String,
    taken: Instant,
    receipt: Receipt,
    _slot: Slot,
}

/// A place among what is in hand, given back when it is dropped.
#[derive(Debug)]
struct Slot {
    key: u64,
    of: InHand,
}

// === impl InHand ===

impl InHand {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.0.borrow().held.len()
    }

    /// The reply subjects of those of whom the server has heard nothing for `age`. From now on it has.
    pub(super) fn overdue(&self, age: Duration, now: Instant) -> Vec<Subject> {
        let mut inner = self.0.borrow_mut();
        let overdue = inner
            .held
            .values_mut()
            .filter(|(_, heard)| now.saturating_duration_since(*heard) >= age);
        overdue
            .map(|(reply, heard)| {
                *heard = now;
                reply.clone()
            })
            .collect()
    }

    fn enter(&self, reply: Subject) -> Slot {
        let mut inner = self.0.borrow_mut();
        inner.last += 1;
        let key = inner.last;
        inner.held.insert(key, (reply, Instant::now()));
        Slot {
            key,
            of: self.clone(),
        }
    }
}

// === impl Held ===

impl Held {
    /// Takes a message of the consumer into hand, and counts it. `created_ms` says which LIVE_IN it is of.
    ///
    /// # Errors
    /// One sentence where it carries no place in LIVE_IN; then it is not counted.
    pub(super) fn take(
        message: jetstream::Message,
        created_ms: i64,
        tally: &Arc<Tally>,
        in_hand: &InHand,
    ) -> Result<Self, String> {
        let info = message
            .info()
            .map_err(|e| format!("a message without a place in LIVE_IN: {e}"))?;
        let seq = info.stream_sequence;
        let delivered = u64::try_from(info.delivered).unwrap_or(1);
        let received_ms = (info.published.unix_timestamp_nanos() / 1_000_000) as i64;
        let behind = info.pending;
        let message = message.message;
        let Some(reply) = message.reply else {
            return Err("a message without a reply subject".to_owned());
        };
        let receipt = tally.receive(Class::Comment, 1);
        if delivered > 1 {
            tally.redelivered(Class::Comment);
        }
        let address = match names::parse_inbound(&message.subject) {
            Some((room, Inbound::Comment, user)) => Some((room, user)),
            // The stream takes comments alone.
            Some((_, Inbound::Like | Inbound::Here, _)) | None => None,
        };
        Ok(Self {
            seq,
            delivered,
            received_ms,
            behind,
            address,
            subject: message.subject,
            payload: message.payload,
            _slot: in_hand.enter(reply.clone()),
            reply,
            msg_id: dead::msg_id(created_ms, seq),
            taken: Instant::now(),
            receipt,
        })
    }

    /// Whether it has been in hand for so short a time that nobody else can have published it longer ago than
    /// LIVE_OUT remembers.
    pub(super) fn fresh(&self, spec: &LiveSpec) -> bool {
        self.taken.elapsed() < spec.out.duplicate_window / 2
    }

    /// Says what became of it, and lets go of it.
    pub(super) fn resolve(self, outcome: Outcome) {
        self.receipt.resolve(outcome);
    }
}

// === impl Slot ===

impl Drop for Slot {
    fn drop(&mut self) {
        self.of.0.borrow_mut().held.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_hears_of_each_delivery_once_in_a_while() {
        let in_hand = InHand::default();
        let start = Instant::now();
        let slot = in_hand.enter("a".into());
        let age = Duration::from_millis(500);
        assert!(in_hand.overdue(age, start).is_empty());
        let later = start + Duration::from_secs(1);
        assert_eq!(in_hand.overdue(age, later), [Subject::from("a")]);
        assert!(in_hand.overdue(age, later).is_empty());
        assert_eq!(in_hand.len(), 1);
        drop(slot);
        assert_eq!(in_hand.len(), 0);
        assert!(
            in_hand
                .overdue(age, later + Duration::from_secs(9))
                .is_empty()
        );
    }
}
