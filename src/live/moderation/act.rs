//! Carries out what moderators ask.
//!
//! Every act can be asked again without doing anything twice, so that whoever gets no answer asks again.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use serde_json::{Value, json};

use super::bucket::{self, Write};
use super::entry::{Entry, Item};
use super::request::{Code, Failure, Request, Target};
use super::{Mark, Moderation, Rules, audit, find, now_ms};
use crate::live::names::{RoomId, UserId};
use crate::live::room::{Outlet, Stats};
use crate::live::wire::{self, Recall};

/// How long a moderator is let wait for what NATS has to say, in all: most clients wait as long for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer waits until this worker judges by it. The others follow in the same time.
const APPLIED: Duration = Duration::from_secs(1);
/// Muted and banned authors of one room, each: so many are listed and kept in memory (16 bytes).
const MOST_MARKS: usize = 10_000;
/// Of each list, what the state shows: a reply stays below the 1 MiB of a NATS message.
const SHOWN: usize = 1_000;

/// Where moderators' requests are answered.
pub(in crate::live) struct Desk {
    moderation: Arc<Moderation>,
    outlet: Arc<dyn Outlet>,
    stats: Arc<Stats>,
}

// === impl Desk ===

impl Desk {
    pub(in crate::live) fn new(
        moderation: Arc<Moderation>,
        outlet: Arc<dyn Outlet>,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            moderation,
            outlet,
            stats,
        }
    }

    /// The answer to a request, as JSON.
    pub(in crate::live) async fn answer(
        &self,
        room: &RoomId,
        by: &UserId,
        payload: &[u8],
    ) -> Vec<u8> {
        let answered = tokio::time::timeout(PATIENCE, self.handle(room, by, payload)).await;
        let result = answered.unwrap_or_else(|_| {
            Err(Failure::new(
                Code::Unavailable,
                "NATS did not answer in time; it may have been done: ask again",
            ))
        });
        let reply = match result {
            Ok(Value::Object(mut fields)) => {
                self.stats.ctl_done.add(1);
                fields.insert("ok".into(), json!(true));
                Value::Object(fields)
            }
            Ok(other) => other,
            Err(failure) => {
                self.stats.ctl_failed.add(1);
                failure.reply()
            }
        };
        reply.to_string().into_bytes()
    }

    async fn handle(&self, room: &RoomId, by: &UserId, payload: &[u8]) -> Result<Value, Failure> {
        let request = Request::parse(payload)?;
        if !self.moderation.ready(APPLIED).await {
            return Err(Failure::new(
                Code::Unavailable,
                "the room's state has not been read yet: ask again",
            ));
        }
        if request == Request::State {
            return Ok(self.state(room));
        }
        let js = self.outlet.connection().await;
        let at = now_ms();
        let mut revision = None;
        let outcome = self.act(&js, room, by, at, &request, &mut revision).await;
        let audited = audit::record(&js, room, by, &request, at, &outcome).await;
        let done = outcome?;
        if let Err(why) = audited {
            tracing::error!(%room, %by, "an act of moderation is not in the audit: {why}");
            return Err(Failure::new(
                Code::Unaudited,
                format!("it was done, but is not in the audit ({why}): ask again"),
            ));
        }
        if let Some(revision) = revision {
            // Late or not, it holds: it is in the bucket, which is what a worker that missed it reads.
            self.moderation.applied(revision, APPLIED).await;
        }
        Ok(done)
    }

    async fn act(
        &self,
        js: &jetstream::Context,
        room: &RoomId,
        by: &UserId,
        at: i64,
        request: &Request,
        revision: &mut Option<u64>,
    ) -> Result<Value, Failure> {
        let entry = || Entry {
            by: by.to_string(),
            at,
            until: None,
            seconds: None,
            words: None,
        };
        let rules = self.moderation.rules(room);
        let full = |held: usize, what: &str| {
            if held < MOST_MARKS {
                return Ok(());
            }
            Err(Failure::new(
                Code::TooMany,
                format!("{held} authors are {what} in this room: release some, or use silence"),
            ))
        };
        let (item, write, done) = match request {
            Request::Mute { whom, for_s } => {
                let muted = |r: &Arc<Rules>| r.muted.values().filter(|until| **until > at).count();
                full(rules.as_ref().map_or(0, muted), "muted")?;
                let mark = mark(js, room, whom).await?;
                let until = at + i64::try_from(*for_s * 1_000).unwrap_or(i64::MAX - at);
                let entry = Entry {
                    until: Some(until),
                    ..entry()
                };
                // Some more, since the clocks of workers and server differ.
                let ttl = Duration::from_secs(*for_s + 60);
                let done = json!({"midHash": mark.to_string(), "until": until});
                (Item::Mute(mark), Write::Put(entry, Some(ttl)), done)
            }
            Request::Unmute { whom } => {
                let mark = mark(js, room, whom).await?;
                let done = json!({"midHash": mark.to_string()});
                (Item::Mute(mark), Write::Remove, done)
            }
            Request::Ban { whom } => {
                full(rules.as_ref().map_or(0, |r| r.banned.len()), "banned")?;
                let mark = mark(js, room, whom).await?;
                let done = json!({"midHash": mark.to_string()});
                (Item::Ban(mark), Write::Put(entry(), None), done)
            }
            Request::Unban { whom } => {
                let mark = mark(js, room, whom).await?;
                let done = json!({"midHash": mark.to_string()});
                (Item::Ban(mark), Write::Remove, done)
            }
            Request::Slow { seconds: 0 } => (Item::Slow, Write::Remove, json!({"slow_s": 0})),
            Request::Slow { seconds } => {
                let entry = Entry {
                    seconds: Some(*seconds),
                    ..entry()
                };
                let done = json!({"slow_s": seconds});
                (Item::Slow, Write::Put(entry, None), done)
            }
            Request::Silence { on: true } => {
                let done = json!({"silence": true});
                (Item::Silence, Write::Put(entry(), None), done)
            }
            Request::Silence { on: false } => {
                (Item::Silence, Write::Remove, json!({"silence": false}))
            }
            Request::Keywords { add, remove } => {
                let (written, words) = bucket::keywords(js, room, &entry(), add, remove).await?;
                *revision = Some(written);
                return Ok(json!({"keywords": words}));
            }
            Request::Recall { id } => return self.recall(js, room, id, at).await,
            Request::State => return Ok(self.state(room)),
        };
        *revision = Some(bucket::write(js, &item.key(room), write).await?);
        Ok(done)
    }

    async fn recall(
        &self,
        js: &jetstream::Context,
        room: &RoomId,
        id: &str,
        at: i64,
    ) -> Result<Value, Failure> {
        if find::author(js, room, id)
            .await
            .map_err(unavailable)?
            .is_none()
        {
            return Err(not_found(id));
        }
        let entry = wire::Entry::Recall(Recall {
            id: id.to_owned(),
            ctime: at,
        });
        let sequence = self
            .outlet
            .publish(room, &entry, &format!("recall-{id}"))
            .await
            .map_err(unavailable)?;
        Ok(json!({"id": id, "sequence": sequence}))
    }

    fn state(&self, room: &RoomId) -> Value {
        let rules = self.moderation.rules(room).unwrap_or_default();
        let now = now_ms();
        let mut muted: Vec<_> = rules.muted.iter().filter(|(_, u)| **u > now).collect();
        muted.sort_unstable();
        let mut banned: Vec<_> = rules.banned.iter().collect();
        banned.sort_unstable();
        let mutes: Vec<Value> = muted
            .iter()
            .take(SHOWN)
            .map(|(mark, until)| json!({"midHash": mark.to_string(), "until": until}))
            .collect();
        let bans: Vec<String> = banned.iter().take(SHOWN).map(ToString::to_string).collect();
        json!({
            "slow_s": rules.slow.as_secs(),
            "silence": rules.silenced,
            "keywords": &*rules.words,
            "muted": mutes,
            "muted_count": muted.len(),
            "banned": bans,
            "banned_count": banned.len(),
        })
    }
}

async fn mark(js: &jetstream::Context, room: &RoomId, whom: &Target) -> Result<Mark, Failure> {
    match whom {
        Target::User(user) => Ok(Mark::of(user)),
        Target::Mark(mark) => Ok(*mark),
        Target::Comment(id) => find::author(js, room, id)
            .await
            .map_err(unavailable)?
            .ok_or_else(|| not_found(id)),
    }
}

pub(super) fn unavailable(why: String) -> Failure {
    Failure::new(
        Code::Unavailable,
        format!("{why}; it may have been done: ask again"),
    )
}

fn not_found(id: &str) -> Failure {
    Failure::new(
        Code::NotFound,
        format!("no comment {id} is kept of this room"),
    )
}
