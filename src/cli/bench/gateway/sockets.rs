//! The run's sockets: opened as a client of the contract does, and read by a thread of their own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::Arbiter;
use actix_codec::Decoder as _;
use actix_http::ws::{Codec, Frame};
use anyhow::{Context as _, bail, ensure};
use bytes::BytesMut;
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::fanout::Meter;
use super::peer;
use crate::cli::demo::guest;
use crate::config::{Settings, TokenSettings};
use crate::live::auth;
use crate::live::names::UserId;

/// Handshakes at the same time.
const AT_ONCE: usize = 64;
/// How long the gateway may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(200);
/// A handshake's answer takes no more.
const ANSWER: usize = 1_024;
/// What is read at once.
const READ: usize = 32 << 10;
/// Users among whom idle sockets are shared out: notifications find one of them each.
const USERS: usize = 1_000;
/// How the peer begins what it sends of a channel.
const PUSHED: &[u8] = br#"{"push":"#;
const DAY: Duration = Duration::from_secs(86_400);

/// Where sockets are opened, and with which tokens.
#[derive(Clone)]
pub(super) struct Door {
    addr: SocketAddr,
    /// How tokens of the gateway's are made; `None` at the peer, which asks for none.
    tokens: Option<TokenSettings>,
}

/// Sockets that are open.
pub(super) struct Crowd {
    pub(super) room: String,
    /// Where they are.
    pub(super) door: Door,
    /// What came.
    pub(super) heard: Arc<Heard>,
    tasks: Vec<JoinHandle<()>>,
    thread: Arbiter,
}

/// What came to all sockets.
#[derive(Debug)]
pub(super) struct Heard {
    /// Messages with entries.
    pub(super) frames: AtomicU64,
    /// Sockets that were closed.
    pub(super) closed: AtomicU64,
    /// What is measured, while somebody measures.
    pub(super) meter: Mutex<Option<Meter>>,
}

/// A key for this run alone.
pub(super) fn key() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let word = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}{:016x}", word(), word(), word())
}

/// The `n`th user of the idle sockets.
pub(super) fn user(kind: &str, n: usize) -> String {
    format!("bench-{kind}-{}", n % USERS)
}

// === impl Door ===

impl Door {
    /// # Errors
    /// Where the settings hold no key that signs.
    pub(super) fn new(settings: &Settings, addr: SocketAddr) -> anyhow::Result<Self> {
        let tokens = settings.live.auth.clone();
        Ok(Self {
            addr,
            tokens: Some(tokens.context("the settings say nothing of tokens")?),
        })
    }

    /// The peer's.
    pub(super) fn of_peer(addr: SocketAddr) -> Self {
        Self { addr, tokens: None }
    }

    /// Whether it is the peer's.
    pub(super) fn is_peer(&self) -> bool {
        self.tokens.is_none()
    }

    /// Where it is.
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits until a socket is opened and greeted.
    ///
    /// # Errors
    /// What was in the way for a minute.
    pub(super) async fn open(&self, unique: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let first = async {
                let room = format!("{unique}-first");
                let (mut stream, mut left) = self.enter(&room, "bench-first", None).await?;
                while left.is_empty() {
                    ensure!(stream.read_buf(&mut left).await? > 0, "it was closed");
                }
                anyhow::Ok(())
            };
            let why = match tokio::time::timeout(PATIENCE / 4, first).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(why)) => why,
                Err(_) => anyhow::anyhow!("nobody was greeted"),
            };
            if began.elapsed() > PATIENCE {
                return Err(why.context("the gateway does not answer"));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    async fn enter(
        &self,
        room: &str,
        user: &str,
        buffer: Option<u32>,
    ) -> anyhow::Result<(TcpStream, BytesMut)> {
        let Some(tokens) = &self.tokens else {
            return peer::enter(self.addr, Some(room)).await;
        };
        let token = auth::mint(tokens, &UserId::new(user)?, &[], false, DAY)?;
        let head = format!(
            "GET /v1/rooms/{room}/ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Authorization: Bearer {token}\r\n\r\n",
            self.addr
        );
        upgrade(self.addr, &head, buffer).await
    }
}

/// Asks for a WebSocket by this head, and gives what came behind the answer. `buffer`: the kernel's for what comes, where it is
/// to be another than usual.
pub(super) async fn upgrade(
    addr: SocketAddr,
    head: &str,
    buffer: Option<u32>,
) -> anyhow::Result<(TcpStream, BytesMut)> {
    let socket = TcpSocket::new_v4()?;
    if let Some(buffer) = buffer {
        socket.set_recv_buffer_size(buffer)?;
    }
    let mut stream = socket.connect(addr).await?;
    stream.set_nodelay(true)?;
    stream.write_all(head.as_bytes()).await?;
    let mut answer = BytesMut::with_capacity(ANSWER);
    let end = loop {
        if let Some(at) = memchr::memmem::find(&answer, b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut answer).await? == 0 || answer.len() > ANSWER * 64 {
            bail!("no handshake: {}", String::from_utf8_lossy(&answer));
        }
    };
    let left = answer.split_off(end);
    ensure!(
        answer.starts_with(b"HTTP/1.1 101"),
        "refused: {}{}",
        String::from_utf8_lossy(&answer),
        String::from_utf8_lossy(&left)
    );
    Ok((stream, left))
}

// === impl Crowd ===

impl Crowd {
    /// Opens so many sockets of one room.
    ///
    /// # Errors
    /// Where one of them is refused.
    pub(super) async fn gather(
        door: &Door,
        unique: &str,
        kind: &'static str,
        n: usize,
    ) -> anyhow::Result<Self> {
        let thread = Arbiter::new();
        let on = guest::runtime(&thread).await?;
        let room = format!("{unique}-{kind}");
        let heard = Arc::new(Heard {
            frames: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            meter: Mutex::default(),
        });
        let opened = (0..n).map(|n| {
            let (door, room, heard) = (door.clone(), room.clone(), Arc::clone(&heard));
            let on = on.clone();
            async move {
                let entered = on.spawn(async move {
                    let (stream, left) = door.enter(&room, &user(kind, n), None).await?;
                    anyhow::Ok(tokio::spawn(listen(stream, left, heard)))
                });
                entered.await?
            }
        });
        let mut opened = stream::iter(opened).buffer_unordered(AT_ONCE);
        let mut tasks = Vec::with_capacity(n);
        while let Some(task) = opened.next().await {
            tasks.push(task?);
        }
        drop(opened);
        Ok(Self {
            room,
            door: door.clone(),
            heard,
            tasks,
            thread,
        })
    }

    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Everyone leaves.
    pub(super) async fn leave(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            // It was aborted.
            let _ = task.await;
        }
        self.thread.stop();
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

/// Reads 1 KB a second of a room's socket, as somebody on a line that is too slow does.
pub(super) async fn read_slowly(door: &Door, room: &str) -> anyhow::Result<()> {
    /// Of a kilobyte.
    const A_TENTH: usize = 102;
    /// What the kernel holds for it.
    const SMALL: u32 = 4 << 10;
    let (mut stream, _) = door.enter(room, "bench-slow", Some(SMALL)).await?;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let mut some = [0; A_TENTH];
    loop {
        ticks.tick().await;
        ensure!(stream.read(&mut some).await? > 0, "it was closed");
    }
}

/// Whether a text holds the peer's ping: an empty object, which is answered by the like, alone or among other messages of one
/// frame, each on a line of its own.
fn holds_ping(text: &[u8]) -> bool {
    text.starts_with(b"{}") || memchr::memmem::find(text, b"\n{}").is_some()
}

/// Reads a socket, and hands over what came and when.
async fn listen(mut stream: TcpStream, mut buffer: BytesMut, heard: Arc<Heard>) {
    let mut codec = Codec::new().max_size(1 << 20).client_mode();
    loop {
        let now = Instant::now();
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(Frame::Text(text))) => {
                    let ours = text.starts_with(br#"{"type":"entries""#);
                    if ours || text.starts_with(PUSHED) || text.starts_with(b"{}\n") {
                        heard.entries(now, &text);
                    }
                    if !ours && holds_ping(&text) {
                        let Ok(pong) = peer::text(b"{}".to_vec()) else {
                            break;
                        };
                        if stream.write_all(&pong).await.is_err() {
                            break;
                        }
                    }
                }
                // The shortest masked pong.
                Ok(Some(Frame::Ping(_))) => {
                    let pong = [0x8A, 0x80, 0, 0, 0, 0];
                    if stream.write_all(&pong).await.is_err() {
                        break;
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => {
                    heard.closed.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
        if buffer.is_empty() {
            // An idle socket is to cost the loader nothing either.
            buffer = BytesMut::new();
            if stream.readable().await.is_err() {
                break;
            }
        }
        buffer.reserve(READ);
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    heard.closed.fetch_add(1, Ordering::Relaxed);
}

// === impl Heard ===

impl Heard {
    fn entries(&self, at: Instant, text: &[u8]) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = &mut *meter {
            meter.entries(at, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_ping_is_found_alone_and_among_messages() {
        for with in [
            &b"{}"[..],
            b"{}\n{\"push\":1}",
            b"{\"push\":1}\n{}",
            b"{\"push\":1}\n{}\n{\"push\":2}",
        ] {
            assert!(holds_ping(with), "{}", String::from_utf8_lossy(with));
        }
        for without in [
            &b"{\"push\":{}}"[..],
            b"{\"type\":\"entries\",\"entries\":[]}",
        ] {
            assert!(!holds_ping(without), "{}", String::from_utf8_lossy(without));
        }
    }
}
