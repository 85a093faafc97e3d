//! What was read of a topic of dead letters, and how it is told.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Filter;
use crate::dead::{DeadTopic, Summary};
use crate::sink::dead_letter::dead_topic;

/// Letters remembered of a topic, the newest: some 1 MB.
const KEPT: usize = 2_000;
/// How long one look reads; the next one goes on from there.
const READING: Duration = Duration::from_secs(3);

/// The letters of one source topic.
#[derive(Debug, Clone, Serialize)]
pub(in crate::ops) struct TopicView {
    /// The source topic.
    topic: String,
    /// The topic that its letters are in.
    dead_topic: String,
    /// Offsets between its start and its end: its letters, unless some were removed.
    there_are: i64,
    /// Of these the newest so many were looked at; the counts are of them.
    looked_at: usize,
    /// How many, by reason.
    reasons: BTreeMap<String, u64>,
    /// The newest, the newest first.
    pub(in crate::ops) letters: Vec<Summary>,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// One topic and what was read of it.
pub(super) struct Shelf {
    topic: DeadTopic,
    /// One past the last letter that was read, of each partition.
    read: BTreeMap<i32, i64>,
    letters: VecDeque<Summary>,
}

// === impl Shelf ===

impl Shelf {
    pub(super) fn new(topic: DeadTopic) -> Self {
        Self {
            topic,
            read: BTreeMap::new(),
            letters: VecDeque::new(),
        }
    }

    /// Takes in what came since the last time, for at most [`READING`]; of very much the newest.
    pub(super) async fn read(&mut self) -> anyhow::Result<()> {
        if !self.topic.look()? {
            self.read.clear();
            self.letters.clear();
            return Ok(());
        }
        let ends = self.topic.bounds().iter().map(|(p, (_, end))| (*p, *end));
        let ends: BTreeMap<i32, i64> = ends.collect();
        if self
            .read
            .iter()
            .any(|(p, at)| ends.get(p).is_none_or(|end| end < at))
        {
            // It was made anew.
            self.read.clear();
            self.letters.clear();
        }
        let kept = i64::try_from(KEPT).unwrap_or(i64::MAX);
        let mut ranges = Vec::new();
        for (partition, (low, end)) in self.topic.bounds() {
            let newest = (*end - kept).max(*low);
            let from = self
                .read
                .get(partition)
                .map_or(newest, |at| newest.max(*at));
            if from < *end {
                ranges.push((*partition, from, *end));
            }
            self.read.insert(*partition, from);
        }
        if ranges.is_empty() {
            return Ok(());
        }
        self.topic.start_ranges(ranges)?;
        let until = Instant::now() + READING;
        while let Some(letter) = self.topic.next().await? {
            self.read.insert(letter.at.partition, letter.at.offset + 1);
            if self.letters.len() == KEPT {
                self.letters.pop_front();
            }
            self.letters.push_back(Summary::from(&letter));
            if Instant::now() >= until {
                return Ok(());
            }
        }
        // The last offsets may hold no letter.
        self.read = ends;
        Ok(())
    }
}

// === impl TopicView ===

impl TopicView {
    pub(super) fn new(
        source: &str,
        shelf: Option<&Shelf>,
        filter: &Filter,
        error: Option<String>,
    ) -> Self {
        let bounds = shelf.map(|s| s.topic.bounds().values().map(|(low, end)| end - low));
        let letters = shelf.map(|s| &s.letters);
        let mut reasons = BTreeMap::new();
        for letter in letters.into_iter().flatten() {
            *reasons.entry(letter.reason.clone()).or_insert(0) += 1;
        }
        let wanted = |l: &&Summary| filter.reason.as_ref().is_none_or(|r| *r == l.reason);
        let newest = letters.into_iter().flatten().rev().filter(wanted);
        Self {
            topic: source.to_owned(),
            dead_topic: dead_topic(source),
            there_are: bounds.map_or(0, Iterator::sum),
            looked_at: letters.map_or(0, VecDeque::len),
            reasons,
            letters: newest.take(filter.limit).cloned().collect(),
            error,
        }
    }
}
