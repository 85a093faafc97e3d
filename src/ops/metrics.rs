//! The metrics: one table that says of each what it is called, what it means and where it is read, from
//! which come the exposition at `/metrics` and the reference page.
//!
//! The format is OpenMetrics 1.0 text, which Prometheus has read since 2.5. All samples of one family are of
//! one look at the branches, so that they fit together.

mod table;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::gateway::{GatewayView, SentView};
use super::live::{ClassView, LiveView};
use super::view::{BranchView, ChildView, HistogramView, PartitionView, Subject};
use crate::produce::http as ingest;
use table::TABLE;

/// What `/metrics` declares its answer to be.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The exposition of a subject.
pub struct Exposition(Registry);

/// One metric.
struct Metric {
    /// As it is scraped; a counter's ends in `_total`.
    name: &'static str,
    /// What it means, with its unit.
    help: &'static str,
    read: Read,
}

/// Where a metric is read, which also says its type and its labels.
enum Read {
    /// A counter of each branch.
    Counter(fn(&BranchView) -> u64),
    /// A counter of each branch and reason.
    Reasons,
    /// A gauge of each branch; without a sample where it is not known.
    Gauge(fn(&BranchView) -> Option<f64>),
    /// 1 for the branch's present state, 0 for the others.
    State,
    /// A gauge of each assigned partition.
    Partition(fn(&PartitionView) -> Option<i64>),
    /// The freshness of each branch, in a histogram for each stage of a change's way.
    Stages(Bounds),
    /// A histogram of each branch.
    Histogram(fn(&BranchView) -> &HistogramView, Bounds),
    /// A counter of each child.
    Child(fn(&ChildView) -> u64),
    /// 1 for the child's present state, 0 for the others.
    ChildState,
    /// A counter of each class of what the live lane receives.
    Class(fn(&ClassView) -> u64),
    /// A counter of each reason for which the live lane does not take something.
    Refusals,
    /// A counter of each outcome of a user's wish to be let in.
    Users,
    /// A counter of the live lane.
    Live(fn(&LiveView) -> u64),
    /// A gauge of the live lane.
    LiveNow(fn(&LiveView) -> f64),
    /// A counter of each class of what the gateway sends.
    Sent(fn(&SentView) -> u64),
    /// A counter of the gateway.
    Gateway(fn(&GatewayView) -> u64),
    /// A gauge of the gateway.
    GatewayNow(fn(&GatewayView) -> f64),
    /// A counter of the ingest.
    Ingest(fn(&ingest::Snapshot) -> u64),
    /// A counter of the ingest and reason.
    Turned,
    /// Always 1.
    Build,
}

/// The bounds of a histogram's buckets. Every second of the branch's own (which grow by √2) is shown: a
/// factor of two is enough for an alarm, and half the series.
#[derive(Clone, Copy)]
struct Bounds {
    /// No bound below this.
    from: f64,
    /// None above it.
    to: f64,
    /// Whole numbers are counted: a bound is rounded down to one, which changes no count.
    whole: bool,
}

/// What runs beside the pipelines, where it does.
type Beside<'a> = (
    Option<&'a LiveView>,
    Option<&'a GatewayView>,
    Option<&'a ingest::Snapshot>,
);

struct Reader(Arc<dyn Subject>);

// === impl Exposition ===

impl Exposition {
    /// Of what `subject` shows at each scrape.
    pub fn new(subject: Arc<dyn Subject>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Reader(subject)));
        Self(registry)
    }

    /// The text now.
    ///
    /// # Errors
    /// None in practice: writing into a string does not fail.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.0)?;
        Ok(out)
    }
}

/// The reference page, in Markdown.
pub fn reference() -> String {
    use fmt::Write as _;
    let mut page = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for m in TABLE {
        let labels: Vec<String> = m.read.labels().iter().map(|l| format!("`{l}`")).collect();
        // Writing into a string does not fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            m.name,
            m.read.kind().as_str(),
            labels.join(", "),
            m.help
        );
    }
    page
}

// === impl Read ===

impl Read {
    fn kind(&self) -> MetricType {
        match self {
            Self::Counter(_)
            | Self::Reasons
            | Self::Child(_)
            | Self::Class(_)
            | Self::Refusals
            | Self::Users
            | Self::Live(_)
            | Self::Sent(_)
            | Self::Gateway(_)
            | Self::Ingest(_)
            | Self::Turned => MetricType::Counter,
            Self::Gauge(_)
            | Self::State
            | Self::Partition(_)
            | Self::ChildState
            | Self::LiveNow(_)
            | Self::GatewayNow(_)
            | Self::Build => MetricType::Gauge,
            Self::Histogram(..) | Self::Stages(_) => MetricType::Histogram,
        }
    }

    fn labels(&self) -> &'static [&'static str] {
        match self {
            Self::Counter(_) | Self::Gauge(_) | Self::Histogram(..) => {
                &["pipeline", "sink", "topic"]
            }
            Self::Stages(_) => &["pipeline", "sink", "topic", "stage"],
            Self::Reasons => &["pipeline", "sink", "topic", "reason"],
            Self::State => &["pipeline", "sink", "topic", "state"],
            Self::Partition(_) => &["pipeline", "sink", "topic", "partition"],
            Self::Child(_) => &["child"],
            Self::ChildState => &["child", "state"],
            Self::Class(_) | Self::Sent(_) => &["class"],
            Self::Refusals | Self::Turned => &["reason"],
            Self::Users => &["outcome"],
            Self::Live(_)
            | Self::LiveNow(_)
            | Self::Gateway(_)
            | Self::GatewayNow(_)
            | Self::Ingest(_) => &[],
            Self::Build => &["version"],
        }
    }
}

// === impl Reader ===

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

impl Collector for Reader {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let branches = self.0.branches().unwrap_or_default();
        let children = self.0.children();
        let live = self.0.live();
        let gateway = self.0.gateway();
        let ingest = self.0.ingest();
        for metric in TABLE {
            // The encoder adds the suffix to each sample by itself.
            let family = metric.name.strip_suffix("_total").unwrap_or(metric.name);
            let kind = metric.read.kind();
            let mut samples = Samples {
                to: to.encode_descriptor(family, metric.help, None, kind)?,
                names: metric.read.labels(),
            };
            let beside = (live.as_ref(), gateway.as_ref(), ingest.as_ref());
            metric.encode(&branches, &children, beside, &mut samples)?;
        }
        Ok(())
    }
}

// === impl Metric ===

impl Metric {
    fn encode(
        &self,
        branches: &[BranchView],
        children: &[ChildView],
        (live, gateway, ingest): Beside<'_>,
        to: &mut Samples<'_>,
    ) -> fmt::Result {
        let of = |b: &BranchView| [b.pipeline.clone(), b.sink.clone(), b.topic.clone()];
        match &self.read {
            Read::Counter(read) => branches
                .iter()
                .try_for_each(|b| to.counter(&of(b), read(b))),
            Read::Gauge(read) => branches
                .iter()
                .filter_map(|b| Some((b, read(b)?)))
                .try_for_each(|(b, value)| to.gauge(&of(b), value)),
            Read::Histogram(read, bounds) => branches
                .iter()
                .try_for_each(|b| to.histogram(&of(b), read(b), *bounds)),
            Read::Stages(bounds) => branches.iter().try_for_each(|b| {
                let first = with(of(b), b.acknowledged());
                to.histogram(&first, &b.freshness_seconds, *bounds)?;
                let later = b.searchable_seconds.iter();
                later
                    .map(|shown| (with(of(b), "searchable"), shown))
                    .try_for_each(|(labels, shown)| to.histogram(&labels, shown, *bounds))
            }),
            Read::Reasons => branches.iter().try_for_each(|b| {
                b.reasons
                    .iter()
                    .try_for_each(|(reason, n)| to.counter(&with(of(b), reason), *n))
            }),
            Read::State => branches.iter().try_for_each(|b| {
                BranchView::STATES
                    .iter()
                    .try_for_each(|s| to.gauge(&with(of(b), s), one(b.state == *s)))
            }),
            Read::Partition(read) => branches.iter().try_for_each(|b| {
                b.partitions
                    .iter()
                    .filter_map(|p| Some((p.partition, read(p)?)))
                    .try_for_each(|(p, value)| to.integer(&with(of(b), &p.to_string()), value))
            }),
            Read::Child(read) => children
                .iter()
                .try_for_each(|c| to.counter(std::slice::from_ref(&c.name), read(c))),
            Read::ChildState => children.iter().try_for_each(|c| {
                ChildView::STATES.iter().try_for_each(|s| {
                    to.gauge(&[c.name.clone(), (*s).to_owned()], one(c.state == *s))
                })
            }),
            Read::Class(read) => live
                .iter()
                .flat_map(|live| &live.classes)
                .try_for_each(|c| to.counter(&[c.class.to_owned()], read(c))),
            Read::Refusals => live
                .iter()
                .flat_map(|live| &live.refusals)
                .try_for_each(|(reason, n)| to.counter(&[(*reason).to_owned()], *n)),
            Read::Users => live.iter().filter_map(|live| live.users).try_for_each(|u| {
                [
                    ("accepted", u.accepted),
                    ("refused", u.refused),
                    ("unanswered", u.unanswered),
                ]
                .into_iter()
                .try_for_each(|(outcome, n)| to.counter(&[outcome.to_owned()], n))
            }),
            Read::Live(read) => live.iter().try_for_each(|live| to.counter(&[], read(live))),
            Read::LiveNow(read) => live.iter().try_for_each(|live| to.gauge(&[], read(live))),
            Read::Sent(read) => gateway
                .iter()
                .flat_map(|gateway| &gateway.classes)
                .try_for_each(|c| to.counter(&[c.class.to_owned()], read(c))),
            Read::Gateway(read) => gateway.iter().try_for_each(|g| to.counter(&[], read(g))),
            Read::GatewayNow(read) => gateway.iter().try_for_each(|g| to.gauge(&[], read(g))),
            Read::Ingest(read) => ingest.iter().try_for_each(|i| to.counter(&[], read(i))),
            Read::Turned => ingest
                .iter()
                .flat_map(|ingest| &ingest.turned)
                .try_for_each(|(reason, n)| to.counter(&[(*reason).to_owned()], *n)),
            Read::Build => to.gauge(&[env!("CARGO_PKG_VERSION").to_owned()], 1.0),
        }
    }
}

fn with([pipeline, sink, topic]: [String; 3], last: &str) -> [String; 4] {
    [pipeline, sink, topic, last.to_owned()]
}

fn one(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// Writes the samples of one family.
struct Samples<'a> {
    to: MetricEncoder<'a>,
    names: &'static [&'static str],
}

// === impl Samples ===

impl Samples<'_> {
    fn labels<'v>(&self, values: &'v [String]) -> Vec<(&'static str, &'v str)> {
        debug_assert_eq!(self.names.len(), values.len());
        let values = values.iter().map(String::as_str);
        self.names.iter().copied().zip(values).collect()
    }

    fn counter(&mut self, values: &[String], value: u64) -> fmt::Result {
        let labels = self.labels(values);
        let mut sample = self.to.encode_family(&labels)?;
        sample.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    fn gauge(&mut self, values: &[String], value: f64) -> fmt::Result {
        let labels = self.labels(values);
        self.to.encode_family(&labels)?.encode_gauge(&value)
    }

    /// Offsets pass 2^53 only in theory, but a gauge that is one is exact here.
    fn integer(&mut self, values: &[String], value: i64) -> fmt::Result {
        let labels = self.labels(values);
        self.to.encode_family(&labels)?.encode_gauge(&value)
    }

    fn histogram(
        &mut self,
        values: &[String],
        value: &HistogramView,
        bounds: Bounds,
    ) -> fmt::Result {
        let labels = self.labels(values);
        let buckets = bounds.thin(&value.buckets);
        let mut sample = self.to.encode_family(&labels)?;
        sample.encode_histogram::<NoLabelSet>(value.sum, value.count, &buckets, None)
    }
}

// === impl Bounds ===

impl Bounds {
    /// Fewer buckets that hold the same values; none is cumulative, here and there.
    fn thin(self, buckets: &[(f64, u64)]) -> Vec<(f64, u64)> {
        let mut thinned = Vec::new();
        let mut held = 0;
        for (i, (bound, n)) in buckets.iter().enumerate() {
            held += n;
            let shown = if bound.is_infinite() {
                f64::INFINITY
            } else if i % 2 == 0 && (self.from..=self.to).contains(bound) {
                if self.whole {
                    bound.floor()
                } else {
                    // The bounds are ten-thousandths, but for what floating point adds.
                    (bound * 1e4).round() / 1e4
                }
            } else {
                continue;
            };
            thinned.push((shown, std::mem::take(&mut held)));
        }
        thinned
    }
}

#[cfg(test)]
mod tests;
