//! A Redis of a test's own, for tests that configure, kill or empty it.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::stack;

/// A running redis-server; it ends with this value.
pub struct Server {
    port: u16,
    options: Vec<String>,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

// === impl Server ===

impl Server {
    /// One with these options, such as `--appendonly yes`, and no persistence unless they say so.
    pub fn start(options: &[&str]) -> Self {
        // The stack installs redis-server where it is missing.
        stack::plain(&["redis"]);
        // The port is free again when the listener is dropped at the end of this statement.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let mut server = Self {
            port,
            options: options.iter().map(|o| (*o).to_owned()).collect(),
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
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--dir"])
            .arg(self.folder.path())
            .args(&self.options)
            .stdout(out.try_clone().expect("a log"))
            .stderr(out)
            .stdin(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        self.process = Some(process);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.answers() {
            assert!(
                Instant::now() < deadline,
                "redis-server does not answer:\n{}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn answers(&self) -> bool {
        redis::Client::open(self.url())
            .and_then(|client| client.get_connection_with_timeout(Duration::from_secs(1)))
            .and_then(|mut connection| redis::cmd("PING").query::<String>(&mut connection))
            .is_ok()
    }

    /// Ends it as a crash would.
    pub fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("a process of our own can be killed");
            process.wait().expect("it ends");
        }
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("it runs");
        let sent = Command::new("kill")
            .args([format!("-{name}"), process.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts a snapshot in the background, unless one is being made.
    pub fn snapshot(&self) {
        let _busy = redis::Client::open(self.url())
            .and_then(|client| client.get_connection_with_timeout(Duration::from_secs(5)))
            .and_then(|mut connection| redis::cmd("BGSAVE").exec(&mut connection));
    }

    /// Runs one command on it.
    pub fn run<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        run(&self.url(), words)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
    }
}

/// Runs one command on the Redis at `url`.
pub fn run<T: redis::FromRedisValue>(url: &str, words: &[&str]) -> T {
    let mut connection = redis::Client::open(url)
        .and_then(|client| client.get_connection_with_timeout(Duration::from_secs(5)))
        .expect("Redis can be connected to");
    let (name, arguments) = words.split_first().expect("a command");
    redis::cmd(name)
        .arg(arguments)
        .query(&mut connection)
        .unwrap_or_else(|e| panic!("{words:?}: {e}"))
}
