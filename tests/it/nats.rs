//! A NATS server of a test's own, which may be killed and started again on its data.

use std::process::Command;

use crate::process::{Process, free_port, listens};
use crate::stack;

/// A running nats-server with JetStream and without passwords; it ends with this value.
pub struct Nats {
    program: String,
    port: u16,
    folder: tempfile::TempDir,
    process: Option<Process>,
}

// === impl Nats ===

impl Nats {
    pub fn start() -> Self {
        // The stack fetches nats-server where it is missing.
        let stack = stack::plain(&["nats"]);
        let mut server = Self {
            program: stack.get("NATS_SERVER").to_owned(),
            port: free_port(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            process: None,
        };
        server.again();
        server
    }

    /// Starts it on its data, and waits until it takes connections.
    pub fn again(&mut self) {
        let mut command = Command::new(&self.program);
        command
            .args(["--addr", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--jetstream", "--store_dir"])
            .arg(self.folder.path().join("data"));
        let log = self.folder.path().join("log");
        self.process = Some(Process::start(&mut command, &log, || listens(self.port)));
    }

    /// Ends it as a crash would.
    pub fn crash(&mut self) {
        self.process = None;
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}
