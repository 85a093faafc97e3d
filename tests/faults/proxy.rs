//! A TCP proxy before a server, that behaves as a bad network does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of bytes that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// They are passed on later.
    Delay(Duration),
    /// The connection is reset, and every new one.
    Reset,
    /// They vanish, and the connection with them: nobody is told.
    Blackhole,
    /// Requests are passed on; at the first byte of an answer the connection is reset.
    DropReply,
}

/// A running proxy; it ends with the runtime.
pub struct Proxy {
    addr: SocketAddr,
    mode: watch::Sender<Mode>,
    server: Arc<Mutex<String>>,
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

// === impl Proxy ===

impl Proxy {
    /// Before the server at `address` (`host:port`).
    pub async fn before(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Self {
            addr: listener.local_addr().expect("an address"),
            mode: watch::Sender::new(Mode::Pass),
            server: Arc::new(Mutex::new(address.to_owned())),
        };
        let (mode, server) = (proxy.mode.clone(), Arc::clone(&proxy.server));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let address = server
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                tokio::spawn(carry(client, address, mode.subscribe()));
            }
        });
        proxy
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// From now on connections lead to another server.
    pub fn lead_to(&self, address: &str) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = address.to_owned();
    }

    /// Its own `host:port`.
    pub fn address(&self) -> String {
        self.addr.to_string()
    }
}

/// `host:port` of an address.
pub fn host_and_port(url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// One connection, to its end.
async fn carry(client: TcpStream, server: String, mut mode: watch::Receiver<Mode>) {
    let now = *mode.borrow();
    match now {
        Mode::Reset => {
            // Closed so, a connection is reset.
            let _ = client.set_zero_linger();
            return;
        }
        Mode::Blackhole => return swallow(client).await,
        Mode::Pass | Mode::Delay(_) | Mode::DropReply => {}
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut client, mut server) = (client, server);
    let is_reset = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            reset = pump(from_client, to_server, Way::ToServer, mode.clone()) => reset,
            reset = pump(from_server, to_client, Way::ToClient, mode.clone()) => reset,
            _ = mode.wait_for(|m| *m == Mode::Reset) => true,
        }
    };
    if is_reset {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Passes bytes one way; says whether the connection is to be reset.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    mode: watch::Receiver<Mode>,
) -> bool {
    let mut buffer = vec![0; 64 * 1024];
    let mut lost = false;
    loop {
        let Ok(n @ 1..) = from.read(&mut buffer).await else {
            return false;
        };
        let now = *mode.borrow();
        match (now, way) {
            // What lacks a part of it is of no use any more.
            _ if lost => continue,
            (Mode::Pass, _) | (Mode::DropReply, Way::ToServer) => {}
            (Mode::Delay(pause), _) => tokio::time::sleep(pause).await,
            (Mode::Reset, _) | (Mode::DropReply, Way::ToClient) => return true,
            (Mode::Blackhole, _) => {
                lost = true;
                continue;
            }
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            return false;
        }
    }
}

async fn swallow(mut client: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(1..) = client.read(&mut buffer).await {}
}
