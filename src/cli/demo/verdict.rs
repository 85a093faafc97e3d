//! What the demo ends with.

use std::time::Duration;

use super::compare::Report;
use super::screen::{BAD, BOLD, GOOD, PLAIN, Screen, number, short};

/// What came out.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The comparison.
    pub report: Report,
    /// Deleted rows that Elasticsearch keeps the version of.
    pub tombstones: u64,
    /// Records in the dead-letter topic.
    pub dead: u64,
    /// How long the lane took to catch up after the last change.
    pub settled: Duration,
    /// How long the comparison took.
    pub compared: Duration,
}

// === impl Verdict ===

impl Verdict {
    /// Whether there were rows, and every one of them arrived.
    pub fn is_good(&self) -> bool {
        self.report.rows > 0 && self.report.different == 0 && self.dead == 0
    }
}

/// The verdict in lines.
pub fn tell(verdict: &Verdict, screen: &mut Screen) {
    let report = &verdict.report;
    let row = |name: &str, n: u64, said: &str| format!("    {name:<14}{:>9}   {said}", number(n));
    screen.say("");
    screen.say(&format!("  {BOLD}Every row by SELECT, with its document and its hash, column by column{PLAIN} ({}):", short(verdict.compared)));
    screen.say(&row("rows", report.rows, "in the table"));
    screen.say(&row(
        "tombstones",
        verdict.tombstones,
        "deleted rows whose version Elasticsearch keeps",
    ));
    screen.say(&row("dead letters", verdict.dead, ""));
    screen.say(&row("equal", report.equal, "in both sinks"));
    screen.say(&row("different", report.different, ""));
    screen.say("");
    for difference in &report.first {
        screen.say(&format!("  {BAD}≠{PLAIN} {difference}"));
    }
    if report.different > report.first.len() as u64 {
        screen.say("    … the first are shown");
    }
    if verdict.is_good() {
        screen.say(&format!(
            "  {GOOD}✓ Elasticsearch and Redis hold exactly what the table holds.{PLAIN}"
        ));
        return;
    }
    if report.rows == 0 {
        screen.say(&format!(
            "  {BAD}✗ The table has no rows: nothing was shown.{PLAIN}"
        ));
    }
    if report.different > 0 {
        screen.say(&format!("  {BAD}✗ The sinks differ from the table.{PLAIN}"));
    }
    if verdict.dead > 0 {
        screen.say(&format!(
            "  {BAD}✗ There are dead letters:{PLAIN} `cargo run --release -- dead list` says why."
        ));
    }
}
