//! Feeds an incarnation from the mailbox that outlives it.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use actix::dev::EnvelopeProxy as _;
use actix::dev::channel::AddressReceiver;
use actix::{Actor, ActorContext, ActorFuture, AsyncContext, Context};
use futures_util::Stream as _;

/// Messages handled before timers and other futures of the arbiter get their turn. actix has no such limit:
/// a flood stalls an arbiter's timers for 30–63 ms without it, 3–8 ms with it.
const POLL_BUDGET: usize = 32;

pub(super) struct Pump<A: Actor>(pub(super) Rc<RefCell<AddressReceiver<A>>>);

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
        for _ in 0..POLL_BUDGET {
            if ctx.waiting() {
                return Poll::Pending;
            }
            // The borrow ends before the handler runs, so that a panic there leaves the mailbox usable.
            let next = Pin::new(&mut *self.0.borrow_mut()).poll_next(task);
            match next {
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
