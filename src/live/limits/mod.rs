//! How fast comments may come: a rate for each user in a room, one for the room, and the room's slow mode.
//!
//! Promises: the accounts are in Redis, so that they hold across workers, and are counted on its clock; a comment
//! is charged once, however often it is delivered, since what was said of its LIVE_IN sequence is remembered for
//! as long as it may be delivered again; what is refused is charged to nobody.
//!
//! While Redis is away the limits stay open, behind a stand-in: each worker counts alone, so that a user gets at
//! most the rate times the number of workers. The other choice, to hold comments until Redis is back, would stop
//! every room for an account that is only there to be fair. Each comment so judged is counted, and the outage is
//! logged as an error once.

pub(crate) mod gcra;
mod local;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::redis::{Cmd, Script, Value};

use super::names::{RoomId, UserId};
use super::redis::{self, Away, Redis};
use super::room::Stats;
use crate::config::LiveSpec;
use gcra::Gcra;
pub(super) use local::Local;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("limits.lua")));

/// No call of the script is given up before this, whatever `ack_wait` is: a busy machine takes that long.
const LEAST_PATIENCE: Duration = Duration::from_millis(50);

/// The limits of every room.
#[derive(Debug)]
pub(super) struct Limits {
    redis: Arc<Redis>,
    rates: Rates,
    /// How long a comment's answer is remembered.
    remember: Duration,
    /// How long Redis may take.
    patience: Duration,
}

/// The rates of the spec.
#[derive(Debug, Clone, Copy)]
struct Rates {
    user: Gcra,
    room: Gcra,
}

/// A comment that is to be charged.
#[derive(Debug, Clone)]
pub(super) struct Charge {
    /// Its author.
    pub(super) user: UserId,
    /// The author's public mark, in hex.
    pub(super) mark: String,
    /// Its LIVE_IN sequence.
    pub(super) seq: u64,
    /// The room's slow mode; zero where it is off.
    pub(super) slow: Duration,
}

/// What the limits say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It passes.
    Passes {
        /// How many more the author may send at once.
        left: u32,
    },
    /// It does not.
    Waits {
        /// Whose limit it is.
        limit: Limit,
        /// When it would pass, in milliseconds from then.
        ms: u64,
    },
}

/// Which limit was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// The room's slow mode.
    Slow,
    /// The author's rate in this room.
    User,
    /// The room's rate.
    Room,
}

// === impl Limits ===

impl Limits {
    pub(super) fn new(redis: Arc<Redis>, spec: &LiveSpec) -> Self {
        // A comment is delivered again for this long at the most; later it is known by LIVE_OUT.
        let delivered = spec.inbox.ack_wait * spec.inbox.max_deliver;
        Self {
            redis,
            rates: Rates {
                user: Gcra::of(spec.comments.user_rate),
                room: Gcra::of(spec.comments.room_rate),
            },
            remember: spec.out.duplicate_window.max(delivered),
            // Waiting for a connection and for the answer together take less than half of `ack_wait`, after
            // which the comment would be delivered again.
            patience: (spec.inbox.ack_wait / 5).max(LEAST_PATIENCE),
        }
    }

    /// How many comments a user may send at once.
    pub(super) fn burst(&self) -> u32 {
        u32::try_from(self.rates.user.burst).unwrap_or(u32::MAX)
    }

    /// Charges the comments of one room in their order, and answers for each.
    pub(super) async fn charge(
        &self,
        room: &RoomId,
        charges: &[Charge],
        local: &mut Local,
        stats: &Stats,
    ) -> Vec<Answer> {
        let calls: Vec<Cmd> = charges.iter().map(|c| self.call(room, c)).collect();
        let run = self.redis.run(&calls, self.patience, "charging comments");
        match run.await.and_then(|answers| read(&answers)) {
            Ok(answers) => answers,
            // The outage itself is logged where it is found.
            Err(_) => {
                stats.limits_local.add(charges.len() as u64);
                charges
                    .iter()
                    .map(|c| local.charge(self.rates, c))
                    .collect()
            }
        }
    }

    fn call(&self, room: &RoomId, charge: &Charge) -> Cmd {
        let user = &charge.user;
        let keys = [
            redis::key(room, &format!("said:{}", charge.seq)),
            redis::key(room, &format!("rate:{user}")),
            redis::key(room, "rate"),
            redis::key(room, &format!("last:{user}")),
        ];
        let mut cmd = redis::call(&SCRIPT, &keys);
        cmd.arg(&charge.mark)
            .arg(millis(self.remember).max(1))
            .arg(self.rates.user.every)
            .arg(self.rates.user.burst)
            .arg(self.rates.room.every)
            .arg(self.rates.room.burst)
            .arg(millis(charge.slow));
        cmd
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn read(answers: &[Value]) -> Result<Vec<Answer>, Away> {
    answers.iter().map(answer).collect()
}

fn answer(value: &Value) -> Result<Answer, Away> {
    let words = redis::words(value);
    let number = words.get(1).and_then(|n| n.parse::<u64>().ok());
    let limit = match (words.first().map(String::as_str), number) {
        (Some("ok"), Some(left)) => {
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            return Ok(Answer::Passes { left });
        }
        (Some("slow"), Some(_)) => Limit::Slow,
        (Some("user"), Some(_)) => Limit::User,
        (Some("room"), Some(_)) => Limit::Room,
        (Some(_) | None, _) => {
            return Err(Away(format!(
                "charging comments: Redis answered {words:?}, which is none of the script's answers: is redis.url another program's?"
            )));
        }
    };
    let ms = number.unwrap_or_default();
    Ok(Answer::Waits { limit, ms })
}
