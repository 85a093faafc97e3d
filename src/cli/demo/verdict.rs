//! What the demo ends with.

use std::time::Duration;

use super::compare::Report;
use super::live::LiveVerdict;
use super::screen::{BAD, BOLD, GOOD, PLAIN, Screen, number, short};

/// What came out.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The comparison.
    pub report: Report,
    /// Deleted rows that Elasticsearch keeps the version of.
    pub tombstones: u64,
    /// Records in the dead-letter topic.
    pub dead: u64,
    /// How long the lane took to catch up after the last change.
    pub settled: Duration,
    /// How long the comparison took.
    pub compared: Duration,
    /// What the live room's viewer found; `None` where no room was shown.
    pub live: Option<LiveVerdict>,
}

// === impl Verdict ===

impl Verdict {
    /// Whether there were rows, and every one of them arrived, and the live room, where one was shown, kept its
    /// promises.
    pub fn is_good(&self) -> bool {
        self.durable() && self.live.is_none_or(|live| live.is_good())
    }

    fn durable(&self) -> bool {
        self.report.rows > 0 && self.report.different == 0 && self.dead == 0
    }
}

/// The verdict in lines.
pub fn tell(verdict: &Verdict, screen: &mut Screen) {
    let report = &verdict.report;
    let row = |name: &str, n: u64, said: &str| format!("    {name:<14}{:>9}   {said}", number(n));
    screen.say("");
    screen.say(&format!("  {BOLD}Every row by SELECT, with its document and its hash, column by column{PLAIN} ({}):", short(verdict.compared)));
    screen.say(&row("rows", report.rows, "in the table"));
    screen.say(&row(
        "tombstones",
        verdict.tombstones,
        "deleted rows whose version Elasticsearch keeps",
    ));
    screen.say(&row("dead letters", verdict.dead, ""));
    screen.say(&row("equal", report.equal, "in both sinks"));
    screen.say(&row("different", report.different, ""));
    screen.say("");
    for difference in &report.first {
        screen.say(&format!("  {BAD}≠{PLAIN} {difference}"));
    }
    if report.different > report.first.len() as u64 {
        screen.say("    … the first are shown");
    }
    if verdict.durable() {
        screen.say(&format!(
            "  {GOOD}✓ Elasticsearch and Redis hold exactly what the table holds.{PLAIN}"
        ));
    }
    if report.rows == 0 {
        screen.say(&format!(
            "  {BAD}✗ The table has no rows: nothing was shown.{PLAIN}"
        ));
    }
    if report.different > 0 {
        screen.say(&format!("  {BAD}✗ The sinks differ from the table.{PLAIN}"));
    }
    if verdict.dead > 0 {
        screen.say(&format!(
            "  {BAD}✗ There are dead letters:{PLAIN} `cargo run --release -- dead list` says why."
        ));
    }
    if let Some(live) = &verdict.live {
        tell_live(live, screen);
    }
}

fn tell_live(live: &LiveVerdict, screen: &mut Screen) {
    let row = |name: &str, n: u64, said: &str| format!("    {name:<14}{:>9}   {said}", number(n));
    screen.say("");
    screen.say(&format!(
        "  {BOLD}The live room, as one of its viewers saw it{PLAIN}:"
    ));
    screen.say(&row("acknowledged", live.acknowledged, "comments"));
    if live.refused > 0 {
        screen.say(&row("refused", live.refused, "with a reason"));
    }
    screen.say(&row("seen once", live.once, ""));
    screen.say(&row("missing", live.missing, ""));
    screen.say(&row("seen twice", live.twice, ""));
    if live.dropped > 0 {
        screen.say(&row("no entries", live.dropped, "dropped from the feed"));
    }
    screen.say(&row("redelivered", live.redelivered, ""));
    screen.say(&row("likes tapped", live.tapped, ""));
    screen.say(&row("in the total", live.folded, ""));
    if live.shed > 0 {
        screen.say(&row("shed", live.shed, "likes"));
    }
    screen.say("");
    if live.is_good() {
        screen.say(&format!(
            "  {GOOD}✓ Every acknowledged comment was seen exactly once, and the likes are in the total.{PLAIN}"
        ));
        return;
    }
    if live.once == 0 {
        screen.say(&format!(
            "  {BAD}✗ No comment was seen: nothing was shown.{PLAIN}"
        ));
    }
    if live.missing > 0 {
        screen.say(&format!(
            "  {BAD}✗ Comments that were acknowledged were never seen.{PLAIN}"
        ));
    }
    if live.twice > 0 {
        screen.say(&format!(
            "  {BAD}✗ Comments were seen more than once.{PLAIN}"
        ));
    }
    if !live.adds_up() {
        screen.say(&format!(
            "  {BAD}✗ The room's total has not grown by what was tapped.{PLAIN}"
        ));
    }
}
