//! What Canal and Maxwell share: a row's key is found in the row, an update's `old` may hold a former key, and
//! a record may write only keys of its own partition.

use super::{DecodeError, Reason};
use crate::event::{Change, Changes, Key, Op, Row, SourcePosition};
use crate::transform::scan::{self, Broken, Members, Value};

/// The tables that a topic's spec names, as `database.table`.
#[derive(Debug)]
pub(super) struct Tables(Box<[Box<str>]>);

/// The key's columns of a topic.
#[derive(Debug)]
pub(super) struct KeyColumns(Box<[Box<str>]>);

/// Where a former key lives, as seen from the record in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the record's partition.
    Same,
    /// In another.
    Other,
    /// Nobody said how the producer places keys.
    Unknown,
}

/// Changes of one record, in row order.
#[derive(Debug, Default)]
pub(super) struct Gathered<'a> {
    rows: Vec<Change<'a>>,
    other: usize,
    unknown: usize,
}

// === impl Tables ===

impl Tables {
    pub(super) fn new(tables: &[String]) -> Self {
        Self(tables.iter().map(|table| table.as_str().into()).collect())
    }

    /// Whether this table is among them.
    pub(super) fn hold(&self, database: &str, table: &str) -> bool {
        self.0.iter().any(|ours| {
            let rest = ours.strip_prefix(database);
            rest.and_then(|rest| rest.strip_prefix('.')) == Some(table)
        })
    }
}

// === impl KeyColumns ===

impl KeyColumns {
    pub(super) fn new(key: &[String]) -> Self {
        Self(key.iter().map(|column| column.as_str().into()).collect())
    }

    /// The columns' names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// Whether a table's primary key has these columns, in any order.
    ///
    /// # Errors
    /// [`Reason::Key`], with both, where it has others.
    pub(super) fn check<'n>(
        &self,
        primary_key: impl Iterator<Item = &'n str>,
    ) -> Result<(), DecodeError> {
        let names: Vec<&str> = primary_key.collect();
        if names.len() == self.0.len() && self.names().all(|name| names.contains(&name)) {
            return Ok(());
        }
        let key: Vec<&str> = self.names().collect();
        Err(DecodeError::new(
            Reason::Key,
            format!(
                "the table's primary key is {}, but the topic's spec has `key` = {}",
                names.join(", "),
                key.join(", ")
            ),
        ))
    }

    /// The column whose name is this in lower case.
    pub(super) fn by_lower_case(&self, lower: &str) -> Option<&str> {
        self.names().find(|name| name.to_lowercase() == lower)
    }

    /// The key's values in a row, in the key's order.
    pub(super) fn values<'r>(&self, row: &'r str) -> Result<Vec<Option<Value<'r>>>, Broken> {
        let mut values = vec![None; self.0.len()];
        let mut members = Members::of(row)?;
        while let Some((name, value)) = members.next()? {
            if let Some(at) = self.0.iter().position(|column| name.is(column)) {
                // Of a name that is there twice the row's own reading complains.
                if let Some(slot) = values.get_mut(at) {
                    *slot = Some(value);
                }
            }
        }
        Ok(values)
    }

    /// The key that a row had before, as a JSON object, where `old` shows another than the row has. What `old`
    /// lists need not have changed.
    pub(super) fn former(&self, row: &str, old: &str) -> Result<Option<String>, Broken> {
        let before = self.values(old)?;
        if before.iter().all(Option::is_none) {
            return Ok(None);
        }
        let now = self.values(row)?;
        let mut changed = false;
        let mut object = b"{".to_vec();
        for (i, name) in self.names().enumerate() {
            let (before, now) = (
                before.get(i).copied().flatten(),
                now.get(i).copied().flatten(),
            );
            changed |= match (before, now) {
                (Some(before), Some(now)) => !same(before, now)?,
                (Some(_), None) | (None, _) => false,
            };
            if i > 0 {
                object.push(b',');
            }
            object.push(b'"');
            scan::escape(name, &mut object);
            object.extend_from_slice(b"\":");
            before.or(now).unwrap_or(Value::Null).put(&mut object);
        }
        object.push(b'}');
        let object = String::from_utf8(object).map_err(|_| Broken)?;
        Ok(changed.then_some(object))
    }
}

/// Whether two values are one, however their strings are escaped.
fn same(a: Value<'_>, b: Value<'_>) -> Result<bool, Broken> {
    let (Value::String(a), Value::String(b)) = (a, b) else {
        return Ok(a == b);
    };
    let (mut left, mut right) = (Vec::new(), Vec::new());
    a.unescape(&mut left)?;
    b.unescape(&mut right)?;
    Ok(left == right)
}

// === impl Gathered ===

impl<'a> Gathered<'a> {
    /// A row as it is now.
    pub(super) fn upsert(&mut self, row: Row<'a>, source: SourcePosition<'a>) {
        self.rows.push(Change {
            op: Op::Upsert,
            key: Key::Within(row.clone()),
            after: Some(row),
            source,
        });
    }

    /// A row that is gone; its key stands in `row`.
    pub(super) fn delete(&mut self, row: Row<'a>, source: SourcePosition<'a>) {
        self.rows.push(Change {
            op: Op::Delete,
            key: Key::Within(row),
            after: None,
            source,
        });
    }

    /// A key that a row no longer has. It is deleted where it lives in the record's partition.
    pub(super) fn former(&mut self, key: Row<'a>, place: Place, source: SourcePosition<'a>) {
        match place {
            Place::Same => self.delete(key, source),
            Place::Other => self.other += 1,
            Place::Unknown => self.unknown += 1,
        }
    }

    /// What the record holds.
    pub(super) fn changes(mut self) -> Changes<'a> {
        let Self { other, unknown, .. } = self;
        let rows = std::mem::take(&mut self.rows);
        let stray = match (other, unknown) {
            (0, 0) => {
                return match <[Change<'a>; 1]>::try_from(rows) {
                    Ok([row]) => Changes::One(row),
                    Err(rows) => Changes::Many(rows),
                };
            }
            (_, 0) => "lies in another partition, whose versions this record cannot carry".to_owned(),
            (_, _) => "may lie in another partition, whose versions this record cannot carry: say how the producer places keys, by `partitioner` in the topic's spec".to_owned(),
        };
        Changes::Partly {
            stray: format!(
                "{} row(s) have another primary key than before, and the former key {stray}. The rows are written; the documents of the keys under `old` remain and need a repair",
                other + unknown
            ),
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_key_is_one_that_differs() {
        let key = KeyColumns::new(&["id".into(), "k".into()]);
        let former = |row, old| key.former(row, old).unwrap();
        let row = r#"{"v":1,"id":"7","k":"a"}"#;
        assert_eq!(former(row, r#"{"v":"0"}"#), None);
        assert_eq!(former(row, r#"{"id":"7","k":"\u0061"}"#), None);
        assert_eq!(
            former(row, r#"{"id":"6"}"#).as_deref(),
            Some(r#"{"id":"6","k":"a"}"#)
        );
        assert_eq!(
            former(row, r#"{"v":"0","k":"b\"","id":"7"}"#).as_deref(),
            Some(r#"{"id":"7","k":"b\""}"#)
        );
    }
}
