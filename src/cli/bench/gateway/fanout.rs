//! Comments at a fixed rate to all viewers of one room.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use async_nats::jetstream::{self, stream::Stream};
use hdrhistogram::Histogram;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::peer;
use super::sockets::Crowd;
use crate::cli::bench::live::pace::{Pace, micros, whole};
use crate::cli::demo::guest;
use crate::config::Settings;
use crate::live::names::{self, RoomId};
use crate::live::streams::LIVE_OUT;
use crate::live::wire::{Entry, Mode, Shown};

/// What a comment says: with the rest of its entry some 230 bytes.
const TEXT: &str = "前方高能!! this is what all waited for";
/// Comments on their way to the connection.
const UNDER_WAY: usize = 4_096;
/// For so long nothing more has come after the last comment: what is missing is missing.
const QUIET: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    pub(super) rate: u32,
    pub(super) warm_up: Duration,
    pub(super) length: Duration,
}

/// Notes what comes, and when.
#[derive(Debug)]
pub(super) struct Meter {
    origin: Instant,
    warm_up: Duration,
    latency: Histogram<u64>,
    /// Deliveries, those of the warm-up included.
    received: u64,
    /// When the last of those that are measured came.
    last: Duration,
    measured: u64,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Figures {
    /// From the time at which a comment was due to its arrival at each viewer, in microseconds.
    pub(super) latency: Histogram<u64>,
    /// The loader's own lateness.
    pub(super) lag: Histogram<u64>,
    /// Comments sent, those of the warm-up included.
    pub(super) sent: u64,
    /// Deliveries: one is one comment at one viewer.
    pub(super) received: u64,
    /// Deliveries that were due and did not come.
    pub(super) missing: u64,
    /// Deliveries a second, from the first to the last that is measured.
    pub(super) per_second: f64,
    /// Messages with comments that came a second, over all viewers.
    pub(super) frames: f64,
}

impl Figures {
    /// Both of two runs under the same conditions.
    ///
    /// # Errors
    /// Where the histograms do not fit, which those of one program do.
    pub(super) fn and(mut self, other: &Self) -> anyhow::Result<Self> {
        let fits = |why| anyhow::anyhow!("histograms: {why:?}");
        self.latency.add(&other.latency).map_err(fits)?;
        self.lag.add(&other.lag).map_err(fits)?;
        self.sent += other.sent;
        self.received += other.received;
        self.missing += other.missing;
        self.per_second = f64::midpoint(self.per_second, other.per_second);
        self.frames = f64::midpoint(self.frames, other.frames);
        Ok(self)
    }
}

/// Sends, waits for what is on its way, and says what came of it.
///
/// # Errors
/// Where a connection is lost, or a socket closed.
pub(super) async fn run(
    settings: &Settings,
    unique: &str,
    crowd: &Crowd,
    flow: Flow,
) -> anyhow::Result<Figures> {
    let to = Publisher::open(settings, crowd).await?;
    let pace = Pace {
        origin: Instant::now() + Duration::from_millis(500),
        rate: flow.rate,
        warm_up: flow.warm_up,
        end: flow.warm_up + flow.length,
    };
    let meter = Meter {
        origin: pace.origin,
        warm_up: flow.warm_up,
        latency: micros()?,
        received: 0,
        last: Duration::ZERO,
        measured: 0,
    };
    *crowd
        .heard
        .meter
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some(meter);
    let frames = crowd.heard.frames.load(Ordering::Relaxed);
    let began = Instant::now();
    let (put, mut taken) = mpsc::channel::<Vec<u8>>(UNDER_WAY);
    let publishing = tokio::spawn(async move {
        let mut to = to;
        let mut n = 0;
        while let Some(json) = taken.recv().await {
            to.publish(n, json).await?;
            n += 1;
        }
        to.flush().await?;
        anyhow::Ok(to)
    });
    let unique = unique.to_owned();
    let paced = pace.keep(move |n, due| {
        let json = entry(&unique, n, due)?;
        put.blocking_send(json).context("the connection was lost")
    });
    let paced = paced.await?;
    publishing.await??;
    let due = paced.sent * crowd.len() as u64;
    let mut moved = Instant::now();
    let mut before = 0;
    loop {
        let received = {
            let meter = crowd
                .heard
                .meter
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            meter.as_ref().map_or(0, |m| m.received)
        };
        if received >= due || moved.elapsed() > QUIET {
            break;
        }
        if received != before {
            (before, moved) = (received, Instant::now());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let closed = crowd.heard.closed.load(Ordering::Relaxed);
    ensure!(closed == 0, "{closed} sockets were closed");
    let meter = crowd
        .heard
        .meter
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let meter = meter.context("nobody measured")?;
    let frames = crowd.heard.frames.load(Ordering::Relaxed) - frames;
    let measured = meter.last.saturating_sub(flow.warm_up).as_secs_f64();
    Ok(Figures {
        lag: paced.lag,
        sent: paced.sent,
        received: meter.received,
        missing: due.saturating_sub(meter.received),
        per_second: meter.measured as f64 / measured.max(1e-9),
        frames: frames as f64 / began.elapsed().as_secs_f64(),
        latency: meter.latency,
    })
}

/// What comments are put into.
enum Publisher {
    /// LIVE_OUT, as workers do.
    Nats(async_nats::Client, String),
    /// The peer's channel, over a socket of its own.
    Peer(OwnedWriteHalf, String, JoinHandle<()>),
}

impl Publisher {
    async fn open(settings: &Settings, crowd: &Crowd) -> anyhow::Result<Self> {
        if !crowd.door.is_peer() {
            let client = guest::connect(&settings.nats, login(settings)).await?;
            let room = RoomId::new(&crowd.room)?;
            return Ok(Self::Nats(client, names::out(&room)));
        }
        let (stream, _) = peer::enter(crowd.door.addr(), None).await?;
        let (mut read, write) = stream.into_split();
        // Its acknowledgements are of no interest, but must be taken.
        let answers = tokio::spawn(async move {
            let mut sink = tokio::io::sink();
            let _ = tokio::io::copy(&mut read, &mut sink).await;
        });
        Ok(Self::Peer(write, crowd.room.clone(), answers))
    }

    async fn publish(&mut self, n: u64, entry: Vec<u8>) -> anyhow::Result<()> {
        match self {
            Self::Nats(client, subject) => client.publish(subject.clone(), entry.into()).await?,
            Self::Peer(write, channel, _) => {
                let command = peer::publish(n, channel, &entry)?;
                write.write_all(&command).await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Nats(client, _) => client.flush().await?,
            Self::Peer(write, ..) => write.flush().await?,
        }
        Ok(())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if let Self::Peer(.., answers) = self {
            answers.abort();
        }
    }
}

fn entry(unique: &str, n: u64, due: Duration) -> anyhow::Result<Vec<u8>> {
    let entry = Entry::Comment(Shown {
        id: format!("{unique}-{n}"),
        progress: 0,
        mode: Mode::Scroll,
        fontsize: 25,
        color: 0xFF_FF_FF,
        mid_hash: "bb82030dbc2bcaba".to_owned(),
        content: TEXT.to_owned(),
        ctime: 1_764_030_630_123,
        weight: 5,
        cid: Some(due.as_micros().to_string()),
    });
    serde_json::to_vec(&entry).context("an entry")
}

/// As the worker's user, who may write entries.
fn login(settings: &Settings) -> async_nats::ConnectOptions {
    let options = async_nats::ConnectOptions::new()
        .name("bench")
        .custom_inbox_prefix("_WORKER");
    let password = settings.nats.password.as_ref();
    match (&settings.nats.username, password) {
        (Some(user), Some(password)) => {
            options.user_and_password(user.clone(), password.expose().to_owned())
        }
        (Some(_), None) | (None, _) => options,
    }
}

/// Removes the rooms' comments.
///
/// # Errors
/// Where the server refuses.
pub(super) async fn forget(settings: &Settings, unique: &str) -> anyhow::Result<()> {
    let client = guest::connect(&settings.nats, login(settings)).await?;
    let stream: Stream = jetstream::new(client).get_stream(LIVE_OUT).await?;
    let room = RoomId::new(&format!("{unique}-viewer"))?;
    stream.purge().filter(names::out(&room)).await?;
    Ok(())
}

// === impl Meter ===

impl Meter {
    /// The entries of one message: each says in its `cid` when it was due.
    pub(super) fn entries(&mut self, at: Instant, text: &[u8]) {
        let at = at.saturating_duration_since(self.origin);
        for found in memchr::memmem::find_iter(text, br#""cid":""#) {
            let digits = text[found + 7..].iter().take_while(|b| b.is_ascii_digit());
            let due = digits.fold(0_u64, |n, b| {
                n.saturating_mul(10).saturating_add(u64::from(b - b'0'))
            });
            let due = Duration::from_micros(due);
            self.received += 1;
            if due >= self.warm_up {
                self.latency
                    .saturating_record(whole(at.saturating_sub(due)));
                self.measured += 1;
                self.last = at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_says_when_it_was_due() {
        let mut meter = Meter {
            origin: Instant::now(),
            warm_up: Duration::from_millis(1),
            latency: micros().unwrap(),
            received: 0,
            last: Duration::ZERO,
            measured: 0,
        };
        let one = |n| String::from_utf8(entry("u", n, Duration::from_millis(n)).unwrap()).unwrap();
        assert!((200..260).contains(&one(1).len()), "{}", one(1).len());
        let text = format!("[{},{},{}]", one(0), one(1), one(2));
        let at = meter.origin + Duration::from_millis(5);
        meter.entries(at, text.as_bytes());
        assert_eq!((meter.received, meter.measured), (3, 2));
        assert!(meter.latency.max() >= 3_990 && meter.latency.min() >= 2_990);
    }
}
