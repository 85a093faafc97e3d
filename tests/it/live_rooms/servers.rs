//! A NATS server of a test's own.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
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
