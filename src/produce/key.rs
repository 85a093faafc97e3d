//! The record's key of an event: a JSON object of the topic key's columns in their declared order, such as
//! `{"id":7}`, which is what Debezium's converter makes of a table's key without schemas.
//!
//! One value has one text, whatever the event's spelling of it: the partition is made of the key's bytes, and
//! two spellings in two partitions would be two orders for one document. So escapes are resolved, and numbers
//! are integers.

use super::Refused;
use crate::transform::scan::{self, Members, Value};

const NO_JSON: &str = "is not JSON";

/// Appends the key of the event, which is known to be JSON.
pub(super) fn write(columns: &[String], event: &str, out: &mut Vec<u8>) -> Result<(), Refused> {
    let mut found: Vec<Option<Value<'_>>> = vec![None; columns.len()];
    let mut members = Members::of(event).map_err(|_| Refused::key("", "must be an object"))?;
    while let Some((name, value)) = members.next().map_err(|_| Refused::key("", NO_JSON))? {
        if let Some(place) = columns.iter().position(|column| name.is(column))
            && let Some(found) = found.get_mut(place)
        {
            *found = Some(value);
        }
    }
    for (i, (column, value)) in columns.iter().zip(found).enumerate() {
        out.push(if i == 0 { b'{' } else { b',' });
        out.push(b'"');
        scan::escape(column, out);
        out.extend_from_slice(b"\":");
        match value {
            None => {
                return Err(Refused::key(
                    column,
                    "is missing, and is part of the topic's key",
                ));
            }
            Some(Value::Null) => {
                return Err(Refused::key(
                    column,
                    "is null, and is part of the topic's key",
                ));
            }
            Some(Value::Nested(_)) => {
                return Err(Refused::key(
                    column,
                    "is no single value, and is part of the topic's key",
                ));
            }
            Some(Value::Bool(value)) => {
                out.extend_from_slice(if value { b"true" } else { b"false" });
            }
            Some(Value::Number("-0")) => out.push(b'0'),
            Some(Value::Number(number)) => {
                // JSON writes an integer in one way but for its zero.
                if number.contains(['.', 'e', 'E']) {
                    return Err(Refused::key(
                        column,
                        "is part of the topic's key, where a number must be an integer",
                    ));
                }
                out.extend_from_slice(number.as_bytes());
            }
            Some(Value::String(text)) => {
                let mut plain = Vec::with_capacity(text.inner.len());
                let plain = text
                    .unescape(&mut plain)
                    .ok()
                    .and_then(|()| std::str::from_utf8(&plain).ok())
                    .ok_or_else(|| {
                        Refused::key(
                            column,
                            "holds an escape that is no character (a lone surrogate)",
                        )
                    })?;
                out.push(b'"');
                scan::escape(plain, out);
                out.push(b'"');
            }
        }
    }
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(event: &str) -> Result<String, Refused> {
        let columns = ["id".to_owned(), "kind".to_owned()];
        let mut out = Vec::new();
        write(&columns, event, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn one_value_has_one_key_however_the_event_spells_it() {
        let plain = r#"{"id":7,"kind":"a/\"é"}"#;
        assert_eq!(key(plain).unwrap(), plain);
        for spelt in [
            r#"{"kind":"a\/\u0022\u00e9","x":{"id":9},"id":7}"#,
            r#"{ "id" : 7 , "k\u0069nd" : "a/\"é" }"#,
        ] {
            assert_eq!(key(spelt).unwrap(), plain, "{spelt}");
        }
        assert_eq!(
            key(r#"{"id":-0,"kind":true}"#).unwrap(),
            r#"{"id":0,"kind":true}"#
        );
    }

    #[test]
    fn what_makes_no_key_names_its_field() {
        for (event, field) in [
            (r#"{"id":7}"#, "kind"),
            (r#"{"id":null,"kind":1}"#, "id"),
            (r#"{"id":1.0,"kind":1}"#, "id"),
            (r#"{"id":[1],"kind":1}"#, "id"),
            (r#"{"id":1,"kind":"\ud800"}"#, "kind"),
            ("[]", ""),
        ] {
            let refused = key(event).unwrap_err();
            assert_eq!(refused.field, field, "{event}: {refused}");
        }
    }
}
