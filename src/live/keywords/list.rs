//! Keyword files: one keyword a line, as UTF-8. Empty lines and lines that begin with `#` are not keywords; blanks
//! at the ends of a line are not part of one.

use std::path::{Path, PathBuf};

use super::{BadWord, Filter, keyword};

/// The most keywords of one list: its automaton then takes some tens of megabytes.
const MOST: usize = 100_000;

/// Why a file is no list of keywords.
#[derive(Debug, thiserror::Error)]
pub enum BadList {
    /// It cannot be read.
    #[error("keywords file {}: {why}", file.display())]
    Unread {
        /// The file.
        file: PathBuf,
        /// The system's words.
        why: std::io::Error,
    },
    /// A line that is no keyword.
    #[error("keywords file {}, line {line}: {why}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// No filter can be made of all of it.
    #[error("keywords file {}: {why}", file.display())]
    Whole {
        /// The file.
        file: PathBuf,
        /// Why.
        why: BadWord,
    },
}

/// The filter of a file.
///
/// # Errors
/// [`BadList`] with the first line that is no keyword.
pub fn load(file: &Path) -> Result<Filter, BadList> {
    let bytes = std::fs::read(file).map_err(|why| BadList::Unread {
        file: file.to_owned(),
        why,
    })?;
    let at = |line: usize, why: String| BadList::Line {
        file: file.to_owned(),
        line,
        why,
    };
    let mut words = Vec::new();
    for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let text = std::str::from_utf8(line)
            .map_err(|_| at(i + 1, "it is not UTF-8: save the file as UTF-8".into()))?;
        // A byte order mark is invisible, and would hide a comment sign.
        let text = text.trim_start_matches('\u{FEFF}').trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        keyword(text).map_err(|why| at(i + 1, why.to_string()))?;
        words.push(text);
        if words.len() > MOST {
            let why = format!("more than {MOST} keywords: leave out what contains another");
            return Err(at(i + 1, why));
        }
    }
    Filter::new(words).map_err(|why| BadList::Whole {
        file: file.to_owned(),
        why,
    })
}
