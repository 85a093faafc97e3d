//! Keeps to a schedule, whatever becomes of what was sent: on a thread of its own, so that no other task of the
//! loader is in front of it, and with a record of how late it was itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use hdrhistogram::Histogram;
use tokio::sync::oneshot;

/// A schedule.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli::bench) struct Pace {
    /// When it begins.
    pub(in crate::cli::bench) origin: Instant,
    /// Sends a second; at least 1.
    pub(in crate::cli::bench) rate: u32,
    /// What is due before this is sent and not measured.
    pub(in crate::cli::bench) warm_up: Duration,
    /// Nothing is due any more after this.
    pub(in crate::cli::bench) end: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(in crate::cli::bench) struct Paced {
    /// How many were sent.
    pub(in crate::cli::bench) sent: u64,
    /// How late each one was handed over, in microseconds.
    pub(in crate::cli::bench) lag: Histogram<u64>,
}

// === impl Pace ===

impl Pace {
    /// When the `n`th is due, since the origin.
    pub(in crate::cli::bench) fn due(&self, n: u64) -> Duration {
        Duration::from_secs(1).mul_f64(n as f64 / f64::from(self.rate.max(1)))
    }

    /// Calls `send` with each number, from 0 on, and its due time, when it is due or as soon after as may be; an
    /// error ends it.
    ///
    /// # Errors
    /// That of `send`, or where the thread cannot be started or dies.
    pub(in crate::cli::bench) async fn keep(
        self,
        mut send: impl FnMut(u64, Duration) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<Paced> {
        let (done, ended) = oneshot::channel();
        let work = move || -> anyhow::Result<Paced> {
            let mut lag = micros()?;
            let mut n = 0;
            loop {
                let due = self.due(n);
                // Whoever waits has gone away: interrupted.
                if due >= self.end || done.is_closed() {
                    break;
                }
                let early = due.saturating_sub(self.origin.elapsed());
                if !early.is_zero() {
                    std::thread::sleep(early);
                }
                send(n, due)?;
                if due >= self.warm_up {
                    let late = self.origin.elapsed().saturating_sub(due);
                    lag.saturating_record(whole(late));
                }
                n += 1;
            }
            // The receiver is polled below, unless it was interrupted.
            let _ = done.send(());
            Ok(Paced { sent: n, lag })
        };
        let thread = std::thread::Builder::new().name("pace".to_owned());
        let thread = thread.spawn(work).context("starting a thread")?;
        // It ends as well when the thread has dropped its end over an error.
        let _ = ended.await;
        thread
            .join()
            .map_err(|_| anyhow!("the loader's thread panicked"))?
    }
}

/// A histogram of microseconds, from 1 µs to 60 s at three digits.
pub(in crate::cli::bench) fn micros() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).map_err(|e| anyhow!("a histogram: {e}"))
}

/// Microseconds, at least one.
pub(in crate::cli::bench) fn whole(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_late_is_late_and_the_schedule_stands() {
        let pace = Pace {
            origin: Instant::now(),
            rate: 100,
            warm_up: Duration::from_millis(50),
            end: Duration::from_millis(200),
        };
        let stalls = |n: u64, due: Duration| {
            assert_eq!(due, Duration::from_millis(10 * n));
            if n == 10 {
                std::thread::sleep(Duration::from_millis(55));
            }
            Ok(())
        };
        let paced = actix::System::new().block_on(pace.keep(stalls)).unwrap();
        assert_eq!((paced.sent, paced.lag.len()), (20, 15));
        // The one that stalled, and those that were due meanwhile; a busy machine makes others late as well.
        assert!(paced.lag.max() >= 55_000);
        let late = paced.lag.count_between(5_000, 60_000_000);
        assert!(late >= 5, "{late}");
    }

    #[test]
    fn an_error_ends_it() {
        let pace = Pace {
            origin: Instant::now(),
            rate: 1_000,
            warm_up: Duration::ZERO,
            end: Duration::from_secs(60),
        };
        let fails = |n, _| {
            anyhow::ensure!(n < 3, "as told");
            Ok(())
        };
        let error = actix::System::new().block_on(pace.keep(fails)).unwrap_err();
        assert_eq!(error.to_string(), "as told");
    }
}
