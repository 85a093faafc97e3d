//! What is said of each topic, schema and stream.

use std::fmt::Display;
use std::io;

/// Whether to look or to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Plan,
    Apply,
}

/// What is to become of a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is as it should be.
    Keep,
    /// It is absent: make it, so.
    Create(Vec<String>),
    /// It differs so, and can be altered.
    Alter(Vec<String>),
    /// It differs so, and a person has to say what is meant.
    Differs(Vec<String>),
    /// It cannot become what it should be; each with the remedy.
    Refuse(Vec<String>),
    /// Its server did not answer, or would not.
    Failed(String),
}

/// A thing and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub what: String,
    pub verdict: Verdict,
}

/// Everything that is said.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Item>);

// === impl Item ===

impl Item {
    pub(super) fn new(what: impl Into<String>, verdict: Verdict) -> Self {
        Self {
            what: what.into(),
            verdict,
        }
    }

    pub(super) fn failed(what: impl Into<String>, why: impl Display) -> Self {
        Self::new(what, Verdict::Failed(why.to_string()))
    }

    fn print(&self, out: &mut impl io::Write, mode: Mode) -> io::Result<()> {
        let (sign, word, lines) = match (&self.verdict, mode) {
            (Verdict::Keep, _) => ("=", "is as it should be", [].as_slice()),
            (Verdict::Create(how), Mode::Plan) => ("+", "is to be made", how.as_slice()),
            (Verdict::Create(how), Mode::Apply) => ("+", "was made", how.as_slice()),
            (Verdict::Alter(how), Mode::Plan) => ("~", "is to be altered", how.as_slice()),
            (Verdict::Alter(how), Mode::Apply) => ("~", "was altered", how.as_slice()),
            (Verdict::Differs(how), _) => ("?", "differs from its spec", how.as_slice()),
            (Verdict::Refuse(why), _) => ("!", "is refused", why.as_slice()),
            (Verdict::Failed(why), _) => ("!", "failed", std::slice::from_ref(why)),
        };
        writeln!(out, "{sign} {} {word}", self.what)?;
        lines
            .iter()
            .try_for_each(|line| writeln!(out, "    {line}"))
    }
}

// === impl Report ===

impl Report {
    pub(super) fn add(&mut self, item: Item) {
        self.0.push(item);
    }

    pub(super) fn extend(&mut self, items: impl IntoIterator<Item = Item>) {
        self.0.extend(items);
    }

    /// Whether anything is refused, or no server said.
    pub(super) fn failed(&self) -> bool {
        self.0
            .iter()
            .any(|item| matches!(item.verdict, Verdict::Refuse(_) | Verdict::Failed(_)))
    }

    /// Whether anything is not as it should be.
    pub(super) fn differs(&self) -> bool {
        self.0.iter().any(|item| item.verdict != Verdict::Keep)
    }

    pub(super) fn print(&self, out: &mut impl io::Write, mode: Mode) -> io::Result<()> {
        for item in &self.0 {
            item.print(out, mode)?;
        }
        let count = |is: fn(&Verdict) -> bool| {
            let counted = self.0.iter().filter(|item| is(&item.verdict));
            counted.count()
        };
        let made = count(|v| matches!(v, Verdict::Create(_)));
        let altered = count(|v| matches!(v, Verdict::Alter(_)));
        let differ = count(|v| matches!(v, Verdict::Differs(_)));
        let refused = count(|v| matches!(v, Verdict::Refuse(_)));
        let failed = count(|v| matches!(v, Verdict::Failed(_)));
        let kept = count(|v| matches!(v, Verdict::Keep));
        let done = match mode {
            Mode::Plan => ("to make", "to alter"),
            Mode::Apply => ("made", "altered"),
        };
        writeln!(
            out,
            "{made} {}, {altered} {}, {differ} for a person to settle, {refused} refused, {failed} failed, {kept} as they should be",
            done.0, done.1
        )
    }
}
