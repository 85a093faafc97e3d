//! The live lane of a process put together: the streams made, the rooms opened, comments taken, and users let in
//! where the settings say how.
//!
//! Everything waits for servers that are away, each part for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::Arbiter;
use async_nats::jetstream;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::auth::{Callout, CalloutError, Tokens, serve};
use super::connect::Link;
use super::lane::{LiveLane, LiveStatus, child};
use super::names::RoomId;
use super::outbox::Outbox;
use super::room::{Outlet, Parts, Rooms};
use super::service::{Service, Work};
use super::streams;
use super::wire::Entry;
use crate::config::{LiveSpec, Settings};
use crate::supervise::{self, Child, Incarnation, Tree};

/// Answers that wait for one of these connections' threads: a moderator's, and the server's.
const ANSWERS: usize = 1_024;

/// The live lane of a process.
pub struct Live {
    lane: LiveLane,
    rooms: Rooms,
    callout: Option<Arc<Callout>>,
    streams: Arc<AtomicBool>,
    beside: Vec<Child<Service>>,
    stop: watch::Sender<bool>,
    arbiter: Arbiter,
}

/// What the rooms reach NATS by.
struct Way {
    link: Link,
    outbox: Outbox,
}

// === impl Live ===

impl Live {
    /// Starts it. Must be called within an actix system. Servers that are away are waited for.
    ///
    /// # Errors
    /// One sentence where the settings, the spec or the keywords' file make no lane; then nothing is left running.
    pub fn start(
        settings: &Settings,
        spec: &Arc<LiveSpec>,
        tree: &Arc<Tree>,
    ) -> Result<Self, String> {
        let callout = match (&settings.live.auth, &settings.live.callout) {
            (Some(tokens), Some(callout)) => {
                let tokens = Tokens::new(tokens).map_err(|why| why.to_string())?;
                let answers = Callout::new(callout, tokens).map_err(|why| why.to_string())?;
                Some((callout, Arc::new(answers)))
            }
            (_, None) | (None, Some(_)) => None,
        };
        let arbiter = Arbiter::new();
        let link = Link::open(&settings.nats, &arbiter.handle(), "rooms", ANSWERS);
        let rooms = Rooms::start(Parts {
            spec: Arc::clone(spec),
            redis: settings.redis.clone(),
            outlet: Arc::new(Way {
                outbox: Outbox::new(link.clone()),
                link: link.clone(),
            }),
            tree: Arc::clone(tree),
            shutdown: settings.shutdown,
        });
        let rooms = match rooms {
            Ok(rooms) => rooms,
            Err(why) => {
                arbiter.stop();
                return Err(why);
            }
        };
        let (stop, stopped) = watch::channel(false);
        let workers = link.clone();
        let streams = Arc::new(AtomicBool::new(false));
        let mut beside = vec![{
            let (link, spec) = (link, Arc::clone(spec));
            let streams = Arc::clone(&streams);
            let work = move || -> Work {
                Box::pin(keep_streams(
                    link.clone(),
                    Arc::clone(&spec),
                    Arc::clone(&streams),
                ))
            };
            service(&arbiter, tree, "streams", work)
        }];
        if let Some((asked, callout)) = &callout {
            let asked = asked.connection(&settings.nats);
            let link = Link::open(&asked, &arbiter.handle(), "callout", ANSWERS);
            let worker = workers;
            let callout = Arc::clone(callout);
            let work = move || -> Work {
                Box::pin(let_users_in(
                    worker.clone(),
                    link.clone(),
                    Arc::clone(&callout),
                    stopped.clone(),
                ))
            };
            beside.push(service(&arbiter, tree, "callout", work));
        }
        let lane = LiveLane::start(&settings.nats, spec, rooms.clone(), settings.shutdown, tree);
        Ok(Self {
            lane,
            rooms,
            callout: callout.map(|(_, callout)| callout),
            streams,
            beside,
            stop,
            arbiter,
        })
    }

    /// What can be seen of what comes in.
    pub fn status(&self) -> &Arc<LiveStatus> {
        self.lane.status()
    }

    /// The rooms.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Whether the streams were what the spec says when they were looked at last, after each connect.
    pub fn streams(&self) -> &Arc<AtomicBool> {
        &self.streams
    }

    /// Who lets users in, where this process does.
    pub fn callout(&self) -> Option<&Arc<Callout>> {
        self.callout.as_ref()
    }

    /// Lets nobody in any more, takes no more, sees through what is in hand within the settings' shutdown
    /// deadline, and ends every part and thread.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.lane.stop().await;
        for child in &self.beside {
            child.stop();
            child.ended().await;
        }
        self.arbiter.stop();
        let arbiter = self.arbiter;
        // A thread that panicked has said so.
        let _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
    }
}

fn service(
    arbiter: &Arbiter,
    tree: &Arc<Tree>,
    part: &str,
    work: impl Fn() -> Work + Send + Sync + 'static,
) -> Child<Service> {
    let made = move |i: &Incarnation| Ok(Service::new(work(), i));
    supervise::start(&arbiter.handle(), Arc::clone(tree), child(part), made)
}

/// Makes the streams what the spec says, after each connect: a server may come back without its data. Its supervisor
/// ends it.
async fn keep_streams(
    link: Link,
    spec: Arc<LiveSpec>,
    made: Arc<AtomicBool>,
) -> Result<(), String> {
    loop {
        let conn = link.connected().await;
        let apply = async {
            let applied = streams::apply(&conn.js, &spec).await;
            let applied = applied.map_err(|why| why.to_string())?;
            if !applied.is_unchanged() {
                tracing::info!("streams: {:?}", applied.0);
            }
            made.store(true, Ordering::Relaxed);
            std::future::pending().await
        };
        tokio::select! {
            refused = apply => return refused,
            () = link.lost(conn.epoch) => made.store(false, Ordering::Relaxed),
        }
    }
}

/// Answers the server's questions about users, over every reconnect, until told to stop.
async fn let_users_in(
    worker: Link,
    link: Link,
    callout: Arc<Callout>,
    stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    while !*stopped.borrow() {
        let mut ending = stopped.clone();
        let both = async { (worker.connected().await, link.connected().await) };
        let (of_workers, conn) = tokio::select! {
            both = both => both,
            _ = ending.wait_for(|stop| *stop) => return Ok(()),
        };
        let told = async move {
            let _ = ending.wait_for(|stop| *stop).await;
        };
        match serve(&of_workers.client, conn.client, Arc::clone(&callout), told).await {
            Ok(()) => {}
            // The link makes another client.
            Err(CalloutError::Closed) => link.lost(conn.epoch).await,
            Err(why) => return Err(why.to_string()),
        }
    }
    Ok(())
}

// === impl Way ===

impl Outlet for Way {
    fn publish<'a>(
        &'a self,
        room: &'a RoomId,
        entry: &'a Entry,
        msg_id: &'a str,
    ) -> BoxFuture<'a, Result<u64, String>> {
        async move {
            let stored = self.outbox.publish(room, entry, msg_id).await;
            stored.map(|s| s.sequence).map_err(|why| why.to_string())
        }
        .boxed()
    }

    fn connection(&self) -> BoxFuture<'_, jetstream::Context> {
        async { self.link.connected().await.js }.boxed()
    }
}
