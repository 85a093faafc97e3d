//! What a room's actor does beside answering: three loops, each with progress of its own.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Verdict;
use super::actor::{Looked, No, Queue, give};
use super::state::{Room, Shared};
use crate::live::limits::{Answer, Charge, Local};
use crate::live::viewers;
use crate::retry::Delays;
use crate::supervise::{Planned, Progress, Steps};

/// Comments that are charged with one call to Redis. What comes meanwhile waits for the next one, 0.2 ms later.
const BATCH: usize = 64;

/// What one of the actor's loops works with.
pub(super) struct Part {
    pub(super) shared: Arc<Shared>,
    pub(super) room: Arc<Room>,
    pub(super) progress: Progress,
    pub(super) steps: Steps,
}

// === impl Part ===

impl Part {
    /// Charges what waits, batch by batch, for ever.
    pub(super) async fn charge(self, queue: Rc<Queue>) -> Result<(), Planned> {
        let Self {
            shared,
            room,
            progress,
            steps,
        } = self;
        let mut local = Local::default();
        loop {
            // From here on a failure is over these.
            let batch: Vec<Looked> = {
                let mut waiting = queue.waiting.borrow_mut();
                let n = waiting.len().min(BATCH);
                waiting.drain(..n).filter_map(|mut w| w.0.take()).collect()
            };
            progress.has_work(!batch.is_empty());
            if batch.is_empty() {
                queue.filled.notified().await;
                continue;
            }
            steps.pass("charge").await?;
            let charges: Vec<Charge> = batch.iter().map(|looked| looked.charge.clone()).collect();
            let charging = shared
                .limits
                .charge(&room.id, &charges, &mut local, &shared.stats);
            let answers = progress.wait("redis", charging).await;
            progress.did(batch.len() as u64);
            for (looked, answer) in batch.into_iter().zip(answers) {
                let mut shown = looked.shown;
                let verdict = match answer {
                    Answer::Passes { left } => {
                        shown.weight = weight(left, shared.limits.burst());
                        Verdict::Accepted(shown)
                    }
                    Answer::Waits { limit, ms } => {
                        let no = No::early(limit, ms);
                        Verdict::Refused(no.refused(&room, looked.charge.seq, shown.cid))
                    }
                };
                give(&shared, &room, looked.verdict, verdict);
            }
        }
    }

    /// Closes a window of likes each time that one is due and adds it, until the end, when it adds what there is.
    pub(super) async fn fold(self) -> Result<(), Planned> {
        let Self {
            shared,
            room,
            progress,
            steps,
        } = self;
        let mut stopping = std::pin::pin!(shared.stopping());
        let mut ending = false;
        // What the incarnation before this one was about to add comes first.
        let mut due = !room.tally.is_settled();
        loop {
            progress.has_work(false);
            if !due && !ending {
                if room.open.is_empty() {
                    tokio::select! {
                        () = room.liked.notified() => {}
                        () = &mut stopping => ending = true,
                    }
                    continue;
                }
                tokio::select! {
                    () = tokio::time::sleep(shared.spec.likes.window) => {}
                    () = &mut stopping => ending = true,
                }
            }
            due = false;
            progress.has_work(true);
            steps.pass("fold").await?;
            if add(&shared, &room, &progress).await.is_none() && ending {
                return Ok(());
            }
        }
    }

    /// Brings heartbeats and counts viewers each second while there are any, until the end.
    pub(super) async fn count(self) -> Result<(), Planned> {
        let Self {
            shared,
            room,
            progress,
            steps,
        } = self;
        let mut stopping = std::pin::pin!(shared.stopping());
        loop {
            progress.has_work(false);
            if room.here.is_empty() && room.viewers.load(Ordering::Relaxed) == 0 {
                tokio::select! {
                    () = room.beaten.notified() => {}
                    () = &mut stopping => return Ok(()),
                }
                continue;
            }
            progress.has_work(true);
            steps.pass("count").await?;
            let users = room.here.take();
            let flushing = shared.viewers.flush(&room.id, &users);
            match progress.wait("redis", flushing).await {
                Ok(counted) => {
                    room.viewers.store(counted.viewers, Ordering::Relaxed);
                    let total = room.tally.hear(counted.total);
                    if counted.announce {
                        progress.wait("nats", shared.tell(&room, total)).await;
                    }
                }
                Err(why) => {
                    shared.stats.here_shed.add(users.len() as u64);
                    tracing::debug!(room = %room.id, "viewers are not counted: {why}");
                }
            }
            progress.has_work(false);
            tokio::select! {
                () = tokio::time::sleep(viewers::EVERY) => {}
                () = &mut stopping => return Ok(()),
            }
        }
    }
}

/// 0 to 10: how much of what an author may send at once is left. One who has been quiet weighs 10, one at the
/// limit least, so that a client that cannot show all shows everyone something.
fn weight(left: u32, burst: u32) -> u8 {
    let burst = u64::from(burst.max(1));
    let left = (u64::from(left) + 1).min(burst);
    u8::try_from((10 * left).div_ceil(burst)).unwrap_or(10)
}

/// Adds the window that is due, however often it takes. `None`: there was none.
async fn add(shared: &Shared, room: &Room, progress: &Progress) -> Option<()> {
    let window = room.tally.next(&room.open)?;
    let stats = &shared.stats;
    let mut delays = Delays::server();
    let mut tries = 0_u64;
    loop {
        let sending = shared.likes.send(&room.id, &room.tally, window);
        match progress.wait("redis", sending).await {
            Ok(told) => {
                stats.windows.add(1);
                stats.likes_added.add(window.likes);
                if told.forgot {
                    stats.totals_raised.add(1);
                    tracing::error!(
                        room = %room.id,
                        total = told.total,
                        "Redis has lost likes that it had acknowledged; the total is raised to what was last told"
                    );
                }
                if tries > 0 {
                    tracing::debug!(room = %room.id, tries, had = told.had, "likes are added again");
                }
                progress.wait("nats", shared.tell(room, told.total)).await;
                return Some(());
            }
            Err(why) => {
                tracing::debug!(room = %room.id, likes = window.likes, "likes wait to be added: {why}");
                tries += 1;
                stats.windows_retried.add(1);
            }
        }
        if let Some(lost) = room.tally.expire() {
            stats.likes_lost.add(lost.likes);
            tracing::error!(
                room = %room.id,
                likes = lost.likes,
                messages = lost.messages,
                "a window of likes is given up after hours without Redis: it might be added twice"
            );
            return Some(());
        }
        progress
            .wait("redis", tokio::time::sleep(delays.next_delay()))
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quiet_weigh_most_and_nobody_nothing() {
        assert_eq!((weight(4, 5), weight(0, 5), weight(0, 100)), (10, 2, 1));
        assert_eq!((weight(0, 1), weight(u32::MAX, 5)), (10, 10));
    }
}
