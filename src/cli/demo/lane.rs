//! What the demo asks of the lane that it runs: numbers to show, whether it is well, and to stop.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::anyhow;
use futures_util::future::LocalBoxFuture;

use super::kafka::Offsets;
use crate::branch::{Branch, State};
use crate::config::{LiveSpec, PipelineSpec, Secret, Settings};
use crate::gateway::start::Gateway;
use crate::live::lane::LiveStatus;
use crate::live::start::Live;
use crate::ops::admin::{self, AdminServer};
use crate::ops::{Lanes, LiveParts, Subject};
use crate::supervise::Tree;

/// One branch's numbers. The counters only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BranchStatus {
    /// The sink's name.
    pub name: String,
    /// Records that are in the sink.
    pub applied: u64,
    /// Records that a newer one made needless.
    pub superseded: u64,
    /// Records that change no document.
    pub filtered: u64,
    /// Records in the dead-letter topic.
    pub dead_lettered: u64,
    /// The lowest unresolved offset of each partition that the branch has.
    pub watermarks: Offsets,
    /// What is wrong, where something is: halted, waiting for its sink.
    pub trouble: Option<String>,
}

/// A pipeline at work in this process.
pub trait Lane {
    /// Every branch, in the order of the pipeline's sinks.
    fn branches(&self) -> Vec<BranchStatus>;

    /// Why the lane has ended by itself; `None` while it works.
    fn failure(&self) -> Option<String>;

    /// Drains, commits and ends it.
    fn stop(self: Box<Self>) -> LocalBoxFuture<'static, ()>;
}

/// The branches of one pipeline, perhaps the live lane, and their admin address, started in this process.
pub struct InProcess {
    lane: crate::lane::Lane,
    live: Option<Live>,
    gateway: Option<Gateway>,
    lanes: Arc<Lanes>,
    admin: AdminServer,
    token: Secret,
    failure: Arc<OnceLock<String>>,
}

// === impl BranchStatus ===

impl BranchStatus {
    /// Records that need nothing more.
    pub fn resolved(&self) -> u64 {
        self.applied + self.superseded + self.filtered + self.dead_lettered
    }

    /// Records between the watermarks and these ends; `None` while the branch does not have every partition.
    pub fn lag(&self, ends: &Offsets) -> Option<i64> {
        let behind = ends
            .iter()
            .map(|(p, end)| self.watermarks.get(p).map(|mark| (end - mark).max(0)));
        behind.sum::<Option<i64>>().filter(|_| !ends.is_empty())
    }
}

// === impl InProcess ===

impl InProcess {
    /// Starts every branch. Called within an actix system. Where the settings' admin address is in use, any
    /// other of this machine is taken: a demo should run beside a lane.
    ///
    /// # Errors
    /// Where the specs make no branch. Servers that are away are waited for.
    pub async fn start(
        settings: &Arc<Settings>,
        pipeline: &Arc<PipelineSpec>,
    ) -> anyhow::Result<Self> {
        let tree = Arc::new(Tree::default());
        let failure = Arc::new(OnceLock::new());
        let lanes = Lanes::new(Arc::clone(&tree));
        let given = settings.admin.token.clone();
        let token = given.unwrap_or_else(a_token);
        let serve = |listen| {
            let mut settings = Settings::clone(settings);
            settings.admin.listen = listen;
            settings.admin.token = Some(token.clone());
            let subject = Arc::clone(&lanes) as Arc<dyn Subject>;
            // The demo's settings are of its own making, and in no file.
            admin::serve(&Arc::new(settings), subject, Vec::new())
        };
        let listen = settings.admin.listen;
        let admin = serve(listen)
            .or_else(|_| serve(SocketAddr::new(listen.ip(), 0)))
            .map_err(|why| anyhow!(why))?;
        let started =
            crate::lane::Lane::start(settings, &[Arc::clone(pipeline)], Arc::clone(&tree)).await;
        let lane = match started {
            Ok(lane) => lane,
            Err(why) => {
                admin.stop().await;
                return Err(why.into());
            }
        };
        lanes.started(lane.branches());
        let noted = Arc::clone(&failure);
        tokio::task::spawn_local(async move {
            // Only the first reason counts, and nobody else sets it.
            let _ = noted.set(tree.escalated().await);
        });
        Ok(Self {
            lane,
            live: None,
            gateway: None,
            lanes,
            admin,
            token,
            failure,
        })
    }

    /// Starts the live lane beside it.
    ///
    /// # Errors
    /// Where the settings and the spec make none. Servers that are away are waited for.
    pub fn start_live(
        &mut self,
        settings: &Arc<Settings>,
        spec: &Arc<LiveSpec>,
    ) -> anyhow::Result<()> {
        let live = Live::start(settings, spec, self.lane.tree())
            .map_err(|why| anyhow!("the live lane: {why}"))?;
        let parts = LiveParts::new(&live);
        self.lanes.live_started(parts);
        self.live = Some(live);
        Ok(())
    }

    /// Starts the browsers' gateway beside it; where its address is in use, any other of this machine is taken.
    ///
    /// # Errors
    /// Where the settings make none. Servers that are away are waited for.
    pub fn start_gateway(&mut self, settings: &Settings) -> anyhow::Result<SocketAddr> {
        let gateway = Gateway::start(settings, self.lane.tree()).or_else(|_| {
            let mut other = settings.clone();
            if let Some(gateway) = &mut other.gateway {
                gateway.listen.set_port(0);
            }
            Gateway::start(&other, self.lane.tree())
        });
        let gateway = gateway.map_err(|why| anyhow!("the gateway: {why}"))?;
        self.lanes.gateway_started(gateway.status());
        let addr = gateway.addr();
        self.gateway = Some(gateway);
        Ok(addr)
    }

    /// What can be seen of the live lane, where it was started.
    pub fn live(&self) -> Option<&Arc<LiveStatus>> {
        self.live.as_ref().map(Live::status)
    }

    /// Where the page and the metrics are while it runs.
    pub fn admin(&self) -> SocketAddr {
        self.admin.addr()
    }

    /// What the page takes for what changes something.
    pub fn token(&self) -> &Secret {
        &self.token
    }
}

/// A token of this demo alone: 128 bits that the standard library has from the system.
fn a_token() -> Secret {
    let bits = || RandomState::new().build_hasher().finish();
    Secret::new(format!("{:016x}{:016x}", bits(), bits()))
}

impl Lane for InProcess {
    fn branches(&self) -> Vec<BranchStatus> {
        self.lane.branches().iter().map(|b| status(b)).collect()
    }

    fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    fn stop(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move {
            let Self {
                lane,
                live,
                gateway,
                admin,
                ..
            } = *self;
            let live = async {
                if let Some(gateway) = gateway {
                    gateway.stop().await;
                }
                if let Some(live) = live {
                    live.stop().await;
                }
            };
            tokio::join!(lane.stop(), live);
            admin.stop().await;
        })
    }
}

fn status(branch: &Branch) -> BranchStatus {
    use std::sync::atomic::Ordering::Relaxed;
    let tally = branch.ledger.tally();
    BranchStatus {
        name: branch.spec.name.clone(),
        applied: tally.applied.load(Relaxed),
        superseded: tally.superseded.load(Relaxed),
        filtered: tally.filtered.load(Relaxed),
        dead_lettered: tally.dead_lettered.load(Relaxed),
        watermarks: branch
            .ledger
            .marks()
            .into_iter()
            .map(|(mark, _)| (mark.partition, mark.offset))
            .collect(),
        trouble: match branch.control.state() {
            State::Halted(why) => Some(format!("halted: {why}")),
            State::Starting | State::Running | State::Stopping => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_known_only_with_every_partition() {
        let mut branch = BranchStatus {
            watermarks: [(0, 5)].into(),
            ..BranchStatus::default()
        };
        let ends = [(0, 7), (1, 3)].into();
        assert_eq!(branch.lag(&ends), None);
        branch.watermarks.insert(1, 4);
        assert_eq!(branch.lag(&ends), Some(2));
        assert_eq!(branch.lag(&Offsets::new()), None);
    }
}
