//! What the demo shows: one block that is drawn again and again in a terminal, or a line a second where the
//! output goes to a file or a pipe.
//!
//! Drawing never wraps a line (the terminal is told not to), so that the block stays in its place in a narrow
//! window; what others log meanwhile is put above the block.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use super::changes::Made;
use super::live::{LiveFrame, ROOM};
use super::notices::Notices;
use super::probe::Quantiles;

/// What is shown of one branch.
#[derive(Debug, Clone, Default)]
pub struct BranchFrame {
    /// The sink's name.
    pub name: String,
    /// Records resolved a second.
    pub rate: f64,
    /// Records in the topic that are not resolved yet; `None` while it is not known.
    pub lag: Option<i64>,
    /// From commit to readable, lately.
    pub fresh: Option<Quantiles>,
    /// Records that are in the sink.
    pub applied: u64,
    /// Records that a newer one made needless.
    pub superseded: u64,
    /// Records in the dead-letter topic.
    pub dead: u64,
    /// What is wrong with it, where something is.
    pub trouble: Option<String>,
}

/// What is shown of the capture.
#[derive(Debug, Clone, Copy, Default)]
pub struct CaptureFrame {
    /// Records written to Kafka a second.
    pub rate: f64,
    /// Records that are still to come for the changes made, about.
    pub lag: u64,
}

/// What is shown.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// Since the changes began.
    pub elapsed: Duration,
    /// When they stop by themselves.
    pub until: Option<Duration>,
    /// Rows in the table.
    pub rows: u64,
    /// Row changes a second.
    pub rate: f64,
    /// What was changed.
    pub made: Made,
    /// The capture.
    pub capture: CaptureFrame,
    /// The branches.
    pub branches: Vec<BranchFrame>,
    /// The live room.
    pub live: LiveFrame,
    /// Its comments a second.
    pub comment_rate: f64,
    /// Its likes a second.
    pub like_rate: f64,
    /// What one can do now.
    pub hint: String,
}

/// The terminal, or what stands in its place.
#[derive(Debug)]
pub struct Screen {
    live: bool,
    colour: bool,
    silent: bool,
    /// Lines of the block that is on the screen.
    drawn: usize,
    notices: Notices,
}

// === impl Screen ===

impl Screen {
    /// Takes standard output as it is; notices are shown between the drawings.
    pub fn new(notices: Notices) -> Self {
        let live = io::stdout().is_terminal() && std::env::var("TERM").is_ok_and(|t| t != "dumb");
        Self {
            live,
            colour: live && std::env::var_os("NO_COLOR").is_none(),
            silent: false,
            drawn: 0,
            notices,
        }
    }

    /// Shows nothing.
    pub fn silent() -> Self {
        Self {
            live: false,
            colour: false,
            silent: true,
            drawn: 0,
            notices: Notices::default(),
        }
    }

    /// Whether the block is drawn in place.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Shows the frame in the place of the one before.
    pub fn draw(&mut self, frame: &Frame) {
        let lines = if self.live {
            block(frame)
        } else {
            vec![line(frame)]
        };
        self.put(&lines);
    }

    /// Shows a line that the next drawing replaces. Not shown where nothing can be replaced.
    pub fn passing(&mut self, line: &str) {
        if self.live {
            self.put(&[line.to_owned()]);
        }
    }

    /// Leaves what is drawn where it is: the next lines come below it.
    pub fn keep(&mut self) {
        self.drawn = 0;
    }

    /// Removes what is drawn.
    pub fn clear(&mut self) {
        self.put(&[]);
    }

    /// A line that stays.
    pub fn say(&mut self, line: &str) {
        self.clear();
        self.out(&format!("{}\n", self.painted(line)));
    }

    fn put(&mut self, lines: &[String]) {
        let mut out = String::new();
        if self.drawn > 0 {
            out.push_str(&format!("\x1b[{}A\r\x1b[J", self.drawn));
        }
        for notice in self.notices.take() {
            out.push_str(&notice);
            out.push('\n');
        }
        if self.live {
            out.push_str("\x1b[?7l");
        }
        for line in lines {
            out.push_str(&self.painted(line));
            out.push('\n');
        }
        if self.live {
            out.push_str("\x1b[?7h");
            self.drawn = lines.len();
        }
        self.out(&out);
    }

    /// A terminal that has gone away is no reason to leave rows unchecked.
    fn out(&self, text: &str) {
        if self.silent {
            return;
        }
        let mut stdout = io::stdout().lock();
        let _ = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
    }

    /// Marks become colours, or nothing.
    fn painted(&self, line: &str) -> String {
        let codes = [
            (BOLD, "\x1b[1m"),
            (DIM, "\x1b[2m"),
            (GOOD, "\x1b[32m"),
            (BAD, "\x1b[31m"),
            (PLAIN, "\x1b[0m"),
        ];
        codes.iter().fold(line.to_owned(), |text, (mark, code)| {
            text.replace(*mark, if self.colour { code } else { "" })
        })
    }
}

/// Marks within a line, from the Unicode area that has no characters of its own.
pub const BOLD: char = '\u{e000}';
/// Less bright.
pub const DIM: char = '\u{e001}';
/// Green.
pub const GOOD: char = '\u{e002}';
/// Red.
pub const BAD: char = '\u{e003}';
/// Back to plain.
pub const PLAIN: char = '\u{e004}';

/// The block: at most 80 columns wide.
fn block(frame: &Frame) -> Vec<String> {
    let made = &frame.made;
    let clock = match frame.until {
        Some(until) => format!("{} of {}", clock(frame.elapsed), clock(until)),
        None => clock(frame.elapsed),
    };
    let mut lines = vec![
        String::new(),
        format!(
            "  {BOLD}MariaDB → Debezium → Kafka → twolane → Elasticsearch and Redis{PLAIN}{clock:>15}"
        ),
        String::new(),
        format!(
            "  table app.user_profile   {BOLD}{}{PLAIN} rows   {BOLD}{}{PLAIN} changes/s   {} changes",
            number(frame.rows),
            number(frame.rate.round() as u64),
            number(made.rows())
        ),
        format!(
            "  {DIM}insert {} · update {} · delete {} · new key {}{PLAIN}",
            number(made.inserted),
            number(made.updated),
            number(made.deleted),
            number(made.rekeyed)
        ),
        String::new(),
        format!(
            "  {DIM}{:<14}{:>9}{:>8}  {:>17}{:>11}{:>11}{:>6}{PLAIN}",
            "", "events/s", "lag", "fresh p50 / p99", "applied", "superseded", "dead"
        ),
    ];
    let capture = frame.capture;
    lines.push(format!(
        "  {BOLD}{:<14}{PLAIN}{:>9}{:>8}",
        "debezium",
        number(capture.rate.round() as u64),
        number(capture.lag)
    ));
    for branch in &frame.branches {
        let dead = if branch.dead == 0 { PLAIN } else { BAD };
        lines.push(format!(
            "  {BOLD}{:<14}{PLAIN}{:>9}{:>8}  {:>17}{:>11}{:>11}{dead}{:>6}{PLAIN}",
            branch.name,
            number(branch.rate.round() as u64),
            branch
                .lag
                .map_or_else(|| "…".to_owned(), |lag| number(lag.unsigned_abs())),
            branch.fresh.map_or_else(|| "…".to_owned(), quantiles),
            number(branch.applied),
            number(branch.superseded),
            number(branch.dead),
        ));
        if let Some(trouble) = &branch.trouble {
            lines.push(format!("    {BAD}{trouble}{PLAIN}"));
        }
    }
    lines.push(String::new());
    lines.extend(live_block(frame));
    lines.push(String::new());
    lines.push(format!("  {DIM}{}{PLAIN}", frame.hint));
    lines
}

/// The live room's part of it.
fn live_block(frame: &Frame) -> Vec<String> {
    let live = &frame.live;
    let room = format!("room {ROOM}");
    let mut lines = vec![
        format!(
            "  {DIM}{:<14}{:>9}{:>8}  {:>17}{:>11}{:>11}{:>6}{PLAIN}",
            "", "comment/s", "like/s", "seen p50 / p99", "likes", "redeliver", "here"
        ),
        format!(
            "  {BOLD}{room:<14}{PLAIN}{:>9}{:>8}  {:>17}{:>11}{:>11}{:>6}",
            number(frame.comment_rate.round() as u64),
            number(frame.like_rate.round() as u64),
            live.seen.map_or_else(|| "…".to_owned(), quantiles),
            number(live.likes),
            number(live.redelivered),
            number(live.viewers),
        ),
    ];
    if let Some(trouble) = &live.trouble {
        lines.push(format!("    {BAD}{trouble}{PLAIN}"));
    }
    lines
}

/// The same in one line.
fn line(frame: &Frame) -> String {
    let mut line = format!(
        "{} {} rows, {} changes/s",
        clock(frame.elapsed),
        frame.rows,
        frame.rate.round()
    );
    let (rate, lag) = (frame.capture.rate.round(), frame.capture.lag);
    line.push_str(&format!(" | debezium {rate}/s lag {lag}"));
    for branch in &frame.branches {
        line.push_str(&format!(
            " | {} {}/s lag {} fresh {} applied {} superseded {} dead {}",
            branch.name,
            branch.rate.round(),
            branch
                .lag
                .map_or_else(|| "?".to_owned(), |lag| lag.to_string()),
            branch.fresh.map_or_else(|| "?".to_owned(), quantiles),
            branch.applied,
            branch.superseded,
            branch.dead
        ));
        if let Some(trouble) = &branch.trouble {
            line.push_str(&format!(" ({trouble})"));
        }
    }
    let live = &frame.live;
    line.push_str(&format!(
        " | room {ROOM} {}/s comments {}/s likes seen {} redelivered {} viewers {} likes {}",
        frame.comment_rate.round(),
        frame.like_rate.round(),
        live.seen.map_or_else(|| "?".to_owned(), quantiles),
        live.redelivered,
        live.viewers,
        live.likes
    ));
    if let Some(trouble) = &live.trouble {
        line.push_str(&format!(" ({trouble})"));
    }
    line
}

/// One line of the way to the start.
pub fn step(screen: &mut Screen, what: &str, said: &str) {
    screen.say(&format!("  {GOOD}✓{PLAIN} {BOLD}{what:<9}{PLAIN}{said}"));
}

/// Two quantiles in one unit.
pub fn quantiles(q: Quantiles) -> String {
    format!("{} / {}", short(q.p50), short(q.p99))
}

/// A duration as people say it.
pub fn short(d: Duration) -> String {
    match d.as_secs_f64() {
        s if s >= 10.0 => format!("{s:.0} s"),
        s if s >= 1.0 => format!("{s:.1} s"),
        s => format!("{:.0} ms", s * 1e3),
    }
}

fn clock(d: Duration) -> String {
    let s = d.as_secs();
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, m, s) => format!("{m}:{s:02}"),
        (h, m, s) => format!("{h}:{m:02}:{s:02}"),
    }
}

/// With commas between thousands.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let branch = |name: &str| BranchFrame {
            name: name.to_owned(),
            rate: 12_345.0,
            lag: Some(123_456),
            fresh: Some(Quantiles {
                p50: Duration::from_millis(123),
                p99: Duration::from_millis(9_900),
            }),
            applied: 12_345_678,
            superseded: 1_234_567,
            dead: 0,
            trouble: None,
        };
        Frame {
            elapsed: Duration::from_secs(59),
            until: Some(Duration::from_secs(3_600)),
            rows: 123_456,
            rate: 2_000.0,
            made: Made {
                transactions: 1,
                inserted: 1_000_000,
                updated: 2_000_000,
                deleted: 300_000,
                rekeyed: 40_000,
            },
            capture: CaptureFrame {
                rate: 12_345.0,
                lag: 123_456,
            },
            branches: vec![branch("elasticsearch"), branch("redis")],
            live: LiveFrame {
                comments: 1_234_567,
                likes: 12_345_678,
                viewers: 12_345,
                seen: Some(Quantiles {
                    p50: Duration::from_millis(123),
                    p99: Duration::from_millis(9_900),
                }),
                redelivered: 1_234_567,
                trouble: None,
            },
            comment_rate: 1_234.0,
            like_rate: 123_456.0,
            hint: "Ctrl-C stops the changes and compares every row".to_owned(),
        }
    }

    #[test]
    fn the_block_fits_a_terminal_of_80_columns() {
        for line in block(&frame()) {
            let shown = line.chars().filter(|c| !(BOLD..=PLAIN).contains(c)).count();
            assert!(shown <= 80, "{shown}: {line}");
        }
    }

    #[test]
    fn numbers_and_durations_read_as_people_write_them() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(number),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(short(Duration::from_millis(12)), "12 ms");
        assert_eq!(short(Duration::from_millis(1_260)), "1.3 s");
        assert_eq!(clock(Duration::from_secs(3_723)), "1:02:03");
    }
}
