//! A supervised actor that is one future: the shell around each part of the lane that takes its work from NATS
//! and not from a mailbox.

use std::time::Duration;

use actix::prelude::*;
use async_nats::SubscribeError;
use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use super::connect::{Conn, Link};
use crate::retry::{Because, Delays};
use crate::supervise::{Exit, Incarnation, Planned, Progress};

/// Work that goes on until it is told to stop.
pub(crate) type Work = LocalBoxFuture<'static, Result<(), String>>;

/// Takes what comes to subscriptions over one connection after the other. `take` subscribes, and says at its end
/// whether it was told to stop; where it cannot subscribe it is tried again.
pub(crate) async fn over_connections(
    link: &Link,
    mut stop: watch::Receiver<bool>,
    what: &str,
    turns: &Progress,
    mut take: impl AsyncFnMut(&Conn, &mut watch::Receiver<bool>) -> Result<bool, Left>,
) -> Result<(), String> {
    let mut delays = Delays::server();
    // It turns for as long as it lives, whether messages come or not.
    turns.has_work(true);
    loop {
        let connected = turns.wait("nats", link.connected());
        let conn = tokio::select! {
            conn = connected => conn,
            _ = stop.wait_for(|s| *s) => return Ok(()),
        };
        match take(&conn, &mut stop).await {
            Ok(true) => return Ok(()),
            // The connection was lost, and is waited for.
            Ok(false) => delays.reset(),
            Err(Left::Refused(why)) => {
                tracing::warn!("{what} cannot be subscribed to, and are tried again: {why}");
                let again = link.server().again(&mut delays, Because::Away);
                turns.wait("nats", again).await;
            }
            Err(Left::Planned(why)) => return Err(why.to_string()),
        }
    }
}

/// A clock that shows that a part which waits for messages is alive: on each tick it says so.
pub(crate) fn turning() -> Interval {
    let mut turning = tokio::time::interval(TURN);
    turning.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turning
}

/// Between two ticks of [`turning`].
const TURN: Duration = Duration::from_millis(250);

/// Why a part left off over a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Left {
    /// It cannot subscribe.
    #[error(transparent)]
    Refused(#[from] SubscribeError),
    /// It was to fail.
    #[error(transparent)]
    Planned(#[from] Planned),
}

/// The actor around a piece of [`Work`].
pub struct Service {
    work: Option<Work>,
    incarnation: Incarnation,
}

// === impl Service ===

impl Service {
    /// An incarnation's.
    pub(crate) fn new(work: Work, incarnation: &Incarnation) -> Self {
        Self {
            work: Some(work),
            incarnation: incarnation.clone(),
        }
    }
}

impl Actor for Service {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(work) = self.work.take() else {
            return;
        };
        ctx.spawn(work.into_actor(self).map(|ended, service, ctx| {
            service.incarnation.exit.set(match ended {
                Ok(()) => Exit::Completed,
                Err(why) => Exit::Failed(why),
            });
            ctx.stop();
        }));
    }
}
