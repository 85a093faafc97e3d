//! The key of an event that is gone.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::decode::json::{unreadable, utf8};
use crate::decode::{DecodeError, Reason};
use crate::event::{Change, Changes, Key, Op, Record, Row, SourcePosition};
use crate::transform::scan;

/// The delete of what a record's key names: a JSON object of the key's columns, or, where there is one
/// column, its value as text.
pub(super) fn by_text<'a>(
    record: &Record<'a>,
    columns: &[String],
) -> Result<Changes<'a>, DecodeError> {
    let text = utf8(key(record)?, "key")?;
    let object = match columns {
        [column] if !text.trim_ascii_start().starts_with('{') => {
            let mut object = b"{\"".to_vec();
            scan::escape(column, &mut object);
            object.extend_from_slice(b"\":\"");
            scan::escape(text, &mut object);
            object.extend_from_slice(b"\"}");
            let object = String::from_utf8(object)
                .map_err(|_| DecodeError::new(Reason::Malformed, "the key is not UTF-8"))?;
            Cow::Owned(object)
        }
        _ => {
            let raw: &RawValue = serde_json::from_str(text)
                .map_err(|e| unreadable(&e, "key", Reason::Key, "an object of columns"))?;
            Cow::Borrowed(raw.get())
        }
    };
    Ok(delete(Key::Alone(Row {
        object,
        checked: true,
        schema: None,
    })))
}

/// The record's key.
pub(super) fn key<'a>(record: &Record<'a>) -> Result<&'a [u8], DecodeError> {
    record
        .key
        .ok_or_else(|| DecodeError::new(Reason::Key, "neither the key nor the value names a row"))
}

pub(super) fn delete(key: Key<'_>) -> Changes<'_> {
    Changes::One(Change {
        op: Op::Delete,
        key,
        after: None,
        source: SourcePosition::default(),
    })
}

/// An event as it is now.
pub(super) fn upsert<'a>(row: Row<'a>, record: &Record<'a>) -> Changes<'a> {
    Changes::One(Change {
        op: Op::Upsert,
        key: Key::Within(row.clone()),
        after: Some(row),
        // An event has no commit but its producer's.
        source: SourcePosition {
            committed_ms: record.timestamp_ms,
            ..SourcePosition::default()
        },
    })
}
