//! The measured worker: `twolane run live` in a process of its own, and what it uses.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::cli::bench::child::cpu_seconds_of;
use crate::live::lane;

/// Between two looks at its memory.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// What memory is at the beginning and at the end: the mean of so much time, or of a quarter of a shorter run.
const MINUTE: Duration = Duration::from_secs(60);

/// The process.
pub(in crate::cli::bench) struct Worker {
    child: tokio::sync::Mutex<Child>,
    pid: u32,
}

/// Looks at a worker until it is asked what was seen.
pub(in crate::cli::bench) struct Watching {
    pid: u32,
    began: Instant,
    cpu: anyhow::Result<f64>,
    seen: Arc<Mutex<Vec<(Duration, f64)>>>,
    looking: JoinHandle<()>,
}

/// What a worker used while it was watched.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli::bench) struct Used {
    /// Processors that it kept busy, on the average.
    pub(in crate::cli::bench) cores: f64,
    /// Resident memory in MiB: the mean of the first minute, or of the first quarter.
    pub(in crate::cli::bench) first_mib: f64,
    /// The same of the last one.
    pub(in crate::cli::bench) last_mib: f64,
    /// The most.
    pub(in crate::cli::bench) most_mib: f64,
}

// === impl Worker ===

impl Worker {
    /// Starts it. What it says goes to stderr.
    ///
    /// # Errors
    /// Where the process cannot be started.
    pub(in crate::cli::bench) async fn start(settings: &Path) -> anyhow::Result<Self> {
        Self::start_part(settings, lane::NAME).await
    }

    /// The same of another part of `twolane run`.
    ///
    /// # Errors
    /// The same.
    pub(in crate::cli::bench) async fn start_part(
        settings: &Path,
        part: &str,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program's own file is not known")?;
        let mut command = Command::new(program);
        command.arg("--settings").arg(settings);
        // The settings are the run's alone: a variable of the environment may be about other servers.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TWOLANE_") {
                command.env_remove(name);
            }
        }
        command.args(["run", part]);
        Self::spawn(command)
    }

    /// The same of any program that is measured.
    ///
    /// # Errors
    /// The same.
    pub(in crate::cli::bench) fn spawn(mut command: Command) -> anyhow::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.as_std().get_program()))?;
        let pid = child.id().context("it ended at once")?;
        Ok(Self {
            child: tokio::sync::Mutex::new(child),
            pid,
        })
    }

    /// Waits for its end, which nobody asked for, and says so.
    pub(in crate::cli::bench) async fn ended(&self) -> anyhow::Error {
        match self.child.lock().await.wait().await {
            Ok(status) => anyhow!("the worker ended ({status}); what it said is above"),
            Err(why) => anyhow!("the worker cannot be waited for: {why}"),
        }
    }

    /// Its process id.
    pub(in crate::cli::bench) fn pid(&self) -> u32 {
        self.pid
    }

    /// Its resident memory now, in bytes.
    pub(in crate::cli::bench) fn resident(&self) -> Option<f64> {
        resident_mib(self.pid).map(|mib| mib * 1024.0 * 1024.0)
    }

    /// Begins to look at what it uses.
    pub(in crate::cli::bench) fn watch(&self) -> Watching {
        let (pid, began) = (self.pid, Instant::now());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let looking = tokio::spawn(async move {
            loop {
                if let Some(mib) = resident_mib(pid) {
                    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
                    notes.push((began.elapsed(), mib));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Watching {
            pid,
            began,
            cpu: cpu_seconds_of(&pid.to_string()),
            seen,
            looking,
        }
    }

    /// Lets it finish what it has in hand, and ends it.
    pub(in crate::cli::bench) async fn stop(self) {
        let mut child = self.child.into_inner();
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        let asked = Command::new("kill").arg(self.pid.to_string()).status();
        let asked = asked.await.is_ok_and(|status| status.success());
        if asked && tokio::time::timeout(PATIENCE, child.wait()).await.is_ok() {
            return;
        }
        // It has ended already, or it will not.
        let _ = child.kill().await;
    }
}

// === impl Watching ===

impl Watching {
    /// What it used since.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub(in crate::cli::bench) fn used(self) -> anyhow::Result<Used> {
        self.looking.abort();
        let length = self.began.elapsed();
        let cpu = cpu_seconds_of(&self.pid.to_string())? - self.cpu?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let part = MINUTE.min(length / 4);
        let of = |from: Duration, to: Duration| {
            let within = seen.iter().filter(|(at, _)| (from..=to).contains(at));
            let values: Vec<f64> = within.map(|(_, mib)| *mib).collect();
            values.iter().sum::<f64>() / values.len().max(1) as f64
        };
        Ok(Used {
            cores: cpu / length.as_secs_f64().max(1e-9),
            first_mib: of(Duration::ZERO, part),
            last_mib: of(length.saturating_sub(part), length),
            most_mib: seen.iter().map(|(_, mib)| *mib).fold(0.0, f64::max),
        })
    }
}

fn resident_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))?;
    Some(kib.trim().parse::<f64>().ok()? / 1024.0)
}
