//! The checker is itself tested: with a bug planted, the matrix must not pass.

use std::process::{Command, Stdio};

use twolane::planted::Bug;

use super::alone;
use super::table::say;

/// The rows that are to catch a bug.
fn rows(bug: Bug) -> &'static str {
    match bug {
        Bug::EarlyCommit => "8c",
        Bug::GapSkip | Bug::WholeBulkRetry => "4d",
        Bug::UnversionedDelete | Bug::ForgottenTombstone => "6",
        Bug::NumericComparison => "7f",
        Bug::UndrainedRevoke => "9a",
        Bug::IgnoredEpoch => "12a",
        Bug::ResetToLatest => "12c",
        Bug::SwallowedRejection | Bug::CoalescedThenRejected => "4c",
        Bug::FireAndForget => "11",
    }
}

/// The matrix in a process of its own, since a bug is planted for a whole process.
fn is_caught(bug: Bug, name: &str) -> bool {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "faults::matrix::matrix", "--nocapture"])
        .env("TWOLANE_TEST_PLANTED_BUG", name)
        .env("TWOLANE_FAULT_ROWS", rows(bug))
        .env("TWOLANE_FAULT_PATIENCE", "40")
        .env("TWOLANE_TEST_LOG", "off")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let why: Vec<&str> = said.lines().filter(|l| l.contains("VIOLATION")).collect();
    let caught = !output.status.success() && !why.is_empty();
    say(format_args!(
        "{name}: {} in row {}",
        if caught { "caught" } else { "NOT CAUGHT" },
        rows(bug)
    ));
    for line in why {
        say(line.chars().take(400).collect::<String>());
    }
    if !caught {
        say(&said);
    }
    caught
}

#[test]
#[ignore = "takes ten minutes"]
fn every_planted_bug_is_caught() {
    // The servers are up for all of the processes.
    let (_turn, _) = alone(&["kafka", "elasticsearch", "redis"]);
    let wanted = std::env::var("TWOLANE_TEST_PLANTED_BUGS").unwrap_or_default();
    let bugs = Bug::ALL
        .iter()
        .filter(|(_, name)| wanted.is_empty() || wanted.split(',').any(|w| w == *name));
    let missed: Vec<&str> = bugs
        .filter(|(bug, name)| !is_caught(*bug, name))
        .map(|(_, name)| *name)
        .collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
