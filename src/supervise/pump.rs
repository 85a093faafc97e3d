//! Feeds an incarnation from the mailbox that outlives it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::dev::EnvelopeProxy as _;
use actix::{Actor, ActorContext, ActorFuture, AsyncContext, Context};

use super::mailbox::Mailbox;

/// Messages handled before timers and other futures of the arbiter get their turn. actix has no such limit:
/// a flood stalls an arbiter's timers for 30–63 ms without it, 3–8 ms with it.
const POLL_BUDGET: usize = 32;
/// The same in time, for messages that hold much: a chunk takes milliseconds.
const POLL_TIME: Duration = Duration::from_millis(5);

pub(super) struct Pump<A: Actor> {
    pub(super) mailbox: Arc<Mailbox<A>>,
    pub(super) number: u64,
}

impl<A> ActorFuture<A> for Pump<A>
where
    A: Actor<Context = Context<A>>,
{
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let started = Instant::now();
        for _ in 0..POLL_BUDGET {
            if started.elapsed() >= POLL_TIME {
                break;
            }
            if ctx.waiting() {
                return Poll::Pending;
            }
            match self.mailbox.poll_next(self.number, task) {
                Poll::Ready(Some(mut envelope)) => envelope.handle(actor, ctx),
                Poll::Ready(None) => {
                    ctx.stop();
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }
}
