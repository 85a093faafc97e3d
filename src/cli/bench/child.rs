//! The measured process: one pipeline drains the topic from its start, and its figures go to stdout as one
//! line of JSON.
//!
//! Time runs from a branch's first record to its last resolution, CPU and memory are of the whole process:
//! the memory is the highest that the kernel saw, from its start to the end of the drain.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::specs;
use crate::branch::{Branch, State};
use crate::lane::Lane;
use crate::ops;

/// Between two looks at the counters: 0.2 % of what the shortest useful run takes. At 5 ms the looks themselves took a
/// hundredth of a processor.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Without any progress for this long the run has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// What `/proc/<pid>/stat` counts CPU time in: 1/100 s on every architecture that Linux runs on today.
pub(super) const TICKS_A_SECOND: f64 = 100.0;

/// This process, as the kernel's files name it.
const SELF: &str = "self";

/// Arguments of the measured process.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[arg(long)]
    specs: PathBuf,
    #[arg(long)]
    pipeline: String,
    #[arg(long)]
    events: u64,
}

/// What one drain took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Drain {
    /// By sink, in the pipeline's order.
    pub(super) branches: Vec<Drained>,
    /// From the first record of any branch to the last resolution of all, in seconds.
    pub(super) seconds: f64,
    /// From the process's call to start to the first record, in seconds.
    pub(super) start_s: f64,
    /// CPU seconds of the process, user and system, in `seconds`.
    pub(super) cpu_s: f64,
    /// The most resident memory, in MiB.
    pub(super) rss_mb: f64,
    /// How it went, second by second.
    pub(super) over_time: Vec<Moment>,
}

/// Where a drain stood at one moment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Moment {
    /// Since the first record, in seconds.
    pub(super) at_s: f64,
    /// Records resolved by all branches until then.
    pub(super) resolved: u64,
    /// Resident memory then, in MiB.
    pub(super) rss_mb: f64,
}

/// What one branch did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Drained {
    /// The sink's name.
    pub(super) sink: String,
    /// From its first record to its last resolution, in seconds.
    pub(super) seconds: f64,
    /// Records that became writes.
    pub(super) applied: u64,
    /// Records that a newer one of the same batch, or of the sink, made needless.
    pub(super) superseded: u64,
    /// Requests tried again.
    pub(super) retried: u64,
}

/// Runs the lane, and prints a [`Drain`].
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let drain = actix::System::new().block_on(drain(args))?;
    println!("{}", serde_json::to_string(&drain)?);
    Ok(ExitCode::SUCCESS)
}

struct Watched {
    branch: Arc<Branch>,
    began: Option<Instant>,
    ended: Option<Instant>,
}

async fn drain(args: &Args) -> anyhow::Result<Drain> {
    let config = specs::read(&args.specs)?;
    let pipelines = config
        .select(std::slice::from_ref(&args.pipeline))
        .map_err(|why| anyhow!(why))?
        .into_iter()
        .cloned()
        .map(Arc::new)
        .collect::<Vec<_>>();
    let settings = Arc::new(config.settings);
    ops::logging::init(&settings.log).map_err(|why| anyhow!(why))?;
    let called = Instant::now();
    let lane = Lane::start(&settings, &pipelines, Arc::default()).await?;
    let mut all: Vec<Watched> = lane
        .branches()
        .into_iter()
        .map(|branch| Watched {
            branch,
            began: None,
            ended: None,
        })
        .collect();
    let mut cpu = None;
    let (mut before, mut moved) = (0, Instant::now());
    let mut over_time: Vec<Moment> = Vec::new();
    while all.iter().any(|w| w.ended.is_none()) {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut sum = 0;
        for watched in &mut all {
            sum += watched.look(args.events)?;
        }
        if cpu.is_none() && sum > 0 {
            cpu = Some(cpu_seconds_of(SELF)?);
        }
        if let Some(began) = all.iter().filter_map(|w| w.began).min() {
            let at_s = began.elapsed().as_secs_f64();
            if at_s >= over_time.len() as f64 {
                over_time.push(Moment {
                    at_s,
                    resolved: sum,
                    rss_mb: mib_of(SELF, "VmRSS:")?,
                });
            }
        }
        if sum > before {
            (before, moved) = (sum, Instant::now());
        } else if moved.elapsed() > PATIENCE {
            bail!(
                "nothing was resolved for {} s, after {sum} records; the log lines above may say why",
                PATIENCE.as_secs()
            );
        }
    }
    let cpu_s = cpu_seconds_of(SELF)? - cpu.unwrap_or_default();
    let rss_mb = peak_mib_of(SELF)?;
    let began = all.iter().filter_map(|w| w.began).min();
    let ended = all.iter().filter_map(|w| w.ended).max();
    let drain = Drain {
        branches: all.iter().map(Watched::figures).collect(),
        seconds: between(began, ended),
        start_s: between(Some(called), began),
        cpu_s,
        rss_mb,
        over_time,
    };
    lane.stop().await;
    Ok(drain)
}

fn between(from: Option<Instant>, to: Option<Instant>) -> f64 {
    from.zip(to)
        .map_or(0.0, |(from, to)| (to - from).as_secs_f64())
}

// === impl Watched ===

impl Watched {
    /// Notes the time of the first record and of the last; gives the records resolved.
    fn look(&mut self, events: u64) -> anyhow::Result<u64> {
        let tally = self.branch.ledger.tally();
        if self.began.is_none() && tally.consumed.load(Relaxed) > 0 {
            self.began = Some(Instant::now());
        }
        let dead = tally.dead_lettered.load(Relaxed);
        if dead > 0 {
            bail!("{}: {dead} dead letters", self.branch.name);
        }
        if let State::Halted(why) = self.branch.control.state() {
            bail!("{} halted: {why}", self.branch.name);
        }
        let resolved = tally.applied.load(Relaxed) + tally.superseded.load(Relaxed);
        if self.ended.is_none() && resolved >= events {
            self.ended = Some(Instant::now());
        }
        Ok(resolved)
    }

    fn figures(&self) -> Drained {
        let tally = self.branch.ledger.tally();
        Drained {
            sink: self.branch.spec.name.clone(),
            seconds: between(self.began, self.ended),
            applied: tally.applied.load(Relaxed),
            superseded: tally.superseded.load(Relaxed),
            retried: self.branch.stats.retried.load(Relaxed),
        }
    }
}

/// CPU time of the process `pid`, user and system, in seconds.
pub(super) fn cpu_seconds_of(pid: &str) -> anyhow::Result<f64> {
    let file = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    ticks(&stat)
        .map(|ticks| ticks as f64 / TICKS_A_SECOND)
        .with_context(|| format!("{file} is not as expected"))
}

/// User and system time of a line of `/proc/<pid>/stat`: fields 14 and 15, counted from behind the name,
/// which may hold blanks.
pub(super) fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The most resident memory that the process `pid` has had, in MiB.
pub(super) fn peak_mib_of(pid: &str) -> anyhow::Result<f64> {
    mib_of(pid, "VmHWM:")
}

fn mib_of(pid: &str, what: &str) -> anyhow::Result<f64> {
    let file = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(what)?.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.trim().parse::<f64>().ok())
        .map(|kib| kib / 1024.0)
        .with_context(|| format!("{file} is not as expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_a_name_with_blanks_and_brackets() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 3 4 20 0 5 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a"), None);
        assert!(cpu_seconds_of(SELF).unwrap() >= 0.0 && peak_mib_of(SELF).unwrap() > 1.0);
    }
}
