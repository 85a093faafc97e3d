//! The mailbox of a child: it outlives the incarnations, and it is bounded.
//!
//! actix bounds a mailbox only for `try_send`, and only on one and the same address: `send`, `do_send` and a
//! clone's `try_send` put 10,000 of 10,000 messages into a mailbox of 16. An [`Inbox`] is bounded for whoever
//! sends: what finds no room waits at its sender, in order, or is handed back.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll};

use actix::dev::channel::AddressReceiver;
use actix::dev::{Envelope, SendError};
use actix::{Actor, Context, Handler, MailboxError, Message};
use futures_util::Stream as _;
use tokio::sync::{mpsc, oneshot};

/// Sends to a child, over all of its incarnations.
pub struct Inbox<A: Actor>(mpsc::Sender<Envelope<A>>);

/// Sends one type of message to whichever actor takes it.
#[derive(Clone)]
pub struct Post<M>(Arc<dyn Fn(M) -> Result<(), SendError<M>> + Send + Sync>);

/// The receiving end, for one incarnation after the other.
pub(super) struct Mailbox<A: Actor>(Mutex<Option<Queues<A>>>);

struct Queues<A: Actor> {
    bounded: mpsc::Receiver<Envelope<A>>,
    plain: AddressReceiver<A>,
    /// The incarnation that may take messages.
    turn: u64,
    /// Which of the two is asked first, so that neither starves the other.
    plain_first: bool,
}

/// A mailbox that holds `room` messages, and its two ways in.
pub(super) fn mailbox<A: Actor>(
    room: usize,
    plain: AddressReceiver<A>,
) -> (Inbox<A>, Arc<Mailbox<A>>) {
    let (tx, bounded) = mpsc::channel(room.max(1));
    let queues = Queues {
        bounded,
        plain,
        turn: 0,
        plain_first: false,
    };
    (Inbox(tx), Arc::new(Mailbox(Mutex::new(Some(queues)))))
}

// === impl Inbox ===

impl<A> Inbox<A>
where
    A: Actor<Context = Context<A>>,
{
    /// Waits for room, sends, and waits for the answer.
    ///
    /// # Errors
    /// [`MailboxError::Closed`] where the child has ended, or died over this message.
    pub async fn send<M>(&self, message: M) -> Result<M::Result, MailboxError>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let (tx, rx) = oneshot::channel();
        let envelope = Envelope::new(message, Some(tx));
        self.0
            .send(envelope)
            .await
            .map_err(|_| MailboxError::Closed)?;
        rx.await.map_err(|_| MailboxError::Closed)
    }

    /// Sends where there is room, and waits for no answer.
    ///
    /// # Errors
    /// [`SendError`] with the message: the mailbox is full, or the child has ended.
    pub fn try_send<M>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        match self.0.try_reserve() {
            Ok(room) => {
                room.send(Envelope::new(message, None));
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(())) => Err(SendError::Full(message)),
            Err(mpsc::error::TrySendError::Closed(())) => Err(SendError::Closed(message)),
        }
    }

    /// The same for one type of message alone.
    pub fn post<M>(&self) -> Post<M>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let inbox = self.clone();
        Post(Arc::new(move |message| inbox.try_send(message)))
    }
}

impl<A: Actor> Inbox<A> {
    /// Messages that wait.
    pub fn depth(&self) -> usize {
        self.0.max_capacity() - self.0.capacity()
    }
}

impl<A: Actor> Clone for Inbox<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Actor> fmt::Debug for Inbox<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbox({} of {})", self.depth(), self.0.max_capacity())
    }
}

// === impl Post ===

impl<M> Post<M> {
    /// Sends where there is room.
    ///
    /// # Errors
    /// [`SendError`] with the message: the mailbox is full, or the child has ended.
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        (self.0)(message)
    }
}

impl<M> fmt::Debug for Post<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Post")
    }
}

// === impl Mailbox ===

impl<A: Actor> Mailbox<A> {
    /// From now on this incarnation takes the messages, and no other.
    pub(super) fn hand_to(&self, number: u64) {
        if let Some(queues) = self.lock().as_mut() {
            queues.turn = number;
        }
    }

    /// Drops what waits, and lets senders know.
    pub(super) fn close(&self) {
        let queues = self.lock().take();
        // Outside the lock, since a message's drop may send.
        drop(queues);
    }

    /// The next message for incarnation `number`; `None` where the mailbox is closed.
    pub(super) fn poll_next(
        &self,
        number: u64,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Envelope<A>>> {
        let mut lock = self.lock();
        let Some(queues) = lock.as_mut() else {
            return Poll::Ready(None);
        };
        if queues.turn != number {
            return Poll::Pending;
        }
        queues.plain_first = !queues.plain_first;
        for plain in [queues.plain_first, !queues.plain_first] {
            let next = if plain {
                Pin::new(&mut queues.plain).poll_next(task)
            } else {
                queues.bounded.poll_recv(task)
            };
            // Neither ends, since the child's body holds a sender of each.
            if let Poll::Ready(Some(envelope)) = next {
                return Poll::Ready(Some(envelope));
            }
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Option<Queues<A>>> {
        // Held for a look into a queue, never while a handler runs.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
