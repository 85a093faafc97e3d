//! What became of the lines, counted once each, and what is said of it meanwhile.

use std::fmt;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

/// The counts of a run.
#[derive(Debug)]
pub(super) struct Tally {
    counts: Mutex<Counts>,
    begun: Instant,
    show: u64,
}

/// Lines by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Kafka has it.
    pub acknowledged: u64,
    /// It is not there.
    pub refused: u64,
    /// The time was up: it may be there or not.
    pub unacknowledged: u64,
    /// The first of those.
    pub first_unacknowledged: Option<u64>,
    /// Lines that are not blank; the rest of them is on its way.
    pub events: u64,
    /// The last line that was taken.
    pub last_line: u64,
    /// Of the refused, those that were not named.
    pub unnamed: u64,
}

// === impl Tally ===

impl Tally {
    pub(super) fn new(show: u64) -> Self {
        Self {
            counts: Mutex::default(),
            begun: Instant::now(),
            show,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line, which holds an event or is blank.
    pub(super) fn taken(&self, line: u64, event: bool) {
        self.change(|counts| {
            counts.last_line = line;
            counts.events += u64::from(event);
        });
    }

    pub(super) fn acknowledged(&self) {
        self.change(|counts| counts.acknowledged += 1);
    }

    /// Names the line, unless so many were named already.
    pub(super) fn refused(&self, line: u64, why: &dyn fmt::Display) {
        let named = self.change(|counts| {
            counts.refused += 1;
            let named = counts.refused <= self.show;
            counts.unnamed += u64::from(!named);
            named
        });
        if named {
            self.clear();
            eprintln!("line {line}: {why}");
        }
    }

    /// Whether it is the first.
    pub(super) fn unacknowledged(&self, line: u64) -> bool {
        self.change(|counts| {
            counts.unacknowledged += 1;
            let first = counts.first_unacknowledged.is_none();
            let earliest = counts.first_unacknowledged.map_or(line, |of| of.min(line));
            counts.first_unacknowledged = Some(earliest);
            first
        })
    }

    /// One line on standard error; on a terminal the last one is written over.
    pub(super) fn progress(&self, terminal: bool) {
        let counts = self.counts();
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        let rate = counts.acknowledged as f64 / seconds;
        let text = format!(
            "{} acknowledged, {} refused, {rate:.0} a second",
            counts.acknowledged, counts.refused
        );
        if terminal {
            eprint!("\r\x1b[K{text}");
            // Progress that cannot be shown is no reason to stop.
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{text}");
        }
    }

    /// Makes room on a terminal for a line of its own.
    pub(super) fn clear(&self) {
        use std::io::IsTerminal as _;
        if std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Counts ===

impl Counts {
    pub(super) fn all_acknowledged(&self) -> bool {
        self.events == self.acknowledged
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            acknowledged,
            refused,
            unacknowledged,
            unnamed,
            events,
            ..
        } = self;
        write!(f, "acknowledged {acknowledged}, refused {refused}")?;
        if *unnamed > 0 {
            write!(f, " ({unnamed} of them not named: see --show)")?;
        }
        if *unacknowledged > 0 {
            write!(f, ", not acknowledged {unacknowledged}")?;
        }
        let known = acknowledged + refused + unacknowledged;
        if *events > known {
            write!(f, ", on their way {}", events - known)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_in_one_count() {
        let tally = Tally::new(1);
        for line in 1..=5 {
            tally.taken(line, true);
        }
        tally.acknowledged();
        tally.refused(2, &"no");
        tally.refused(3, &"no");
        assert!(tally.unacknowledged(4));
        assert!(!tally.unacknowledged(1));
        let counts = tally.counts();
        assert_eq!(counts.first_unacknowledged, Some(1));
        assert!(!counts.all_acknowledged());
        assert_eq!(
            counts.to_string(),
            "acknowledged 1, refused 2 (1 of them not named: see --show), not acknowledged 2"
        );
    }
}
