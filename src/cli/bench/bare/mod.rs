//! The limit: clients that do nothing but send what was made ready before, and look whether it was taken.
//!
//! They send the very documents that the lane writes, made by the lane's own decoder and projection, with
//! the same versions, each document for itself: nothing is coalesced.

mod elasticsearch;
mod redis;

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;

use super::records::Records;
use super::specs::{Sinks, Specs};
use crate::config::{Config, PipelineSpec};
use crate::decode;
use crate::event::partition::predicted_partition;
use crate::event::{Batch, Changes, Headers, Origin, Position, Record, Version};
use crate::sink::registry;

pub(super) use self::elasticsearch::Elasticsearch;
pub(super) use self::redis::Redis;

/// Records that are made ready at the most: they lie in memory twice, once for each sink, at about 1 GB a
/// million of 750 bytes.
const MOST: u64 = 1_000_000;
/// One record in this many is sent to find the best number of connections.
const SAMPLE: usize = 10;

/// A body and the documents in it.
#[derive(Debug, Clone)]
struct Ready {
    bytes: Bytes,
    documents: usize,
}

/// Bodies in the order in which they are sent.
#[derive(Debug, Clone, Default)]
struct Bodies(Arc<[Ready]>);

/// What a bare client took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// Documents.
    pub(super) documents: usize,
    /// Seconds.
    pub(super) seconds: f64,
    /// Connections.
    pub(super) connections: usize,
}

/// Appends one document's request to a body.
type Encode<'e> = dyn Fn(&Batch, &mut Vec<u8>) + 'e;

// === impl Rate ===

impl Rate {
    /// Documents a second.
    pub(super) fn per_second(&self) -> f64 {
        self.documents as f64 / self.seconds.max(1e-9)
    }
}

// === impl Bodies ===

impl Bodies {
    /// The first part of them.
    fn sample(&self) -> Self {
        let some = (self.0.len() / SAMPLE).max(1).min(self.0.len());
        Self(self.0.get(..some).unwrap_or_default().into())
    }

    fn documents(&self) -> usize {
        self.0.iter().map(|b| b.documents).sum()
    }

    /// Bodies of `per_body` documents each, from the records as the pipeline of one sink projects them.
    /// Blocks.
    fn make(
        config: &Config,
        pipeline: &PipelineSpec,
        records: &Records,
        per_body: usize,
        encode: &Encode<'_>,
    ) -> anyhow::Result<Self> {
        let topic = &pipeline.topic;
        let sink = pipeline.sinks.first().context("a pipeline without sinks")?;
        let mut decoder = decode::decoder(topic, &Arc::default());
        let mut projection = registry::projection(pipeline, sink)?;
        let shape = registry::hub(&config.settings, pipeline, sink)?.shape();
        let mut next = vec![0; usize::try_from(topic.partitions).unwrap_or(0)];
        let mut batch = Batch::new(shape);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut bodies = Vec::new();
        let (mut body, mut documents) = (Vec::new(), 0);
        for n in 0..records.len().min(MOST) {
            records.write(n, &mut key, &mut value);
            let partition = predicted_partition(&key, topic.partitions);
            let offset = usize::try_from(partition)
                .ok()
                .and_then(|p| next.get_mut(p))
                .context("a partition beyond the topic's")?;
            let position = Position {
                partition,
                offset: *offset,
            };
            *offset += 1;
            let version = Version::new(topic.epoch, position.offset)?;
            let record = Record {
                position,
                timestamp_ms: 0,
                key: Some(&key),
                value: Some(&value),
                headers: Headers::default(),
            };
            let Changes::One(change) = decoder.decode(&record)? else {
                anyhow::bail!("a record of the bench that is not one change");
            };
            let origin = Origin {
                position,
                version,
                record: 0,
                committed_ms: 0,
            };
            batch.clear();
            projection.write(&change, origin, &mut batch)?;
            encode(&batch, &mut body);
            documents += 1;
            if documents == per_body {
                bodies.push(ready(&mut body, &mut documents));
            }
        }
        if documents > 0 {
            bodies.push(ready(&mut body, &mut documents));
        }
        Ok(Self(bodies.into()))
    }
}

fn ready(body: &mut Vec<u8>, documents: &mut usize) -> Ready {
    let next = Vec::with_capacity(body.len() + body.len() / 16);
    Ready {
        bytes: std::mem::replace(body, next).into(),
        documents: std::mem::take(documents),
    }
}

/// Bare clients for the sinks that are measured, their bodies ready.
#[derive(Debug)]
pub(super) struct Bare {
    elasticsearch: Option<Elasticsearch>,
    redis: Option<Redis>,
}

// === impl Bare ===

impl Bare {
    /// Makes the bodies ready and finds the best number of connections.
    ///
    /// # Errors
    /// Where a server refuses what is sent.
    pub(super) async fn prepare(
        specs: &Specs,
        records: &Records,
        sinks: &[Sinks],
    ) -> anyhow::Result<Self> {
        let config = Arc::new(specs.load()?);
        let mut bare = Self {
            elasticsearch: None,
            redis: None,
        };
        if sinks.iter().any(|s| s.elasticsearch()) {
            bare.elasticsearch = Some(Elasticsearch::prepare(specs, &config, records).await?);
        }
        if sinks.iter().any(|s| s.redis()) {
            bare.redis = Some(Redis::prepare(specs, &config, records).await?);
        }
        Ok(bare)
    }

    /// Sends everything to these sinks at once.
    ///
    /// # Errors
    /// Where a server refuses what is sent.
    pub(super) async fn run(&mut self, sinks: Sinks) -> anyhow::Result<Vec<Rate>> {
        let elasticsearch = async {
            match self
                .elasticsearch
                .as_mut()
                .filter(|_| sinks.elasticsearch())
            {
                Some(client) => client.run().await.map(Some),
                None => Ok(None),
            }
        };
        let redis = async {
            match self.redis.as_mut().filter(|_| sinks.redis()) {
                Some(client) => client.run().await.map(Some),
                None => Ok(None),
            }
        };
        let (a, b) = tokio::try_join!(elasticsearch, redis)?;
        Ok(a.into_iter().chain(b).collect())
    }
}
