//! Turning a running branch back, since an operator wants records read again.
//!
//! Versions make that harmless: what the sink holds in the same version or a newer one is superseded. Forward is refused:
//! the records between would be resolved by nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Branch, State};
use crate::event::Mark;
use crate::source::{Command, ProbeError};

/// The poller takes commands within milliseconds; a commit, or a drain before it, may take this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a branch was not turned back; nothing was changed, but for [`NotRewound::Unknown`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRewound {
    /// It may not be: why.
    #[error("{0}")]
    Refused(String),
    /// Kafka does not answer.
    #[error("{0}")]
    Unavailable(#[from] ProbeError),
    /// Nobody said what became of it.
    #[error("{0} did not say within {wait:?} what became of it: look at its offsets, and plan again", wait = PATIENCE)]
    Unknown(String),
}

/// Reads partitions again from these offsets, which become the group's committed ones. Returns once they are committed.
///
/// # Errors
/// [`NotRewound`].
pub async fn rewind(branch: &Branch, to: &BTreeMap<i32, i64>) -> Result<(), NotRewound> {
    let topic = branch.topic();
    if to.is_empty() {
        return Err(NotRewound::Refused("no partition is named".to_owned()));
    }
    for (&partition, &offset) in to {
        if !(0..topic.partitions).contains(&partition) {
            return Err(NotRewound::Refused(format!(
                "topic {} has partitions 0 to {}, and no {partition}",
                topic.name,
                topic.partitions - 1
            )));
        }
        let (low, end) = branch.probe.watermarks(partition).await?;
        if !(low..=end).contains(&offset) {
            return Err(NotRewound::Refused(format!(
                "{} partition {partition}: offset {offset} is not in the log, which holds {low} to {end}",
                topic.name
            )));
        }
    }
    let marks = to
        .iter()
        .map(|(&partition, &offset)| Mark { partition, offset });
    let (answer, answered) = oneshot::channel();
    let command = Command::TurnBack {
        marks: marks.collect(),
        answer,
    };
    if !branch.commands.send(command) {
        let state = match branch.control.state() {
            State::Halted(_) => "halted, and no member of its group",
            State::Starting => "still starting",
            State::Stopping => "stopping",
            State::Running => "busy",
        };
        return Err(NotRewound::Refused(format!(
            "{} is {state}: plan again",
            branch.name
        )));
    }
    match tokio::time::timeout(PATIENCE, answered).await {
        Ok(Ok(turned)) => turned.map_err(NotRewound::Refused),
        Ok(Err(_)) | Err(_) => Err(NotRewound::Unknown(branch.name.clone())),
    }
}
