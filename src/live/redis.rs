//! The live lane's connection to Redis, over which its scripts run.
//!
//! Promises: what is handed over is sent once, and once more only where the server had lost its scripts and so
//! executed nothing; while Redis is away a call fails at once, but for one attempt now and then, so that an
//! outage costs a comment no time. It relies on the scripts being idempotent: a call that failed may have been
//! executed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, Script, Value};
use tokio::sync::Mutex;

use crate::config::RedisSettings;
use crate::retry::Delays;
use crate::sink::SinkError;
use crate::sink::redis::link;
use crate::sink::redis::trouble::{self, Cure};

/// What begins every key of the live lane. Within the program's own prefix, which no sink's key may have.
const PREFIX: &str = "twolane:live";

/// The scripts of the live lane.
static SCRIPTS: [&str; 3] = [
    include_str!("limits/limits.lua"),
    include_str!("likes/likes.lua"),
    include_str!("viewers/viewers.lua"),
];

/// One connection, shared by whoever calls.
#[derive(Debug)]
pub(super) struct Redis {
    client: Client,
    settings: RedisSettings,
    slot: Mutex<Slot>,
    /// The last call failed.
    out: AtomicBool,
}

#[derive(Debug)]
struct Slot {
    made: u64,
    open: Option<MultiplexedConnection>,
    delays: Delays,
    not_before: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Wire {
    number: u64,
    connection: MultiplexedConnection,
}

/// Redis did not answer as it should: what it said, or what the client said, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Away(pub(super) String);

// === impl Redis ===

impl Redis {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// Where the settings make no client.
    pub(super) fn new(settings: &RedisSettings) -> Result<Arc<Self>, SinkError> {
        Ok(Arc::new(Self {
            client: link::client(settings)?,
            settings: settings.clone(),
            slot: Mutex::new(Slot {
                made: 0,
                open: None,
                delays: Delays::server(),
                not_before: None,
            }),
            out: AtomicBool::new(false),
        }))
    }

    /// How long a call may take that nobody waits for.
    pub(super) fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Runs the calls in order and gives an answer for each, all of it within `patience`.
    ///
    /// # Errors
    /// [`Away`] where any answer is missing or an error; each call may or may not have been executed.
    pub(super) async fn run(
        &self,
        calls: &[Cmd],
        patience: Duration,
        doing: &str,
    ) -> Result<Vec<Value>, Away> {
        let late = || Away(format!("{doing}: Redis did not answer within {patience:?}"));
        let wire = match tokio::time::timeout(patience, self.wire(doing)).await {
            Ok(wire) => wire?,
            Err(_) => {
                let late = late();
                // Whoever else is connecting says by himself what came of it.
                if let Ok(mut slot) = self.slot.try_lock() {
                    self.failed(&mut slot, &late);
                }
                return Err(late);
            }
        };
        let done = tokio::time::timeout(patience, self.exchange(&wire, calls, doing)).await;
        match done.unwrap_or_else(|_| Err(late())) {
            Ok(values) => {
                if self.out.load(Ordering::Relaxed) {
                    self.well(&wire).await;
                }
                Ok(values)
            }
            Err(away) => {
                let mut slot = self.slot.lock().await;
                if wire.number == slot.made {
                    self.failed(&mut slot, &away);
                }
                Err(away)
            }
        }
    }

    async fn exchange(&self, wire: &Wire, calls: &[Cmd], doing: &str) -> Result<Vec<Value>, Away> {
        let mut answers = self.send(wire, calls.iter(), doing).await?;
        let unknown: Vec<usize> = (0..answers.len())
            .filter(|&i| matches!(answers.get(i), Some(Value::ServerError(e)) if trouble::cure(e.code()) == Cure::Load))
            .collect();
        if !unknown.is_empty() {
            self.load(wire, doing).await?;
            let again = unknown.iter().filter_map(|&i| calls.get(i));
            let mended = self.send(wire, again, doing).await?;
            for (i, answer) in unknown.into_iter().zip(mended) {
                if let Some(place) = answers.get_mut(i) {
                    *place = answer;
                }
            }
        }
        for answer in &answers {
            self.unless_refused(answer, doing)?;
        }
        Ok(answers)
    }

    async fn send<'c>(
        &self,
        wire: &Wire,
        calls: impl Iterator<Item = &'c Cmd>,
        doing: &str,
    ) -> Result<Vec<Value>, Away> {
        let mut pipeline = Pipeline::new();
        for call in calls {
            pipeline.add_command(call.clone());
        }
        let mut connection = wire.connection.clone();
        connection
            .send_packed_commands(&pipeline, 0, pipeline.len())
            .await
            .map_err(|e| Away(trouble::failed(&e, doing, &self.settings).to_string()))
    }

    async fn load(&self, wire: &Wire, doing: &str) -> Result<(), Away> {
        let loads: Vec<Cmd> = SCRIPTS
            .iter()
            .map(|text| {
                let mut cmd = Cmd::new();
                cmd.arg("SCRIPT").arg("LOAD").arg(text);
                cmd
            })
            .collect();
        for answer in self.send(wire, loads.iter(), doing).await? {
            self.unless_refused(&answer, doing)?;
        }
        Ok(())
    }

    fn unless_refused(&self, answer: &Value, doing: &str) -> Result<(), Away> {
        match answer {
            Value::ServerError(e) => Err(Away(
                trouble::refused_by_server(e, doing, &self.settings).to_string(),
            )),
            _ => Ok(()),
        }
    }

    /// The open connection, or a new one, unless it is too early for another attempt.
    async fn wire(&self, doing: &str) -> Result<Wire, Away> {
        let away = || Away(format!("{doing}: Redis is away; it is tried again soon"));
        let mut slot = match self.slot.try_lock() {
            Ok(slot) => slot,
            // Somebody is trying again, which may take as long as the settings' timeout.
            Err(_) if self.out.load(Ordering::Relaxed) => return Err(away()),
            Err(_) => self.slot.lock().await,
        };
        let connection = match &slot.open {
            Some(open) => open.clone(),
            None => {
                if slot.not_before.is_some_and(|t| Instant::now() < t) {
                    return Err(away());
                }
                match self.open(doing).await {
                    Ok(open) => {
                        slot.made += 1;
                        slot.open.insert(open).clone()
                    }
                    Err(away) => {
                        self.failed(&mut slot, &away);
                        return Err(away);
                    }
                }
            }
        };
        Ok(Wire {
            number: slot.made,
            connection,
        })
    }

    async fn open(&self, doing: &str) -> Result<MultiplexedConnection, Away> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.timeout))
            .set_response_timeout(Some(self.settings.timeout));
        self.client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|e| Away(trouble::failed(&e, doing, &self.settings).to_string()))
    }

    /// Drops the connection, and lets no new one be tried for a while. The outage is logged once, here: each room
    /// that meets it has nothing to add.
    fn failed(&self, slot: &mut Slot, why: &Away) {
        slot.open = None;
        slot.not_before = Some(Instant::now() + slot.delays.next_delay());
        if !self.out.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "the live lane goes on without Redis: likes wait, each worker limits comments alone, and viewers are not \
                 counted ({why})"
            );
        }
    }

    /// A call has succeeded: the next outage begins with short pauses again.
    async fn well(&self, wire: &Wire) {
        let mut slot = self.slot.lock().await;
        // An answer of a connection that was given up since says nothing.
        if wire.number == slot.made && slot.open.is_some() {
            slot.delays.reset();
            slot.not_before = None;
            if self.out.swap(false, Ordering::Relaxed) {
                tracing::info!("the live lane has Redis again");
            }
        }
    }
}

/// A key of a room. What is in braces decides the slot of a cluster, so that a room's keys are together.
pub(super) fn key(room: &super::names::RoomId, what: &str) -> String {
    format!("{PREFIX}:{{{room}}}:{what}")
}

/// A call of a script.
pub(super) fn call<'k>(script: &Script, keys: impl IntoIterator<Item = &'k String>) -> Cmd {
    let keys: Vec<&String> = keys.into_iter().collect();
    let mut cmd = Cmd::new();
    cmd.arg("EVALSHA").arg(script.get_hash()).arg(keys.len());
    for key in keys {
        cmd.arg(key);
    }
    cmd
}

/// An array of an answer's words, where it is one of text and numbers.
pub(super) fn words(answer: &Value) -> Vec<String> {
    let Value::Array(items) = answer else {
        return Vec::new();
    };
    items
        .iter()
        .map(|item| match item {
            Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Value::SimpleString(text) => text.clone(),
            Value::Int(n) => n.to_string(),
            _ => String::new(),
        })
        .collect()
}
