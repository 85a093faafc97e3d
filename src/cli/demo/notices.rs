//! Log lines while the screen is drawn: all of them go to a file, warnings and errors also above the block.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Lines that wait to be shown; the screen takes them several times a second. Those beyond are counted.
const WAITING: usize = 20;

/// Warnings and errors on their way to the screen.
#[derive(Debug, Clone, Default)]
pub struct Notices(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<String>,
    more: u64,
}

// === impl Notices ===

impl Notices {
    /// From now on this process logs to `file`, and its warnings and errors here as well.
    ///
    /// # Errors
    /// Where the file cannot be made, or the process logs elsewhere already.
    pub fn start(file: &Path, filter: &str) -> anyhow::Result<Self> {
        let notices = Self::default();
        let out = File::create(file)
            .with_context(|| format!("cannot write the log {}", file.display()))?;
        let filter =
            EnvFilter::try_new(filter).with_context(|| format!("'{filter}' is no log filter"))?;
        tracing_subscriber::registry()
            .with(
                fmt::layer()
                    .with_ansi(false)
                    .with_writer(Mutex::new(out))
                    .with_filter(filter),
            )
            .with(
                fmt::layer()
                    .with_ansi(false)
                    .with_target(false)
                    .without_time()
                    .with_writer(notices.clone())
                    .with_filter(LevelFilter::WARN),
            )
            .try_init()
            .context("this process logs elsewhere already")?;
        Ok(notices)
    }

    /// The lines since the last call.
    pub fn take(&self) -> Vec<String> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines: Vec<_> = waiting.lines.drain(..).collect();
        if waiting.more > 0 {
            lines.push(format!("… and {} more warnings: see the log", waiting.more));
            waiting.more = 0;
        }
        lines
    }

    fn add(&self, line: &str) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.len() < WAITING {
            waiting.lines.push_back(line.to_owned());
        } else {
            waiting.more += 1;
        }
    }
}

impl io::Write for Notices {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.add(text.trim_end());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Notices {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_warnings_is_counted_not_kept() {
        let notices = Notices::default();
        for n in 0..WAITING + 5 {
            notices.add(&n.to_string());
        }
        let lines = notices.take();
        assert_eq!(lines.len(), WAITING + 1);
        assert!(lines[WAITING].contains("5 more"));
        assert!(notices.take().is_empty());
    }
}
