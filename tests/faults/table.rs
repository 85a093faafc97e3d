//! The table that the matrix prints: a row for each fault, and what was found.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

/// What became of one case.
#[derive(Debug, Default)]
pub struct Row {
    pub fault: String,
    /// Records sent, nulls included.
    pub events: u64,
    /// From the fault's end until both sinks held all that was sent.
    pub recovered: Option<Duration>,
    /// Rows that a sink lacks, or has older than the model at the end.
    pub lost: u64,
    /// Times that a key's version was seen to fall.
    pub stale: u64,
    /// Rows in a sink that were deleted.
    pub resurrected: u64,
    /// Records that were resolved more than once, in the branch that had most, and how many may have been.
    pub duplicates: u64,
    pub bound: u64,
    /// What else must not be.
    pub violations: Vec<String>,
    /// What was measured beside.
    pub notes: Vec<String>,
}

/// The rows so far.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

pub const HEAD: &str = "| fault | events | recovered in | lost | stale | resurrected | duplicates (at most) |\n\
                        | --- | ---: | ---: | ---: | ---: | ---: | ---: |";

/// Beside the tests' own output, which is captured: the table is what the matrix is run for.
pub fn say(line: impl fmt::Display) {
    // Nobody is left to be told where this cannot be written.
    let _ = writeln!(std::io::stderr(), "{line}");
}

// === impl Row ===

impl Row {
    /// A case that did not get to its end.
    pub fn failed(fault: &str, why: String) -> Self {
        Self {
            fault: fault.to_owned(),
            violations: vec![why],
            ..Self::default()
        }
    }

    /// Whether nothing was found that must not be.
    pub fn is_good(&self) -> bool {
        self.lost + self.stale + self.resurrected == 0
            && self.duplicates <= self.bound
            && self.violations.is_empty()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recovered = self.recovered.map_or_else(
            || String::from("–"),
            |r| format!("{:.1} s", r.as_secs_f64()),
        );
        write!(
            f,
            "| {} | {} | {recovered} | {} | {} | {} | {} ({}) |",
            self.fault,
            self.events,
            self.lost,
            self.stale,
            self.resurrected,
            self.duplicates,
            self.bound
        )
    }
}

// === impl Table ===

impl Table {
    pub fn add(&mut self, row: Row) {
        say(&row);
        for note in &row.notes {
            say(format_args!("    {note}"));
        }
        for violation in &row.violations {
            say(format_args!("    VIOLATION: {violation}"));
        }
        self.0.push(row);
    }

    /// The faults that were not survived, each with what was found and noted.
    pub fn bad(&self) -> Vec<String> {
        let bad = self.0.iter().filter(|row| !row.is_good());
        let whole = |row: &Row| {
            let mut lines = vec![row.to_string()];
            lines.extend(row.violations.iter().cloned());
            lines.extend(row.notes.iter().cloned());
            lines.join("\n    ")
        };
        bad.map(whole).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        for row in &self.0 {
            write!(f, "\n{row}")?;
        }
        Ok(())
    }
}
