//! A `twolane run` of a test's own, with a token and an audit file.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use twolane::sink::dead_letter::dead_topic;

use crate::dead_letters::desk::{Desk, Said};
use crate::process::{Process, free_port, listens};

/// The token of `admin.token`.
pub const TOKEN: &str = "a-token-of-a-test-0123456789";
/// A value of a column that the pipeline masks.
pub const HIDDEN: &str = "topsecret";

const PATIENCE: Duration = Duration::from_secs(60);

/// A test's pipeline, and the process that runs it.
pub struct Rig {
    pub desk: Desk,
    pub port: u16,
    process: Option<Process>,
}

/// A row of the test's table whose name is hidden.
pub fn hidden_row(id: u64, score: &str) -> String {
    let row = crate::dead_letters::desk::row(id, score);
    row.replace("\"name\":\"n\"", &format!("\"name\":\"{HIDDEN}\""))
}

// === impl Rig ===

impl Rig {
    /// Two letters in the dead-letter topic, and a process that is ready.
    pub async fn start(name: &str) -> Self {
        let desk = Desk::open_hiding_names(name).await;
        for id in [1, 2] {
            let record = desk.produce(&id.to_string(), &hidden_row(id, "7")).await;
            desk.bury("redis", &record).await;
        }
        let mut rig = Self {
            desk,
            port: free_port(),
            process: None,
        };
        rig.run().await;
        rig
    }

    /// Starts the process anew at its port.
    pub async fn run(&mut self) {
        let listen = format!("127.0.0.1:{}", self.port);
        let mut command = self.command(&["run"], &listen);
        let (log, port) = (self.desk.path("run.log"), self.port);
        self.process = Some(Process::start(&mut command, &log, || listens(port)));
        let ready = format!("http://{listen}/ready");
        let until = Instant::now() + PATIENCE;
        while !reqwest::get(&ready)
            .await
            .is_ok_and(|a| a.status().is_success())
        {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < until, "it does not become ready:\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the process as a crash would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    fn command(&self, arguments: &[&str], listen: &str) -> Command {
        let audit = self.audit_file().display().to_string();
        let more = [
            ("TWOLANE_ADMIN_LISTEN", listen),
            ("TWOLANE_ADMIN_TOKEN", TOKEN),
            ("TWOLANE_ADMIN_AUDIT_FILE", audit.as_str()),
        ];
        self.desk.command(arguments, &more)
    }

    /// Runs `twolane` at the command line, with the token.
    pub fn say(&self, arguments: &[&str]) -> Said {
        Said::by(&mut self.command(arguments, &format!("127.0.0.1:{}", self.port)))
    }

    /// Runs `twolane` at the command line, without.
    pub fn say_without_token(&self, arguments: &[&str]) -> Said {
        let listen = format!("127.0.0.1:{}", self.port);
        Said::by(
            self.command(arguments, &listen)
                .env_remove("TWOLANE_ADMIN_TOKEN"),
        )
    }

    pub fn audit_file(&self) -> std::path::PathBuf {
        self.desk.path("audit.ndjson")
    }

    /// The audit file's lines.
    pub fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.audit_file()).expect("an audit file");
        assert!(!text.contains(TOKEN));
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect()
    }

    /// The branch of this test's Redis sink.
    pub fn redis(&self) -> String {
        format!("{}.redis", self.desk.pipeline)
    }

    pub fn dead_topic(&self) -> String {
        dead_topic(&self.desk.topic)
    }
}
