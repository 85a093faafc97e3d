//! The admin address: health, metrics, what the pipelines and their actors do, and resuming a halted branch.
//!
//! | path | answer |
//! |---|---|
//! | `GET /live` | 200 while the process serves |
//! | `GET /ready` | 200 when every branch, the live lane and each of their actors is at work, else 503 with which is not, and why |
//! | `GET /metrics` | OpenMetrics text |
//! | `GET /pipelines` | every pipeline with its branches: state, tally, lag, freshness, memory, actors |
//! | `GET /rooms` | the live lane: what became of what was received, load, connections; 404 where it does not run |
//! | `GET /actors` | every supervised actor |
//! | `POST /pipelines/{pipeline}/{sink}/resume` | 200; 404 for no such branch; 409 where it is not halted |
//!
//! There is no authentication. Reading is therefore open to whoever reaches the address (it shows names,
//! numbers and reasons, no rows and no credentials), and the one request that changes something is taken only
//! from the machine itself, whatever the address listens on; what a proxy on this machine passes on counts
//! as from here. It is refused with an `Origin` header too, which every browser sends with a POST: a page
//! that an operator happens to have open must not be able to resume a branch.

mod answers;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};

use super::metrics::Exposition;
use super::view::Subject;

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
}

/// What the handlers share.
struct Shared {
    subject: Arc<dyn Subject>,
    exposition: Exposition,
}

/// Serves `subject` on `listen`, beside whatever else the present actix system does; port 0 takes any free
/// one. Branches may be started later: until then it is alive and not ready.
///
/// # Errors
/// One sentence where the address cannot be had.
pub fn serve(listen: SocketAddr, subject: Arc<dyn Subject>) -> Result<AdminServer, String> {
    let shared = shared(subject);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::clone(&shared))
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
    tracing::info!("admin address: http://{addr}/pipelines");
    Ok(AdminServer {
        addr,
        handle,
        ended,
    })
}

fn shared(subject: Arc<dyn Subject>) -> web::Data<Shared> {
    web::Data::new(Shared {
        exposition: Exposition::new(Arc::clone(&subject)),
        subject,
    })
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

// === impl AdminServer ===

impl AdminServer {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes no more requests, and waits at most a second for those under way.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        // It only ever ends by itself; a panic in it was its own.
        let _ = self.ended.await;
    }
}

#[cfg(test)]
mod tests;
