//! What operators see and do: logs, metrics, health, dead letters, and what pauses, resumes and restarts, with its audit.
//!
//! Promises: looking costs the lane a few short locks and nothing else; what is shown names no credential,
//! since it is made of counters, names and reasons and never of settings. Relies on the branches' own
//! counters: nothing is counted here, so that two numbers for one thing cannot disagree.

pub mod admin;
pub mod audit;
mod dead;
mod gateway;
mod groups;
mod lanes;
mod live;
pub mod logging;
pub mod metrics;
mod process;
mod rates;
mod view;

pub use gateway::{GatewayView, SentView};
pub use groups::{GroupView, MemberView};
pub use lanes::Lanes;
pub use live::{ClassView, LiveParts, LiveView, RoomView, UsersView};
pub use process::ProcessView;
pub use view::{
    BranchView, BufferView, ChildView, HistogramView, PartitionView, PauseView, RecordsView,
    Resumed, Subject,
};

/// What is shown, for tests of whoever reads it.
#[cfg(test)]
pub(crate) mod view_testing {
    pub(crate) use super::view::testing::{branch, child};

    pub(crate) fn live() -> super::LiveView {
        super::LiveView::sample()
    }
}
