//! A record's key in either of Maxwell's forms (`kafka_key_format`): `hash`, which is
//! `{"database": …, "table": …, "pk.<column>": value, …}`, and `array`, which is
//! `["database", "table", [{"<column>": value}, …]]`. The columns' names are in lower case.

use serde_json::value::RawValue;

use crate::decode::json::{Text, unreadable, utf8};
use crate::decode::rows::KeyColumns;
use crate::decode::{DecodeError, Reason};
use crate::transform::scan::{self, Members, Value};

/// What a key names.
#[derive(Debug, PartialEq)]
pub(super) struct Named {
    pub(super) database: String,
    pub(super) table: String,
    /// The key's columns, by the names that the topic's spec has, as a JSON object.
    pub(super) object: String,
}

/// Reads a key.
pub(super) fn read(text: &str, columns: &KeyColumns) -> Result<Named, DecodeError> {
    let raw: &RawValue = serde_json::from_str(text).map_err(in_key)?;
    if raw.get().starts_with('[') {
        array(raw.get(), columns)
    } else {
        hash(raw.get(), columns)
    }
}

fn hash(text: &str, columns: &KeyColumns) -> Result<Named, DecodeError> {
    let mut members = Members::of(text).map_err(|_| not_maxwells())?;
    let (mut database, mut table) = (None, None);
    let mut object = Object::default();
    while let Some((name, value)) = members.next().map_err(|_| not_maxwells())? {
        let mut unescaped = Vec::new();
        name.unescape(&mut unescaped).map_err(|_| not_maxwells())?;
        match utf8(&unescaped, "key")? {
            "database" => database = text_of(value),
            "table" => table = text_of(value),
            "_uuid" => {
                return Err(DecodeError::new(
                    Reason::Key,
                    "the table has no primary key, so a null value names no row",
                ));
            }
            name => {
                let lower = name.strip_prefix("pk.").ok_or_else(not_maxwells)?;
                object.put(lower, value, columns)?;
            }
        }
    }
    Ok(Named {
        database: database.ok_or_else(not_maxwells)?,
        table: table.ok_or_else(not_maxwells)?,
        object: object.done()?,
    })
}

fn array(text: &str, columns: &KeyColumns) -> Result<Named, DecodeError> {
    let (database, table, parts): (Text<'_>, Text<'_>, Vec<&RawValue>) =
        serde_json::from_str(text).map_err(in_key)?;
    let mut object = Object::default();
    for part in parts {
        let mut members = Members::of(part.get()).map_err(|_| not_maxwells())?;
        while let Some((name, value)) = members.next().map_err(|_| not_maxwells())? {
            let mut unescaped = Vec::new();
            name.unescape(&mut unescaped).map_err(|_| not_maxwells())?;
            object.put(utf8(&unescaped, "key")?, value, columns)?;
        }
    }
    Ok(Named {
        database: database.to_string(),
        table: table.to_string(),
        object: object.done()?,
    })
}

/// A JSON object in the making.
#[derive(Default)]
struct Object(Vec<u8>);

// === impl Object ===

impl Object {
    fn put(
        &mut self,
        lower: &str,
        value: Value<'_>,
        columns: &KeyColumns,
    ) -> Result<(), DecodeError> {
        let name = columns.by_lower_case(lower).ok_or_else(|| {
            DecodeError::new(
                Reason::Key,
                format!(
                    "the key has the column `{lower}`, which the topic's spec has not in `key`"
                ),
            )
        })?;
        self.0
            .extend_from_slice(if self.0.is_empty() { b"{\"" } else { b",\"" });
        scan::escape(name, &mut self.0);
        self.0.extend_from_slice(b"\":");
        value.put(&mut self.0);
        Ok(())
    }

    fn done(mut self) -> Result<String, DecodeError> {
        self.0
            .extend_from_slice(if self.0.is_empty() { b"{}" } else { b"}" });
        String::from_utf8(self.0).map_err(|_| not_maxwells())
    }
}

fn text_of(value: Value<'_>) -> Option<String> {
    let Value::String(text) = value else {
        return None;
    };
    let mut unescaped = Vec::new();
    text.unescape(&mut unescaped).ok()?;
    String::from_utf8(unescaped).ok()
}

fn in_key(error: serde_json::Error) -> DecodeError {
    unreadable(&error, "key", Reason::Key, "Maxwell's")
}

fn not_maxwells() -> DecodeError {
    DecodeError::new(
        Reason::Key,
        "the value is null and the key is not Maxwell's: it names no row",
    )
}
