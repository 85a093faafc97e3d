//! The tree of a process: its root, what all of it shares, and a look at it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::watch;

use super::chaos::Chaos;
use super::keeper::keep;
use super::run::Order;
use super::status::ChildStatus;
use super::table::{Family, Request};
use super::{Exit, Strategy, Supervisor};

/// Threads that may be left behind, blocked, before the process ends: each holds what its actors had in hand (at
/// the most a branch's whole buffer), and nothing but the process's end gives that back.
pub const MOST_ABANDONED: usize = 3;

/// Every supervised actor of a process. It runs on the runtime on which its first child is added.
pub struct Tree {
    root: Arc<Family>,
    common: Arc<Common>,
}

/// A supervisor or an actor, and what is below it.
#[derive(Debug, Clone)]
pub struct Node {
    /// What is known of it; `None` for the root.
    pub status: Option<Arc<ChildStatus>>,
    /// For a supervisor.
    pub strategy: Option<Strategy>,
    /// Its children, in the order in which they were added.
    pub children: Vec<Node>,
    /// Children that are not shown.
    pub more: usize,
}

/// What became of a request for a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is under way.
    Restarting,
    /// The child has ended.
    Ended,
    /// No such child.
    Unknown,
}

/// What the supervisors of a tree share.
pub(super) struct Common {
    escalated: watch::Sender<Option<String>>,
    orders: watch::Sender<Order>,
    begun: AtomicBool,
    ended: watch::Sender<bool>,
    abandoned: AtomicUsize,
    pub(super) chaos: Arc<Chaos>,
}

// === impl Tree ===

impl Default for Tree {
    fn default() -> Self {
        Self::with(Chaos::default())
    }
}

impl Tree {
    /// A tree whose actors can be made to fail, for tests.
    pub fn with_chaos() -> Self {
        Self::with(Chaos::allowed())
    }

    fn with(chaos: Chaos) -> Self {
        let common = Arc::new(Common {
            escalated: watch::Sender::new(None),
            orders: watch::Sender::new(Order::Run),
            begun: AtomicBool::new(false),
            ended: watch::Sender::new(false),
            abandoned: AtomicUsize::new(0),
            chaos: Arc::new(chaos),
        });
        let root = Family::new("twolane".into(), Strategy::OneForOne, Arc::clone(&common));
        Self { root, common }
    }

    /// Its root, to add children to.
    pub fn root(&self) -> Supervisor {
        Supervisor::root(Arc::clone(&self.root))
    }

    /// The actors, in the order in which they were started; of a supervisor with more than
    /// [`Tree::MOST_LISTED`] children no more than that, and those that do not run before the others.
    pub fn children(&self) -> Vec<Arc<ChildStatus>> {
        let mut all = Vec::new();
        self.view().actors(&mut all);
        all
    }

    /// Children of one supervisor that are listed at the most.
    pub const MOST_LISTED: usize = 200;

    /// The tree now, bounded as [`Tree::children`] is.
    pub fn view(&self) -> Node {
        Node::of(None, &self.root)
    }

    /// A child, by its name.
    pub fn find(&self, name: &str) -> Option<Arc<ChildStatus>> {
        Some(Arc::clone(&self.root.find(name)?.status))
    }

    /// Makes a child anew, after it has ended in order; it counts as no failure. `who` is kept to be shown.
    pub fn restart(&self, name: &str, who: &str) -> Asked {
        let Some(slot) = self.root.find(name) else {
            return Asked::Unknown;
        };
        match slot.family() {
            Some(family) if family.request(slot.id, Request::Restart) => {
                slot.status.asked_by(who.to_owned());
                Asked::Restarting
            }
            Some(_) | None => Asked::Ended,
        }
    }

    /// Makes actors fail, where that is allowed.
    pub fn chaos(&self) -> &Arc<Chaos> {
        &self.common.chaos
    }

    /// A child failed more often than it may: the process is to end with this reason.
    pub fn escalate(&self, reason: String) {
        self.common.escalate(reason);
    }

    /// Waits for an escalation and returns its reason.
    pub async fn escalated(&self) -> String {
        let mut rx = self.common.escalated.subscribe();
        match rx.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Stops everything, the last child of the root first, each within its deadline.
    pub async fn stop(&self) {
        self.common.stop(&self.root).await;
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree({} children)", self.root.table().entries.len())
    }
}

// === impl Node ===

impl Node {
    fn of(status: Option<Arc<ChildStatus>>, family: &Arc<Family>) -> Self {
        let (slots, more) = family.slots(Tree::MOST_LISTED);
        let children = slots.iter().map(|slot| {
            let status = Arc::clone(&slot.status);
            match slot.body.family() {
                Some(family) => Self::of(Some(status), family),
                None => Self {
                    status: Some(status),
                    strategy: None,
                    children: Vec::new(),
                    more: 0,
                },
            }
        });
        Self {
            status,
            strategy: Some(family.strategy),
            children: children.collect(),
            more,
        }
    }

    fn actors(&self, to: &mut Vec<Arc<ChildStatus>>) {
        for child in &self.children {
            if child.strategy.is_none() {
                to.extend(child.status.clone());
            }
            child.actors(to);
        }
    }
}

// === impl Common ===

impl Common {
    pub(super) fn escalate(&self, reason: String) {
        self.escalated.send_if_modified(|r| {
            let first = r.is_none();
            r.get_or_insert(reason);
            first
        });
    }

    /// A child was left behind on its blocked thread.
    pub(super) fn abandoned(&self, name: &str, verdict: &Exit) {
        let n = self.abandoned.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::error!(
            child = name,
            "left behind, since it blocks its thread ({verdict}); {n} so far"
        );
        if n > MOST_ABANDONED {
            self.escalate(format!(
                "{name} {verdict}: the {n}th actor that blocks its thread; what such threads hold is free only once the process \
                 ends"
            ));
        }
    }

    /// Starts the root's keeper, once.
    pub(super) fn begin(&self, root: &Arc<Family>) {
        if self.begun.swap(true, Ordering::SeqCst) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return self.escalate("no runtime to supervise on: add children within one".to_owned());
        };
        let (family, orders) = (Arc::clone(root), self.orders.subscribe());
        let ended = self.ended.clone();
        runtime.spawn(async move {
            // However the keeper ends, nobody is to wait for it for ever.
            let _ended = Ended(ended);
            keep(family, orders, true, || {}).await;
        });
    }

    pub(super) async fn stop(&self, root: &Arc<Family>) {
        self.orders.send_replace(Order::Stop);
        if self.begun.load(Ordering::SeqCst) {
            // The sender is in here.
            let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
        }
        root.close();
    }
}

struct Ended(watch::Sender<bool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests;
