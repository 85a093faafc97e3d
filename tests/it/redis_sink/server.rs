//! A Redis of a test's own, for tests that configure, kill or empty it.

use std::process::Command;
use std::time::Duration;

use crate::process::{Process, free_port};
use crate::stack;

/// A running redis-server; it ends with this value.
pub struct Server {
    port: u16,
    options: Vec<String>,
    folder: tempfile::TempDir,
    process: Option<Process>,
}

// === impl Server ===

impl Server {
    /// One with these options, such as `--appendonly yes`, and no persistence unless they say so.
    pub fn start(options: &[&str]) -> Self {
        // The stack installs redis-server where it is missing.
        stack::plain(&["redis"]);
        let mut server = Self {
            port: free_port(),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            process: None,
        };
        server.again();
        server
    }

    /// Starts it again on its data.
    pub fn again(&mut self) {
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--dir"])
            .arg(self.folder.path())
            .args(&self.options);
        let log = self.folder.path().join("log");
        self.process = Some(Process::start(&mut command, &log, || self.answers()));
    }

    fn answers(&self) -> bool {
        redis::Client::open(self.url())
            .and_then(|client| client.get_connection_with_timeout(Duration::from_secs(1)))
            .and_then(|mut connection| redis::cmd("PING").query::<String>(&mut connection))
            .is_ok()
    }

    /// Ends it as a crash would.
    pub fn crash(&mut self) {
        self.process = None;
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        self.process.as_ref().expect("it runs").signal(name);
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
