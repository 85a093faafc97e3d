//! A proxy between a worker and NATS that stops what the worker sends, from a given word on: so a process is
//! killed exactly between two things that it does.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A running proxy; it ends with the runtime.
pub struct Proxy {
    addr: SocketAddr,
    held: watch::Receiver<bool>,
}

// === impl Proxy ===

impl Proxy {
    /// In front of a server's port. From `word` on nothing that a client sends goes through, on any
    /// connection that sends it.
    pub async fn start(port: u16, word: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (tell, held) = watch::channel(false);
        let tell = Arc::new(tell);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("a connection");
                let server = TcpStream::connect(("127.0.0.1", port)).await;
                let Ok(server) = server else {
                    continue;
                };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                });
                let tell = Arc::clone(&tell);
                tokio::spawn(async move {
                    let mut buffer = vec![0; 64 * 1024];
                    let mut kept: Vec<u8> = Vec::new();
                    while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
                        kept.extend_from_slice(&buffer[..n]);
                        let word = word.as_bytes();
                        if let Some(at) = kept.windows(word.len()).position(|w| w == word) {
                            let _ = to_server.write_all(&kept[..at]).await;
                            tell.send_replace(true);
                            // Taken and not passed on, until the client ends.
                            while let Ok(1..) = from_client.read(&mut buffer).await {}
                            return;
                        }
                        // The end may be the beginning of the word.
                        let keep = (1..word.len().min(kept.len() + 1))
                            .rev()
                            .find(|n| word.starts_with(&kept[kept.len() - n..]))
                            .unwrap_or(0);
                        let pass = kept.len() - keep;
                        if to_server.write_all(&kept[..pass]).await.is_err() {
                            return;
                        }
                        kept.drain(..pass);
                    }
                });
            }
        });
        Self { addr, held }
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.addr)
    }

    /// Waits until a client has sent the word.
    pub async fn held(&self) {
        let mut held = self.held.clone();
        held.wait_for(|h| *h).await.expect("the proxy runs");
    }
}
