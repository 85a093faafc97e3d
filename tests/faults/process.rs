//! `twolane run` as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::case::Count;
use super::patience;
use super::table::say;
use crate::process::free_port;

/// Variables that these tests read.
const OURS: [&str; 3] = [
    "TWOLANE_FAULT_SEED",
    "TWOLANE_FAULT_ROWS",
    "TWOLANE_FAULT_PATIENCE",
];

/// A running process; it ends with this value.
pub struct Process {
    child: Child,
    admin: String,
    log: PathBuf,
}

// === impl Process ===

impl Process {
    /// With the settings, topics and pipelines of a folder; what it says goes into `log` there.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    pub fn start_with(folder: &Path, variables: &[(&str, String)]) -> Self {
        let path = folder.join("log");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .expect("a log");
        let admin = format!("127.0.0.1:{}", free_port());
        let child = command(folder)
            .arg("run")
            .args(["--settings", "twolane.toml"])
            .env("TWOLANE_ADMIN_LISTEN", &admin)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        Self {
            child: child.expect("twolane starts"),
            admin,
            log: path,
        }
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("it was still running");
        self.child.wait().expect("it ends");
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Asks it to end, and waits.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        let deadline = Instant::now() + patience();
        loop {
            match self.child.try_wait().expect("it can be waited for") {
                Some(status) => return status,
                None if Instant::now() > deadline => {
                    panic!("it does not end: {:?} {}", self.threads(), self.said())
                }
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// What its threads are called, and what they wait for.
    fn threads(&self) -> Vec<String> {
        let folder = format!("/proc/{}/task", self.child.id());
        let tasks = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let one = |task: std::fs::DirEntry| {
            let (name, waits) = (task.path().join("comm"), task.path().join("wchan"));
            format!("{} in {}", read(name).trim(), read(waits))
        };
        tasks.map(one).collect()
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its admin address.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// `/pipelines`, while it answers.
    pub async fn pipelines(&self) -> Option<Value> {
        self.get("pipelines").await
    }

    /// What a path of its admin address answers, while it does.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let request = reqwest::Client::new().get(format!("http://{}/{path}", self.admin));
        let answer = request.timeout(Duration::from_secs(3)).send().await.ok()?;
        answer.json().await.ok()
    }

    /// Asks for a change, with this token; the status and the answer.
    pub async fn post(&self, path: &str, token: &str) -> (u16, Value) {
        let request = reqwest::Client::new().post(format!("http://{}/{path}", self.admin));
        let request = request.bearer_auth(token).timeout(patience());
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json().await.expect("JSON"))
    }

    /// Its branches, and their records by what became of them.
    pub async fn counts(&self) -> Option<Vec<(String, Count)>> {
        let pipelines = self.pipelines().await?;
        let branches = pipelines[0]["branches"].as_array()?;
        let counted = branches.iter().map(|branch| {
            let name = branch["sink"].as_str()?.to_owned();
            Some((
                name,
                serde_json::from_value(branch["records"].clone()).ok()?,
            ))
        });
        counted.collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.said();
            let from = said.len().saturating_sub(3_000);
            say(said
                .get(said.ceil_char_boundary(from)..)
                .unwrap_or_default());
        }
        // It has ended where the case got to its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `twolane` in a folder.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twolane"));
    command.current_dir(folder);
    // It refuses variables that it does not know.
    for name in OURS {
        command.env_remove(name);
    }
    command
}

/// Sends a signal to a process that is ours.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}
