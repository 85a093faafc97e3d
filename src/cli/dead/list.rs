//! `twolane dead list`.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IsTerminal as _, Write};

use super::Whose;
use crate::config::Config;
use crate::dead::{DeadTopic, Letter, Summary, text};
use crate::sink::dead_letter::dead_topic;

/// Letters listed unless `--limit` says otherwise: a few screens.
const LIMIT: u64 = 100;
/// The most letters listed. A row takes up to some 2 KB of memory, so this is 200 MB.
const MAX_LIMIT: u64 = 100_000;
/// A terminal's width where it does not say.
const WIDTH: usize = 120;
/// The least that is left for the reason in words; a narrow terminal wraps.
const MIN_DETAIL: usize = 24;

/// Arguments of `dead list`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The pipeline whose letters to list [default: those of every topic that a pipeline reads]
    #[arg(value_name = "PIPELINE", conflicts_with = "topic")]
    pipeline: Option<String>,
    /// List the letters of this source topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// List letters with this reason alone
    #[arg(long)]
    reason: Option<String>,
    /// List the newest so many of them; all are counted
    #[arg(long, value_name = "NUMBER", default_value_t = LIMIT, value_parser = clap::value_parser!(u64).range(1..=MAX_LIMIT))]
    limit: u64,
    /// Print one JSON object a letter
    #[arg(long)]
    json: bool,
}

/// The letters of one topic.
#[derive(Debug, Default)]
struct Listing {
    newest: VecDeque<Summary>,
    by_reason: BTreeMap<String, u64>,
}

/// Prints the list of each topic.
pub(super) async fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    let whose = Whose {
        pipeline: args.pipeline.clone(),
        topic: args.topic.clone(),
    };
    let topics = whose.topics(config)?;
    let several = topics.len() > 1;
    for source in topics {
        let listing = match DeadTopic::open(&config.settings.kafka, &source)? {
            None => None,
            Some(topic) => Some(read(topic, args).await?),
        };
        let mut out = io::stdout().lock();
        match listing {
            Some(listing) if args.json => {
                for row in &listing.newest {
                    serde_json::to_writer(&mut out, row)?;
                    writeln!(out)?;
                }
            }
            None if args.json => {}
            Some(listing) => {
                if several {
                    writeln!(out, "{}", dead_topic(&source))?;
                }
                listing.print(&mut out, width())?;
                if several {
                    writeln!(out)?;
                }
            }
            None => writeln!(
                out,
                "no dead letters: there is no topic {}",
                dead_topic(&source)
            )?,
        }
    }
    Ok(())
}

async fn read(mut topic: DeadTopic, args: &Args) -> anyhow::Result<Listing> {
    let mut listing = Listing::default();
    let limit = usize::try_from(args.limit)?;
    topic.start()?;
    while let Some(letter) = topic.next().await? {
        let about = &letter.about;
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
        if is(&args.pipeline, &about.pipeline) && is(&args.reason, &about.reason) {
            listing.add(&letter, limit);
        }
    }
    Ok(listing)
}

/// How many characters a line may have; what is no terminal takes any number.
fn width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let said = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    Some(said.unwrap_or(WIDTH))
}

// === impl Listing ===

impl Listing {
    fn add(&mut self, letter: &Letter, limit: usize) {
        let row = Summary::from(letter);
        match self.by_reason.get_mut(&row.reason) {
            Some(n) => *n += 1,
            None => {
                self.by_reason.insert(row.reason.clone(), 1);
            }
        }
        if self.newest.len() == limit {
            self.newest.pop_front();
        }
        self.newest.push_back(row);
    }

    fn total(&self) -> u64 {
        self.by_reason.values().sum()
    }

    fn print(&self, out: &mut impl Write, width: Option<usize>) -> io::Result<()> {
        const TITLES: [&str; 6] = [
            "LETTER", "REJECTED", "BRANCH", "RECORD", "VERSION", "REASON",
        ];
        let cells: Vec<([String; 6], String)> = self.newest.iter().map(cells).collect();
        let mut widths = TITLES.map(str::len);
        for (row, _) in &cells {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(cell.chars().count());
            }
        }
        let used: usize = widths.iter().map(|w| w + 2).sum();
        let mut put = |row: &[&str; 6], detail: &str| {
            for (cell, width) in row.iter().zip(widths) {
                write!(out, "{cell:width$}  ")?;
            }
            match width {
                Some(width) => writeln!(
                    out,
                    "{}",
                    text::cut(detail, width.saturating_sub(used).max(MIN_DETAIL))
                ),
                None => writeln!(out, "{detail}"),
            }
        };
        if !cells.is_empty() {
            put(&TITLES, "DETAIL")?;
        }
        for (row, detail) in &cells {
            put(&row.each_ref().map(String::as_str), detail)?;
        }
        writeln!(out, "{}", self.summary())
    }

    /// How many there are, by reason.
    fn summary(&self) -> String {
        let total = self.total();
        if total == 0 {
            return String::from("no dead letters");
        }
        let reasons: Vec<String> = self
            .by_reason
            .iter()
            .map(|(reason, n)| format!("{n} {}", reason_or_dash(reason)))
            .collect();
        let plural = if total == 1 { "" } else { "s" };
        let mut text = format!("{total} dead letter{plural}: {}", reasons.join(", "));
        let shown = self.newest.len();
        if (shown as u64) < total {
            text.push_str(&format!(
                " (the newest {shown} are shown; --limit shows more)"
            ));
        }
        text
    }
}

fn reason_or_dash(reason: &str) -> String {
    match reason {
        "" => String::from("-"),
        reason => text::line(reason),
    }
}

/// A line of the table, and the reason in words.
fn cells(row: &Summary) -> ([String; 6], String) {
    let mut detail = text::line(&row.detail);
    if let Some(bytes) = row.value_omitted_bytes {
        detail = format!("(without its value of {bytes} bytes) {detail}");
    }
    let cells = [
        row.letter.clone(),
        row.time.clone(),
        text::line(&format!("{}.{}", row.pipeline, row.sink)),
        row.source.clone(),
        row.version.clone().unwrap_or_else(|| String::from("-")),
        reason_or_dash(&row.reason),
    ];
    (cells, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead::{About, At};
    use crate::event::Version;

    fn letter(offset: i64, reason: &str) -> Letter {
        Letter {
            at: At {
                partition: 0,
                offset,
            },
            key: None,
            value: Some(b"x".to_vec()),
            headers: Vec::new(),
            about: About {
                reason: reason.to_owned(),
                detail: String::from("field [score] of type [double] in document with id '7'"),
                pipeline: String::from("p"),
                sink: String::from("redis"),
                topic: String::from("t"),
                partition: Some(3),
                offset: Some(40),
                version: Some(Version::from_raw(281_474_976_710_697)),
                time_ms: Some(1_800_000_000_000),
                record_time_ms: None,
                omitted: (offset == 2).then_some(9),
            },
        }
    }

    fn printed(listing: &Listing, width: Option<usize>) -> String {
        let mut out = Vec::new();
        listing.print(&mut out, width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn all_are_counted_and_the_newest_are_shown() {
        let mut listing = Listing::default();
        for (offset, reason) in [(0, "b"), (1, "a"), (2, "b")] {
            listing.add(&letter(offset, reason), 2);
        }
        let shown = printed(&listing, None);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines.len(), 4, "{shown}");
        assert!(lines[0].starts_with("LETTER"));
        assert!(lines[1].starts_with("1  "), "{shown}");
        assert!(lines[1].contains("p.redis  t/3/40  281474976710697  a"));
        assert!(lines[2].contains("(without its value of 9 bytes) field [score]"));
        assert_eq!(
            lines[3],
            "3 dead letters: 1 a, 2 b (the newest 2 are shown; --limit shows more)"
        );
    }

    #[test]
    fn on_a_terminal_no_line_is_wider_than_it() {
        let mut listing = Listing::default();
        listing.add(&letter(0, "b"), 10);
        let shown = printed(&listing, Some(110));
        let widest = shown.lines().map(|l| l.chars().count()).max();
        assert_eq!(widest, Some(110), "{shown}");
        assert!(shown.contains('…'));
    }

    #[test]
    fn none_is_said() {
        assert_eq!(printed(&Listing::default(), Some(80)), "no dead letters\n");
    }
}
