//! The rooms of a run and everyone in them: viewers and authors, each with a connection.
//!
//! Viewers and authors have a thread each, so that what arrives does not wait behind what is sent.

use std::time::{Duration, Instant};

use actix::Arbiter;
use anyhow::{Context as _, ensure};
use async_nats::{Client, ConnectOptions, jetstream};
use futures_util::{StreamExt as _, stream};
use tokio::runtime::Handle;

use crate::cli::demo::guest::{self, Guest};
use crate::config::{NatsSettings, Settings};
use crate::live::names::{self, Inbound, RoomId, UserId};
use crate::live::streams::{LIVE_IN, LIVE_OUT};

/// Connections that are made at the same time: each one asks the worker who it is.
const AT_ONCE: usize = 16;
/// How long the worker may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two questions whether it does.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(2);

/// Which way comments go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Through the lane, as users.
    Lane,
    /// Through the server alone, from publisher to subscriber, as its static user.
    Core,
}

/// How many there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) rooms: usize,
    pub(super) viewers: usize,
    pub(super) authors: usize,
}

/// Everyone.
pub(super) struct Crowd {
    pub(super) way: Way,
    pub(super) rooms: Vec<RoomId>,
    /// The `n`th watches the room `n` modulo the number of rooms.
    pub(super) viewers: Vec<Guest>,
    pub(super) authors: Vec<Guest>,
    /// The viewers' thread.
    pub(super) watching: Handle,
    /// The authors' thread.
    pub(super) writing: Handle,
    threads: Vec<Arbiter>,
}

// === impl Crowd ===

impl Crowd {
    /// Connects everyone.
    ///
    /// # Errors
    /// Where anybody is not let in.
    pub(super) async fn gather(
        way: Way,
        settings: &Settings,
        size: Size,
        unique: &str,
    ) -> anyhow::Result<Self> {
        let threads = vec![Arbiter::new(), Arbiter::new()];
        let mut handles = Vec::new();
        for thread in &threads {
            handles.push(guest::runtime(thread).await?);
        }
        let [watching, writing]: [Handle; 2] =
            handles.try_into().ok().context("two threads were made")?;
        let rooms = (0..size.rooms).map(|n| room(unique, "room", n));
        Ok(Self {
            way,
            rooms: rooms.collect::<anyhow::Result<_>>()?,
            viewers: connect(way, settings, &watching, "viewer", size.viewers).await?,
            authors: connect(way, settings, &writing, "author", size.authors).await?,
            watching,
            writing,
            threads,
        })
    }

    /// What viewers of a room subscribe to.
    pub(super) fn feed(&self, room: &RoomId) -> String {
        match self.way {
            Way::Lane => names::feed(room),
            Way::Core => format!("bench.{room}"),
        }
    }

    /// What an author publishes on.
    pub(super) fn comments(&self, room: &RoomId, author: &UserId) -> String {
        match self.way {
            Way::Lane => names::inbound(room, Inbound::Comment, author),
            Way::Core => format!("bench.{room}"),
        }
    }

    /// Everyone leaves.
    pub(super) async fn leave(self) {
        let all = self.viewers.iter().chain(&self.authors);
        for guest in all {
            // Whoever is gone has left.
            let _ = guest.client.drain().await;
        }
        for thread in self.threads {
            thread.stop();
            // A panic there has failed the run before.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// A room of this run and no other.
///
/// # Errors
/// Where the name of the run is too long for one.
pub(super) fn room(unique: &str, kind: &str, n: usize) -> anyhow::Result<RoomId> {
    Ok(RoomId::new(&format!("{unique}-{kind}-{n}"))?)
}

async fn connect(
    way: Way,
    settings: &Settings,
    on: &Handle,
    kind: &'static str,
    count: usize,
) -> anyhow::Result<Vec<Guest>> {
    let connections = (0..count).map(|n| {
        let settings = settings.clone();
        // Its tasks run on the thread that it was made on.
        let made = on.spawn(async move {
            let user = UserId::new(&format!("bench-{kind}-{n}"))?;
            match way {
                Way::Lane => Guest::connect(&settings, user).await,
                Way::Core => Ok(Guest {
                    user,
                    client: as_worker(&settings.nats).await?,
                }),
            }
        });
        async { made.await? }
    });
    let mut all = Vec::with_capacity(count);
    let mut connections = stream::iter(connections).buffered(AT_ONCE);
    while let Some(guest) = connections.next().await {
        all.push(guest?);
    }
    Ok(all)
}

/// A connection as the server's static user, who may use any subject.
async fn as_worker(settings: &NatsSettings) -> anyhow::Result<Client> {
    let mut options = ConnectOptions::new().name("bench");
    if let Some(user) = &settings.username {
        let password = settings.password.as_ref();
        let password = password.map(|p| p.expose().to_owned()).unwrap_or_default();
        options = options.user_and_password(user.clone(), password);
    }
    guest::connect(settings, options)
        .await
        .with_context(|| format!("cannot connect to {}", settings.url))
}

/// Waits until a comment is answered: then the worker lets users in, and has made the streams.
///
/// # Errors
/// Where that takes a minute: what was in the way at last.
pub(super) async fn answered(settings: &Settings, unique: &str) -> anyhow::Result<()> {
    let room = room(unique, "first", 0)?;
    let began = Instant::now();
    loop {
        let why = match tokio::time::timeout(ANSWER, ask(settings, &room)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why,
            Err(_) => anyhow::anyhow!("a comment was not seen within {ANSWER:?}"),
        };
        if began.elapsed() > PATIENCE {
            return Err(why.context(format!("the worker does not answer after {PATIENCE:?}")));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// One comment, until it is seen.
async fn ask(settings: &Settings, room: &RoomId) -> anyhow::Result<()> {
    let guest = Guest::connect(settings, UserId::new("bench-first")?).await?;
    let mut feed = guest.client.subscribe(names::feed(room)).await?;
    guest.client.flush().await?;
    let subject = names::inbound(room, Inbound::Comment, &guest.user);
    let taken = guest
        .client
        .request(subject, r#"{"content":"first"}"#.into());
    let taken = taken.await?.payload;
    ensure!(
        !taken.windows(7).any(|part| part == b"\"error\""),
        "the server does not take comments: {}",
        String::from_utf8_lossy(&taken)
    );
    feed.next().await.context("the connection ended")?;
    Ok(())
}

/// Removes the rooms' comments from the streams.
///
/// # Errors
/// Where the server refuses; streams that were never made have nothing to be removed.
pub(super) async fn forget(settings: &Settings, unique: &str, size: Size) -> anyhow::Result<()> {
    let mut js = jetstream::new(as_worker(&settings.nats).await?);
    js.set_timeout(settings.nats.timeout);
    let mut rooms = vec![room(unique, "first", 0)?];
    for n in 0..size.rooms {
        rooms.push(room(unique, "room", n)?);
    }
    let waiting = |room: &RoomId| format!("live.{room}.in.comment.*");
    for stream in [LIVE_IN, LIVE_OUT] {
        let Ok(found) = js.get_stream(stream).await else {
            continue;
        };
        for room in &rooms {
            let subject = if stream == LIVE_OUT {
                names::out(room)
            } else {
                waiting(room)
            };
            found
                .purge()
                .filter(subject)
                .await
                .with_context(|| format!("purging {stream}"))?;
        }
    }
    Ok(())
}
