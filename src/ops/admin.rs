//! The admin address: health, metrics, what the pipelines and their actors do, and resuming a halted branch.
//!
//! | path | answer |
//! |---|---|
//! | `GET /` | a page for operators that shows all of this, and asks again every two seconds |
//! | `GET /live` | 200 while the process serves |
//! | `GET /ready` | 200 when every branch and each of its actors, and the live lane where it runs, is at work (a paused branch is as it should be), else 503 with which is not, and why |
//! | `GET /metrics` | OpenMetrics text |
//! | `GET /process` | which process this is, and since when |
//! | `GET /pipelines` | every pipeline with its branches: state, tally, rates, lag, freshness, memory, actors |
//! | `GET /groups` | the branches' consumer groups: every member, of all processes, and its partitions |
//! | `GET /actors` | the supervision tree: state, since when, restarts, last exit, queue, progress |
//! | `GET /rooms` | the live lane: what became of what it received, by class and by room; 404 where there is none |
//! | `GET /gateway` | the gateway: sockets, rooms, what was sent, delivered and shed by class; 404 where there is none |
//! | `GET /settings` | every setting with where it was written; no secret |
//! | `GET /dead?topic=&reason=&limit=` | dead letters by topic and reason, and the last replay; with the token in the sinks' words |
//! | `GET /dead/{topic}/{letter}` | with the token: one letter, without what its pipelines mask or omit |
//! | `POST /dead/{topic}/{letter}/replay` | with the token: replays it. 200 with what became of it, 202 where it takes longer (`GET /dead` says how far it is), 409 while another replay is under way |
//! | `POST /dead/{topic}/replay?reason=&pipeline=&sink=` | the same of all such letters; of really all with `?all=true` |
//! | `POST /pipelines/{pipeline}/{sink}/pause` | with the token: 200; 404 for no such branch; 409 where it is paused or halted |
//! | `POST /pipelines/{pipeline}/{sink}/resume` | with the token: 200; 404; 409 where it is neither halted nor paused |
//! | `POST /actors/{id}/restart` | with the token: 202; 404 for no such child; 409 where it has ended |
//! | `POST /reload` | with the token: 200 with what became of each branch, once those that leave have; 422 with each problem, and nothing has changed; 409 while others wait |
//! | `POST /pipelines/{pipeline}/{sink}/rewind` | with the token: 200 once the offsets are committed; 409 where it is refused |
//! | `GET /audit` | with the token: the last actions, the newest first |
//! | `GET /chaos`, `POST /chaos`, `DELETE /chaos` | with the token, and `--chaos`: failures on demand |
//!
//! Reading is open to whoever reaches the address where it shows names, numbers and reasons; rows, and who did what, are
//! shown with the token alone, and credentials never. What changes something carries the token of `admin.token` as
//! `Authorization: Bearer …`, and is noted in the audit log before it is done: where that cannot be written the answer is
//! 503, and nothing is done. Without a configured token it is refused. All of it is refused with the `Origin` of another
//! page, which every browser sends with a POST: a page that an operator happens to have open must not be able to change
//! anything. The operator's own page may, with the token.

mod actions;
mod answers;
mod chaos;
mod dead;
mod page;
mod permit;
mod steer;

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};

use super::audit::Audit;
use super::dead::Desk;
use super::metrics::Exposition;
use super::rates::{self, Rates};
use super::view::Subject;
use crate::config::{Secret, Settings, ShownSetting};

/// Scrapes and probes come every few seconds and take about a millisecond.
const WORKERS: usize = 1;
/// A few scrapers, probes and operators; each connection may hold 128 KiB of request head (actix-http's
/// own limit), so 8 MiB at the worst. More wait in the listener's queue.
const CONNECTIONS: usize = 64;
/// A request's head must have come by then: nobody types it, and an idle connection holds a place. It is
/// actix-web's default.
const HEAD: Duration = Duration::from_secs(5);
/// Longer than nothing, since probes come again; shorter than a scrape interval. It is actix-web's default.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// What a stop waits for answers under way, in seconds: they take milliseconds.
const STOP: u64 = 1;

/// The server behind the admin address.
#[derive(Debug)]
pub struct AdminServer {
    addr: SocketAddr,
    handle: ServerHandle,
    ended: tokio::task::JoinHandle<()>,
    shared: web::Data<Shared>,
    looking: tokio::task::JoinHandle<()>,
}

/// What the handlers share.
struct Shared {
    subject: Arc<dyn Subject>,
    exposition: Exposition,
    settings: Arc<Settings>,
    shown: Vec<ShownSetting>,
    audit: Arc<Audit>,
    desk: Desk,
    rates: Rates,
    started: Instant,
}

/// Serves `subject` where the settings say, beside whatever else the present actix system does; port 0 takes any
/// free one. Branches may be started later: until then it is alive and not ready. `shown` are the settings as the page
/// has them.
///
/// # Errors
/// One sentence where the address cannot be had.
pub fn serve(
    settings: &Arc<Settings>,
    subject: Arc<dyn Subject>,
    shown: Vec<ShownSetting>,
) -> Result<AdminServer, String> {
    let listen = settings.admin.listen;
    let shared = shared(settings, subject, shown)?;
    let to_serve = shared.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::clone(&to_serve))
            .configure(answers::routes)
    })
    .workers(WORKERS)
    .worker_max_blocking_threads(1)
    .max_connections(CONNECTIONS)
    .client_request_timeout(HEAD)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(STOP)
    // Ctrl-C stops the lane, and the lane stops this.
    .disable_signals()
    .bind(listen)
    .map_err(|e| refused(listen, &e))?;
    let addr = server.addrs().first().copied().unwrap_or(listen);
    let server = server.run();
    let handle = server.handle();
    let ended = actix::spawn(async move {
        if let Err(e) = server.await {
            tracing::error!(%addr, "the admin address is not served any more: {e}");
        }
    });
    tracing::info!("admin address: http://{addr}/");
    let to_look_at = shared.clone();
    let looking = actix::spawn(async move {
        let mut tick = tokio::time::interval(rates::EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            to_look_at.rates.look(&*to_look_at.subject);
        }
    });
    Ok(AdminServer {
        addr,
        handle,
        ended,
        shared,
        looking,
    })
}

fn shared(
    settings: &Arc<Settings>,
    subject: Arc<dyn Subject>,
    shown: Vec<ShownSetting>,
) -> Result<web::Data<Shared>, String> {
    Ok(web::Data::new(Shared {
        exposition: Exposition::new(Arc::clone(&subject)),
        audit: Audit::new(settings.admin.audit_file.clone()),
        desk: Desk::open(Arc::clone(settings), Arc::clone(&subject))?,
        rates: Rates::default(),
        settings: Arc::clone(settings),
        subject,
        shown,
        started: Instant::now(),
    }))
}

fn refused(listen: SocketAddr, error: &std::io::Error) -> String {
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => {
            "another process has it (another twolane?): stop that one, or give this one another port"
        }
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address: give one that it has, such as 127.0.0.1"
        }
        ErrorKind::PermissionDenied => "ports below 1024 are for root: give a higher one",
        _ => "give an address that this process may listen on",
    };
    format!("admin.listen = \"{listen}\" cannot be had ({error}): {remedy}")
}

// === impl Shared ===

impl Shared {
    /// What a request must carry that changes something.
    fn token(&self) -> Option<&Secret> {
        self.settings.admin.token.as_ref()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

// === impl AdminServer ===

impl AdminServer {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes no more requests, and waits at most a second for those under way.
    pub async fn stop(self) {
        self.looking.abort();
        self.handle.stop(true).await;
        self.shared.desk.close().await;
        // It only ever ends by itself; a panic in it was its own.
        let _ = self.ended.await;
    }
}

#[cfg(test)]
mod tests;
