//! The gateway of a process put together, started, and ended in order.
//!
//! Its parts are children of the tree: `gateway/answers` and `gateway/users` take from NATS what is not a room's,
//! `gateway/server` listens. Everything waits for servers that are away; sockets are opened meanwhile, and wait.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::Arbiter;
use tokio::sync::watch;

use super::hub::{Hub, ToThread};
use super::tally::Tally;
use super::{NAME, notices, serve};
use crate::config::Settings;
use crate::live::auth::Tokens;
use crate::live::connect::Link;
use crate::live::service::{Service, Work};
use crate::supervise::{self, Child, ChildSpec, Incarnation, Tree};

/// Messages of one room, or for all users, that wait for the rooms' thread: 0.1 s at 80,000/s. Beyond them the client
/// drops, and the history heals.
const SUBSCRIPTION: usize = 8_192;
/// What answers to the gateway itself are sent to: it may read no worker's.
const INBOX: &str = "_GATEWAY";
/// Restarts of one part within a minute; one more ends the process.
const MAX_RESTARTS: u32 = 10;
/// Between two looks whether everyone has left.
const LOOK: Duration = Duration::from_millis(20);
/// What farewells take beyond the time over which they are spread.
const GRACE: Duration = Duration::from_secs(4);

/// The gateway of a process.
pub struct Gateway {
    hub: Arc<Hub>,
    addr: SocketAddr,
    parts: Vec<Child<Service>>,
    stop: watch::Sender<bool>,
    arbiter: Arbiter,
}

/// What can be seen of a gateway.
#[derive(Clone)]
pub struct GatewayStatus(Arc<Hub>);

// === impl Gateway ===

impl Gateway {
    /// Starts it. Must be called within an actix system.
    ///
    /// # Errors
    /// One sentence where the settings make none, or the address cannot be had; then nothing is left running.
    pub fn start(settings: &Settings, tree: &Arc<Tree>) -> Result<Self, String> {
        let gateway = settings
            .gateway
            .as_ref()
            .ok_or("there is no gateway: set gateway.listen")?;
        let tokens = settings
            .live
            .auth
            .as_ref()
            .ok_or("a gateway needs [live.auth]: no token can be checked")?;
        let tokens = Tokens::new(tokens).map_err(|why| why.to_string())?;
        let listener = serve::bind(gateway.listen, gateway.send_buffer)?;
        let addr = listener.local_addr().map_err(|e| e.to_string())?;
        let arbiter = Arbiter::new();
        let nats = gateway.connection(&settings.nats);
        let link = Link::open_as(&nats, &arbiter.handle(), NAME, SUBSCRIPTION, INBOX);
        let hub = Arc::new(Hub::new(
            gateway.clone(),
            tokens,
            link,
            arbiter.handle(),
            nats.timeout,
        ));
        let (stop, stopped) = watch::channel(false);
        let part = |name: &str, work: Box<dyn Fn(&Incarnation) -> Work + Send + Sync>| {
            let spec = ChildSpec {
                name: format!("{NAME}/{name}"),
                mailbox: 1,
                max_restarts: MAX_RESTARTS,
                ..ChildSpec::default()
            };
            let made = move |i: &Incarnation| Ok(Service::new(work(i), i));
            supervise::start(&arbiter.handle(), Arc::clone(tree), spec, made)
        };
        let answers = {
            let (hub, stopped) = (Arc::clone(&hub), stopped.clone());
            part(
                "answers",
                Box::new(move |incarnation| {
                    let (hub, stopped) = (Arc::clone(&hub), stopped.clone());
                    let turns = incarnation.progress.clone();
                    Box::pin(async move { hub.asks.listen(&turns, stopped).await })
                }),
            )
        };
        let users = {
            let (hub, stopped) = (Arc::clone(&hub), stopped.clone());
            part(
                "users",
                Box::new(move |incarnation| {
                    let turns = incarnation.progress.clone();
                    Box::pin(notices::run(Arc::clone(&hub), turns, stopped.clone()))
                }),
            )
        };
        let server = {
            let hub = Arc::clone(&hub);
            let listener = Arc::new(Mutex::new(Some(listener)));
            part(
                "server",
                Box::new(move |_| {
                    let first = listener
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take();
                    Box::pin(listen(Arc::clone(&hub), first, addr, stopped.clone()))
                }),
            )
        };
        tracing::info!("gateway: http://{addr}/rooms/…");
        Ok(Self {
            hub,
            addr,
            parts: vec![answers, users, server],
            stop,
            arbiter,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it has counted.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.hub.tally
    }

    /// What can be seen of it.
    pub fn status(&self) -> GatewayStatus {
        GatewayStatus(Arc::clone(&self.hub))
    }

    /// Opens no more sockets, sends everyone away over the settings' time for it, and ends every part and thread.
    pub async fn stop(self) {
        self.hub.draining.send_replace(true);
        self.hub.tell_all(&ToThread::Drain).await;
        let left = async {
            while self.hub.places.open() > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        let time = self.hub.settings.drain + GRACE;
        if tokio::time::timeout(time, left).await.is_err() {
            let n = self.hub.places.open();
            tracing::warn!("{n} sockets are cut off after {time:?}");
        }
        self.stop.send_replace(true);
        for part in &self.parts {
            part.ended().await;
        }
        self.arbiter.stop();
        let arbiter = self.arbiter;
        // A thread that panicked has said so.
        let _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
    }
}

/// Listens until it is told to stop. The first time the listener is there already; after a failure it is made anew.
async fn listen(
    hub: Arc<Hub>,
    first: Option<TcpListener>,
    addr: SocketAddr,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let listener = match first {
        Some(listener) => listener,
        None => serve::bind(addr, hub.settings.send_buffer)?,
    };
    let (server, handle) = serve::serve(&hub, listener).map_err(|e| e.to_string())?;
    let mut server = std::pin::pin!(server);
    tokio::select! {
        ended = &mut server => return Err(match ended {
            Ok(()) => "the listener has ended".to_owned(),
            Err(why) => format!("the listener has ended: {why}"),
        }),
        _ = stopped.wait_for(|stop| *stop) => {}
    }
    let ((), ended) = tokio::join!(handle.stop(true), server);
    ended.map_err(|why| why.to_string())
}

// === impl GatewayStatus ===

impl GatewayStatus {
    /// What it has counted.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.0.tally
    }

    /// Sockets that are open.
    pub fn sockets(&self) -> usize {
        self.0.places.open()
    }

    /// Rooms that are open here.
    pub fn rooms(&self) -> usize {
        self.0.rooms.count()
    }

    /// Whether the connection to NATS holds.
    pub fn connected(&self) -> bool {
        self.0.link.up()
    }
}
