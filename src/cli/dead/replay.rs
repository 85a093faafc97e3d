//! `twolane dead replay`: rule 11, original versions and nothing that the sink may have forgotten.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;

use super::Whose;
use super::branch::{Branch, Verdict};
use super::letter::{At, Letter};
use super::text;
use super::topic::DeadTopic;
use crate::branch::now_ms;
use crate::config::{Config, PipelineSpec, Settings};
use crate::sink::dead_letter::dead_topic;

/// Arguments of `dead replay`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["letters", "all", "reason"]))]
pub(super) struct Args {
    /// The letters, as `twolane dead list` names them
    #[arg(value_name = "LETTER")]
    letters: Vec<At>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Those with this reason
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    whose: Whose,
    /// Only those that this sink rejected
    #[arg(long, value_name = "SINK")]
    sink: Option<String>,
    /// Check everything and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// How many letters ended how.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    applied: u64,
    superseded: u64,
    passed: u64,
    ready: u64,
    rejected: u64,
    refused: u64,
    failed: u64,
}

/// The branches that letters name, opened when the first of their letters comes.
struct Branches {
    settings: Settings,
    pipelines: Vec<Arc<PipelineSpec>>,
    open: BTreeMap<(String, String), Result<Branch, String>>,
}

/// Replays the letters one by one, in the order of their topic. Whoever reads the output may go away: what was
/// asked for is done all the same.
pub(super) async fn run(args: &Args, config: Config) -> anyhow::Result<ExitCode> {
    let source = args.whose.one_topic(&config)?;
    let Some(mut topic) = DeadTopic::open(&config.settings.kafka, &source)? else {
        bail!(
            "there is nothing to replay: there is no topic {}",
            dead_topic(&source)
        );
    };
    if args.letters.is_empty() {
        topic.start()?;
    } else {
        topic.start_at(&args.letters)?;
    }
    let mut branches = Branches {
        settings: config.settings,
        pipelines: config.pipelines.into_iter().map(Arc::new).collect(),
        open: BTreeMap::new(),
    };
    let mut tally = Tally::default();
    let mut out = io::stdout();
    // One that is named and not there is told, like one that is refused.
    let mut missing = args.letters.clone();
    missing.sort_unstable();
    missing.dedup();
    while let Some(letter) = topic.next().await? {
        if !args.letters.is_empty() && !missing.contains(&letter.at) {
            continue;
        }
        missing.retain(|at| *at != letter.at);
        if !args.takes(&letter) {
            if !args.letters.is_empty() {
                let why =
                    String::from("it is not of the pipeline, the sink or the reason asked for");
                tally.count(&Verdict::Refused(why.clone()));
                let _gone = writeln!(out, "{}  refused: {why}", letter.at);
            }
            continue;
        }
        let verdict = branches.replay(&letter, args.dry_run).await;
        tally.count(&verdict);
        let _gone = writeln!(
            out,
            "{}  {}  {}  {}",
            letter.at,
            text::line(&letter.about.branch()),
            text::line(&letter.about.source()),
            text::line(&told(&verdict))
        );
    }
    for at in missing {
        let verdict = Verdict::Refused(String::from("it is not in the topic any more"));
        tally.count(&verdict);
        let _gone = writeln!(out, "{at}  {}", told(&verdict));
    }
    let _gone = writeln!(
        out,
        "{}; the letters stay in {}, which is a log",
        tally.summary(),
        topic.name
    );
    Ok(tally.exit())
}

fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Applied => String::from("applied"),
        Verdict::Superseded(Some(by)) => {
            format!("superseded by version {by}, which the sink holds")
        }
        Verdict::Superseded(None) => {
            String::from("superseded: the sink holds this version or a higher one")
        }
        Verdict::Passed(pass) => format!("nothing to write ({})", pass.reason()),
        Verdict::Ready => String::from("would be written"),
        Verdict::Rejected(why) => format!("rejected again: {why}"),
        Verdict::Refused(why) => format!("refused: {why}"),
        Verdict::Failed(why) => format!("not done: {why}"),
    }
}

// === impl Args ===

impl Args {
    fn takes(&self, letter: &Letter) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
        let about = &letter.about;
        is(&self.whose.pipeline, &about.pipeline)
            && is(&self.sink, &about.sink)
            && is(&self.reason, &about.reason)
    }
}

// === impl Branches ===

impl Branches {
    async fn replay(&mut self, letter: &Letter, dry_run: bool) -> Verdict {
        let about = &letter.about;
        let key = (about.pipeline.clone(), about.sink.clone());
        let (settings, pipelines) = (&self.settings, &self.pipelines);
        let branch = self.open.entry(key).or_insert_with(|| {
            let pipeline = pipelines.iter().find(|p| p.name == about.pipeline);
            let pipeline = pipeline
                .ok_or_else(|| format!("there is no pipeline {:?} any more", about.pipeline))?;
            let sink = pipeline.sinks.iter().find(|s| s.name == about.sink);
            let sink = sink.ok_or_else(|| {
                format!(
                    "pipeline {} has no sink {:?} any more",
                    pipeline.name, about.sink
                )
            })?;
            Branch::open(settings, pipeline, sink).map_err(|why| format!("{why:#}"))
        });
        match branch {
            Ok(branch) => branch.replay(letter, now_ms(), dry_run).await,
            Err(why) => Verdict::Refused(why.clone()),
        }
    }
}

// === impl Tally ===

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        *match verdict {
            Verdict::Applied => &mut self.applied,
            Verdict::Superseded(_) => &mut self.superseded,
            Verdict::Passed(_) => &mut self.passed,
            Verdict::Ready => &mut self.ready,
            Verdict::Rejected(_) => &mut self.rejected,
            Verdict::Refused(_) => &mut self.refused,
            Verdict::Failed(_) => &mut self.failed,
        } += 1;
    }

    fn summary(&self) -> String {
        let counts = [
            (self.applied, "applied"),
            (self.superseded, "superseded"),
            (self.passed, "with nothing to write"),
            (self.ready, "would be written"),
            (self.rejected, "rejected again"),
            (self.refused, "refused"),
            (self.failed, "not done"),
        ];
        let total: u64 = counts.iter().map(|(n, _)| n).sum();
        let plural = if total == 1 { "" } else { "s" };
        let parts: Vec<String> = counts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}"))
            .collect();
        match parts.is_empty() {
            true => String::from("no such letters"),
            false => format!("{total} letter{plural}: {}", parts.join(", ")),
        }
    }

    /// Failure where any letter that was asked for is not in its sink.
    fn exit(&self) -> ExitCode {
        if self.rejected + self.refused + self.failed > 0 {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tally_names_what_happened_and_fails_unless_all_is_in_the_sink() {
        let mut tally = Tally::default();
        assert_eq!(tally.summary(), "no such letters");
        tally.count(&Verdict::Applied);
        assert_eq!(tally.summary(), "1 letter: 1 applied");
        tally.count(&Verdict::Superseded(None));
        assert_eq!(tally.exit(), ExitCode::SUCCESS);
        for bad in [
            Verdict::Refused(String::new()),
            Verdict::Rejected(String::new()),
            Verdict::Failed(String::new()),
        ] {
            let mut tally = Tally::default();
            tally.count(&bad);
            assert_eq!(tally.exit(), ExitCode::FAILURE, "{bad:?}");
        }
        tally.count(&Verdict::Rejected(String::new()));
        assert_eq!(
            tally.summary(),
            "3 letters: 1 applied, 1 superseded, 1 rejected again"
        );
    }
}
