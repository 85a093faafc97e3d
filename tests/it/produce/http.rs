//! `POST /v1/events/{topic}`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;
use twolane::produce::http::Ingest;

use super::desk::{Desk, event, key};
use crate::faults::{alone, until};
use crate::lane::rig;
use crate::stack;

pub const KEY: &str = "a-key-of-a-test-that-is-long-enough";
const OTHER: &str = "another-key-that-is-long-enough-too";

/// An ingest in this process.
struct Served {
    ingest: Ingest,
    client: reqwest::Client,
    url: String,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    after: Option<u64>,
    body: Value,
}

impl Served {
    fn start(desk: &Desk, more: &str) -> Self {
        keys(desk);
        desk.settings(&format!(
            "{more}\n[ingest]\nlisten = \"127.0.0.1:0\"\nkeys_file = \"keys\"\nmax_body = \"300KiB\"\nmax_events = 50\ntimeout = \"2s\"\nrate = 1000\nburst = 1000\n"
        ));
        let config = desk.config();
        let settings = Arc::new(config.settings);
        let of = settings.ingest.clone().expect("it is set");
        let ingest = Ingest::start(&settings, &of, &config.topics).expect("it starts");
        Self {
            client: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client"),
            url: format!("http://{}/v1/events/{}", ingest.addr(), desk.topic),
            ingest,
        }
    }

    async fn post(&self, body: impl Into<reqwest::Body>) -> Answer {
        self.send(&self.url, KEY, "application/x-ndjson", body)
            .await
    }

    async fn send(
        &self,
        url: &str,
        key: &str,
        kind: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self.client.post(url).bearer_auth(key);
        let request = request.header("content-type", kind).body(body.into());
        let response = request.send().await.expect("an answer");
        let after = response.headers().get("retry-after");
        Answer {
            status: response.status(),
            after: after.map(|v| v.to_str().expect("text").parse().expect("seconds")),
            body: response.json().await.expect("JSON"),
        }
    }
}

/// The clients of a test.
pub fn keys(desk: &Desk) {
    desk.write(
        "keys",
        &format!("# clients\napp {KEY}\nweb {OTHER} some.other,topic\n"),
    );
}

#[test]
fn an_event_and_a_batch_are_accepted_when_kafka_has_them() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let desk = Desk::new(&stack, "accepted", "avro", 3).await;
        let served = Served::start(&desk, "");
        let one = served
            .send(
                &served.url,
                KEY,
                "application/json; charset=utf-8",
                "{\n\"id\": 1, \"name\": \"a\"}",
            )
            .await;
        assert_eq!(
            (one.status, &one.body["accepted"]),
            (StatusCode::ACCEPTED, &1.into()),
            "{one:?}"
        );
        let lines: String = (2..=41).map(|id| event(id) + "\n").collect();
        let batch = served.post(lines).await;
        assert_eq!(
            (batch.status, &batch.body["accepted"]),
            (StatusCode::ACCEPTED, &40.into()),
            "{batch:?}"
        );
        assert_eq!(desk.records().await.len(), 41);
        let counted = served.ingest.stats().snapshot();
        assert_eq!(
            (counted.requests, counted.accepted, counted.unacknowledged),
            (2, 41, 0)
        );
        served.ingest.stop().await;
    });
}

#[test]
fn what_is_refused_says_why_and_nothing_of_it_is_sent() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let desk = Desk::new(&stack, "refused", "json", 1).await;
        let served = Served::start(&desk, "");
        let bad = format!(
            "{}\n\n{{\"id\":\"secret\",\"name\":\"x\"}}\nnonsense\n",
            event(1)
        );
        let answer = served.post(bad).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let refused = answer.body["refused"].as_array().expect("lines");
        assert_eq!(
            (&refused[0]["line"], &refused[0]["field"]),
            (&3.into(), &"id".into())
        );
        assert_eq!((&refused[1]["line"], refused.len()), (&4.into(), 2));
        let text = answer.body.to_string();
        assert!(
            text.contains("must be an integer of 64 bits") && !text.contains("secret"),
            "{text}"
        );

        let elsewhere = served.url.replace(&desk.topic, "no.such.topic");
        let ndjson = "application/x-ndjson";
        let many: String = (0..51).map(|id| event(id) + "\n").collect();
        let other = served.url.replace(&desk.topic, "some.other");
        for (url, key, kind, body, expected) in [
            (&served.url, "x", ndjson, event(1), StatusCode::UNAUTHORIZED),
            (&served.url, OTHER, ndjson, event(1), StatusCode::FORBIDDEN),
            (&other, OTHER, ndjson, event(1), StatusCode::NOT_FOUND),
            (&elsewhere, KEY, ndjson, event(1), StatusCode::NOT_FOUND),
            (
                &served.url,
                KEY,
                "text/plain",
                event(1),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            (
                &served.url,
                KEY,
                ndjson,
                many,
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
            (
                &served.url,
                KEY,
                ndjson,
                "x".repeat(400 << 10),
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
            (
                &served.url,
                KEY,
                ndjson,
                "\n".into(),
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
        ] {
            let answer = served.send(url, key, kind, body).await;
            assert_eq!(answer.status, expected, "{answer:?}");
        }
        // A thousand at once and as many a second: 21 batches of 50 are too many.
        let full: String = (0..50).map(|id| event(id) + "\n").collect();
        let answers = join_all((0..40).map(|_| served.post(full.clone()))).await;
        let late = answers
            .iter()
            .find(|a| a.status == StatusCode::TOO_MANY_REQUESTS);
        assert!(late.is_some_and(|a| a.after.is_some()), "{answers:?}");
        let taken = answers
            .iter()
            .filter(|a| a.status == StatusCode::ACCEPTED)
            .count();
        assert_eq!(desk.records().await.len(), taken * 50);
        let url = format!("http://{}/v1/openapi.json", served.ingest.addr());
        let document = served.client.get(url).send().await.expect("an answer");
        let document: Value = document.json().await.expect("JSON");
        assert!(document["paths"]["/v1/events/{topic}"].is_object());
        served.ingest.stop().await;
    });
}

#[test]
fn while_kafka_is_away_nothing_is_accepted_and_nothing_that_was_is_missing() {
    let (_turn, stack) = alone(&["kafka"]);
    rig::system(async {
        let desk = Desk::new(&stack, "away", "json", 3).await;
        let served = Served::start(&desk, "[produce]\nqueue_bytes = \"1MiB\"");
        let (acknowledged, next) = (AtomicU64::new(0), AtomicU64::new(1));
        let ended = AtomicBool::new(false);
        let load = |worker: u64| {
            let (served, next, acknowledged, ended) = (&served, &next, &acknowledged, &ended);
            async move {
                let mut mine = Vec::new();
                while !ended.load(Ordering::Relaxed) {
                    let first = next.fetch_add(10, Ordering::Relaxed);
                    let lines: String = (first..first + 10).map(|id| event(id) + "\n").collect();
                    let answer = served.post(lines).await;
                    match answer.status {
                        StatusCode::ACCEPTED => {
                            mine.extend(first..first + 10);
                            acknowledged.fetch_add(10, Ordering::Relaxed);
                        }
                        StatusCode::SERVICE_UNAVAILABLE => {
                            assert!(answer.after.is_some(), "{answer:?}");
                        }
                        other => panic!("worker {worker}: {other}: {answer:?}"),
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                mine
            }
        };
        let faults = async {
            let passes = async |n: u64| {
                let before = acknowledged.load(Ordering::Relaxed);
                until("events to be accepted", || async {
                    acknowledged.load(Ordering::Relaxed) >= before + n
                })
                .await;
            };
            passes(100).await;
            stack.stop("kafka").await;
            // What was under way has been answered by now, one way or the other.
            until("a refusal", || async {
                let turned = served.ingest.stats().snapshot().turned;
                turned.iter().any(|(why, n)| *why == "away" && *n > 0)
            })
            .await;
            let answer = served.post(event(0)).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.after.is_some(), "{answer:?}");
            // Bodies beyond the room are turned away at once, and not held.
            let large = format!(r#"{{"id":0,"name":"{}"}}"#, "x".repeat(250 << 10));
            let answers = join_all((0..8).map(|_| served.post(large.clone()))).await;
            assert!(
                answers
                    .iter()
                    .all(|a| a.status == StatusCode::SERVICE_UNAVAILABLE && a.after.is_some())
            );
            assert!(
                answers.iter().any(|a| a.body["reason"] == "busy"),
                "{answers:?}"
            );
            stack.start("kafka").await;
            passes(100).await;
            ended.store(true, Ordering::Relaxed);
        };
        let ((), accepted) = tokio::join!(faults, join_all((0..4).map(load)));
        let there: BTreeSet<String> = desk.records().await.iter().map(key).collect();
        let missing: Vec<u64> = accepted
            .into_iter()
            .flatten()
            .filter(|id| !there.contains(&format!("{{\"id\":{id}}}")))
            .collect();
        assert_eq!(missing, Vec::<u64>::new());
        served.ingest.stop().await;
    });
}
