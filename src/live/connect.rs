//! A worker's connection to NATS: made, kept, and made anew.
//!
//! Promises: a server that is away is waited for, with the delays of [`crate::retry`]; what the client drops
//! without a word (messages for a subscription that is full) is counted and logged. A connection that was
//! away for long is thrown away and not resumed, since the client still holds what it was given to send: a
//! comment that is published after LIVE_OUT has forgotten its id would be shown twice.
//!
//! Never: a message handed to a connection that is known to be down.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::ArbiterHandle;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::watch;

use crate::config::NatsSettings;
use crate::retry::{self, Delays, Server, delay_before};

/// After this many attempts a connection is given up for a new one. With the delays of [`Delays::server`]
/// that is 26 s on the average and 100 s at the worst, below the two minutes for which LIVE_OUT knows a
/// message id again.
const ATTEMPTS: usize = 12;
/// Two pings without an answer end a connection: a dead link is noticed within half a minute.
const PING: Duration = Duration::from_secs(10);
/// Commands on their way to the connection's task; beyond them whoever publishes waits.
const COMMANDS: usize = 2_048;
/// What answers to a worker are sent to. A prefix of its own, since `_INBOX.<user>.` belongs to users.
const INBOX: &str = "_WORKER";
/// A full subscription is logged this often, and counted each time.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A connection that is kept: the same over all reconnects.
#[derive(Debug, Clone)]
pub struct Link {
    name: &'static str,
    state: watch::Receiver<State>,
    counters: Arc<Counters>,
    server: Arc<Server>,
    // The keeper leaves when the last of these is gone.
    _owner: Arc<watch::Sender<()>>,
}

/// What a connection had to say since the process started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Times it was lost.
    pub disconnects: AtomicU64,
    /// Messages that the client dropped because their subscription was full. Under a flood of them the
    /// client does not report each one, so this is the least.
    pub overflowed: AtomicU64,
    /// What server and client reported as wrong.
    pub errors: AtomicU64,
    logged: Mutex<Option<Instant>>,
}

/// One connection while it holds.
#[derive(Debug, Clone)]
pub struct Conn {
    /// Core NATS.
    pub client: Client,
    /// JetStream.
    pub js: Context,
    /// Which connection it is; another one after each reconnect.
    pub epoch: u64,
}

#[derive(Debug, Default)]
struct State {
    up: bool,
    epoch: u64,
    /// Which client it is: what an earlier one has still to say does not count.
    dialled: u64,
    /// The client has given up, and another is due.
    exhausted: bool,
    client: Option<(Client, Context)>,
}

// === impl Link ===

impl Link {
    /// Starts to connect, on the thread of `arbiter`, and keeps at it until the last clone is gone.
    /// `subscription` is how many messages a subscription holds before the client drops the next one.
    pub fn open(
        settings: &NatsSettings,
        arbiter: &ArbiterHandle,
        name: &'static str,
        subscription: usize,
    ) -> Self {
        Self::open_as(settings, arbiter, name, subscription, INBOX)
    }

    /// The same with another prefix for what answers are sent to: that of whoever may not read the workers'.
    pub fn open_as(
        settings: &NatsSettings,
        arbiter: &ArbiterHandle,
        name: &'static str,
        subscription: usize,
        inbox: &'static str,
    ) -> Self {
        let (state, seen) = watch::channel(State::default());
        let (owner, owned) = watch::channel(());
        let counters = Arc::new(Counters::default());
        let keeper = Keeper {
            settings: settings.clone(),
            name,
            subscription,
            inbox,
            state: Arc::new(state),
            counters: Arc::clone(&counters),
        };
        if !arbiter.spawn(keeper.keep(owned)) {
            tracing::error!(
                connection = name,
                "its thread has ended: it will never hold"
            );
        }
        Self {
            name,
            state: seen,
            counters,
            server: retry::nats(settings),
            _owner: Arc::new(owner),
        }
    }

    /// What it is for, as it is shown.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it holds now.
    pub fn up(&self) -> bool {
        self.state.borrow().up
    }

    /// The server, as everybody in this process who asks it again shares it.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// What it had to say.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The connection, where it holds now.
    pub fn now(&self) -> Option<Conn> {
        self.state.borrow().conn()
    }

    /// The connection, once it holds.
    pub async fn connected(&self) -> Conn {
        let mut state = self.state.clone();
        loop {
            if let Some(conn) = state.borrow_and_update().conn() {
                return conn;
            }
            if state.changed().await.is_err() {
                // The keeper outlives every link, but for a runtime that is being torn down.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until the connection of this epoch is lost.
    pub async fn lost(&self, epoch: u64) {
        let mut state = self.state.clone();
        let gone = |s: &State| !s.up || s.epoch != epoch;
        if state.wait_for(gone).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

// === impl State ===

impl State {
    fn conn(&self) -> Option<Conn> {
        let (client, js) = self.client.as_ref().filter(|_| self.up)?;
        Some(Conn {
            client: client.clone(),
            js: js.clone(),
            epoch: self.epoch,
        })
    }
}

struct Keeper {
    settings: NatsSettings,
    name: &'static str,
    subscription: usize,
    inbox: &'static str,
    state: Arc<watch::Sender<State>>,
    counters: Arc<Counters>,
}

// === impl Keeper ===

impl Keeper {
    async fn keep(self, mut owned: watch::Receiver<()>) {
        let mut delays = Delays::server();
        let mut state = self.state.subscribe();
        let renewals = async {
            loop {
                match self.dial().await {
                    Ok(client) => {
                        let mut js = jetstream::new(client.clone());
                        js.set_timeout(self.settings.timeout);
                        self.state.send_modify(|s| s.client = Some((client, js)));
                        let before = state.borrow().epoch;
                        match state.wait_for(|s| s.exhausted).await {
                            // It held for a while: this is another outage.
                            Ok(s) if s.epoch != before => delays.reset(),
                            Ok(_) => {}
                            Err(_) => return,
                        }
                        tracing::warn!(
                            connection = self.name,
                            "NATS could not be reached in {ATTEMPTS} attempts; what was still to be sent is thrown away, and \
                             a new connection tried"
                        );
                        self.state.send_modify(|s| {
                            s.client = None;
                            s.exhausted = false;
                        });
                    }
                    Err(why) => {
                        self.counters.errors.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(
                            connection = self.name,
                            "the settings under [nats] make no connection: {why}"
                        );
                    }
                }
                tokio::time::sleep(delays.next_delay()).await;
            }
        };
        tokio::select! {
            () = renewals => {}
            // Never written: it fails when the last link is gone.
            _ = owned.changed() => {}
        }
        self.state.send_modify(|s| s.client = None);
    }

    async fn dial(&self) -> Result<Client, String> {
        let addrs = addresses(&self.settings)?;
        let mut dialled = 0;
        self.state.send_modify(|s| {
            s.dialled += 1;
            dialled = s.dialled;
        });
        let ear = Ear {
            name: self.name,
            dialled,
            state: Arc::clone(&self.state),
            counters: Arc::clone(&self.counters),
        };
        options(&self.settings, self.name, self.inbox)
            .subscription_capacity(self.subscription)
            .client_capacity(COMMANDS)
            .ping_interval(PING)
            .retry_on_initial_connect()
            .max_reconnects(ATTEMPTS)
            .reconnect_delay_callback(|attempt| match attempt {
                0 | 1 => Duration::ZERO,
                more => delay_before(more - 1),
            })
            .event_callback(move |event| {
                ear.hears(&event);
                std::future::ready(())
            })
            .connect(addrs)
            .await
            .map_err(|e| e.to_string())
    }
}

/// A connection for one errand, tried once and not kept.
///
/// # Errors
/// Where the server is not reached, or does not let this user in.
pub async fn once(settings: &NatsSettings) -> Result<Client, String> {
    let connecting = options(settings, "once", INBOX).connect(addresses(settings)?);
    connecting.await.map_err(|e| e.to_string())
}

fn addresses(settings: &NatsSettings) -> Result<Vec<async_nats::ServerAddr>, String> {
    let each = settings.url.split(',').map(|one| one.trim().parse());
    each.collect::<Result<_, _>>()
        .map_err(|e: std::io::Error| e.to_string())
}

/// Who connects, and how.
fn options(settings: &NatsSettings, name: &str, inbox: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new()
        .name(format!("twolane/{name}"))
        .custom_inbox_prefix(inbox)
        .connection_timeout(settings.timeout)
        .request_timeout(Some(settings.timeout));
    if let Some(user) = &settings.username {
        let password = settings.password.as_ref();
        let password = password.map(|p| p.expose().to_owned()).unwrap_or_default();
        options = options.user_and_password(user.clone(), password);
    }
    if let Some(ca) = &settings.ca_file {
        options = options.add_root_certificates(ca.clone()).require_tls(true);
    }
    options
}

/// Takes what a client says of its connection.
struct Ear {
    name: &'static str,
    dialled: u64,
    state: Arc<watch::Sender<State>>,
    counters: Arc<Counters>,
}

// === impl Ear ===

impl Ear {
    /// One event: counted and logged.
    fn hears(&self, event: &Event) {
        let connection = self.name;
        match event {
            Event::Connected => {
                tracing::info!(connection, "connected to NATS");
                self.change(|s| {
                    s.up = true;
                    s.epoch += 1;
                });
            }
            Event::Disconnected => {
                self.counters.disconnects.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(connection, "the connection to NATS is lost");
                self.change(|s| s.up = false);
            }
            Event::Closed | Event::ClientError(async_nats::ClientError::MaxReconnects) => {
                self.change(|s| {
                    s.up = false;
                    s.exhausted = true;
                });
            }
            Event::SlowConsumer(_) => self.overflowed(),
            Event::ServerError(_) | Event::ClientError(_) => {
                self.counters.errors.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(connection, "NATS: {event}");
            }
            Event::LameDuckMode => {
                tracing::info!(connection, "the NATS server is about to shut down");
            }
            Event::Draining => {}
        }
    }

    fn change(&self, how: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|s| {
            let mine = s.dialled == self.dialled;
            if mine {
                how(s);
            }
            mine
        });
    }

    fn overflowed(&self) {
        self.counters.overflowed.fetch_add(1, Ordering::Relaxed);
        let mut logged = self
            .counters
            .logged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            *logged = Some(Instant::now());
            tracing::warn!(
                connection = self.name,
                "messages come faster than they are taken: the client drops some"
            );
        }
    }
}
