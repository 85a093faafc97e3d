//! The check: is every row of the table in both sinks, column by column, and nothing else?
//!
//! It is pure (the reading is in [`super::survey`]) and never rounds: what a field should hold comes from
//! [`super::expected`], and a field that should not be there is as wrong as one that is missing.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde_json::value::RawValue;

use super::expected::Expected;
use super::table::{COLUMNS, Kind};
use crate::config::{DocumentSpec, Mask};

/// The differences that are kept to be shown; the others are only counted.
const SHOWN: usize = 10;
/// The most characters shown of a value.
const SHOWN_CHARACTERS: usize = 100;
/// The field of a Redis hash that holds the row's version.
const VERSION_FIELD: &str = "_v";

/// A document of Elasticsearch: fields as their JSON text.
pub type Document = BTreeMap<String, Box<RawValue>>;
/// A hash of Redis: fields as their bytes.
pub type Hash = BTreeMap<String, Vec<u8>>;

/// The sinks that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Store {
    /// Elasticsearch.
    Elasticsearch,
    /// Redis.
    Redis,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub store: Store,
    /// The row's id.
    pub id: String,
    /// The field, or `None` where the whole row is missing or should not be there.
    pub field: Option<String>,
    /// What the table says.
    pub expected: String,
    /// What the sink holds.
    pub actual: String,
}

/// What the comparison found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Rows in the table.
    pub rows: u64,
    /// Rows that are the same in both sinks.
    pub equal: u64,
    /// Rows that differ in either sink, and what a sink shows without there being such a row.
    pub different: u64,
    /// The first differences.
    pub first: Vec<Difference>,
}

/// Compares row by row.
#[derive(Debug)]
pub struct Checker {
    /// By column; `None` for those that no document holds.
    fields: Vec<Option<Field>>,
    ids: HashSet<String>,
    report: Report,
}

/// A column as the documents show it.
#[derive(Debug)]
struct Field {
    name: String,
    kind: Kind,
    mask: Option<Mask>,
}

// === impl Checker ===

impl Checker {
    /// Fields are named, left out and masked as `document` says.
    pub fn new(document: &DocumentSpec) -> Self {
        let fields = COLUMNS.iter().map(|column| {
            (!document.omit.contains(column.name)).then(|| Field {
                name: document
                    .rename
                    .get(column.name)
                    .map_or(column.name, String::as_str)
                    .to_owned(),
                kind: column.kind,
                mask: document.mask.get(column.name).copied(),
            })
        });
        Self {
            fields: fields.collect(),
            ids: HashSet::new(),
            report: Report::default(),
        }
    }

    /// Compares one row, given as each column's text ([`super::table::Column::select`]) with the id first,
    /// with what the sinks show under that id: `None` for nothing, or a tombstone.
    pub fn row(
        &mut self,
        cells: &[Option<String>],
        document: Option<&Document>,
        hash: Option<&Hash>,
    ) {
        let id = cells.first().cloned().flatten().unwrap_or_default();
        let expected: BTreeMap<_, _> = self
            .fields
            .iter()
            .zip(cells)
            .filter_map(|(field, cell)| {
                let field = field.as_ref()?;
                let value = Expected::from_text(field.kind, field.mask, cell.as_deref());
                Some((field.name.as_str(), value))
            })
            .collect();

        let mut found = Vec::new();
        let mut differs =
            |store, field: Option<&str>, expected: &dyn fmt::Display, actual: &str| {
                found.push(Difference {
                    store,
                    id: id.clone(),
                    field: field.map(str::to_owned),
                    expected: shorten(&expected.to_string()),
                    actual: shorten(actual),
                });
            };
        match document {
            None => differs(Store::Elasticsearch, None, &"a document", "none"),
            Some(document) => {
                for (name, expected) in &expected {
                    match document.get(*name) {
                        Some(raw) if expected.is_json(raw.get()) => {}
                        Some(raw) => {
                            differs(Store::Elasticsearch, Some(name), expected, raw.get());
                        }
                        None => differs(Store::Elasticsearch, Some(name), expected, "no field"),
                    }
                }
                for (name, raw) in document {
                    if !expected.contains_key(name.as_str()) {
                        differs(Store::Elasticsearch, Some(name), &"no field", raw.get());
                    }
                }
            }
        }
        match hash {
            None => differs(Store::Redis, None, &"a hash", "none"),
            Some(hash) => {
                for (name, expected) in &expected {
                    match (expected, hash.get(*name)) {
                        (Expected::Null, None) => {}
                        (_, Some(bytes)) if expected.is_text(bytes) => {}
                        (_, Some(bytes)) => {
                            let actual = String::from_utf8_lossy(bytes);
                            differs(Store::Redis, Some(name), expected, &actual);
                        }
                        (_, None) => differs(Store::Redis, Some(name), expected, "no field"),
                    }
                }
                for (name, bytes) in hash {
                    let version = name == VERSION_FIELD && is_version(bytes);
                    if !version && !expected.contains_key(name.as_str()) {
                        let actual = String::from_utf8_lossy(bytes);
                        differs(Store::Redis, Some(name), &"no field", &actual);
                    }
                }
                if !hash.contains_key(VERSION_FIELD) {
                    differs(Store::Redis, Some(VERSION_FIELD), &"a version", "no field");
                }
            }
        }

        self.report.rows += 1;
        if found.is_empty() {
            self.report.equal += 1;
        } else {
            self.report.different += 1;
            let room = SHOWN.saturating_sub(self.report.first.len());
            self.report.first.extend(found.into_iter().take(room));
        }
        self.ids.insert(id);
    }

    /// Whether there was a row with this id.
    pub fn knows(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Notes that a sink shows a live row under this id. Called once for each, after all rows.
    pub fn live(&mut self, store: Store, id: &str) {
        if self.knows(id) {
            return;
        }
        self.report.different += 1;
        if self.report.first.len() < SHOWN {
            self.report.first.push(Difference {
                store,
                id: id.to_owned(),
                field: None,
                expected: "nothing, as the table has no such row".to_owned(),
                actual: "a row".to_owned(),
            });
        }
    }

    /// What was found.
    pub fn finish(self) -> Report {
        self.report
    }
}

// === impl Store ===

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elasticsearch => "elasticsearch",
            Self::Redis => "redis",
        })
    }
}

// === impl Difference ===

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            store,
            id,
            expected,
            actual,
            ..
        } = self;
        match &self.field {
            Some(field) => write!(
                f,
                "{store} id {id}, {field}: expected {expected}, found {actual}"
            ),
            None => write!(f, "{store} id {id}: expected {expected}, found {actual}"),
        }
    }
}

/// 19 digits, the version as Redis holds it.
fn is_version(bytes: &[u8]) -> bool {
    bytes.len() == 19 && bytes.iter().all(u8::is_ascii_digit)
}

/// Escaped, so that no value can play with the terminal, and cut.
fn shorten(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == SHOWN_CHARACTERS {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests;
