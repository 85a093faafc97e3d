//! The same fan-out through Centrifugo: its sockets, and what publishes into it. Its protocol is that of
//! <https://centrifugal.dev/docs/transports/client_protocol>: commands and replies as JSON, a line each, several in a frame.
//!
//! It runs with `deploy/bench/centrifugo/config.json`: its memory engine, and no tokens, so that nothing of what it does
//! for a socket is more than what the gateway does.

use std::net::SocketAddr;
use std::path::Path;

use actix_codec::Encoder as _;
use actix_http::ws::{Codec, Message};
use anyhow::{Context as _, ensure};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::sockets::upgrade;
use crate::cli::bench::live::worker::Worker;

/// Its settings, from the repository's top.
const CONFIG: &str = "deploy/bench/centrifugo/config.json";

/// Starts it at this address.
///
/// # Errors
/// Where the program or its settings are not there.
pub(super) fn start(program: &Path, root: &Path, addr: SocketAddr) -> anyhow::Result<Worker> {
    let config = root.join(CONFIG);
    ensure!(config.exists(), "{} is not there", config.display());
    let mut command = Command::new(program);
    command
        .arg(format!("--config={}", config.display()))
        .arg(format!("--port={}", addr.port()))
        // It shares one processor with nobody, and need not think that it has two.
        .env("GOMAXPROCS", "1");
    Worker::spawn(command)
}

/// Opens a socket, logs in, and subscribes to a channel.
pub(super) async fn enter(
    addr: SocketAddr,
    channel: Option<&str>,
) -> anyhow::Result<(TcpStream, BytesMut)> {
    let head = format!(
        "GET /connection/websocket HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let (mut stream, mut left) = upgrade(addr, &head, None).await?;
    let mut hello = r#"{"id":1,"connect":{}}"#.to_owned();
    if let Some(channel) = channel {
        hello.push_str(&format!(
            "\n{{\"id\":2,\"subscribe\":{{\"channel\":\"{channel}\"}}}}"
        ));
    }
    stream.write_all(&text(hello.into_bytes())?).await?;
    let answers = if channel.is_some() { 2 } else { 1 };
    // Both answers, whatever frames they come in; what follows them is read by whoever listens.
    loop {
        let found = memchr::memmem::find_iter(&left, br#"{"id":"#).count();
        if found >= answers {
            ensure!(
                memchr::memmem::find(&left, br#""error""#).is_none(),
                "it refuses: {}",
                String::from_utf8_lossy(&left)
            );
            return Ok((stream, left));
        }
        ensure!(stream.read_buf(&mut left).await? > 0, "it was closed");
    }
}

/// A text of a client's.
pub(super) fn text(text: Vec<u8>) -> anyhow::Result<BytesMut> {
    let mut out = BytesMut::with_capacity(text.len() + 14);
    let text = String::from_utf8(text).context("a text")?;
    Codec::new()
        .client_mode()
        .encode(Message::Text(text.into()), &mut out)
        .map_err(|why| anyhow::anyhow!("a frame: {why}"))?;
    Ok(out)
}

/// A command that publishes an entry.
pub(super) fn publish(n: u64, channel: &str, entry: &[u8]) -> anyhow::Result<Bytes> {
    let mut command = format!(
        "{{\"id\":{},\"publish\":{{\"channel\":\"{channel}\",\"data\":",
        n + 10
    )
    .into_bytes();
    command.extend_from_slice(entry);
    command.extend_from_slice(b"}}");
    Ok(text(command)?.freeze())
}
