//! One file's text, and places in it.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use crate::config::{Place, Problems};

/// A file that was read.
pub(crate) struct Source {
    file: PathBuf,
    text: String,
}

// === impl Source ===

impl Source {
    /// The most bytes of a settings, spec or mapping file. The largest mapping that Elasticsearch takes by
    /// default (1,000 fields) is far smaller; a larger file is something else, given by mistake.
    const MAX_BYTES: u64 = 4 << 20;

    /// Reads a file, or says why it cannot be read.
    pub(crate) fn read(file: &Path, problems: &mut Problems) -> Option<Self> {
        let whole = || Place::File(file.to_owned());
        match std::fs::metadata(file) {
            Ok(about) if !about.is_file() => {
                problems.add(whole(), "is not a file");
                return None;
            }
            Ok(about) if about.len() > Self::MAX_BYTES => {
                problems.add(
                    whole(),
                    "is larger than 4 MiB, so it is hardly the file that was meant",
                );
                return None;
            }
            Ok(_) | Err(_) => {}
        }
        let bytes = std::fs::read(file)
            .map_err(|error| problems.add(whole(), format!("cannot be read: {error}")))
            .ok()?;
        match String::from_utf8(bytes) {
            Ok(text) => Some(Self::new(file, text)),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let text =
                    String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default());
                let source = Self::new(file, text.into_owned());
                problems.add(
                    source.place(good),
                    "is not UTF-8 from here on: save it as UTF-8",
                );
                None
            }
        }
    }

    /// A file whose text is known.
    pub(crate) fn new(file: &Path, text: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            text: text.into(),
        }
    }

    /// Its text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The folder that paths written in this file start from.
    pub(crate) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// The place of the byte at `offset`.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let bytes = self.text.as_bytes();
        let before = bytes.get(..offset).unwrap_or(bytes);
        let line_start = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&before[line_start..])
            .chars()
            .count()
            + 1;
        self.at(line, column)
    }

    /// The place of a line and a column, both from 1.
    pub(crate) fn at(&self, line: usize, column: usize) -> Place {
        Place::Character {
            file: self.file.clone(),
            line,
            column,
        }
    }

    /// The file as TOML; what keeps it from being that goes to `problems`, one a line, since one slip makes
    /// a parser stumble several times.
    pub(crate) fn toml(&self, problems: &mut Problems) -> Option<Spanned<DeTable<'_>>> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        if errors.is_empty() {
            return Some(table);
        }
        let mut last_line = 0;
        for error in errors {
            let place = self.place(error.span().map_or(0, |span| span.start));
            let line = match &place {
                Place::Character { line, .. } => *line,
                Place::File(_) | Place::Variable(_) | Place::Default(_) => 0,
            };
            if line != last_line {
                problems.add(place, format!("is not TOML: {}", error.message()));
                last_line = line;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_not_bytes() {
        let source = Source::new(Path::new("a.toml"), "x = 1\ny = \"é\"  z\n");
        let at = |offset| source.place(offset).to_string();
        assert_eq!(at(0), "a.toml:1:1");
        assert_eq!(at(5), "a.toml:1:6");
        assert_eq!(at(6), "a.toml:2:1");
        assert_eq!(at(source.text().find('z').unwrap()), "a.toml:2:10");
        assert_eq!(at(1000), "a.toml:3:1");
    }

    #[test]
    fn every_line_that_is_not_toml_is_named_once() {
        let source = Source::new(Path::new("a.toml"), "a = \nb = 1\nb = 2\nc = \"x\nd = 1\n");
        let mut problems = Problems::default();
        assert!(source.toml(&mut problems).is_none());
        let lines: Vec<String> = problems.iter().map(|p| p.place.to_string()).collect();
        assert_eq!(
            lines,
            ["a.toml:1:5", "a.toml:3:1", "a.toml:4:7"],
            "{problems}"
        );
    }
}
