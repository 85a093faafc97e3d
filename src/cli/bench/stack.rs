//! The servers of a run, and what is said meanwhile: on stderr, since stdout is for the figures.

use std::io::Write as _;

use anyhow::ensure;

use crate::cli::demo::stack::Stack;

/// Brings these services of the local stack's instance up. The script's output is not what the bench was asked
/// for: to stderr.
///
/// # Errors
/// Where the script fails: it has then said why.
pub(super) async fn up(instance: &str, services: &[&str]) -> anyhow::Result<Stack> {
    let stack = Stack::up_with(instance, services, std::io::stderr()).await?;
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
