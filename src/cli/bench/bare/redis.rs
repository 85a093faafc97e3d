//! Ready-made pipelines of a compare-and-set script, one call a document, over several connections.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ::redis::aio::MultiplexedConnection;
use anyhow::{Context as _, anyhow, ensure};

use super::{Bodies, Rate};
use crate::cli::bench::records::Records;
use crate::cli::bench::specs::{Sinks, Specs};
use crate::config::Config;
use crate::event::{Batch, Body};

/// Numbers of connections that are tried.
const CONNECTIONS: [usize; 3] = [1, 2, 4];
/// Documents in a pipeline.
const DOCUMENTS: usize = 100;
/// Pipelines that one connection has on the way, so that the server never waits for the client.
const IN_FLIGHT: usize = 4;
/// Keys looked at by one SCAN.
const SCAN: usize = 5_000;

/// Writes the fields where no version, or a lower one, is there.
const SCRIPT: &str = "local v = redis.call('HGET', KEYS[1], '_v')
if v and v >= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1";

/// The bare client.
#[derive(Debug)]
pub(in crate::cli::bench) struct Redis {
    client: ::redis::Client,
    address: String,
    prefix: String,
    bodies: Bodies,
    connections: usize,
}

// === impl Redis ===

impl Redis {
    /// Makes the pipelines, and finds the best number of connections.
    ///
    /// # Errors
    /// Where the server refuses.
    pub(super) async fn prepare(
        specs: &Specs,
        config: &Arc<Config>,
        records: &Records,
    ) -> anyhow::Result<Self> {
        let url = &config.settings.redis.url;
        let client = client(config)?;
        let mut connection = connect(&client).await?;
        let sha: String = ::redis::cmd("SCRIPT")
            .arg("LOAD")
            .arg(SCRIPT)
            .query_async(&mut connection)
            .await
            .context("Redis does not take the bare client's script")?;
        let (from, records) = (Arc::clone(config), records.clone());
        let names = [Sinks::Redis, Sinks::Both].map(|sinks| specs.pipeline(sinks));
        let prefix = format!("{}-limit:", specs.unique);
        let keys = prefix.clone();
        let made = tokio::task::spawn_blocking(move || {
            let pipeline = from
                .pipelines
                .iter()
                .find(|p| names.contains(&p.name))
                .context("no pipeline into Redis")?;
            // The last sink of a pipeline into both is Redis.
            let mut pipeline = pipeline.clone();
            pipeline
                .sinks
                .drain(..pipeline.sinks.len().saturating_sub(1));
            let encode = |batch: &Batch, out: &mut Vec<u8>| encode(batch, &sha, &keys, out);
            Bodies::make(&from, &pipeline, &records, DOCUMENTS, &encode)
        });
        let mut bare = Self {
            client,
            address: url
                .trim_start_matches("redis://")
                .split('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
            prefix,
            bodies: made.await??,
            connections: 1,
        };
        let sample = bare.bodies.sample();
        let mut best = 0.0;
        for connections in CONNECTIONS {
            let rate = bare.send(&sample, connections).await?.per_second();
            if rate > best {
                (best, bare.connections) = (rate, connections);
            }
        }
        Ok(bare)
    }

    /// Sends everything over the best number of connections.
    ///
    /// # Errors
    /// Where the server refuses.
    pub(super) async fn run(&mut self) -> anyhow::Result<Rate> {
        let (bodies, connections) = (self.bodies.clone(), self.connections);
        self.send(&bodies, connections).await
    }

    async fn send(&self, bodies: &Bodies, connections: usize) -> anyhow::Result<Rate> {
        let begin = Instant::now();
        let next = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..connections)
            .map(|_| {
                let (bodies, next) = (bodies.clone(), Arc::clone(&next));
                let address = self.address.clone();
                tokio::task::spawn_blocking(move || one(&address, &bodies, &next))
            })
            .collect();
        for thread in threads {
            thread.await??;
        }
        let seconds = begin.elapsed().as_secs_f64();
        // The next run must find no version of this one.
        remove(&self.client, &self.prefix).await?;
        Ok(Rate {
            documents: bodies.documents(),
            seconds,
            connections,
        })
    }

    /// Removes every key whose name holds `unique`, and the script of the bare client.
    ///
    /// # Errors
    /// Where the server refuses.
    pub(in crate::cli::bench) async fn remove(config: &Config, unique: &str) -> anyhow::Result<()> {
        remove(&client(config)?, unique).await
    }
}

fn client(config: &Config) -> anyhow::Result<::redis::Client> {
    ::redis::Client::open(config.settings.redis.url.as_str())
        .map_err(|e| anyhow!("the stack's address of Redis: {e}"))
}

async fn connect(client: &::redis::Client) -> anyhow::Result<MultiplexedConnection> {
    client
        .get_multiplexed_async_connection()
        .await
        .context("cannot reach Redis")
}

async fn remove(client: &::redis::Client, unique: &str) -> anyhow::Result<()> {
    let mut connection = connect(client).await?;
    let mut cursor = 0_u64;
    loop {
        let (next, keys): (u64, Vec<String>) = ::redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(format!("*{unique}*"))
            .arg("COUNT")
            .arg(SCAN)
            .query_async(&mut connection)
            .await?;
        if !keys.is_empty() {
            let _: u64 = ::redis::cmd("UNLINK")
                .arg(&keys)
                .query_async(&mut connection)
                .await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// Sends the bodies that come to it, and reads an answer for each of their documents. Blocks.
fn one(address: &str, bodies: &Bodies, next: &AtomicUsize) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).context("cannot reach Redis")?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 1 << 16];
    let mut waiting = std::collections::VecDeque::with_capacity(IN_FLIGHT);
    loop {
        let body = bodies.0.get(next.fetch_add(1, Ordering::Relaxed));
        if let Some(body) = body {
            stream.write_all(&body.bytes)?;
            waiting.push_back(body.documents);
        }
        if waiting.len() >= IN_FLIGHT || body.is_none() {
            let Some(documents) = waiting.pop_front() else {
                return Ok(());
            };
            answers(&mut stream, documents, &mut buffer)?;
        }
    }
}

/// Each answer is `:0` or `:1` and the line's end.
fn answers(stream: &mut TcpStream, documents: usize, buffer: &mut [u8]) -> anyhow::Result<()> {
    let mut left = documents * 4;
    while left > 0 {
        let most = left.min(buffer.len());
        let got = stream.read(buffer.get_mut(..most).unwrap_or_default())?;
        ensure!(got > 0, "Redis closed the connection");
        let text = buffer.get(..got).unwrap_or_default();
        ensure!(
            !text.contains(&b'-'),
            "Redis does not take the documents of the limit: {}",
            String::from_utf8_lossy(text.get(..200).unwrap_or(text))
        );
        left -= got;
    }
    Ok(())
}

fn encode(batch: &Batch, sha: &str, prefix: &str, out: &mut Vec<u8>) {
    for write in batch.writes() {
        let Body::Fields(fields) = batch.body(write) else {
            continue;
        };
        let fields = batch.fields(*fields);
        let id = batch.id(write);
        let id = id.rsplit(':').next().unwrap_or(id);
        // Writing into memory cannot fail.
        let _ = write!(out, "*{}\r\n", 6 + 2 * fields.len());
        for word in ["EVALSHA", sha, "1", &format!("{prefix}{id}"), "_v"] {
            bulk(out, word.as_bytes());
        }
        bulk(out, write.version.padded().to_string().as_bytes());
        for (name, value) in fields {
            bulk(out, name);
            bulk(out, value);
        }
    }
}

fn bulk(out: &mut Vec<u8>, text: &[u8]) {
    let _ = write!(out, "${}\r\n", text.len());
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bulk_string_says_its_length() {
        let mut out = Vec::new();
        bulk(&mut out, "é".as_bytes());
        assert_eq!(out, "$2\r\né\r\n".as_bytes());
    }
}
