//! Whatever is tried again goes through here: how long until the next attempt, and how many attempts a
//! server meets from this process.
//!
//! The bound, for each server and process: over an outage of `t` seconds a server meets at most
//! [`BURST`] + [`RATE`] · `t` attempts to try again, from all workers and branches together, beside the requests that
//! were in flight when it went away. (The Kafka client's own reconnects are its own: one attempt a client and
//! broker every two seconds at the most.) Once the server answers, each answer lets one more waiting attempt
//! through, so that the load comes back by doubling and not at a blow.

mod server;

pub use server::{BURST, Because, RATE, Server, elasticsearch, kafka, nats, redis, server};

use std::time::Duration;

// The one place that knows `backoff`, which is no longer maintained.
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

/// The delay before attempt `attempt` (1 is the first after a failure) of a client that counts attempts by
/// itself: that of [`Delays::server`].
pub fn delay_before(attempt: usize) -> Duration {
    let mut delays = Delays::server();
    // Past a dozen the delay no longer grows.
    for _ in 1..attempt.clamp(1, 12) {
        delays.next_delay();
    }
    delays.next_delay()
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

    #[test]
    fn a_client_that_counts_gets_the_same_delays() {
        assert!(delay_before(0) <= Duration::from_millis(75));
        assert!(delay_before(1) <= Duration::from_millis(75));
        assert!(delay_before(usize::MAX) >= Duration::from_millis(2_500));
        assert!(delay_before(9) <= Duration::from_millis(7_500));
    }
}
