//! Logs, written to stderr: for people, or one JSON object a line for machines.
//!
//! stderr, since stdout belongs to what a command was asked for. A line is written before the code that
//! logged it goes on: none is dropped, and none sits in a buffer when the process is killed.

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, LogSettings};

/// Libraries that say at `info`, or over and over, what the lane says once and with its branch: quieter,
/// unless the filter names them. librdkafka's own words come under `librdkafka`; rdkafka repeats them
/// several times a second as long as a broker is away.
const QUIET: &str = "rdkafka::client=off,actix_server=error";

/// The filter of this process's logs, to be set to another one.
pub struct Filter(Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

/// Sends this process's logs, those of its libraries included, to stderr. Once a process.
///
/// # Errors
/// One sentence where `log.filter` is no filter, or where logs already go somewhere.
pub fn init(settings: &LogSettings) -> Result<Filter, String> {
    // As https://no-color.org asks: set and not empty.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let colour = !plain && std::io::stderr().is_terminal();
    let (subscriber, filter) = subscriber(settings, std::io::stderr, colour)?;
    subscriber
        .try_init()
        .map_err(|e| format!("logs cannot be set up twice in one process: {e}"))?;
    Ok(filter)
}

// === impl Filter ===

impl Filter {
    /// From now on `log.filter` is this.
    ///
    /// # Errors
    /// One sentence where it is no filter; then the one before holds.
    pub fn set(&self, given: &str) -> Result<(), String> {
        (self.0)(filter(given)?).map_err(|e| format!("log.filter cannot be set: {e}"))
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Filter")
    }
}

fn subscriber<W>(
    settings: &LogSettings,
    writer: W,
    colour: bool,
) -> Result<(Box<dyn Subscriber + Send + Sync>, Filter), String>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter(&settings.filter)?;
    let to = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    Ok(match settings.format {
        LogFormat::Human => {
            let to = to.with_ansi(colour).with_filter_reloading();
            let handle = to.reload_handle();
            let filter = Filter(Box::new(move |filter| handle.reload(filter)));
            (Box::new(to.finish()), filter)
        }
        // Flat, so that `branch` and `topic` are found where `level` is.
        LogFormat::Json => {
            let to = to.json().flatten_event(true).with_filter_reloading();
            let handle = to.reload_handle();
            let filter = Filter(Box::new(move |filter| handle.reload(filter)));
            (Box::new(to.finish()), filter)
        }
    })
}

fn filter(given: &str) -> Result<EnvFilter, String> {
    let parse = |text: &str| EnvFilter::builder().parse(text);
    let refused = |e| {
        format!(
            "log.filter is {given:?}, which is no filter ({e}): write a level, such as \"info\", or targets with levels, such as \
             \"twolane=debug,info\""
        )
    };
    let alone = parse(given).map_err(refused)?;
    // Whoever asks for errors alone, or for nothing, is not to get more.
    if alone
        .max_level_hint()
        .is_some_and(|most| most <= LevelFilter::ERROR)
    {
        return Ok(alone);
    }
    // Of two directives for one target the later holds, and the more exact target before the wider.
    parse(&format!("{QUIET},{given}")).map_err(refused)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let settings = LogSettings {
            format,
            filter: filter.into(),
        };
        let to = lines.clone();
        let (subscriber, _) = subscriber(&settings, move || to.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    fn event() {
        tracing::warn!(
            branch = "p.redis",
            partition = 3,
            "two\nlines and a \"quote\""
        );
        tracing::debug!("below the filter");
    }

    #[test]
    fn json_is_one_object_a_line_with_the_fields_beside_the_level() {
        let text = logged(LogFormat::Json, "info", event);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["branch"], "p.redis");
        assert_eq!(line["partition"], 3);
        assert_eq!(line["message"], "two\nlines and a \"quote\"");
    }

    #[test]
    fn the_filter_is_heeded() {
        assert_eq!(logged(LogFormat::Human, "error", event), "");
        let text = logged(LogFormat::Human, "twolane=debug,info", event);
        assert!(text.contains("branch=\"p.redis\"") && text.contains("below the filter"));
    }

    #[test]
    fn another_filter_holds_from_the_moment_that_it_is_set_and_a_bad_one_changes_nothing() {
        for format in [LogFormat::Human, LogFormat::Json] {
            let lines = Lines::default();
            let settings = LogSettings {
                format,
                filter: "warn".into(),
            };
            let to = lines.clone();
            let (subscriber, filter) = subscriber(&settings, move || to.clone(), false).unwrap();
            tracing::subscriber::with_default(subscriber, || {
                tracing::debug!("before");
                filter.set("debug").unwrap();
                tracing::debug!("after");
                filter.set("twolane=loud").unwrap_err();
                tracing::debug!("still");
            });
            let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            assert!(
                !text.contains("before") && text.contains("after") && text.contains("still"),
                "{text}"
            );
        }
    }

    #[test]
    fn libraries_that_repeat_themselves_are_heard_only_when_they_are_named() {
        let chatter = || {
            tracing::error!(target: "rdkafka::client", "all brokers down");
            tracing::info!(target: "actix_server::worker", "starting");
            tracing::error!(target: "actix_server::accept", "too many open files");
            tracing::error!(target: "librdkafka", "connection refused");
        };
        let count = |filter: &str| logged(LogFormat::Human, filter, chatter).lines().count();
        assert_eq!(count("info"), 2);
        assert_eq!(count("info,rdkafka::client=error"), 3);
        assert_eq!(count("info,actix_server=info"), 3);
        assert_eq!(count("off"), 0);
    }

    #[test]
    fn a_bad_filter_is_refused_in_one_sentence() {
        for filter in ["twolane=loud", "a=b=c", "[x"] {
            let settings = LogSettings {
                format: LogFormat::Human,
                filter: filter.into(),
            };
            let why = subscriber(&settings, std::io::stderr, false).err().unwrap();
            assert!(why.starts_with("log.filter is "), "{why}");
            assert!(why.contains(filter) && !why.contains('\n'), "{why}");
        }
    }
}
