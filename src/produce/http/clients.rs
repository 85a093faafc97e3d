//! Who may send, where to, and how much.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::{IngestClient, IngestSettings};
use crate::live::limits::gcra::{Answer, Gcra};

/// The clients.
pub(super) struct Clients {
    clients: Vec<(IngestClient, Mutex<i64>)>,
    rate: Gcra,
    begun: Instant,
}

/// One of them, by its place: of these clients alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client(usize);

// === impl Clients ===

impl Clients {
    pub(super) fn new(settings: &IngestSettings) -> Self {
        let clients = settings.clients.iter().cloned();
        Self {
            clients: clients.map(|client| (client, Mutex::new(0))).collect(),
            rate: Gcra::of(settings.rate),
            begun: Instant::now(),
        }
    }

    /// Others from now on: who stays, by name, stays charged with what it has sent.
    pub(super) fn followed_by(&self, settings: &IngestSettings) -> Self {
        let charged = |name: &str| {
            let same = self.clients.iter().find(|(client, _)| client.name == name);
            let account = same.map(|(_, account)| account);
            account.map_or(0, |a| *a.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let clients = settings.clients.iter().cloned();
        let clients = clients.map(|client| {
            let account = Mutex::new(charged(&client.name));
            (client, account)
        });
        Self {
            clients: clients.collect(),
            rate: Gcra::of(settings.rate),
            begun: self.begun,
        }
    }

    /// Whose key it is. Every key is compared, so that the time says nothing of which one it was.
    pub(super) fn of(&self, key: &[u8]) -> Option<Client> {
        let mut found = None;
        for (i, (client, _)) in self.clients.iter().enumerate() {
            if client.key.is(key) {
                found = Some(Client(i));
            }
        }
        found
    }

    pub(super) fn may_write(&self, client: Client, topic: &str) -> bool {
        self.clients.get(client.0).is_some_and(|(client, _)| {
            client.topics.is_empty() || client.topics.iter().any(|of| of == topic)
        })
    }

    /// Charges a client for so many events.
    ///
    /// # Errors
    /// How long to wait, where it is too early; then nothing was charged.
    pub(super) fn charge(&self, client: Client, events: u32) -> Result<(), Duration> {
        let now = i64::try_from(self.begun.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.charge_at(client, events, now)
    }

    pub(super) fn charge_at(&self, client: Client, events: u32, now: i64) -> Result<(), Duration> {
        let Some((_, account)) = self.clients.get(client.0) else {
            return Ok(());
        };
        let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
        match self.rate.ask_for(events, *account, now) {
            Answer::Passes { at, .. } => {
                *account = at;
                Ok(())
            }
            Answer::Waits(us) => Err(Duration::from_micros(u64::try_from(us).unwrap_or_default())),
        }
    }
}
