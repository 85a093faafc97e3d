//! The one place that knows `backoff`, which is no longer maintained: exponential delays with jitter for
//! whatever is tried again.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Delays between attempts: from `first`, doubled each time up to `cap`, each spread by ±50 % so that
/// clients that failed together do not come back together. It never gives up by itself.
#[derive(Debug)]
pub struct Delays(ExponentialBackoff);

// === impl Delays ===

impl Delays {
    /// Delays from `first` up to `cap`.
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self(ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            randomization_factor: 0.5,
            multiplier: 2.0,
            max_interval: cap,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// For a server that does not answer: 50 ms to 5 s. An outage of a minute costs a client some twenty
    /// attempts, and its end is noticed within 7.5 s.
    pub fn server() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(5))
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(self.0.max_interval)
    }

    /// Starts again from `first`, after a success.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap_and_never_end() {
        let mut d = Delays::new(Duration::from_millis(10), Duration::from_millis(100));
        let all: Vec<_> = (0..50).map(|_| d.next_delay()).collect();
        assert!(all[0] <= Duration::from_millis(15));
        assert!(all.iter().all(|d| *d <= Duration::from_millis(150)));
        assert!(all[40..].iter().all(|d| *d >= Duration::from_millis(50)));
        d.reset();
        assert!(d.next_delay() <= Duration::from_millis(15));
    }
}
