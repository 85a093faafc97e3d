//! What an event costs against workers, partitions, the size of its document and the number of rows: a run of `sync`
//! without the limit for each, a table of them all, and a plot.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::report::{self, Measured, print, round};
use super::specs::Sinks;
use super::stack::say;
use super::sync;

mod plot;

/// What a record of the bench is larger than its document by, in bytes, about: the envelope and its source.
const ENVELOPE: u32 = 400;

/// Arguments of `bench scale`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Records of each run
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    events: u64,
    /// Draw the plot into this SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the figures as JSON on stdout; everything else goes to stderr
    #[arg(long)]
    json: bool,
    /// The local stack's instance
    #[arg(long, default_value = "bench")]
    instance: String,
}

/// What is changed from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Workers,
    Partitions,
    Document,
    Rows,
}

/// One run's figures.
#[derive(Debug, Clone)]
struct Point {
    by: By,
    /// Of what is changed.
    value: u32,
    sink: &'static str,
    events_per_s: f64,
    /// CPU microseconds of our process for an event.
    cpu_us: f64,
    rss_mb: f64,
}

/// The runs: everything but one thing is as `bench sync` has it.
const RUNS: [(By, &[u32]); 4] = [
    (By::Workers, &[1, 2, 4]),
    (By::Partitions, &[1, 8, 32]),
    (By::Document, &[200, 1_000, 10_000]),
    (By::Rows, &[1_000, 20_000, 200_000]),
];

/// Runs the bench.
///
/// # Errors
/// Whatever keeps it from figures.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let points = actix::System::new().block_on(measure(args))?;
    if let Some(file) = &args.svg {
        std::fs::write(file, plot::svg(&points))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    print(args.json, || json(&points), || table(&points));
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &Args) -> anyhow::Result<Vec<Point>> {
    let mut points = Vec::new();
    for (by, values) in RUNS {
        for &value in values {
            say(&format!("{}: {value}", by.name()));
            let mut wish = sync::Args::plain(&args.instance, args.events);
            match by {
                By::Workers => wish.workers = u16::try_from(value).ok(),
                By::Partitions => wish.partitions = i32::try_from(value)?,
                By::Document => {
                    wish.bytes = value + ENVELOPE;
                    // As many bytes as in the other runs, so that a run of large documents takes no longer.
                    wish.events = (args.events * 1_000 / u64::from(value.max(1_000))).max(1_000);
                }
                By::Rows => wish.keys = u64::from(value),
            }
            let run = sync::measure(&wish).await?;
            points.extend(run.measured.iter().map(|m| Point::new(by, value, m)));
        }
    }
    Ok(points)
}

// === impl By ===

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Workers => "workers",
            Self::Partitions => "partitions",
            Self::Document => "bytes of a document",
            Self::Rows => "rows",
        }
    }
}

// === impl Point ===

impl Point {
    fn new(by: By, value: u32, measured: &Measured) -> Self {
        Self {
            by,
            value,
            sink: match measured.sinks {
                Sinks::Elasticsearch => "Elasticsearch",
                Sinks::Redis => "Redis",
                Sinks::Both => "both",
            },
            events_per_s: measured.together(),
            // Seconds a million are microseconds each.
            cpu_us: measured.cpu_per_million(),
            rss_mb: measured.rss_mb(),
        }
    }
}

fn json(points: &[Point]) -> Value {
    let each = points.iter().map(|p| {
        json!({
            "by": p.by.name(),
            "value": p.value,
            "sink": p.sink,
            "events_per_s": round(p.events_per_s, 0),
            "cpu_us_per_event": round(p.cpu_us, 2),
            "rss_mb": round(p.rss_mb, 1),
        })
    });
    Value::Array(each.collect())
}

/// A table in Markdown.
fn table(points: &[Point]) -> String {
    let mut out = String::from(
        "| changed | value | sink | events/s | CPU µs an event | peak MiB |\n| --- | ---: | --- | ---: | ---: | ---: |\n",
    );
    for p in points {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.0} | {:.1} | {:.0} |",
            p.by.name(),
            p.value,
            p.sink,
            p.events_per_s,
            p.cpu_us,
            p.rss_mb
        );
    }
    out.push_str(report::SHARED);
    out
}
