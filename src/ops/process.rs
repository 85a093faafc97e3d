//! Which process this is.

use std::time::Instant;

use serde::Serialize;

use crate::config::KafkaSettings;
use crate::source::client_id;

/// A process. Two of one machine differ in `process`, and one and its successor in `started_seconds`.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessView {
    /// What its consumer groups know it by.
    pub client_id: String,
    /// Its number on its machine.
    pub process: u32,
    /// Its version.
    pub version: &'static str,
    /// How long ago it was started.
    pub started_seconds: f64,
}

// === impl ProcessView ===

impl ProcessView {
    /// This one, started at `started`.
    pub fn here(kafka: &KafkaSettings, started: Instant) -> Self {
        Self {
            client_id: client_id(kafka).to_owned(),
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
            started_seconds: (started.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        }
    }
}
