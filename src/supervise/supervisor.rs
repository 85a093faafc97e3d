//! Supervisors: children with a policy, which are a child of the supervisor above.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::keeper::keep;
use super::status::{ChildState, ChildStatus};
use super::table::{Body, Family, Request, Rules, Slot};
use super::window::Window;
use super::{Restart, Runner, SupervisorSpec, Tree};
use crate::retry::Delays;

/// A supervisor is made anew after about this long, then twice as long each time: its child was given several
/// chances by then.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// No restart of a supervisor waits longer than about this.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// A supervisor. Clones are the same one.
#[derive(Clone)]
pub struct Supervisor {
    family: Arc<Family>,
    /// `None` for the root.
    slot: Option<Arc<Slot>>,
}

struct SupervisorBody {
    family: Arc<Family>,
}

// === impl Supervisor ===

impl Supervisor {
    /// Adds a supervisor to `parent`, which starts it.
    pub fn start(parent: impl Into<Self>, spec: SupervisorSpec) -> Self {
        let parent = parent.into();
        let common = Arc::clone(&parent.family.common);
        let family = Family::new(spec.name.clone(), spec.strategy, common);
        let status = Arc::new(ChildStatus::new(spec.name, &[], None));
        let body = SupervisorBody {
            family: Arc::clone(&family),
        };
        let rules = Rules {
            // It ends only with a failure, or since it was asked to.
            restart: Restart::Transient,
            shutdown: None,
            stall: None,
            drains: true,
        };
        let slot = parent.add(
            status,
            rules,
            Window::new(spec.max_restarts, spec.within),
            Delays::new(FIRST_DELAY, MAX_DELAY),
            Box::new(body),
        );
        Self {
            family,
            slot: Some(slot),
        }
    }

    pub(super) fn root(family: Arc<Family>) -> Self {
        Self { family, slot: None }
    }

    pub(super) fn family(&self) -> &Arc<Family> {
        &self.family
    }

    pub(super) fn add(
        &self,
        status: Arc<ChildStatus>,
        rules: Rules,
        window: Window,
        delays: Delays,
        body: Box<dyn Body>,
    ) -> Arc<Slot> {
        let slot = self.family.add(status, rules, window, delays, body);
        if self.slot.is_none() {
            self.family.common.begin(&self.family);
        }
        slot
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.family.name
    }

    /// How many children it has.
    pub fn len(&self) -> usize {
        self.family.table().entries.len()
    }

    /// Whether it has no children.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its own state; of a root, running.
    pub fn state(&self) -> ChildState {
        let slot = self.slot.as_ref();
        slot.map_or(ChildState::Running, |s| s.status.state().0)
    }

    /// Stops its children in order, each within its deadline, and leaves the tree with them. A root is stopped
    /// by [`Tree::stop`].
    pub async fn stop(&self) {
        let Some(slot) = &self.slot else {
            return self.family.common.stop(&self.family).await;
        };
        if let Some(parent) = slot.family() {
            // One that has ended needs no stop.
            let _ = parent.request(slot.id, Request::Stop);
        }
        slot.gone().await;
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Supervisor({})", self.family.name)
    }
}

impl From<&Self> for Supervisor {
    fn from(supervisor: &Self) -> Self {
        supervisor.clone()
    }
}

impl From<&Arc<Tree>> for Supervisor {
    fn from(tree: &Arc<Tree>) -> Self {
        tree.root()
    }
}

impl From<Arc<Tree>> for Supervisor {
    fn from(tree: Arc<Tree>) -> Self {
        tree.root()
    }
}

// === impl SupervisorBody ===

impl Body for SupervisorBody {
    fn launch(&self, runner: Runner) {
        let family = Arc::clone(&self.family);
        // On the keeper's own runtime, which is the tree's.
        tokio::spawn(async move {
            let orders = runner.orders();
            let exit = keep(family, orders, false, || runner.running()).await;
            runner.exited(exit);
        });
    }

    fn look(&self, _: Duration, _: Duration) -> Option<String> {
        None
    }

    fn abandon(&self) -> bool {
        false
    }

    fn close(&self) {
        self.family.close();
    }

    fn family(&self) -> Option<&Arc<Family>> {
        Some(&self.family)
    }
}
