//! A NATS server of a test's own, and a way to Redis that loses answers.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::stack;

/// A running nats-server with JetStream and without passwords; it ends with this value.
pub struct Nats {
    port: u16,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

// === impl Nats ===

impl Nats {
    pub fn start() -> Self {
        // The stack fetches nats-server where it is missing.
        stack::plain(&["nats"]);
        // The port is free again when the listener is dropped at the end of this statement.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let mut server = Self {
            port,
            folder: tempfile::tempdir().expect("a temporary folder"),
            process: None,
        };
        server.again();
        server
    }

    /// Starts it again on its data.
    pub fn again(&mut self) {
        let log = self.folder.path().join("log");
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log");
        let process = Command::new(binary())
            .args(["--addr", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--jetstream", "--store_dir"])
            .arg(self.folder.path().join("data"))
            .stdout(out.try_clone().expect("a log"))
            .stderr(out)
            .stdin(Stdio::null())
            .spawn()
            .expect("nats-server starts");
        self.process = Some(process);
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(
                Instant::now() < deadline,
                "nats-server does not answer:\n{}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it as a crash would.
    pub fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("a process of our own can be killed");
            process.wait().expect("it ends");
        }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.crash();
    }
}

fn binary() -> PathBuf {
    let stack = std::env::var_os("TWOLANE_STACK_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".stack"),
        PathBuf::from,
    );
    let found = std::fs::read_dir(stack.join("dist"))
        .expect("the stack's servers")
        .find_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.to_owned();
            let server = path.join("nats-server");
            (name.starts_with("nats-") && server.exists()).then_some(server)
        });
    found.expect("nats-server was fetched")
}

/// Stands between a client and a server, and can lose the answer to what the server has executed.
pub struct Lossy {
    port: u16,
    /// Every answer is lost, and the connection with it.
    pub losing: Arc<AtomicBool>,
    /// Answers that were lost.
    pub lost: Arc<AtomicU64>,
}

// === impl Lossy ===

impl Lossy {
    /// In front of what listens at this port.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let lossy = Self {
            port: listener.local_addr().expect("its address").port(),
            losing: Arc::default(),
            lost: Arc::default(),
        };
        let (losing, lost) = (Arc::clone(&lossy.losing), Arc::clone(&lossy.lost));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                let (mut from, mut to) = (
                    client.try_clone().expect("a socket"),
                    server.try_clone().expect("a socket"),
                );
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                let (losing, lost) = (Arc::clone(&losing), Arc::clone(&lost));
                std::thread::spawn(move || answers(server, client, &losing, &lost));
            }
        });
        lossy
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

fn answers(mut server: TcpStream, mut client: TcpStream, losing: &AtomicBool, lost: &AtomicU64) {
    let mut buffer = [0; 1 << 16];
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        if losing.load(Ordering::SeqCst) {
            lost.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if client.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    // Either side may be gone already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
