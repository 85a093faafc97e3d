//! The markers in Redis: where they are, and the script call that raises or reads them.
//!
//! All markers of a branch are fields of one hash, `twolane:marker:<pipeline>.<sink>`: `p0`, `p1`, … hold offsets,
//! beside them the topic's identity. The tally of a process is a key of its own,
//! `twolane:tally:<pipeline>.<sink>:<random>`, and goes a day after the process.

use std::time::Duration;

use ::redis::{Cmd, Pipeline, RedisWrite, Value};

use super::check::{self, unexpected};
use super::encode::field;
use super::link::{Link, Wire};
use super::memory::Claim;
use super::scripts;
use super::trouble::{self, Cure};
use crate::sink::{SinkError, TopicIdentity, Watermarks};

/// What every key of this program's own begins with; no row's key may.
pub(super) const PREFIX: &str = "twolane:";
/// How long a process's tally outlives its last use. Longer than any pipeline takes; where it ran out all the
/// same, the branch only reads again from its markers.
const TALLY_TTL: Duration = Duration::from_hours(24);
const RAISING: &str = "writing the markers to Redis";

/// The markers of one branch.
#[derive(Debug)]
pub(super) struct Markers {
    /// The hash's key.
    key: String,
    /// Pipeline and sink, for messages.
    branch: String,
    epoch: u16,
}

/// Whether a script raises the markers or only compares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// Raises markers and tally.
    Raise,
    /// Changes nothing.
    Look,
}

// === impl Markers ===

impl Markers {
    /// Of a branch.
    pub(super) fn new(branch: String, epoch: u16) -> Self {
        Self {
            key: format!("{PREFIX}marker:{branch}"),
            branch,
            epoch,
        }
    }

    /// What the branch's tallies begin with.
    pub(super) fn tally_prefix(&self) -> String {
        format!("{PREFIX}tally:{}:", self.branch)
    }

    /// The script call for a claim. As the last one of a pipeline it vouches for all before it.
    pub(super) fn call(&self, claim: &Claim, intent: Intent) -> Cmd {
        let mut cmd = Cmd::with_capacity(9 + 3 * claim.marks.len(), 256 + 40 * claim.marks.len());
        cmd.arg("EVALSHA").arg(scripts::MARK.get_hash()).arg(2);
        cmd.arg(&self.key).arg(&*claim.tally_key);
        cmd.arg(self.epoch).arg(claim.tally);
        cmd.arg(TALLY_TTL.as_secs() * 1000);
        cmd.arg(match intent {
            Intent::Raise => "raise",
            Intent::Look => "look",
        });
        for mark in &claim.marks {
            cmd.arg(field(mark.partition)).arg(mark.offset);
            match mark.known {
                Some(known) => {
                    cmd.arg(known);
                }
                None => cmd.write_arg(b""),
            }
        }
        cmd
    }

    /// Takes the call's answer into the memory.
    ///
    /// # Errors
    /// [`SinkError::Forgot`] with the first partition of the claim that lost its writes; the others follow when
    /// they are next written. [`SinkError::Unavailable`] where the answer proves nothing.
    /// [`SinkError::Refused`] where another epoch has begun.
    pub(super) fn answer(
        &self,
        link: &Link,
        claim: &Claim,
        intent: Intent,
        answer: &Value,
    ) -> Result<(), SinkError> {
        let memory = &link.shared().memory;
        match answer {
            Value::Int(tally) => match intent {
                Intent::Look => Ok(()),
                Intent::Raise => memory
                    .acknowledge(claim, u64::try_from(*tally).unwrap_or(0))
                    .map_err(|_stale| SinkError::Unavailable {
                        detail: format!(
                            "{RAISING}: another server was connected to meanwhile, so the answer proves nothing; it is sent again"
                        ),
                        alarm: false,
                    }),
            },
            Value::Array(items) => {
                let mut texts = items.iter().map(|item| match item {
                    Value::BulkString(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
                    _ => "",
                });
                match (texts.next(), texts.next()) {
                    (Some("epoch"), Some(found)) => Err(SinkError::Refused(format!(
                        "{}: Redis is at epoch {found} of the topic and this process at {}: stop this process, or set \
                         epoch = {found} in its topic's spec if that is the topic's own",
                        self.branch, self.epoch
                    ))),
                    (Some("forgot"), Some(scope)) => {
                        Err(self.forgot(link, claim, scope == "all", texts))
                    }
                    _ => Err(unexpected(RAISING, answer)),
                }
            }
            Value::ServerError(error) => Err(link.refusal(error, RAISING)),
            other => Err(unexpected(RAISING, other)),
        }
    }

    fn forgot<'a>(
        &self,
        link: &Link,
        claim: &Claim,
        all: bool,
        mut pairs: impl Iterator<Item = &'a str>,
    ) -> SinkError {
        let memory = &link.shared().memory;
        let mut first = None;
        while let (Some(name), Some(marker)) = (pairs.next(), pairs.next()) {
            let Some(partition) = name.strip_prefix('p').and_then(|p| p.parse().ok()) else {
                continue;
            };
            if !all {
                memory.forgot(claim, partition);
            }
            first.get_or_insert(SinkError::Forgot {
                partition,
                marker: marker.parse().ok(),
            });
        }
        if all {
            memory.forgot_all(claim);
        }
        first.unwrap_or_else(|| SinkError::Unavailable {
            // Without a partition in the claim there is none to name: the next pipeline names one.
            detail: format!(
                "{RAISING}: Redis has lost acknowledged writes of {}",
                self.branch
            ),
            alarm: false,
        })
    }

    /// Raises or compares the markers in a pipeline of their own.
    ///
    /// # Errors
    /// As [`Markers::answer`], and [`SinkError::Unavailable`] where Redis is.
    pub(super) async fn run(
        &self,
        link: &Link,
        marks: &dyn Watermarks,
        intent: Intent,
    ) -> Result<(), SinkError> {
        let wire = link.wire().await?;
        let claim = self.claim(link, &wire, marks).await?;
        let mut pipeline = Pipeline::new();
        pipeline.add_command(self.call(&claim, intent));
        let mut answer = one(link.send(&wire, &pipeline, RAISING).await?);
        if lacks_script(&answer) {
            link.load(&wire).await?;
            answer = one(link.send(&wire, &pipeline, RAISING).await?);
        }
        self.answer(link, &claim, intent, &answer)
    }

    /// A claim for these watermarks; the caller has its connection already.
    ///
    /// # Errors
    /// [`SinkError::Forgot`] where a partition waits for being resumed.
    pub(super) async fn claim(
        &self,
        link: &Link,
        wire: &Wire,
        marks: &dyn Watermarks,
    ) -> Result<Claim, SinkError> {
        match link.shared().memory.claim(marks) {
            Ok(claim) => Ok(claim),
            Err(partition) => Err(SinkError::Forgot {
                partition,
                marker: self.read(link, wire, partition).await?,
            }),
        }
    }

    /// The marker of a partition as it is stored under this epoch.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] where it cannot be read.
    pub(super) async fn read(
        &self,
        link: &Link,
        wire: &Wire,
        partition: i32,
    ) -> Result<Option<i64>, SinkError> {
        let doing = "reading the marker from Redis";
        let mut pipeline = Pipeline::new();
        pipeline
            .cmd("HMGET")
            .arg(&self.key)
            .arg("epoch")
            .arg(field(partition));
        let answer = one(link.send(wire, &pipeline, doing).await?);
        link.unless_refused(&answer, doing)?;
        let Value::Array(found) = &answer else {
            return Err(unexpected(doing, &answer));
        };
        let number = |i: usize| match found.get(i) {
            Some(Value::BulkString(bytes)) => std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| text.parse::<i64>().ok()),
            _ => None,
        };
        Ok(match number(0) {
            Some(epoch) if epoch == i64::from(self.epoch) => number(1),
            _ => None,
        })
    }

    /// Makes the topic's identity, or compares it.
    ///
    /// # Errors
    /// [`SinkError::Refused`] where it contradicts, [`SinkError::Unavailable`] where that cannot be said.
    pub(super) async fn identify(
        &self,
        link: &Link,
        wire: &Wire,
        identity: &TopicIdentity,
    ) -> Result<(), SinkError> {
        let doing = "checking the topic's identity in Redis";
        let mut pipeline = Pipeline::new();
        pipeline
            .cmd("EVALSHA")
            .arg(scripts::IDENTITY.get_hash())
            .arg(1)
            .arg(&self.key)
            .arg(&identity.topic)
            .arg(&identity.topic_id)
            .arg(identity.epoch)
            .arg(identity.partitions);
        let mut answer = one(link.send(wire, &pipeline, doing).await?);
        if lacks_script(&answer) {
            link.load(wire).await?;
            answer = one(link.send(wire, &pipeline, doing).await?);
        }
        link.unless_refused(&answer, doing)?;
        check::identity(&answer, identity, &self.branch)
    }

    /// Compares the topic's identity and makes nothing.
    ///
    /// # Errors
    /// As [`Markers::identify`]; refused also where there is none, or one of a lower epoch.
    pub(super) async fn compare(
        &self,
        link: &Link,
        wire: &Wire,
        identity: &TopicIdentity,
    ) -> Result<(), SinkError> {
        let doing = "reading the topic's identity from Redis";
        let mut pipeline = Pipeline::new();
        let names = ["topic", "topic_id", "epoch", "partitions"];
        pipeline.cmd("HMGET").arg(&self.key).arg(&names);
        let answer = one(link.send(wire, &pipeline, doing).await?);
        link.unless_refused(&answer, doing)?;
        check::standing(&answer, identity, &self.branch)
    }
}

/// The answer to a pipeline of one command.
pub(super) fn one(answers: Vec<Value>) -> Value {
    answers.into_iter().next().unwrap_or(Value::Nil)
}

/// Whether the server lost its scripts.
pub(super) fn lacks_script(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(e) if trouble::cure(e.code()) == Cure::Load)
}
