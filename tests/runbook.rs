//! Everything that the program can print as a refusal or an alarm has its section in `deploy/RUNBOOK.md`.
//!
//! The sources are read: each place that logs an error or a warning, halts a branch, refuses a spec or a server, or asks
//! for an operator names its message as a literal, or passes one on that is made in another such place.
// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use twolane::runbook::{SECTIONS, section};

/// Where a message is made: what it begins with, and what the section must hold for it to count.
const MAKERS: [(&str, Option<&str>); 8] = [
    ("tracing::error!(", None),
    ("tracing::warn!(", None),
    (".halt(", None),
    ("Unready::Halt(", None),
    ("Refused(", None),
    ("Missing(", None),
    ("anyhow!(", None),
    // Only those that ask for an operator.
    ("Unavailable {", Some("alarm: true")),
];

/// Commands that people run and read; their refusals say all there is to say. The planned failures are tests' own.
const COMMANDS: [&str; 7] = [
    "src/cli/demo",
    "src/cli/bench",
    "src/cli/topics",
    "src/cli/status",
    "src/cli/dead",
    "src/cli/token.rs",
    "src/cli/produce",
];

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn runbook() -> String {
    std::fs::read_to_string(here().join("deploy/RUNBOOK.md")).expect("deploy/RUNBOOK.md")
}

/// The headings of the third level, which are the sections' ids, with what stands under each.
fn sections(runbook: &str) -> Vec<(&str, &str)> {
    let parts = runbook.split("\n### ").skip(1);
    parts
        .map(|part| {
            let (id, rest) = part.split_once('\n').expect("a heading and its text");
            let body = rest.split("\n## ").next().expect("a part");
            (id.trim(), body)
        })
        .collect()
}

/// The sources, without their tests.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, to: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, to);
            } else if path.extension().is_some_and(|e| e == "rs") {
                to.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&here().join("src"), &mut files);
    files.sort();
    let named = files.into_iter().map(|file| {
        let name = file
            .strip_prefix(here())
            .expect("below")
            .display()
            .to_string();
        let text = std::fs::read_to_string(&file).expect("a source");
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        (name, code.to_owned())
    });
    named
        .filter(|(name, _)| !name.contains("tests") && !name.ends_with("testing.rs"))
        .filter(|(name, _)| name != "src/runbook.rs")
        .collect()
}

/// One piece of Rust, as far as this test must tell them apart.
enum Piece {
    Open(usize),
    Close(usize),
    Literal(String),
}

/// Brackets outside literals and comments with their places, and string literals with escapes undone.
fn pieces(code: &str) -> Vec<Piece> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        let rest = &code[i..];
        if rest.starts_with("//") {
            i += rest.find('\n').unwrap_or(rest.len());
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            let end = raw.find("\"#").expect("a raw literal ends");
            found.push(Piece::Literal(raw[..end].to_owned()));
            i += 3 + end + 2;
        } else if let Some(inner) = rest.strip_prefix('"') {
            let (literal, length) = literal(inner);
            found.push(Piece::Literal(literal));
            i += 1 + length;
        } else if let Some(length) = character(rest) {
            i += length;
        } else {
            match bytes[i] {
                b'(' | b'{' => found.push(Piece::Open(i)),
                b')' | b'}' => found.push(Piece::Close(i)),
                _ => {}
            }
            i += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    found
}

/// A character literal's length; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if let Some(escaped) = inner.strip_prefix('\\') {
        return Some(2 + escaped.char_indices().skip(1).find(|(_, c)| *c == '\'')?.0 + 1);
    }
    let first = inner.chars().next()?;
    inner[first.len_utf8()..]
        .starts_with('\'')
        .then_some(2 + first.len_utf8())
}

/// A literal up to its end, and how long it was in the source.
fn literal(rest: &str) -> (String, usize) {
    let mut text = String::new();
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, at + 1),
            '\\' => match chars.next() {
                Some((_, '\n')) => while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {},
                Some((_, 'n')) => text.push('\n'),
                Some((_, other)) => text.push(other),
                None => break,
            },
            other => text.push(other),
        }
    }
    panic!("a literal does not end: {rest:.60}")
}

/// The literals between the bracket at `open` and its partner, and the place of that.
fn within(pieces: &[Piece], open: usize) -> (Vec<&str>, usize) {
    let mut depth = 0;
    let mut literals = Vec::new();
    let from = pieces
        .iter()
        .position(|p| matches!(p, Piece::Open(at) if *at == open));
    for piece in &pieces[from.expect("a bracket outside literals")..] {
        match piece {
            Piece::Open(_) => depth += 1,
            Piece::Close(at) => {
                depth -= 1;
                if depth == 0 {
                    return (literals, *at);
                }
            }
            Piece::Literal(text) => literals.push(text.as_str()),
        }
    }
    panic!("a bracket does not close")
}

/// Whether a message says something besides what it is given: two words at least.
fn has_words(literal: &str) -> bool {
    let mut depth = 0;
    let fixed: String = literal
        .chars()
        .filter(|c| {
            depth += i32::from(*c == '{');
            let kept = depth == 0;
            depth -= i32::from(*c == '}');
            kept
        })
        .collect();
    let words = fixed.split(|c: char| !c.is_alphabetic());
    words.filter(|w| w.len() > 1).count() > 1
}

/// Every message that is made: where, and its literals that hold words.
fn messages() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (file, code) in sources() {
        if COMMANDS.iter().any(|command| file.starts_with(command)) {
            continue;
        }
        let pieces = pieces(&code);
        let opens: BTreeSet<usize> = pieces
            .iter()
            .filter_map(|p| match p {
                Piece::Open(at) => Some(*at),
                Piece::Close(_) | Piece::Literal(_) => None,
            })
            .collect();
        for (begins, holds) in MAKERS {
            for (at, _) in code.match_indices(begins) {
                let open = at + begins.len() - 1;
                // In a literal or a comment.
                if !opens.contains(&open) {
                    continue;
                }
                let (literals, close) = within(&pieces, open);
                if holds.is_some_and(|holds| !code[open..close].contains(holds)) {
                    continue;
                }
                let words: Vec<String> = literals
                    .into_iter()
                    .filter(|l| has_words(l))
                    .map(str::to_owned)
                    .collect();
                if !words.is_empty() {
                    let line = code[..at].matches('\n').count() + 1;
                    found.push((format!("{file}:{line}"), words));
                }
            }
        }
    }
    found
}

#[test]
fn every_refusal_and_alarm_of_the_code_belongs_to_a_section() {
    let messages = messages();
    assert!(
        messages.len() > 100,
        "the sources are not read: {}",
        messages.len()
    );
    let homeless: Vec<String> = messages
        .iter()
        .filter(|(_, words)| !words.iter().any(|w| section(w).is_some()))
        .map(|(at, words)| format!("{at}: {}", words.join(" | ")))
        .collect();
    assert!(
        homeless.is_empty(),
        "give these messages a section in src/runbook.rs and deploy/RUNBOOK.md:\n{}",
        homeless.join("\n")
    );
}

#[test]
fn every_fragment_of_the_table_is_of_some_message() {
    let literals: Vec<String> = sources()
        .iter()
        .flat_map(|(_, code)| pieces(code))
        .filter_map(|p| match p {
            Piece::Literal(text) => Some(text),
            Piece::Open(_) | Piece::Close(_) => None,
        })
        .collect();
    for section in SECTIONS {
        for part in section.says {
            assert!(
                literals.iter().any(|l| l.contains(part)),
                "no message holds {part:?} of {} any more",
                section.id
            );
        }
    }
}

#[test]
fn every_section_of_the_table_has_its_heading_and_every_heading_its_section() {
    let runbook = runbook();
    let written: Vec<&str> = sections(&runbook).iter().map(|s| s.0).collect();
    let told: Vec<&str> = SECTIONS.iter().map(|s| s.id).collect();
    for id in &told {
        assert_eq!(told.iter().filter(|other| *other == id).count(), 1, "{id}");
        assert!(
            written.contains(id),
            "deploy/RUNBOOK.md has no section {id}"
        );
    }
    // Alerts of Prometheus that no message of the program stands for.
    let rules = std::fs::read_to_string(here().join("deploy/observability/twolane.rules.yml"))
        .expect("the rules");
    for id in written {
        let alerted = rules.contains(&format!("RUNBOOK.md#{id}\n"));
        assert!(
            told.contains(&id) || alerted,
            "deploy/RUNBOOK.md's section {id} is of nothing that the program or its rules say"
        );
    }
}

#[test]
fn every_section_says_what_it_means_how_it_is_seen_what_to_do_and_when_it_is_over() {
    let runbook = runbook();
    for (id, body) in sections(&runbook) {
        for part in ["**Means.** ", "**See.** ", "**Do.** ", "**Over.** "] {
            assert!(body.contains(part), "{id} lacks {part:?}");
        }
    }
}

#[test]
fn every_link_within_the_runbook_leads_to_a_heading() {
    let runbook = runbook();
    let anchors: BTreeSet<String> = runbook
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let kept = line.trim_start_matches('#').trim().to_lowercase();
            kept.chars()
                .filter_map(|c| match c {
                    ' ' => Some('-'),
                    c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                    _ => None,
                })
                .collect()
        })
        .collect();
    for part in runbook.split("](#").skip(1) {
        let anchor = part.split(')').next().unwrap_or_default();
        assert!(anchors.contains(anchor), "#{anchor} leads nowhere");
    }
}
