//! The HTTP ingest: services, and the app's backend for behaviour events, send events by `POST /v1/events/{topic}`.
//!
//! Promises: 202 means that Kafka has acknowledged every event of the request; a request with an event that is
//! refused is refused as a whole, before any of it is sent, with the line, the field and the remedy of each; a
//! request that was not acknowledged in time is answered with 503 and the lines that may be there or not. What
//! is held is bounded: bodies by `produce.queue_bytes`, records by the producer's own queue; beyond that a client
//! hears 503 and `Retry-After`. A stop takes no new request, and answers those under way.
//!
//! Rates are counted in this process: a client gets `ingest.rate` of each process that it reaches. Redis, where
//! the live lane counts, would make the ingest depend on a server that it has no other use for, and what the
//! rate protects (this process's queue) is this process's own.
//!
//! It never logs or repeats what an event holds, and no key.

mod answer;
mod api;
mod body;
mod clients;
mod events;
mod openapi;
mod stats;
mod topics;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use tokio::sync::Semaphore;

pub use self::openapi::document;
pub use self::stats::{Snapshot, Stats, Turned};

use self::clients::Clients;
use self::topics::Topics;
use super::{Limits, Producer};
use crate::config::{IngestSettings, Settings, TopicSpec};

/// What `twolane run` calls it.
pub const NAME: &str = "ingest";

/// Its work is checking JSON, which one core does at tens of thousands of events a second; the others are the
/// lane's.
const WORKERS: usize = 2;
/// Of each worker. A client keeps a few connections; each may hold 128 KiB of request head (actix-http's own
/// limit).
const CONNECTIONS: usize = 1_024;
/// A request's head must have come by then: a client has it ready.
const HEAD: Duration = Duration::from_secs(5);
/// Longer than clients usually pause between two batches.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Requests come one by one, and each waits: half of what Java's producer waits for company.
const LINGER: Duration = Duration::from_millis(2);

/// The ingest at work.
pub struct Ingest {
    addr: SocketAddr,
    handle: ServerHandle,
    ended: tokio::task::JoinHandle<()>,
    shared: web::Data<Shared>,
}

/// What the handlers share.
struct Shared {
    settings: IngestSettings,
    clients: Door,
    topics: Topics,
    producer: Arc<Producer>,
    /// Bytes of bodies that may be held.
    room: Semaphore,
    stats: Arc<Stats>,
}

/// Who may send, and how much, for as long as nobody says otherwise. Clones are the same one.
#[derive(Clone)]
pub struct Door(Arc<RwLock<Arc<Clients>>>);

// === impl Door ===

impl Door {
    fn new(clients: Clients) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(clients))))
    }

    fn now(&self) -> Arc<Clients> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From the next request on, the clients and the rate of these settings; nothing else of them.
    pub fn take_over(&self, settings: &IngestSettings) {
        let mut clients = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *clients = Arc::new(clients.followed_by(settings));
    }
}

// === impl Ingest ===

impl Ingest {
    /// Serves where the settings say, beside whatever else the present actix system does; port 0 takes any free
    /// one. Kafka is reached for, and not waited for: until it is there requests are answered with 503.
    ///
    /// # Errors
    /// One sentence where the address cannot be had, or the settings make no producer.
    pub fn start(
        settings: &Arc<Settings>,
        ingest: &IngestSettings,
        specs: &[Arc<TopicSpec>],
    ) -> Result<Self, String> {
        let limits = Limits {
            bytes: settings.produce.queue_bytes,
            records: settings.produce.queue_records,
            linger: LINGER,
            delivery: ingest.timeout,
        };
        let producer = Producer::new(&settings.kafka, limits)
            .map_err(|e| format!("the settings under [kafka] make no producer: {e}"))?;
        let producer = Arc::new(producer);
        let shared = web::Data::new(Shared {
            clients: Door::new(Clients::new(ingest)),
            topics: Topics::new(settings, specs, &producer),
            room: Semaphore::new(
                settings
                    .produce
                    .queue_bytes
                    .max(body::held(ingest.max_body)),
            ),
            stats: Arc::default(),
            settings: ingest.clone(),
            producer,
        });
        let served = web::Data::clone(&shared);
        let listen = ingest.listen;
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::clone(&served))
                .configure(api::routes)
        })
        .workers(WORKERS)
        .max_connections(CONNECTIONS)
        .client_request_timeout(HEAD)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(settings.shutdown.as_secs().max(1))
        // Ctrl-C stops the process' lanes, and they stop this.
        .disable_signals()
        .bind(listen)
        .map_err(|e| format!("ingest.listen = \"{listen}\" cannot be had: {e}"))?;
        let addr = server.addrs().first().copied().unwrap_or(listen);
        let server = server.run();
        let handle = server.handle();
        let ended = actix::spawn(async move {
            if let Err(e) = server.await {
                tracing::error!(%addr, "the ingest is not served any more: {e}");
            }
        });
        tracing::info!("ingest: http://{addr}/v1/openapi.json");
        Ok(Self {
            addr,
            handle,
            ended,
            shared,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its clients, to be followed by others.
    pub fn door(&self) -> &Door {
        &self.shared.clients
    }

    /// What it did so far.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.shared.stats
    }

    /// Takes no more requests, answers those under way, and waits for what is on its way to Kafka: each for at most
    /// the settings' shutdown deadline and `ingest.timeout`.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        // It only ever ends by itself; a panic in it was its own.
        let _ = self.ended.await;
        let idle = self.shared.producer.idle();
        if tokio::time::timeout(self.shared.settings.timeout, idle)
            .await
            .is_err()
        {
            tracing::warn!(
                "the ingest ends while Kafka has not acknowledged everything; no client was told that it has"
            );
        }
    }
}
