//! The servers of a run, and what is said meanwhile: on stderr, since stdout is for the figures.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::cli::demo::stack::{SCRIPT, Stack, root};

/// Brings these services of the local stack's instance up. The script's output is not what the bench was asked
/// for: to stderr.
///
/// # Errors
/// Where the script fails: it has then said why.
pub(super) async fn up(instance: &str, services: &[&str]) -> anyhow::Result<Stack> {
    let status = Command::new(root()?.join(SCRIPT))
        .args(["--instance", instance, "up"])
        .args(services)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .await
        .with_context(|| format!("cannot run {SCRIPT}"))?;
    ensure!(
        status.success(),
        "`{SCRIPT} up` failed ({status}); what it said is above"
    );
    let stack = Stack::running(instance).await?;
    ensure!(
        stack.find("CA_FILE").is_none(),
        "the instance {instance} was made with --secure, and the bare clients speak neither TLS nor passwords: name \
         another with --instance"
    );
    Ok(stack)
}

/// A line of progress.
pub(super) fn say(what: &str) {
    // Progress that nobody reads any more is no reason to stop.
    let _ = writeln!(std::io::stderr(), "bench: {what}");
}
