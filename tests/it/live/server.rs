//! A NATS server of a test's own, which may be killed and started again on its data.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::stack;

/// A running nats-server with JetStream and without passwords; it ends with this value.
pub struct Server {
    port: u16,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

// === impl Server ===

impl Server {
    pub fn start() -> Self {
        // The stack fetches nats-server where it is missing.
        stack::plain(&["nats"]);
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

    /// Starts it on its data, and waits until it takes connections.
    pub fn again(&mut self) {
        let log = self.folder.path().join("log");
        let out = File::options().create(true).append(true).open(&log);
        let out = out.expect("a log");
        let process = Command::new(binary())
            .args(["--addr", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--jetstream", "--store_dir"])
            .arg(self.folder.path().join("data"))
            .stdout(out.try_clone().expect("a log"))
            .stderr(out)
            .stdin(Stdio::null())
            .spawn();
        self.process = Some(process.expect("nats-server starts"));
        let deadline = Instant::now() + Duration::from_secs(30);
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
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("a process of our own can be killed");
            process.wait().expect("it ends");
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn binary() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".stack");
    let stack = std::env::var_os("TWOLANE_STACK_DIR").map_or(own, PathBuf::from);
    let fetched = std::fs::read_dir(stack.join("dist")).expect("the stack's servers");
    let mut servers = fetched.filter_map(|entry| {
        let path = entry.ok()?.path();
        let of_nats = path.file_name()?.to_str()?.starts_with("nats-");
        let server = path.join("nats-server");
        (of_nats && server.exists()).then_some(server)
    });
    servers.next().expect("nats-server was fetched")
}
