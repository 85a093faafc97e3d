//! Runs the changes at a steady rate in the background, and tells how many there were.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::changes::{Changes, Made};

/// A load that fell behind by more than this does not catch up with a burst.
const LATE: Duration = Duration::from_secs(1);

/// What the load has done so far.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    made: Arc<Mutex<Made>>,
    rows: Arc<AtomicU64>,
}

// === impl Counter ===

impl Counter {
    /// Changes committed so far.
    pub fn made(&self) -> Made {
        *self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows in the table.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    fn note(&self, more: Made, rows: usize) {
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) += more;
        self.rows.store(rows as u64, Ordering::Relaxed);
    }
}

/// Changes about `rate` rows a second until `stop` says so; `rate` is at least 1.
///
/// # Errors
/// Where the database fails.
pub async fn run(
    mut changes: Changes,
    rate: u64,
    counter: Counter,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let per_row = Duration::from_secs(1).div_f64(rate.max(1) as f64);
    let mut due = Instant::now();
    while !*stop.borrow() {
        // A quarter of a second's rows at once keeps the rate steady to the eye.
        let made = changes.transaction((rate / 4).max(1)).await?;
        counter.note(made, changes.rows());
        due += per_row.mul_f64(made.rows() as f64);
        match due.checked_duration_since(Instant::now()) {
            Some(early) => tokio::time::sleep(early).await,
            None if due.elapsed() > LATE => due = Instant::now(),
            None => {}
        }
    }
    Ok(())
}
