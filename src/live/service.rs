//! A supervised actor that is one future: the shell around each part of the lane that takes its work from NATS
//! and not from a mailbox.

use actix::prelude::*;
use async_nats::SubscribeError;
use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;

use super::connect::{Conn, Link};
use crate::retry::{Because, Delays};
use crate::supervise::{Exit, Incarnation};

/// Work that goes on until it is told to stop.
pub(crate) type Work = LocalBoxFuture<'static, Result<(), String>>;

/// Takes what comes to subscriptions over one connection after the other. `take` subscribes, and says at its end
/// whether it was told to stop; where it cannot subscribe it is tried again.
pub(crate) async fn over_connections(
    link: &Link,
    mut stop: watch::Receiver<bool>,
    what: &str,
    mut take: impl AsyncFnMut(&Conn, &mut watch::Receiver<bool>) -> Result<bool, SubscribeError>,
) -> Result<(), String> {
    let mut delays = Delays::server();
    loop {
        let conn = tokio::select! {
            conn = link.connected() => conn,
            _ = stop.wait_for(|s| *s) => return Ok(()),
        };
        match take(&conn, &mut stop).await {
            Ok(true) => return Ok(()),
            // The connection was lost, and is waited for.
            Ok(false) => delays.reset(),
            Err(why) => {
                tracing::warn!("{what} cannot be subscribed to, and are tried again: {why}");
                link.server().again(&mut delays, Because::Away).await;
            }
        }
    }
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
