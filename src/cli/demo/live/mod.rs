//! The demo's live room: people who watch, write and tap, one viewer who keeps count, and what it found.
//!
//! Promises: what is called seen was seen on the feed by a client that knows nothing but the wire contract
//! (`deploy/live.md`), or was asked for after a gap as the contract says; the lane's own counters are shown and
//! not believed. Everyone may join the room: what others write and tap is not mistaken for the demo's own.

mod checker;
mod guests;
mod ledger;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::Arbiter;
use anyhow::bail;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::checker::Checker;
use self::ledger::Ledger;
use super::guest::{self, Guest};
use super::probe::Quantiles;
use super::rng::Rng;
use crate::config::Settings;
use crate::live::lane::LiveStatus;
use crate::live::names::{RoomId, UserId};
use crate::live::tally::Class;

/// The room.
pub const ROOM: &str = "demo";
/// People in it. Each writes every two seconds, well within the default limit of a comment a second, and taps
/// about as often: twenty comments and some hundred likes a second in all.
const GUESTS: usize = 40;
/// How long the lane may take until it lets people in and answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts to get in.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// For so long nothing more has come after the last comment: what is missing is missing.
const QUIET: Duration = Duration::from_secs(5);
/// Between two looks whether everything has come.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is shown of the room. The counters only grow.
#[derive(Debug, Clone, Default)]
pub struct LiveFrame {
    /// Comments that the checking viewer saw, others' too.
    pub comments: u64,
    /// The total that it was told.
    pub likes: u64,
    /// Viewers, as it was told.
    pub viewers: u64,
    /// From sending to seeing, lately.
    pub seen: Option<Quantiles>,
    /// Deliveries that were not a comment's first.
    pub redelivered: u64,
    /// What the lane waits for, where it does.
    pub trouble: Option<String>,
}

/// What came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiveVerdict {
    /// The demo's comments that the server acknowledged.
    pub acknowledged: u64,
    /// Of these, refused by the room.
    pub refused: u64,
    /// Of the others, seen exactly once.
    pub once: u64,
    /// Never seen.
    pub missing: u64,
    /// Seen more than once, acknowledged or not.
    pub twice: u64,
    /// Messages on the feed's subject that are no entries, and were dropped: anybody can have the server's
    /// acknowledgement of a comment of theirs delivered there.
    pub dropped: u64,
    /// Likes that the demo's people tapped.
    pub tapped: u64,
    /// By how much the room's total has grown.
    pub folded: u64,
    /// Likes that this process's lane took, others' too.
    pub taken: u64,
    /// Likes that it shed.
    pub shed: u64,
    /// Deliveries that were not a comment's first.
    pub redelivered: u64,
}

/// The room at work.
pub struct LiveRoom {
    status: Arc<LiveStatus>,
    checker: Arc<Checker>,
    tapped: Arc<AtomicU64>,
    /// The room's total before anyone tapped.
    before: u64,
    /// What the lane had counted by then.
    taken_before: u64,
    leave: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    thread: Arbiter,
}

// === impl LiveVerdict ===

impl LiveVerdict {
    /// Whether comments were seen once each, and likes are in the total.
    pub fn is_good(&self) -> bool {
        self.once > 0 && self.missing == 0 && self.twice == 0 && self.adds_up()
    }

    /// Whether the total has grown by what was tapped: by the demo's people alone, or by others as well, whose
    /// taps nobody here knows but the lane.
    pub fn adds_up(&self) -> bool {
        let ours = self.folded + self.shed == self.tapped;
        let others_too = self.folded == self.taken && self.folded > self.tapped;
        self.tapped > 0 && (ours || others_too)
    }
}

// === impl LiveRoom ===

impl LiveRoom {
    /// Waits until the lane answers, and lets everyone in. They begin to write and to tap.
    ///
    /// # Errors
    /// Where the lane does not answer within a minute: what was in the way at last.
    pub async fn open(
        settings: &Settings,
        status: Arc<LiveStatus>,
        seed: u64,
    ) -> anyhow::Result<Self> {
        // Neither the screen nor a comparison of rows is to be in front of a comment.
        let thread = Arbiter::new();
        let on = guest::runtime(&thread).await?;
        let room = RoomId::new(ROOM)?;
        let ledger = Arc::new(Ledger::new());
        let checker = enter(&on, settings, UserId::new("demo-checker")?).await?;
        let checker = {
            let ledger = Arc::clone(&ledger);
            let first = on.spawn(Checker::begin(checker, room.clone(), ledger));
            first.await??
        };
        let before = checker.likes();
        let (leave, left) = watch::channel(false);
        let tapped = Arc::new(AtomicU64::new(0));
        let mut tasks = vec![on.spawn(Arc::clone(&checker).watch())];
        let taken_before = status.tally.snapshot(Class::Like).accepted;
        let mut rng = Rng::new(seed);
        for n in 0..GUESTS {
            let user = UserId::new(&format!("demo-{n:02}"))?;
            let guest = enter(&on, settings, user).await?;
            let visit = guests::Visit {
                guest,
                room: room.clone(),
                ledger: Arc::clone(&ledger),
                tapped: Arc::clone(&tapped),
                rng: Rng::new(rng.bits()),
            };
            tasks.extend(visit.begin(&on, &left).await?);
        }
        Ok(Self {
            status,
            checker,
            tapped,
            before,
            taken_before,
            leave,
            tasks,
            thread,
        })
    }

    /// What is to be shown now.
    pub fn frame(&self) -> LiveFrame {
        LiveFrame {
            comments: self.checker.comments(),
            likes: self.checker.likes(),
            viewers: self.checker.viewers(),
            seen: self.checker.ledger().recent(),
            redelivered: self.redelivered(),
            trouble: self.status.trouble.recent(),
        }
    }

    /// From sending to seeing, over the whole run as far as it is remembered.
    pub fn seen(&self) -> Option<Quantiles> {
        self.checker.ledger().overall()
    }

    /// How many people the demo brought.
    pub fn guests(&self) -> usize {
        GUESTS
    }

    /// Nobody writes or taps any more; waits until what is on its way has come, or nothing comes any more. The
    /// lane must still be at work.
    ///
    /// # Errors
    /// Where the room cannot be asked for what the feed did not bring.
    pub async fn close(self) -> anyhow::Result<LiveVerdict> {
        self.leave.send_replace(true);
        let mut before = self.verdict();
        let mut moved = Instant::now();
        let mut asked = false;
        loop {
            let now = self.verdict();
            if now.missing == 0 && now.folded + now.shed >= now.tapped && !self.checker.waits() {
                break;
            }
            if now != before {
                (before, moved) = (now, Instant::now());
            }
            if moved.elapsed() > QUIET {
                if asked {
                    break;
                }
                // A gap at the very end shows itself in no later frame.
                asked = true;
                moved = Instant::now();
                self.checker.resume().await?;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let verdict = self.verdict();
        for task in &self.tasks {
            task.abort();
        }
        self.thread.stop();
        // A panic there has been reported by the thread, and shows in what is missing.
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
        Ok(verdict)
    }

    fn verdict(&self) -> LiveVerdict {
        let fates = self.checker.ledger().fates();
        let likes = self.status.tally.snapshot(Class::Like);
        LiveVerdict {
            acknowledged: fates.acknowledged,
            refused: fates.refused,
            once: fates.once,
            missing: fates.missing,
            twice: fates.twice,
            dropped: self.checker.dropped(),
            tapped: self.tapped.load(Ordering::Relaxed),
            folded: self.checker.likes().saturating_sub(self.before),
            taken: likes.accepted - self.taken_before,
            shed: likes.shed,
            redelivered: self.redelivered(),
        }
    }

    fn redelivered(&self) -> u64 {
        self.status.tally.snapshot(Class::Comment).redelivered
    }
}

/// Connects a user on that thread, as soon as the lane lets anyone in.
async fn enter(on: &Handle, settings: &Settings, user: UserId) -> anyhow::Result<Guest> {
    let began = Instant::now();
    loop {
        let (settings, user) = (settings.clone(), user.clone());
        let entered = on.spawn(async move { Guest::connect(&settings, user).await });
        match entered.await? {
            Ok(guest) => return Ok(guest),
            Err(why) if began.elapsed() > PATIENCE => bail!("{why:#}"),
            Err(_) => tokio::time::sleep(ASK_EVERY).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict() -> LiveVerdict {
        LiveVerdict {
            acknowledged: 10,
            once: 10,
            tapped: 100,
            folded: 100,
            taken: 100,
            ..LiveVerdict::default()
        }
    }

    #[test]
    fn a_comment_that_is_missing_or_comes_twice_is_no_good() {
        assert!(verdict().is_good());
        let bad = |change: fn(&mut LiveVerdict)| {
            let mut bad = verdict();
            change(&mut bad);
            assert!(!bad.is_good(), "{bad:?}");
        };
        bad(|v| v.missing = 1);
        bad(|v| v.twice = 1);
        bad(|v| v.once = 0);
        bad(|v| v.folded = 99);
        bad(|v| v.folded = 101);
    }

    #[test]
    fn likes_that_were_shed_are_in_no_total_and_others_are_in_it() {
        let mut shed = verdict();
        (shed.folded, shed.taken, shed.shed) = (90, 90, 10);
        assert!(shed.is_good());
        let mut others = verdict();
        (others.folded, others.taken) = (130, 130);
        assert!(others.is_good());
        others.taken = 129;
        assert!(!others.is_good());
    }
}
