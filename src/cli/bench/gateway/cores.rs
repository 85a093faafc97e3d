//! Which processors run what, and how many files may be open: the kernel's limits on this process and on those that it
//! starts, asked for and set by util-linux's `taskset` and `prlimit`.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// One processor for what is measured, and another one for the loader.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cores {
    server: usize,
    loader: usize,
}

/// The first two processors that this process may run on; `None` where there is only one, or `taskset` is not here.
pub(super) async fn two() -> Option<Cores> {
    let [server, loader] = *allowed()?.get(..2)? else {
        return None;
    };
    let there = Command::new("taskset")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    there.await.ok()?.success().then_some(())?;
    Some(Cores { server, loader })
}

// === impl Cores ===

impl Cores {
    /// Every thread of the server on one processor, and every thread of this process on the other.
    ///
    /// # Errors
    /// Where the kernel does not let it.
    pub(super) async fn pin(self, server: u32) -> anyhow::Result<()> {
        set(server, &self.server.to_string()).await?;
        set(std::process::id(), &self.loader.to_string()).await
    }

    /// Both on both again.
    ///
    /// # Errors
    /// The same.
    pub(super) async fn unpin(self, server: u32) -> anyhow::Result<()> {
        let both = format!("{},{}", self.server, self.loader);
        set(server, &both).await?;
        set(std::process::id(), &both).await
    }
}

async fn set(pid: u32, cores: &str) -> anyhow::Result<()> {
    let done = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", cores])
        .arg(pid.to_string())
        .stdin(Stdio::null())
        .output()
        .await
        .context("cannot run taskset")?;
    ensure!(
        done.status.success(),
        "taskset cannot put {pid} on {cores}: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    );
    Ok(())
}

/// The processors that this process may run on.
fn allowed() -> Option<Vec<usize>> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    listed(list.trim())
}

/// `0-2,7` as numbers.
fn listed(list: &str) -> Option<Vec<usize>> {
    let mut all = Vec::new();
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        all.extend(from.parse::<usize>().ok()?..=to.parse().ok()?);
    }
    Some(all)
}

/// Lets this process, and those that it starts from now on, have so many files open.
///
/// # Errors
/// What to do, where the machine does not let it.
pub(super) async fn open_files(needed: u64) -> anyhow::Result<()> {
    let limits = std::fs::read_to_string("/proc/self/limits")
        .context("the kernel does not say how many files may be open")?;
    let (soft, hard) = files(&limits).context("/proc/self/limits is not as expected")?;
    if soft >= needed {
        return Ok(());
    }
    ensure!(
        hard >= needed,
        "{needed} sockets are to be open, and this machine lets a process have {hard} files at the most: raise that as root \
         (`prlimit --pid $$ --nofile={needed}` in this shell, or `nofile` in /etc/security/limits.conf), or ask for fewer \
         with --idle and --viewers"
    );
    let pid = std::process::id().to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={needed}:{hard}")])
        .stdin(Stdio::null())
        .output()
        .await;
    ensure!(
        raised.is_ok_and(|done| done.status.success()),
        "the limit of open files is {soft}, and prlimit does not raise it: run `ulimit -n {needed}` before"
    );
    Ok(())
}

/// The soft and the hard limit of open files.
fn files(limits: &str) -> Option<(u64, u64)> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut fields = line.split_whitespace().map(|field| match field {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    });
    Some((fields.next()??, fields.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        assert_eq!(listed("0-2,7"), Some(vec![0, 1, 2, 7]));
        assert_eq!(listed("x"), None);
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 unlimited            files     \n";
        assert_eq!(files(limits), Some((1024, u64::MAX)));
        assert!(allowed().is_some_and(|cores| !cores.is_empty()));
    }
}
