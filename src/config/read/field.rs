//! What a field is called, holds, and means: declared once.

use std::path::Path;
use std::time::Duration;

use super::units::{parse_duration, parse_size};
use super::value::Value;
use super::{did_you_mean, listed, show_duration, show_size};
use crate::config::Secret;

/// One field of a file, and the variable of the same name where the file has those.
pub(crate) struct Field {
    /// Its name, with the sections that it is in before it: `kafka.brokers`.
    pub path: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// What holds where nobody wrote anything, as a variable would say it.
    pub default: Option<&'static str>,
    /// Whether the file must have it.
    pub required: bool,
    /// A value as the file would have it, where the kind alone does not show one.
    pub example: Option<&'static str>,
    /// What it means, and why its default is what it is.
    pub about: &'static str,
}

/// What a field may hold.
pub(crate) enum Kind {
    /// Text that is not empty.
    Text,
    /// Text that no print shows.
    Secret,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number.
    Integer {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A number and a unit of time.
    Duration {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A number of bytes.
    Size {
        /// The fewest.
        min: u64,
        /// The most.
        max: u64,
    },
    /// `ip:port`.
    Address,
    /// A file or folder; one in a file starts from that file's folder.
    Path,
    /// Texts.
    List,
    /// Texts by name; with `scalars`, numbers and booleans are taken for their text.
    Map {
        /// Whether numbers and booleans may stand without quotes.
        scalars: bool,
    },
    /// `[[name]]`: read by the caller, each by fields of its own.
    Sections,
}

// === impl Field ===

impl Field {
    /// A field that may be left out.
    pub(crate) const fn new(path: &'static str, kind: Kind, about: &'static str) -> Self {
        Self {
            path,
            kind,
            default: None,
            required: false,
            example: None,
            about,
        }
    }

    /// The same with a default.
    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// The same, to be written by everyone; `example` is shown to those who did not.
    pub(crate) const fn required(mut self, example: &'static str) -> Self {
        self.required = true;
        self.example = Some(example);
        self
    }

    /// The same with an example.
    pub(crate) const fn example(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    /// The section that it is in; empty at the top.
    pub(crate) fn section(&self) -> &'static str {
        self.path
            .rsplit_once('.')
            .map_or("", |(section, _)| section)
    }

    /// Its name within its section.
    pub(crate) fn name(&self) -> &'static str {
        self.path
            .rsplit_once('.')
            .map_or(self.path, |(_, name)| name)
    }

    /// Its default's value.
    pub(crate) fn default_value(&self) -> Option<Value> {
        let text = self.default?;
        self.kind.fit_text(text, Path::new("")).ok()
    }

    /// What is said of a value that it may not hold; `found` is left out where it may be a secret.
    pub(super) fn refusal(&self, found: Option<&str>) -> String {
        let mut message = format!("{} must be {}", self.path, self.kind.describe());
        if let Some(found) = found.filter(|_| !self.kind.is_secret()) {
            message.push_str(", not ");
            message.push_str(found);
            if let Kind::Choice(words) = self.kind
                && let Some(near) = did_you_mean(found.trim_matches('"'), words.iter().copied())
            {
                message.push_str(&format!(": did you mean {near:?}?"));
            }
        }
        message
    }
}

// === impl Kind ===

impl Kind {
    /// A whole number in a range.
    pub(crate) const fn integer(min: u64, max: u64) -> Self {
        Self::Integer { min, max }
    }

    /// A duration in a range given in milliseconds.
    pub(crate) const fn millis(min: u64, max: u64) -> Self {
        Self::Duration {
            min: Duration::from_millis(min),
            max: Duration::from_millis(max),
        }
    }

    /// A size in a range of bytes.
    pub(crate) const fn size(min: u64, max: u64) -> Self {
        Self::Size { min, max }
    }

    /// Whether no print may show what it holds.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self, Self::Secret)
    }

    /// The value that a text stands for, as in a variable. A list is parted by commas, a map's
    /// `name=value` pairs by semicolons.
    pub(crate) fn fit_text(&self, text: &str, folder: &Path) -> Result<Value, Unfit> {
        let fit = |value: Option<Value>| value.ok_or(Unfit);
        match self {
            Self::Text => fit(some_text(text).map(Value::Text)),
            Self::Secret => fit(some_text(text).map(|text| Value::Secret(Secret::new(text)))),
            Self::Choice(words) => fit(words
                .iter()
                .find(|word| **word == text)
                .map(|word| Value::Text((*word).to_owned()))),
            Self::Integer { .. } => text
                .trim()
                .parse()
                .map_err(|_| Unfit)
                .and_then(|n| self.fit_number(n)),
            Self::Duration { min, max } => fit(parse_duration(text)
                .filter(|duration| (min..=max).contains(&duration))
                .map(Value::Duration)),
            Self::Size { .. } => parse_size(text)
                .ok_or(Unfit)
                .and_then(|n| self.fit_number(n)),
            Self::Address => fit(text.trim().parse().ok().map(Value::Address)),
            Self::Path => fit(some_text(text).map(|text| Value::Path(folder.join(text)))),
            Self::List => Ok(Value::texts(text.split(',').map(str::trim))),
            Self::Map { .. } => text
                .split(';')
                .filter(|pair| !pair.trim().is_empty())
                .map(|pair| {
                    pair.split_once('=')
                        .map(|(name, value)| (name.trim(), value.trim()))
                })
                .collect::<Option<Vec<_>>>()
                .map(Value::pairs)
                .ok_or(Unfit),
            Self::Sections => Err(Unfit),
        }
    }

    /// The value that a number without quotes stands for.
    pub(super) fn fit_number(&self, number: u64) -> Result<Value, Unfit> {
        match self {
            Self::Integer { min, max } if (*min..=*max).contains(&number) => {
                Ok(Value::Integer(number))
            }
            Self::Size { min, max } if (*min..=*max).contains(&number) => {
                usize::try_from(number).map(Value::Size).map_err(|_| Unfit)
            }
            Self::Text
            | Self::Secret
            | Self::Choice(_)
            | Self::Integer { .. }
            | Self::Duration { .. }
            | Self::Size { .. }
            | Self::Address
            | Self::Path
            | Self::List
            | Self::Map { .. }
            | Self::Sections => Err(Unfit),
        }
    }

    /// What it may hold, as a part of a sentence.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Text | Self::Secret => "text".to_owned(),
            Self::Choice(words) => listed(words.iter().copied(), "or"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Duration { min, max } => format!(
                "a duration from {:?} to {:?}",
                show_duration(*min),
                show_duration(*max)
            ),
            Self::Size { min, max } => {
                format!("a size from {:?} to {:?}", show_size(*min), show_size(*max))
            }
            Self::Address => "an address such as \"127.0.0.1:9464\"".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::List => "a list of texts".to_owned(),
            Self::Map { .. } => "a table of texts by name".to_owned(),
            Self::Sections => "tables".to_owned(),
        }
    }
}

/// A value that the kind does not hold.
#[derive(Debug)]
pub(crate) struct Unfit;

fn some_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
