//! A user of the live lane: a NATS connection with a token of its own, as any client of the wire contract
//! (`deploy/live.md`) has it.

use std::time::Duration;

use actix::Arbiter;
use anyhow::Context as _;
use async_nats::{Client, ConnectOptions, ServerAddr};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::config::{NatsSettings, Settings};
use crate::live::auth;
use crate::live::names::{self, UserId};

/// A connection ends when its token does; nobody runs a demo or a bench for longer.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Messages that one subscription holds before the client drops the next one: seconds of a busy room.
const CAPACITY: usize = 16 * 1_024;
/// What a connection reads at once. A frame of the feed takes some 400 bytes, and hundreds of guests sit in one
/// process.
const READ: u16 = 8 * 1_024;

/// A user who is connected.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Who it is.
    pub user: UserId,
    /// The connection; it comes back by itself.
    pub client: Client,
}

/// What runs on a thread of its own, for guests who are to live there.
///
/// # Errors
/// Where the thread ended at once.
pub(in crate::cli) async fn runtime(thread: &Arbiter) -> anyhow::Result<Handle> {
    let (tell, told) = oneshot::channel();
    thread.spawn(async move {
        // Whoever asked waits below.
        let _ = tell.send(Handle::current());
    });
    told.await.context("a thread ended at once")
}

// === impl Guest ===

impl Guest {
    /// Connects with a token that is minted for this.
    ///
    /// # Errors
    /// Where the settings hold no key that signs tokens, or the server lets nobody in: it is away, or no worker
    /// answers its questions yet.
    pub async fn connect(settings: &Settings, user: UserId) -> anyhow::Result<Self> {
        let keys = settings.live.auth.as_ref();
        let keys = keys.context("the settings say nothing of tokens under [live.auth]")?;
        let token = auth::mint(keys, &user, &[], false, LIFETIME)?;
        // The client puts its own dot behind it.
        let inbox = names::inbox_prefix(&user);
        let options = ConnectOptions::with_token(token)
            .custom_inbox_prefix(inbox.trim_end_matches('.'))
            .name(format!("guest {user}"));
        let client = connect(&settings.nats, options)
            .await
            .with_context(|| format!("the user {user} cannot connect to {}", settings.nats.url))?;
        Ok(Self { user, client })
    }

    /// A reply subject of its own.
    pub fn inbox(&self, name: &str) -> String {
        format!("{}{name}", names::inbox_prefix(&self.user))
    }
}

/// Connects a simulated client.
///
/// # Errors
/// What the client says.
pub(in crate::cli) async fn connect(
    settings: &NatsSettings,
    options: ConnectOptions,
) -> anyhow::Result<Client> {
    let servers: Vec<ServerAddr> = settings
        .url
        .split(',')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let mut options = options
        .connection_timeout(settings.timeout)
        .subscription_capacity(CAPACITY)
        .read_buffer_capacity(READ);
    if let Some(ca) = &settings.ca_file {
        options = options.add_root_certificates(ca.clone()).require_tls(true);
    }
    Ok(options.connect(servers).await?)
}
