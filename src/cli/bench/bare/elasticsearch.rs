//! Ready-made `_bulk` bodies with external versions, over several connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use reqwest::{Client, Method, StatusCode};

use super::{Bodies, Rate};
use crate::cli::bench::records::{INDEX, Records};
use crate::cli::bench::specs::{Sinks, Specs};
use crate::config::{Config, SinkKind};
use crate::event::{Batch, Body};

/// Numbers of connections that are tried.
const CONNECTIONS: [usize; 3] = [2, 4, 8];
/// How long one request may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The bare client.
#[derive(Debug)]
pub(in crate::cli::bench) struct Elasticsearch {
    client: Client,
    base: String,
    index: String,
    bodies: Bodies,
    connections: usize,
    runs: usize,
}

// === impl Elasticsearch ===

impl Elasticsearch {
    /// Makes the bodies, as large as the lane's own, and finds the best number of connections, which also
    /// warms the server up.
    ///
    /// # Errors
    /// Where the server refuses.
    pub(super) async fn prepare(
        specs: &Specs,
        config: &Arc<Config>,
        records: &Records,
    ) -> anyhow::Result<Self> {
        let (from, records) = (Arc::clone(config), records.clone());
        let names = [Sinks::Elasticsearch, Sinks::Both].map(|sinks| specs.pipeline(sinks));
        let made = tokio::task::spawn_blocking(move || {
            let pipeline = from
                .pipelines
                .iter()
                .find(|p| names.contains(&p.name))
                .context("no pipeline into Elasticsearch")?;
            let per_body = pipeline
                .sinks
                .iter()
                .find(|s| matches!(s.kind, SinkKind::Elasticsearch(_)))
                .map_or(1, |s| s.batch_documents);
            Bodies::make(&from, pipeline, &records, per_body, &encode)
        });
        let mut client = Self {
            client: Client::builder()
                .timeout(TIMEOUT)
                // The server is on this machine: a proxy meant for the internet would not find it.
                .no_proxy()
                .tcp_nodelay(true)
                .build()
                .context("cannot make an HTTP client")?,
            base: config
                .settings
                .elasticsearch
                .url
                .trim_end_matches('/')
                .to_owned(),
            index: format!("{}-limit", specs.unique),
            bodies: made.await??,
            connections: 1,
            runs: 0,
        };
        let sample = client.bodies.sample();
        let mut best = 0.0;
        for connections in CONNECTIONS {
            let rate = client.send(&sample, connections).await?.per_second();
            if rate > best {
                (best, client.connections) = (rate, connections);
            }
        }
        Ok(client)
    }

    /// Sends everything over the best number of connections, into an index of its own.
    ///
    /// # Errors
    /// Where the server refuses.
    pub(super) async fn run(&mut self) -> anyhow::Result<Rate> {
        let (bodies, connections) = (self.bodies.clone(), self.connections);
        self.send(&bodies, connections).await
    }

    async fn send(&mut self, bodies: &Bodies, connections: usize) -> anyhow::Result<Rate> {
        self.runs += 1;
        let index = format!("{}-{}", self.index, self.runs);
        let url = format!("{}/{index}", self.base);
        self.ask(Method::PUT, &url, INDEX.as_bytes().into()).await?;
        let next = AtomicUsize::new(0);
        let bulk = format!("{url}/_bulk?filter_path=error,items.*.error.type");
        let begin = Instant::now();
        let one = || async {
            while let Some(body) = bodies.0.get(next.fetch_add(1, Ordering::Relaxed)) {
                let answer = self.ask(Method::POST, &bulk, body.bytes.clone()).await?;
                // Two bodies with changes of one document may arrive the other way round.
                let conflicts = count(&answer, b"version_conflict_engine_exception");
                ensure!(
                    count(&answer, b"\"type\"") == conflicts,
                    "Elasticsearch does not take the documents of the limit: {}",
                    String::from_utf8_lossy(answer.get(..300).unwrap_or(&answer))
                );
            }
            Ok(())
        };
        try_join_all((0..connections).map(|_| one())).await?;
        let seconds = begin.elapsed().as_secs_f64();
        self.ask(Method::DELETE, &url, bytes::Bytes::new()).await?;
        Ok(Rate {
            documents: bodies.documents(),
            seconds,
            connections,
        })
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        body: bytes::Bytes,
    ) -> anyhow::Result<bytes::Bytes> {
        let response = self
            .client
            .request(method, url)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .with_context(|| format!("cannot reach {}", self.base))?;
        let status = response.status();
        let answer = response.bytes().await.context("an answer cut off")?;
        ensure!(
            status == StatusCode::OK,
            "{url}: {status}: {}",
            crate::cli::demo::http::complaint(&answer)
        );
        Ok(answer)
    }

    /// Removes the indices whose names begin so.
    ///
    /// # Errors
    /// Where the server refuses.
    pub(in crate::cli::bench) async fn remove(
        config: &Config,
        names: &[String],
    ) -> anyhow::Result<()> {
        let base = config.settings.elasticsearch.url.trim_end_matches('/');
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        for name in names {
            let response = client.delete(format!("{base}/{name}")).send().await?;
            let status = response.status();
            // A branch that did not come far enough has made none.
            ensure!(
                status == StatusCode::OK || status == StatusCode::NOT_FOUND,
                "the index {name} is not removed: {status}"
            );
        }
        Ok(())
    }
}

fn count(text: &[u8], word: &[u8]) -> usize {
    memchr::memmem::find_iter(text, word).count()
}

fn encode(batch: &Batch, out: &mut Vec<u8>) {
    for write in batch.writes() {
        let Body::Json(document) = batch.body(write) else {
            continue;
        };
        out.extend_from_slice(br#"{"index":{"_id":""#);
        // The bench's ids are numbers.
        out.extend_from_slice(batch.id(write).as_bytes());
        out.extend_from_slice(br#"","version":"#);
        out.extend_from_slice(itoa::Buffer::new().format(write.version.get()).as_bytes());
        out.extend_from_slice(b",\"version_type\":\"external\"}}\n");
        out.extend_from_slice(batch.slice(*document));
        out.push(b'\n');
    }
}
