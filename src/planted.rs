//! Bugs that a test build can be made to have, so that the fault matrix (`tests/faults`) is itself tested.
//!
//! The variable `TWOLANE_TEST_PLANTED_BUG` names one for the whole process. Only builds with debug assertions read it;
//! in any other [`planted`] is `false` at compile time, and neither the variable's name nor the bugs are in the
//! program. This file needs nothing of the crate, since its test compiles it alone, as a release build would.

/// The bugs; each is one line at the place that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// What was taken counts as resolved for the commit.
    EarlyCommit,
    /// A later success is committed past an earlier record that is not resolved.
    GapSkip,
    /// A delete carries no version.
    UnversionedDelete,
    /// A delete leaves no tombstone.
    ForgottenTombstone,
    /// Redis compares versions as Lua's numbers.
    NumericComparison,
    /// A partition is given up without waiting for what is in flight.
    UndrainedRevoke,
    /// A version has no epoch.
    IgnoredEpoch,
    /// One item that is to be tried again takes the whole bulk with it.
    WholeBulkRetry,
    /// Where the log no longer has an offset, reading goes on at its end.
    ResetToLatest,
    /// A 400 counts as written.
    SwallowedRejection,
    /// A dead letter counts as sent before it is acknowledged.
    FireAndForget,
    /// Of changes that were coalesced none is written where the newest is rejected.
    CoalescedThenRejected,
}

// === impl Bug ===

impl Bug {
    /// Every one, with its name in the variable.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::EarlyCommit, "early-commit"),
        (Self::GapSkip, "gap-skip"),
        (Self::UnversionedDelete, "unversioned-delete"),
        (Self::ForgottenTombstone, "forgotten-tombstone"),
        (Self::NumericComparison, "numeric-comparison"),
        (Self::UndrainedRevoke, "undrained-revoke"),
        (Self::IgnoredEpoch, "ignored-epoch"),
        (Self::WholeBulkRetry, "whole-bulk-retry"),
        (Self::ResetToLatest, "reset-to-latest"),
        (Self::SwallowedRejection, "swallowed-rejection"),
        (Self::FireAndForget, "fire-and-forget"),
        (Self::CoalescedThenRejected, "coalesced-then-rejected"),
    ];
}

/// Whether this process has the bug.
#[cfg(debug_assertions)]
#[must_use]
pub fn planted(bug: Bug) -> bool {
    static WHICH: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    let which = WHICH.get_or_init(|| {
        let name = std::env::var("TWOLANE_TEST_PLANTED_BUG").ok()?;
        let known = Bug::ALL.iter().find(|(_, known)| *known == name);
        known.map(|(bug, _)| *bug)
    });
    *which == Some(bug)
}

/// Whether this process has the bug: never.
#[cfg(not(debug_assertions))]
#[must_use]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    /// What a compiler makes of this file alone.
    fn library(debug_assertions: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("planted.o");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/planted.rs");
        let output = Command::new("rustc")
            .args(["--edition", "2024", "--crate-type", "lib", "--emit", "obj"])
            .args(["-C", "codegen-units=1", "-O", "-C"])
            .arg(format!("debug-assertions={debug_assertions}"))
            .arg("-o")
            .args([made.as_os_str(), source.as_ref()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        std::fs::read(made).unwrap()
    }

    #[test]
    fn a_release_build_reads_no_variable_and_knows_no_planted_bug() {
        let name = b"TWOLANE_TEST_PLANTED_BUG";
        let reads = |code: &[u8]| code.windows(name.len()).any(|at| at == name);
        assert!(!reads(&library("off")));
        assert!(reads(&library("on")), "the test would see it");
    }
}
