//! What is wrong with the settings, topics and pipelines, each with its place. A problem never holds a
//! secret's text.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A character of a file.
    Character {
        /// The file, as it was opened.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// The character in that line, from 1.
        column: usize,
    },
    /// A file or folder as a whole.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// The value that holds where nobody wrote another.
    Default(&'static str),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The field, what is wrong with it and what would have been right.
    pub message: String,
}

/// Everything that is wrong, in the order of files, lines and columns, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(BTreeSet<Problem>);

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character { file, line, column } => {
                write!(f, "{}:{line}:{column}", file.display())
            }
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Default(field) => write!(f, "default of {field}"),
        }
    }
}

// === impl Problem ===

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

// === impl Problems ===

impl Problems {
    /// Notes one.
    pub fn add(&mut self, place: Place, message: impl Into<String>) {
        self.0.insert(Problem {
            place,
            message: message.into(),
        });
    }

    /// Takes over those of another check.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of files, lines and columns.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}
