//! A supervised actor that is one future: the shell around each part of the lane that takes its work from NATS
//! and not from a mailbox.

use actix::prelude::*;
use futures_util::future::LocalBoxFuture;

use crate::supervise::{Exit, Incarnation};

/// Work that goes on until it is told to stop.
pub(super) type Work = LocalBoxFuture<'static, Result<(), String>>;

/// The actor around a piece of [`Work`].
pub struct Service {
    work: Option<Work>,
    incarnation: Incarnation,
}

// === impl Service ===

impl Service {
    /// An incarnation's.
    pub(super) fn new(work: Work, incarnation: &Incarnation) -> Self {
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
