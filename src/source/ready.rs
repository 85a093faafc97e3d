//! What must hold before anything is read: the topic's identity, the sink's, the dead-letter topic, and for each
//! partition where it begins. What can pass is waited for; what contradicts halts the branch with the remedy.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ProbeError;
use super::command::Command;
use crate::branch::Branch;
use crate::event::Mark;
use crate::retry::{Because, Delays, Server};
use crate::sink::{Resume, SinkError, TopicIdentity};
use crate::supervise::Incarnation;

/// Everything that must hold before the first poll; `None` where it halted the branch.
pub(super) async fn prepare(
    branch: &Branch,
    incarnation: &Incarnation,
) -> Result<Option<(TopicIdentity, BTreeMap<i32, i64>)>, String> {
    let progress = &incarnation.progress;
    let mut delays = Delays::server();
    let mut logged = false;
    loop {
        incarnation
            .steps
            .pass("prepare")
            .await
            .map_err(|e| e.to_string())?;
        let attempt = async {
            let identity = branch.probe.identity().await?;
            branch.hub.check(&identity).await?;
            branch.dead.prepare().await.map_err(|e| Unready::Wait {
                why: format!("the dead-letter topic cannot be made ready: {e}"),
                alarm: false,
                of: Whose::Kafka,
            })?;
            let committed = branch.probe.commit_start().await?;
            Ok::<_, Unready>((identity, committed))
        };
        match progress.wait("its servers", attempt).await {
            Ok(ready) => {
                branch.kafka.answered();
                branch.server.answered();
                progress.did(1);
                return Ok(Some(ready));
            }
            Err(Unready::Halt(why)) => {
                branch.halt(why);
                return Ok(None);
            }
            Err(Unready::Wait { why, alarm, of }) => {
                branch.control.waits(&why);
                if !std::mem::replace(&mut logged, true) {
                    if alarm {
                        tracing::error!(
                            branch = branch.name,
                            "not ready, an operator must act: {why}"
                        );
                    } else {
                        tracing::warn!(branch = branch.name, "not ready: {why}; trying again");
                    }
                }
                let again = of.server(branch).again(&mut delays, Because::Away);
                progress.wait("its servers", again).await;
            }
        }
    }
}

/// Why a branch cannot begin, or a partition of it.
enum Unready {
    Wait { why: String, alarm: bool, of: Whose },
    Halt(String),
}

/// Who is waited for.
#[derive(Clone, Copy)]
enum Whose {
    Kafka,
    Sink,
}

impl Whose {
    fn server(self, branch: &Branch) -> &Server {
        match self {
            Self::Kafka => &branch.kafka,
            Self::Sink => &branch.server,
        }
    }
}

impl From<ProbeError> for Unready {
    fn from(e: ProbeError) -> Self {
        match e {
            ProbeError::Unavailable { .. } => Self::Wait {
                why: e.to_string(),
                alarm: false,
                of: Whose::Kafka,
            },
            ProbeError::Missing(why) => Self::Wait {
                why,
                alarm: true,
                of: Whose::Kafka,
            },
            ProbeError::Refused(why) => Self::Halt(why),
        }
    }
}

impl From<SinkError> for Unready {
    fn from(e: SinkError) -> Self {
        match e {
            SinkError::Unavailable { detail, alarm } => Self::Wait {
                why: detail,
                alarm,
                of: Whose::Sink,
            },
            SinkError::Late(_) | SinkError::TooLarge(_) | SinkError::Forgot { .. } => Self::Wait {
                why: e.to_string(),
                alarm: false,
                of: Whose::Sink,
            },
            SinkError::Refused(why) => Self::Halt(why),
        }
    }
}

/// The topic is still the one that was checked, and so are the sink's index or keys.
pub(super) async fn still_itself(branch: &Branch, identity: &TopicIdentity) {
    match branch.probe.identity().await {
        Ok(now) if now == *identity => {}
        Ok(now) => {
            return branch.halt(format!(
                "topic {} was made anew while it was read (id {} is now {}): raise `epoch` in {}, so that the new records get \
                 higher versions, then restart",
                now.topic,
                identity.topic_id,
                now.topic_id,
                branch.topic().file.display()
            ));
        }
        Err(ProbeError::Refused(why)) => return branch.halt(why),
        // Made anew, it has another id.
        Err(ProbeError::Missing(why)) => {
            return tracing::error!(branch = branch.name, "an operator must act: {why}");
        }
        Err(ProbeError::Unavailable { .. }) => return,
    }
    match branch.hub.check(identity).await {
        Ok(()) => {}
        Err(SinkError::Refused(why)) => branch.halt(why),
        Err(why @ SinkError::Unavailable { alarm: true, .. }) => {
            tracing::error!(branch = branch.name, "an operator must act: {why}");
        }
        // Writes meet the same and retry; they say so.
        Err(
            SinkError::Unavailable { .. }
            | SinkError::Late(_)
            | SinkError::TooLarge(_)
            | SinkError::Forgot { .. },
        ) => {}
    }
}

/// Finds, after a while, where to read an assigned partition from; `None` where that halted the branch.
pub(super) async fn begin(
    branch: &Branch,
    incarnation: &Incarnation,
    identity: &TopicIdentity,
    partition: i32,
    after: Duration,
) -> Option<Command> {
    let progress = incarnation.progress.activity("beginning a partition");
    progress.has_work(true);
    if !after.is_zero() {
        progress.wait("the poller", tokio::time::sleep(after)).await;
    }
    let mut delays = Delays::server();
    let mut logged = false;
    loop {
        // A planned failure ends the source by itself.
        if incarnation.steps.pass("begin").await.is_err() {
            return None;
        }
        let asked = offset_to_begin(branch, identity, partition);
        match progress.wait("its servers", asked).await {
            Ok((offset, committed)) => {
                return Some(Command::Begin {
                    mark: Mark { partition, offset },
                    committed,
                });
            }
            Err(Unready::Halt(why)) => {
                branch.halt(why);
                return None;
            }
            Err(Unready::Wait { why, alarm: _, of }) => {
                if !std::mem::replace(&mut logged, true) {
                    tracing::warn!(
                        branch = branch.name,
                        topic = branch.topic().name,
                        partition,
                        "cannot begin yet: {why}"
                    );
                }
                let again = of.server(branch).again(&mut delays, Because::Away);
                progress.wait("its servers", again).await;
            }
        }
    }
}

/// The offset, and the group's committed one.
async fn offset_to_begin(
    branch: &Branch,
    identity: &TopicIdentity,
    partition: i32,
) -> Result<(i64, Option<i64>), Unready> {
    let topic = &branch.topic().name;
    let now = branch.probe.identity().await?;
    if now != *identity {
        return Err(Unready::Halt(format!(
            "topic {topic} was made anew (id {} is now {}): raise `epoch` in {}, then restart",
            identity.topic_id,
            now.topic_id,
            branch.topic().file.display()
        )));
    }
    let committed = branch.probe.committed().await?.remove(&partition).flatten();
    let (low, end) = branch.probe.watermarks(partition).await?;
    branch.stats.partition(partition, |p| p.end = end);
    if let Some(offset) = committed
        && offset > end
    {
        return Err(Unready::Halt(format!(
            "{topic} partition {partition}: the log ends at {end}, below the committed offset {offset}: it was cut off or made \
             anew. Raise `epoch` in {} and start from a new topic, or reset the group {} once you know why",
            branch.topic().file.display(),
            branch.name
        )));
    }
    let compacted = branch
        .topic()
        .config
        .get("cleanup.policy")
        .is_some_and(|p| p == "compact");
    let backfill = |from: i64| {
        Unready::Halt(format!(
            "{topic} partition {partition}: to be read from offset {from}, but the log starts at {low}: records were removed \
             before they were read, or the sink lost more than the log still holds. This branch needs a backfill"
        ))
    };
    let from = match branch.hub.resume(partition, committed).await? {
        Resume::Committed => committed.unwrap_or(low),
        Resume::At(offset) => offset,
        Resume::Start if low == 0 || compacted => low,
        Resume::Start => return Err(backfill(0)),
    };
    if from < low && !compacted {
        return Err(backfill(from));
    }
    Ok((from.max(low), committed))
}
