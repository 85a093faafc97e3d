//! One acknowledged document at a time, to be looked for by a search.
//!
//! Elasticsearch acknowledges a document before a search shows it: its index is refreshed once a second, or as the
//! index's settings say. How late that is cannot be told from an acknowledgement, and asking after every document would
//! cost more than writing it. So now and then one is picked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::event::Version;

/// A document that the sink has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its id.
    pub id: Box<str>,
    /// The version that was written.
    pub version: Version,
    /// When the source committed it, in milliseconds since 1970.
    pub committed_ms: i64,
}

/// Where workers leave a sample, once somebody wants one.
#[derive(Debug, Default)]
pub struct Sampler {
    wanted: AtomicBool,
    sample: Mutex<Option<Sample>>,
    left: Notify,
}

// === impl Sampler ===

impl Sampler {
    /// Whether a sample is wanted: one read of a flag, for each document.
    pub fn wants(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Leaves a sample, where one is wanted still.
    pub fn leave(&self, sample: Sample) {
        if self.wanted.swap(false, Ordering::Relaxed) {
            *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
            self.left.notify_one();
        }
    }

    /// Waits for a document that is acknowledged from now on.
    pub async fn next(&self) -> Sample {
        self.wanted.store(true, Ordering::Relaxed);
        loop {
            let left = self
                .sample
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(sample) = left {
                return sample;
            }
            self.left.notified().await;
        }
    }
}
