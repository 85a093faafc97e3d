//! The source's actor: makes ready, starts the poller, tells each assigned partition where to begin, and
//! watches the topic's identity. When it fails, its supervisor makes another, which starts from the commits.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};

use super::command::{Command, Event};
use super::poller;
use super::ready::{begin, prepare, still_itself};
use crate::branch::{Branch, State};
use crate::commit::Lease;
use crate::route::Router;
use crate::sink::TopicIdentity;
use crate::supervise::{Exit, Incarnation, MOST_ABANDONED, Stopping};

/// How often the topic's identity is checked while all is well.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// A partition that refused to be sought is not ready yet; it mostly is within this.
const SEEK_AGAIN: Duration = Duration::from_millis(100);
/// Commands that may wait; the poller takes them within its poll's 20 ms.
const COMMANDS: usize = 256;

/// The way to the present poller, for whoever has commands for it. Between two pollers there is none, and a
/// command is dropped: what a new poller must know it learns by itself.
#[derive(Debug, Default)]
pub struct Commands(Mutex<Way>);

/// The way, and the number of the lease that it goes with.
#[derive(Debug, Default)]
struct Way {
    lease: u64,
    to: Option<SyncSender<Command>>,
}

/// The source's actor.
pub struct Source {
    branch: Arc<Branch>,
    router: Arc<dyn Fn() -> Router + Send + Sync>,
    incarnation: Incarnation,
}

/// What one incarnation has of the branch, given back however it ends: then a poller that is still there sees
/// its channel closed and leaves.
struct Hold {
    branch: Arc<Branch>,
    lease: Arc<Lease>,
}

// === impl Commands ===

impl Commands {
    /// Hands a command to the poller; `false` where there is none or it is far behind.
    pub fn send(&self, command: Command) -> bool {
        let way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match way.to.as_ref().map(|to| to.try_send(command)) {
            Some(Ok(())) => true,
            Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => false,
        }
    }

    /// For the holder of `lease`; an earlier one has no say any more.
    fn set(&self, lease: &Lease, to: Option<SyncSender<Command>>) {
        let mut way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lease.number() >= way.lease {
            *way = Way {
                lease: lease.number(),
                to,
            };
        }
    }
}

// === impl Hold ===

impl Drop for Hold {
    fn drop(&mut self) {
        self.branch.commands.set(&self.lease, None);
    }
}

// === impl Source ===

impl Source {
    /// The steps at which tests may make it fail; the last ones are its poller's.
    pub const STEPS: &'static [&'static str] = &[
        "prepare", "consume", "begin", "poll", "route", "commit", "drain",
    ];

    /// A source for `branch` that routes through what `router` makes.
    pub fn new(
        branch: Arc<Branch>,
        router: Arc<dyn Fn() -> Router + Send + Sync>,
        incarnation: Incarnation,
    ) -> Self {
        Self {
            branch,
            router,
            incarnation,
        }
    }
}

impl Actor for Source {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let hold = Hold {
            lease: Arc::new(self.branch.ledger.lease()),
            branch: Arc::clone(&self.branch),
        };
        let run = run(hold, Arc::clone(&self.router), self.incarnation.clone());
        ctx.spawn(run.into_actor(self).map(|ended, source, ctx| {
            source.incarnation.exit.set(match ended {
                Ok(()) => Exit::Stopped,
                Err(why) => Exit::Failed(why),
            });
            ctx.stop();
        }));
    }
}

/// Until the branch is to end: ready, consume, and again after every halt that was resumed.
async fn run(
    hold: Hold,
    router: Arc<dyn Fn() -> Router + Send + Sync>,
    mut incarnation: Incarnation,
) -> Result<(), String> {
    let branch = Arc::clone(&hold.branch);
    let mut state = branch.control.watch();
    let progress = incarnation.progress.clone();
    progress.has_work(true);
    branch.control.starting();
    loop {
        let mut stopping = incarnation.stopping.clone();
        let resumed = progress.wait(
            "an operator",
            state.wait_for(|s| !matches!(s, State::Halted(_))),
        );
        tokio::select! {
            resumed = resumed => {
                resumed.map_err(|e| e.to_string())?;
            }
            () = stopping.asked() => return Ok(()),
        }
        let prepared = tokio::select! {
            prepared = prepare(&branch, &incarnation) => prepared?,
            () = stopping.asked() => return Ok(()),
        };
        let Some((identity, committed)) = prepared else {
            continue;
        };
        consume(&hold, router(), &mut incarnation, identity, committed).await?;
        if incarnation.stopping.is_asked() {
            return Ok(());
        }
    }
}

/// One poller's life. Returns when it has ended in order: halted, or stopping.
async fn consume(
    hold: &Hold,
    router: Router,
    incarnation: &mut Incarnation,
    identity: TopicIdentity,
    committed: BTreeMap<i32, i64>,
) -> Result<(), String> {
    let Incarnation {
        progress, steps, ..
    } = incarnation.clone();
    let branch = &hold.branch;
    steps.pass("consume").await.map_err(|e| e.to_string())?;
    progress
        .wait("former pollers", branch.pollers.clear(&branch.name))
        .await;
    let others = branch.pollers.alive();
    if others > MOST_ABANDONED {
        return Err(format!(
            "{others} poll threads of former sources block and cannot be ended in this process"
        ));
    }
    let (to_poller, commands) = sync_channel(COMMANDS);
    let (events, mut from_poller) = mpsc::channel(64);
    let thread = {
        let means = poller::Means {
            branch: Arc::clone(branch),
            lease: Arc::clone(&hold.lease),
            router,
            committed,
            commands,
            events,
            runtime: tokio::runtime::Handle::current(),
            progress: progress.elsewhere("poller"),
            steps: steps.clone(),
        };
        let name = format!("poll {}", branch.name);
        std::thread::Builder::new()
            .name(name)
            .spawn(move || poller::run(means))
    };
    let thread = thread.map_err(|e| format!("starting the poll thread: {e}"))?;
    branch.commands.set(&hold.lease, Some(to_poller.clone()));
    branch.control.running();
    let mut state = branch.control.watch();
    let mut asked_to_stop = false;
    let mut beginning = FuturesUnordered::new();
    // Beside the rest, since a sink that hangs must hold up neither rebalances nor a stop.
    let mut checks = std::pin::pin!(async {
        loop {
            tokio::time::sleep(CHECK_EVERY).await;
            still_itself(branch, &identity).await;
        }
    });
    let begin = |partition, after| begin(branch, incarnation, &identity, partition, after);
    let mut stopping = incarnation.stopping.clone();
    let ended = loop {
        let _waiting = progress.waiting("the poller");
        tokio::select! {
            event = from_poller.recv() => match event {
                Some(Event::Assigned(partitions) | Event::TurnedBack(partitions)) => {
                    for partition in partitions {
                        beginning.push(begin(partition, Duration::ZERO));
                    }
                }
                Some(Event::Lost(partition)) => beginning.push(begin(partition, SEEK_AGAIN)),
                Some(Event::Revoked(partitions)) => {
                    tracing::debug!(branch = branch.name, ?partitions, "given up");
                }
                Some(Event::Ended(ended)) => break ended,
                None => break Err("the poll thread is gone".to_owned()),
            },
            Some(began) = beginning.next(), if !beginning.is_empty() => {
                if let Some(begin) = began && to_poller.try_send(begin).is_err() {
                    break Err("the poll thread takes no commands".to_owned());
                }
            }
            partitions = branch.control.forgotten() => {
                for partition in partitions {
                    branch.stats.forgot.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    hold.lease.close(partition);
                    beginning.push(begin(partition, Duration::ZERO));
                }
            }
            deadline = asked(&mut stopping, &mut state, branch.settings.shutdown), if !asked_to_stop => {
                asked_to_stop = true;
                // A full channel means that the poller is gone or wedged; it sees the channel close below.
                if to_poller.try_send(Command::Stop(deadline)).is_err() {
                    break Err("the poll thread takes no commands".to_owned());
                }
            }
            () = &mut checks => {}
        }
    };
    branch.commands.set(&hold.lease, None);
    drop(to_poller);
    drop(beginning);
    from_poller.close();
    let joined = tokio::task::spawn_blocking(move || thread.join());
    let joined = progress.wait("the poller", joined).await;
    for (mark, _) in branch.ledger.marks() {
        hold.lease.close(mark.partition);
    }
    if !matches!(joined, Ok(Ok(()))) {
        return Err("the poll thread panicked".to_owned());
    }
    ended
}

/// Waits until the poller is to end; how long it may drain.
async fn asked(
    stopping: &mut Stopping,
    state: &mut watch::Receiver<State>,
    shutdown: Duration,
) -> Duration {
    tokio::select! {
        () = stopping.asked() => shutdown,
        // The sender lives in the branch.
        _ = state.wait_for(|s| matches!(s, State::Halted(_))) => Duration::ZERO,
    }
}
