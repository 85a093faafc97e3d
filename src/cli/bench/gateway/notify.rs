//! Notifications at a fixed rate, over connections that are kept, to users whose sockets are open.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::sockets::user;
use crate::cli::bench::live::pace::{Pace, micros, whole};

/// Connections of the service: each has one request under way.
const CONNECTIONS: usize = 256;
/// Requests that wait for a connection.
const WAITING: usize = 64 << 10;

/// What came of it.
#[derive(Debug)]
pub(super) struct Told {
    /// From when a request was due to its answer, in microseconds.
    pub(super) latency: Histogram<u64>,
    pub(super) lag: Histogram<u64>,
    /// Requests that were answered with 201.
    pub(super) stored: u64,
    /// Requests that were answered otherwise.
    pub(super) failed: u64,
    /// Answers a second.
    pub(super) per_second: f64,
}

/// Sends for so long.
///
/// # Errors
/// Where a connection is lost.
pub(super) async fn run(
    addr: SocketAddr,
    key: &str,
    sockets: usize,
    rate: u32,
    length: Duration,
) -> anyhow::Result<Told> {
    let pace = Pace {
        origin: Instant::now() + Duration::from_millis(500),
        rate,
        warm_up: Duration::ZERO,
        end: length,
    };
    let (put, taken) = mpsc::channel::<(u64, Duration)>(WAITING);
    let taken = Arc::new(tokio::sync::Mutex::new(taken));
    let told = Arc::new(Mutex::new(Told {
        latency: micros()?,
        lag: micros()?,
        stored: 0,
        failed: 0,
        per_second: 0.0,
    }));
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (taken, told, key) = (Arc::clone(&taken), Arc::clone(&told), key.to_owned());
        tasks.push(tokio::spawn(async move {
            loop {
                let next = taken.lock().await.recv().await;
                let Some((n, due)) = next else {
                    return anyhow::Ok(());
                };
                let stored = send(&mut stream, addr, &key, n, sockets).await?;
                let late = pace.origin.elapsed().saturating_sub(due);
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                told.latency.saturating_record(whole(late));
                if stored {
                    told.stored += 1;
                } else {
                    told.failed += 1;
                }
            }
        }));
    }
    let paced = pace.keep(move |n, due| {
        put.blocking_send((n, due))
            .context("every connection was lost")
    });
    let paced = paced.await?;
    for task in tasks {
        task.await??;
    }
    let seconds = pace.origin.elapsed().as_secs_f64();
    let told = Arc::into_inner(told).context("a connection is still at work")?;
    let told = told.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(told.stored > 0, "no notification was stored");
    Ok(Told {
        lag: paced.lag,
        per_second: (told.stored + told.failed) as f64 / seconds,
        ..told
    })
}

/// One request; whether it was stored.
async fn send(
    stream: &mut TcpStream,
    addr: SocketAddr,
    key: &str,
    n: u64,
    sockets: usize,
) -> anyhow::Result<bool> {
    let to = usize::try_from(n).unwrap_or(0) % sockets.max(1);
    let body = format!(
        r#"{{"user":"{}","payload":{{"title":"live now","room":"demo","n":{n}}}}}"#,
        user("idle", to)
    );
    let request = format!(
        "POST /v1/notifications HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(512);
    loop {
        ensure!(
            stream.read_buf(&mut answer).await? > 0,
            "the connection was closed"
        );
        let Some(head) = memchr::memmem::find(&answer, b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(&answer[..head]).context("an answer's head")?;
        let length = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, n)| n.trim().parse::<usize>().ok())
            .context("an answer without a length")?;
        if answer.len() >= head + 4 + length {
            return Ok(text.starts_with("HTTP/1.1 201"));
        }
    }
}
