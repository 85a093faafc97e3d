//! Why an event is not sent.

use std::fmt;

use crate::decode::Unfit;

/// An event that is not sent, and what to do. It holds nothing of the event but names of fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why, as one word of a few.
    pub reason: Reason,
    /// The field at fault; empty where it is the event as a whole.
    pub field: String,
    /// What is wrong with it: a predicate.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Why an event is not taken, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is not JSON.
    Json,
    /// It is not as the topic's schema says.
    Schema,
    /// Its key cannot be made.
    Key,
    /// It is larger than the topic takes.
    Size,
}

// === impl Reason ===

impl Reason {
    /// Its name in answers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Schema => "schema",
            Self::Key => "key",
            Self::Size => "size",
        }
    }
}

// === impl Refused ===

impl Refused {
    pub(super) fn json(what: impl Into<String>) -> Self {
        Self {
            reason: Reason::Json,
            field: String::new(),
            what: what.into(),
            remedy: "write one JSON object, in UTF-8".to_owned(),
        }
    }

    pub(super) fn schema(unfit: Unfit, file: &str) -> Self {
        Self {
            reason: Reason::Schema,
            field: unfit.field,
            what: unfit.what,
            remedy: format!("correct the event, or the topic's schema in {file}"),
        }
    }

    pub(super) fn key(field: &str, what: &str) -> Self {
        Self {
            reason: Reason::Key,
            field: field.to_owned(),
            what: what.to_owned(),
            remedy:
                "give it a value of one piece: the partition, and the document, are found by it"
                    .to_owned(),
        }
    }

    pub(super) fn broker() -> Self {
        Self {
            reason: Reason::Size,
            field: String::new(),
            what: "is refused by the broker".to_owned(),
            remedy: "it is larger than the topic takes there, or a setting of the topic forbids it: compare the topic with its spec (`twolane topics plan`)".to_owned(),
        }
    }

    pub(super) fn size(bytes: usize, largest: usize) -> Self {
        Self {
            reason: Reason::Size,
            field: String::new(),
            what: format!("makes a record of {bytes} bytes, and the topic takes {largest}"),
            remedy: "make it smaller, or raise max.message.bytes in the topic's spec and apply it"
                .to_owned(),
        }
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "the event {}", self.what)?;
        } else {
            write!(f, "the field `{}` {}", self.field, self.what)?;
        }
        write!(f, ": {}", self.remedy)
    }
}
