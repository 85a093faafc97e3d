//! What all threads of the gateway share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::ArbiterHandle;
use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::asks::Asks;
use super::places::Places;
use super::queue;
use super::rooms::Rooms;
use super::tally::Tally;
use crate::config::GatewaySettings;
use crate::live::auth::Tokens;
use crate::live::connect::Link;
use crate::live::names::UserId;

/// What one thread is told before it takes more; whoever tells waits.
const MAILBOX: usize = 4_096;

/// The gateway of a process.
pub(super) struct Hub {
    pub settings: GatewaySettings,
    pub tokens: Tokens,
    /// The connection to NATS.
    pub link: Link,
    pub asks: Asks,
    pub rooms: Rooms,
    pub places: Arc<Places>,
    pub tally: Arc<Tally>,
    /// Whether clients are being sent away.
    pub draining: watch::Sender<bool>,
    /// How long a request to a server may take.
    pub timeout: Duration,
    arbiter: ArbiterHandle,
    started: Instant,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    last: usize,
    open: HashMap<usize, mpsc::Sender<ToThread>>,
}

/// What a thread is told of its users.
#[derive(Debug, Clone)]
pub(super) enum ToThread {
    /// A user's comment or request was refused in this room.
    Refused(UserId, Arc<str>, Bytes),
    /// A notification: its sequence, the one before it, and its payload.
    Notice(UserId, u64, u64, Bytes),
    /// Notifications may have been missed.
    Resync,
    /// Send everyone away.
    Drain,
}

// === impl Hub ===

impl Hub {
    pub(super) fn new(
        settings: GatewaySettings,
        tokens: Tokens,
        link: Link,
        arbiter: ArbiterHandle,
        timeout: Duration,
    ) -> Self {
        Self {
            asks: Asks::new(link.clone(), timeout),
            rooms: Rooms::new(arbiter.clone()),
            arbiter,
            places: Arc::new(Places::new(&settings)),
            tally: Arc::default(),
            draining: watch::Sender::new(false),
            timeout,
            started: Instant::now(),
            threads: Mutex::default(),
            settings,
            tokens,
            link,
        }
    }

    /// Does something on the rooms' thread, which outlives those of the sockets.
    pub(super) fn spawn(&self, what: impl Future<Output = ()> + Send + 'static) {
        if !self.arbiter.spawn(what) {
            tracing::debug!("the rooms' thread has ended");
        }
    }

    /// Milliseconds since the gateway started.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn limits(&self) -> queue::Limits {
        queue::Limits {
            one: self.settings.queue_bytes,
            all: self.settings.queued_bytes,
        }
    }

    /// A new thread, and what it is told.
    pub(super) fn thread(&self) -> (usize, mpsc::Receiver<ToThread>) {
        let (tell, told) = mpsc::channel(MAILBOX);
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.open.retain(|_, tell| !tell.is_closed());
        threads.last += 1;
        let id = threads.last;
        threads.open.insert(id, tell);
        (id, told)
    }

    /// Tells every thread.
    pub(super) async fn tell_all(&self, what: &ToThread) {
        let all: Vec<_> = {
            let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            threads.open.values().cloned().collect()
        };
        for tell in all {
            // A thread that has ended has no users.
            let _ = tell.send(what.clone()).await;
        }
    }

    /// Tells the threads that serve this user.
    pub(super) async fn tell_user(&self, user: &UserId, what: ToThread) {
        for id in self.places.threads_of(user) {
            let tell = {
                let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
                threads.open.get(&id).cloned()
            };
            if let Some(tell) = tell {
                let _ = tell.send(what.clone()).await;
            }
        }
    }
}
