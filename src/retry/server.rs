//! The attempts that one server meets, from all who try.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::Delays;
use crate::config::{ElasticsearchSettings, KafkaSettings, NatsSettings, RedisSettings};

/// Attempts to try again that a server meets in a second, once the first [`BURST`] are spent: so few that a server
/// which is starting does not notice them, and so many that somebody finds it up within 100 ms.
pub const RATE: u32 = 10;
/// Attempts that may come at once: a hiccup of one request each of a few workers costs no wait.
pub const BURST: u32 = 10;

/// A server, as everybody in this process who tries it again shares it.
#[derive(Debug)]
pub struct Server {
    name: String,
    tokens: Semaphore,
    refilled: Mutex<Instant>,
    /// Those that wait because the server is away, for their delay or their turn.
    away: AtomicUsize,
    answered: Notify,
}

/// Why something is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// The server did not answer, or refused everybody. It is tried before the delay has passed where it has answered
    /// somebody else meanwhile.
    Away,
    /// The server refused this attempt alone; that it answers others says nothing.
    Refused,
}

/// How often those who wait for a token look whether there is one by now.
const REFILL: Duration = Duration::from_millis(1_000 / RATE as u64);

static SERVERS: Mutex<BTreeMap<String, Arc<Server>>> = Mutex::new(BTreeMap::new());

/// The server `name`, the same for everybody who asks for it.
pub fn server(name: impl Into<String>) -> Arc<Server> {
    let name = name.into();
    let mut all = lock(&SERVERS);
    let known = all.entry(name.clone());
    Arc::clone(known.or_insert_with(|| Arc::new(Server::new(name))))
}

/// The Elasticsearch of these settings.
pub fn elasticsearch(settings: &ElasticsearchSettings) -> Arc<Server> {
    server(format!("elasticsearch {}", settings.url))
}

/// The Redis of these settings.
pub fn redis(settings: &RedisSettings) -> Arc<Server> {
    server(format!("redis {}", settings.url))
}

/// The brokers of these settings.
pub fn kafka(settings: &KafkaSettings) -> Arc<Server> {
    server(format!("kafka {}", settings.brokers))
}

/// The NATS of these settings.
pub fn nats(settings: &NatsSettings) -> Arc<Server> {
    server(format!("nats {}", settings.url))
}

// === impl Server ===

impl Server {
    fn new(name: String) -> Self {
        Self {
            name,
            tokens: Semaphore::new(BURST as usize),
            refilled: Mutex::new(Instant::now()),
            away: AtomicUsize::new(0),
            answered: Notify::new(),
        }
    }

    /// What and where it is; without credentials, which no address of ours holds.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until an attempt that failed may be made again: the next of `delays`, and then its turn.
    pub async fn again(&self, delays: &mut Delays, because: Because) {
        let delay = delays.next_delay();
        self.after(delay, because).await;
    }

    /// The same with a delay of the caller's.
    pub async fn after(&self, delay: Duration, because: Because) {
        match because {
            Because::Refused => {
                tokio::time::sleep(delay).await;
                self.turn().await;
            }
            Because::Away => {
                let _counted = Counted::one(&self.away);
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    () = self.answered.notified() => {}
                }
                self.turn().await;
            }
        }
    }

    /// The server has answered: one of those that wait may try at once.
    pub fn answered(&self) {
        // Beside what the one that was answered sends next, so the load at most doubles with each round trip. Where
        // all wait for their turn, the word waits for the next that begins a delay: one attempt too soon.
        if self.away.load(Ordering::Relaxed) > 0 {
            self.answered.notify_one();
            self.add(1);
        }
    }

    /// Waits for a token, first come, first served.
    async fn turn(&self) {
        let mut turn = pin!(self.tokens.acquire());
        loop {
            self.refill();
            tokio::select! {
                biased;
                token = &mut turn => {
                    // The semaphore is never closed.
                    if let Ok(token) = token {
                        token.forget();
                    }
                    return;
                }
                () = tokio::time::sleep(REFILL) => {}
            }
        }
    }

    fn refill(&self) {
        let due = {
            let mut refilled = lock(&self.refilled);
            let passed = refilled.elapsed().as_millis() / REFILL.as_millis();
            let passed = u32::try_from(passed).unwrap_or(u32::MAX);
            // Whole tokens alone, so that the rest of the time counts for the next.
            *refilled += REFILL * passed.min(u32::MAX / 1_000);
            passed
        };
        self.add(due.min(BURST) as usize);
    }

    fn add(&self, tokens: usize) {
        let room = (BURST as usize).saturating_sub(self.tokens.available_permits());
        self.tokens.add_permits(tokens.min(room));
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn one(of: &'a AtomicUsize) -> Self {
        of.fetch_add(1, Ordering::Relaxed);
        Self(of)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
