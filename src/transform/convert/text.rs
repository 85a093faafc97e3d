//! Text, enumerations, sets, inline JSON, and values of no declared type.

use serde::de::IgnoredAny;

use crate::transform::scan::{self, Value};

use super::{Fault, Form, MAX_DEPTH, content, mismatch};

/// A value as it stands; in plain text a string without its quotes and escapes.
#[inline]
pub(super) fn as_is(
    value: Value<'_>,
    form: Form,
    members: &mut usize,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    match value {
        Value::String(_) => return text(value, form, out),
        Value::Number(number) => out.extend_from_slice(number.as_bytes()),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Null => out.extend_from_slice(b"null"),
        Value::Nested(nested) => return inline(nested, members, out),
    }
    Ok(())
}

/// A string: in JSON copied as it is written.
#[inline]
pub(super) fn text(value: Value<'_>, form: Form, out: &mut Vec<u8>) -> Result<(), Fault> {
    let Value::String(s) = value else {
        return mismatch(value);
    };
    match form {
        Form::Text => s.unescape(out)?,
        Form::Json => {
            s.check()?;
            out.push(b'"');
            out.extend_from_slice(s.inner.as_bytes());
            out.push(b'"');
        }
    }
    Ok(())
}

/// An enumeration's member. Debezium writes a comma in it as `\,`; MySQL shows an invalid one as ''.
pub(super) fn member(
    value: Value<'_>,
    allowed: Option<&[String]>,
    form: Form,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let text = content(value, scratch)?;
    let unescaped;
    let member = if text.contains("\\,") {
        unescaped = text.replace("\\,", ",");
        &unescaped
    } else {
        text
    };
    if let Some(allowed) = allowed
        && !member.is_empty()
        && !allowed.iter().any(|m| m == member)
    {
        return Err(Fault::Mismatch("a string that is none of its members"));
    }
    match form {
        Form::Text => out.extend_from_slice(member.as_bytes()),
        Form::Json => put_string(member, out),
    }
    Ok(())
}

/// A set's members as a JSON array, in both forms. MySQL's may hold no commas, other sources' are written
/// `\,`; a member that ends in a backslash can be told only by those declared.
pub(super) fn set(
    value: Value<'_>,
    allowed: Option<&[String]>,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let text = content(value, scratch)?;
    let start = out.len();
    if put_set(Escaped(Some(text)), allowed, out) {
        return Ok(());
    }
    out.truncate(start);
    if put_set(text.split(',').map(str::to_owned), allowed, out) {
        return Ok(());
    }
    Err(Fault::Mismatch("a string of others than its members"))
}

/// Whether all of them are members.
fn put_set(
    members: impl Iterator<Item = String>,
    allowed: Option<&[String]>,
    out: &mut Vec<u8>,
) -> bool {
    out.push(b'[');
    for (i, member) in members.filter(|m| !m.is_empty()).enumerate() {
        if allowed.is_some_and(|allowed| !allowed.contains(&member)) {
            return false;
        }
        if i > 0 {
            out.push(b',');
        }
        put_string(&member, out);
    }
    out.push(b']');
    true
}

/// The parts between commas that no backslash stands before.
struct Escaped<'a>(Option<&'a str>);

impl Iterator for Escaped<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let text = self.0?;
        let mut end = 0;
        let cut = loop {
            let Some(at) = text.get(end..).and_then(|rest| rest.find(',')) else {
                break None;
            };
            end += at;
            if text
                .get(..end)
                .is_some_and(|before| !before.ends_with('\\'))
            {
                break Some(end);
            }
            end += 1;
        };
        let part = match cut {
            Some(cut) => {
                self.0 = text.get(cut + 1..);
                text.get(..cut)?
            }
            None => {
                self.0 = None;
                text
            }
        };
        Some(part.replace("\\,", ","))
    }
}

/// JSON in a string, as JSON.
pub(super) fn json(
    value: Value<'_>,
    members: &mut usize,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    const NOT_JSON: Fault = Fault::Mismatch("a string that is not JSON");
    let text = content(value, scratch)?;
    let _: IgnoredAny = serde_json::from_str(text).map_err(|_| NOT_JSON)?;
    match scan::value(text)? {
        Value::Nested(nested) => inline(nested, members, out),
        Value::String(s) => text_value(s, out),
        scalar => as_is(scalar, Form::Json, members, out),
    }
}

fn text_value(s: scan::Str<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    text(Value::String(s), Form::Json, out)
}

/// An object or an array. Line breaks in JSON stand between its tokens only, and become spaces: a document is
/// one line of a bulk request.
fn inline(text: &str, members: &mut usize, out: &mut Vec<u8>) -> Result<(), Fault> {
    let nesting = scan::nesting(text)?;
    if nesting.lone_surrogate {
        return Err(Fault::Broken);
    }
    if nesting.depth >= MAX_DEPTH {
        return Err(Fault::Depth);
    }
    *members += nesting.members;
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    if memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_some() {
        for byte in out.iter_mut().skip(start) {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
    Ok(())
}

pub(super) fn put_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    scan::escape(text, out);
    out.push(b'"');
}
