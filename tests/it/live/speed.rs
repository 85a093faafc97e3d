//! How long a comment takes. Not a test of the machine it runs on: it is run by hand, in release.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use hdrhistogram::Histogram;
use twolane::live::names::{self, Inbound};
use twolane::live::wire::Entry;

use super::rig::{Rig, room, spec, system, user};

const RATE: u64 = 1_000;
const ROOMS: usize = 50;
const SUBSCRIBERS: usize = 10;
const SECONDS: u64 = 20;

/// Open loop: each comment says when it was due, and is sent then or as soon after as may be.
#[test]
#[ignore = "measures: run it by hand, in release"]
fn from_publish_to_every_subscriber() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = rig.worker();
        let author = async_nats::connect(rig.server.url()).await.unwrap();
        let mut feeds = Vec::new();
        for n in 0..SUBSCRIBERS {
            let viewer = async_nats::connect(rig.server.url()).await.unwrap();
            for r in 0..ROOMS {
                feeds.push(viewer.subscribe(names::feed(&room(r))).await.unwrap());
            }
            viewer.flush().await.unwrap();
            assert!(n < SUBSCRIBERS);
        }
        rig.comment(&room(0), &user(0), "0").await;
        rig.inbox_empty().await;
        let started = Instant::now();
        let viewing = futures_util::stream::select_all(feeds);
        let watch = async {
            let mut took = Histogram::<u64>::new(3).unwrap();
            let mut viewing = viewing;
            let due = (RATE * SECONDS) as usize * SUBSCRIBERS;
            let mut seen = 0;
            while seen < due {
                let message = viewing.next().await.unwrap();
                let now = started.elapsed().as_micros() as u64;
                let Ok(Entry::Comment(shown)) = serde_json::from_slice(&message.payload) else {
                    continue;
                };
                let Ok(due) = shown.content.parse::<u64>() else {
                    continue;
                };
                if due > 0 {
                    took.record(now.saturating_sub(due)).unwrap();
                    seen += 1;
                }
            }
            took
        };
        let load = tokio::task::spawn(async move {
            let mut lag = Histogram::<u64>::new(3).unwrap();
            for n in 1..=RATE * SECONDS {
                let due = n * 1_000_000 / RATE;
                let now = started.elapsed().as_micros() as u64;
                if now < due {
                    tokio::time::sleep(Duration::from_micros(due - now)).await;
                }
                lag.record((started.elapsed().as_micros() as u64).saturating_sub(due))
                    .unwrap();
                let n = n as usize;
                let subject = names::inbound(&room(n % ROOMS), Inbound::Comment, &user(n % 1_000));
                let json = format!(r#"{{"content":"{due}"}}"#);
                author.publish(subject, json.into()).await.unwrap();
            }
            lag
        });
        let (took, lag) = futures_util::future::join(watch, load).await;
        let lag = lag.unwrap();
        let quantiles = |h: &Histogram<u64>| {
            [0.5, 0.99, 0.999, 1.0].map(|q| h.value_at_quantile(q) as f64 / 1_000.0)
        };
        eprintln!(
            "ms at p50, p99, p99.9, max: {:?}; loader {:?}",
            quantiles(&took),
            quantiles(&lag)
        );
        worker.stop().await;
    });
}
