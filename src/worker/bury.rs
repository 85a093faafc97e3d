//! A record's way into the dead-letter topic.

use crate::branch::Branch;
use crate::retry::{Because, Delays};
use crate::sink::dead_letter::Letter;
use crate::supervise::Progress;

/// Puts a record into the dead-letter topic, for as long as it takes and `alive` holds; says whether it is
/// there.
pub async fn bury(
    branch: &Branch,
    progress: &Progress,
    letter: &Letter<'_>,
    alive: impl Fn() -> bool,
) -> bool {
    let mut delays = Delays::server();
    while alive() && !branch.control.is_halted() {
        match progress.wait("kafka", branch.dead.send(letter)).await {
            Ok(()) => {
                branch.kafka.answered();
                branch.stats.reason(letter.reason);
                tracing::error!(
                    branch = branch.name,
                    topic = branch.topic().name,
                    partition = letter.record.position.partition,
                    offset = letter.record.position.offset,
                    reason = letter.reason,
                    "dead letter: {}",
                    letter.detail
                );
                return true;
            }
            Err(why) => {
                let delay = delays.next_delay();
                tracing::warn!(
                    branch = branch.name,
                    topic = branch.topic().name,
                    partition = letter.record.position.partition,
                    offset = letter.record.position.offset,
                    ?delay,
                    "the dead-letter topic does not take it: {why}; trying again"
                );
                let again = branch.kafka.after(delay, Because::Away);
                progress.wait("kafka", again).await;
            }
        }
    }
    false
}
