//! Replays: rule 11, original versions and nothing that the sink may have forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::branch::{Branch, Verdict};
use super::letter::{At, Letter};
use super::topic::DeadTopic;
use crate::branch::now_ms;
use crate::config::{PipelineSpec, Settings};

/// Which letters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Which {
    /// These; all where it is empty.
    pub(crate) letters: Vec<At>,
    /// Of these only those with this reason.
    pub(crate) reason: Option<String>,
    /// Of these only those of this pipeline.
    pub(crate) pipeline: Option<String>,
    /// Of these only those that this sink rejected.
    pub(crate) sink: Option<String>,
}

/// What became of one letter.
#[derive(Debug, Clone)]
pub(crate) struct Replayed {
    /// Which.
    pub(crate) at: At,
    /// `<pipeline>.<sink>`, and the record's place, where the letter was found.
    pub(crate) of: Option<(String, String)>,
    /// What became of it.
    pub(crate) verdict: Verdict,
}

/// How many letters ended how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    applied: u64,
    superseded: u64,
    passed: u64,
    ready: u64,
    rejected: u64,
    refused: u64,
    failed: u64,
}

/// The branches that letters name, opened when the first of their letters comes.
pub(crate) struct Branches {
    settings: Arc<Settings>,
    pipelines: Vec<Arc<PipelineSpec>>,
    open: BTreeMap<(String, String), Result<Branch, String>>,
}

/// Replays letters one by one, in the order of their topic, and tells of each.
///
/// # Errors
/// Where the letters cannot be read. Those told of before were replayed.
pub(crate) async fn replay(
    topic: &mut DeadTopic,
    which: &Which,
    branches: &mut Branches,
    dry_run: bool,
    mut tell: impl FnMut(&Replayed),
) -> anyhow::Result<Tally> {
    if which.letters.is_empty() {
        topic.start()?;
    } else {
        topic.start_at(&which.letters)?;
    }
    let mut tally = Tally::default();
    let mut told = |replayed: Replayed| {
        tally.count(&replayed.verdict);
        tell(&replayed);
    };
    // One that is named and not there is told, like one that is refused.
    let mut missing = which.letters.clone();
    missing.sort_unstable();
    missing.dedup();
    while let Some(letter) = topic.next().await? {
        if !which.letters.is_empty() && !missing.contains(&letter.at) {
            continue;
        }
        missing.retain(|at| *at != letter.at);
        if !which.takes(&letter) {
            if !which.letters.is_empty() {
                let why =
                    String::from("it is not of the pipeline, the sink or the reason asked for");
                told(Replayed {
                    at: letter.at,
                    of: None,
                    verdict: Verdict::Refused(why),
                });
            }
            continue;
        }
        let verdict = branches.replay(&letter, dry_run).await;
        told(Replayed {
            at: letter.at,
            of: Some((letter.about.branch(), letter.about.source())),
            verdict,
        });
    }
    for at in missing {
        let why = String::from("it is not in the topic any more");
        told(Replayed {
            at,
            of: None,
            verdict: Verdict::Refused(why),
        });
    }
    Ok(tally)
}

// === impl Which ===

impl Which {
    /// In words, for the audit log.
    pub(crate) fn of(&self, topic: &str) -> String {
        let letters: Vec<String> = self.letters.iter().map(At::to_string).collect();
        let mut text = match letters.len() {
            0 => format!("{topic}, all letters"),
            1 => format!("{topic}, letter {}", letters.join("")),
            _ => format!("{topic}, letters {}", letters.join(", ")),
        };
        for (what, value) in [
            ("reason", &self.reason),
            ("pipeline", &self.pipeline),
            ("sink", &self.sink),
        ] {
            if let Some(value) = value {
                text.push_str(&format!(" with {what} {value}"));
            }
        }
        text
    }

    fn takes(&self, letter: &Letter) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
        let about = &letter.about;
        is(&self.pipeline, &about.pipeline)
            && is(&self.sink, &about.sink)
            && is(&self.reason, &about.reason)
    }
}

// === impl Verdict ===

impl Verdict {
    /// In words.
    pub(crate) fn told(&self) -> String {
        match self {
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
}

// === impl Branches ===

impl Branches {
    /// Of these pipelines; no server is asked yet.
    pub(crate) fn new(settings: Arc<Settings>, pipelines: Vec<Arc<PipelineSpec>>) -> Self {
        Self {
            settings,
            pipelines,
            open: BTreeMap::new(),
        }
    }

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
    /// Counts one more.
    pub(crate) fn count(&mut self, verdict: &Verdict) {
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

    /// In words.
    pub(crate) fn summary(&self) -> String {
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

    /// Whether every letter that was asked for is in its sink.
    pub(crate) fn is_well(&self) -> bool {
        self.rejected + self.refused + self.failed == 0
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
        assert!(tally.is_well());
        for bad in [
            Verdict::Refused(String::new()),
            Verdict::Rejected(String::new()),
            Verdict::Failed(String::new()),
        ] {
            let mut tally = Tally::default();
            tally.count(&bad);
            assert!(!tally.is_well(), "{bad:?}");
        }
        tally.count(&Verdict::Rejected(String::new()));
        assert_eq!(
            tally.summary(),
            "3 letters: 1 applied, 1 superseded, 1 rejected again"
        );
    }
}
