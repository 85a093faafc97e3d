//! The way back: a plain JSON event becomes an Avro body. What [`Reader`](super::Reader) makes of that body is
//! the same event, with the schema's defaults added and decimals as base64.
//!
//! The event is plain JSON, as [`AvroSchema::check_json`] takes it: a union's value stands alone and is of
//! the first branch that takes it; bytes are base64; a decimal is a number or its digits in a text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::check::{Unfit, join};
use super::schema::{AvroSchema, Field, Node};
use crate::event::WireType;
use crate::transform::scan::{self, Members, Str, Value};

/// The most digits of a decimal: MySQL's.
const MAX_DIGITS: usize = 65;

// === impl AvroSchema ===

impl AvroSchema {
    /// Appends the body of the event that a JSON text holds. Where it fails, part of it may have been appended.
    ///
    /// # Errors
    /// The field at fault, never its value.
    pub fn write_json(&self, text: &str, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.check_json(text)?;
        let value = scan::value(text).map_err(|_| Unfit::json(""))?;
        self.write(self.root, None, value, "", out)
    }

    /// The value was checked, and with it the depth.
    fn write(
        &self,
        at: usize,
        wire: Option<&WireType>,
        value: Value<'_>,
        path: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfit> {
        let unfit = |what: &str| Unfit::new(path, what);
        let decimal = match wire {
            Some(WireType::Decimal { scale }) => Some(*scale),
            Some(_) | None => None,
        };
        match (self.node(at), value) {
            (Node::Null, _) => {}
            (Node::Boolean, value) => out.push(u8::from(value == Value::Bool(true))),
            (Node::Int | Node::Long, Value::Number(n)) => {
                long(n.parse().map_err(|_| unfit("must be an integer"))?, out);
            }
            (Node::Float, Value::Number(n)) => {
                let n: f32 = n.parse().map_err(|_| unfit("must be a number"))?;
                if !n.is_finite() {
                    return Err(unfit("is beyond what a float holds"));
                }
                out.extend_from_slice(&n.to_le_bytes());
            }
            (Node::Double, Value::Number(n)) => {
                let n: f64 = n.parse().map_err(|_| unfit("must be a number"))?;
                if !n.is_finite() {
                    return Err(unfit("is beyond what a double holds"));
                }
                out.extend_from_slice(&n.to_le_bytes());
            }
            (Node::Bytes, value) => match decimal {
                Some(scale) => bytes(&unscaled(value, scale).map_err(unfit)?, out),
                None => bytes(&base64(value).map_err(unfit)?, out),
            },
            (Node::Fixed(size), value) => match decimal {
                Some(scale) => {
                    let number = unscaled(value, scale).map_err(unfit)?;
                    out.extend_from_slice(&widened(&number, *size).map_err(unfit)?);
                }
                None => out.extend_from_slice(&base64(value).map_err(unfit)?),
            },
            (Node::String, Value::String(s)) => bytes(&text(s).map_err(unfit)?, out),
            (Node::Enum(symbols), Value::String(s)) => {
                let place = symbols.iter().position(|symbol| s.is(symbol));
                count(place.ok_or_else(|| unfit("is no symbol of its enum"))?, out);
            }
            (Node::Array(item), Value::Nested(nested)) => {
                let items: Vec<&RawValue> =
                    serde_json::from_str(nested).map_err(|_| Unfit::json(path))?;
                if !items.is_empty() {
                    count(items.len(), out);
                }
                for (i, raw) in items.iter().enumerate() {
                    let path = format!("{path}[{i}]");
                    let value = scan::value(raw.get()).map_err(|_| Unfit::json(&path))?;
                    self.write(*item, None, value, &path, out)?;
                }
                count(0, out);
            }
            (Node::Map(item), Value::Nested(nested)) => {
                let members = members(nested, path)?;
                if !members.is_empty() {
                    count(members.len(), out);
                }
                for (name, value) in members {
                    bytes(&text(name).map_err(unfit)?, out);
                    self.write(*item, None, value, &join(path, name.inner), out)?;
                }
                count(0, out);
            }
            (Node::Record(fields), Value::Nested(nested)) => {
                self.write_fields(fields, nested, path, out)?;
            }
            (Node::Union(branches), value) => {
                let takes = |at: &usize| self.check(*at, wire, value, path, 0).is_ok();
                let place = branches.iter().position(takes);
                let place = place.ok_or_else(|| unfit("is of no branch of its union"))?;
                count(place, out);
                if let Some(at) = branches.get(place) {
                    self.write(*at, wire, value, path, out)?;
                }
            }
            (
                Node::Open
                | Node::Int
                | Node::Long
                | Node::Float
                | Node::Double
                | Node::String
                | Node::Enum(_)
                | Node::Array(_)
                | Node::Map(_)
                | Node::Record(_),
                _,
            ) => return Err(unfit("is of another type than its schema's")),
        }
        Ok(())
    }

    fn write_fields(
        &self,
        fields: &[Field],
        text: &str,
        path: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfit> {
        let members = members(text, path)?;
        for (place, field) in fields.iter().enumerate() {
            // Events are mostly written in their schema's order.
            let at_its_place = members.get(place).filter(|(name, _)| name.is(&field.name));
            let found = at_its_place.or_else(|| members.iter().find(|(n, _)| n.is(&field.name)));
            let path = join(path, &field.name);
            let (value, wire) = match (found, &field.default) {
                (Some((_, value)), _) => (*value, Some(&field.wire)),
                // A decimal's default is its bytes, and no digits.
                (None, Some(default)) => {
                    (scan::value(default).map_err(|_| Unfit::json(&path))?, None)
                }
                (None, None) => (Value::Null, None),
            };
            self.write(field.node, wire, value, &path, out)?;
        }
        Ok(())
    }
}

fn members<'t>(text: &'t str, path: &str) -> Result<Vec<(Str<'t>, Value<'t>)>, Unfit> {
    let mut walk = Members::of(text).map_err(|_| Unfit::json(path))?;
    let mut members = Vec::new();
    while let Some(member) = walk.next().map_err(|_| Unfit::json(path))? {
        members.push(member);
    }
    Ok(members)
}

/// Avro's zigzag numbers of variable length.
fn long(n: i64, out: &mut Vec<u8>) {
    let mut rest = ((n << 1) ^ (n >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or_default());
}

/// A count or a place, which no event has more of than fit.
fn count(n: usize, out: &mut Vec<u8>) {
    long(i64::try_from(n).unwrap_or(i64::MAX), out);
}

fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    count(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn text(text: Str<'_>) -> Result<Vec<u8>, &'static str> {
    let mut own = Vec::with_capacity(text.inner.len());
    text.unescape(&mut own)
        .map_err(|_| "holds an escape that is no character (a lone surrogate)")?;
    Ok(own)
}

fn base64(value: Value<'_>) -> Result<Vec<u8>, &'static str> {
    const NOT_BASE64: &str = "must be bytes in base64";
    match value {
        Value::String(s) => STANDARD.decode(text(s)?).map_err(|_| NOT_BASE64),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Nested(_) => Err(NOT_BASE64),
    }
}

/// A decimal's unscaled integer: big-endian two's complement, as short as it may be.
fn unscaled(value: Value<'_>, scale: u8) -> Result<Vec<u8>, &'static str> {
    const NOT_DECIMAL: &str = "must be a decimal: digits, with a point where it has a fraction";
    let number = match value {
        Value::Number(n) => n,
        Value::String(s) => s.inner,
        Value::Null | Value::Bool(_) | Value::Nested(_) => return Err(NOT_DECIMAL),
    };
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return Err(NOT_DECIMAL),
        Some(parts) => parts,
        None => (number, ""),
    };
    let digits = || whole.bytes().chain(fraction.bytes());
    if whole.is_empty() || !digits().all(|digit| digit.is_ascii_digit()) {
        return Err(NOT_DECIMAL);
    }
    let Some(zeros) = usize::from(scale).checked_sub(fraction.len()) else {
        return Err("has more digits after the point than its schema's scale");
    };
    if whole.len() + usize::from(scale) > MAX_DIGITS {
        return Err("has more digits than a decimal may have");
    }
    let mut magnitude = vec![0];
    for digit in digits().chain(std::iter::repeat_n(b'0', zeros)) {
        let mut carry = u16::from(digit - b'0');
        for byte in magnitude.iter_mut().rev() {
            carry += u16::from(*byte) * 10;
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        if let Ok(carry @ 1..) = u8::try_from(carry) {
            magnitude.insert(0, carry);
        }
    }
    if negative {
        // Of the number less one every bit is the other: -n is !(n - 1). Zero stays as it is.
        let mut borrow = true;
        let mut less = magnitude.clone();
        for byte in less.iter_mut().rev() {
            (*byte, borrow) = byte.overflowing_sub(u8::from(borrow));
        }
        if !borrow {
            magnitude = less.into_iter().map(|byte| !byte).collect();
            if magnitude.first().is_some_and(|first| first & 0x80 == 0) {
                magnitude.insert(0, 0xff);
            }
            return Ok(magnitude);
        }
    }
    if magnitude.first().is_some_and(|first| first & 0x80 != 0) {
        magnitude.insert(0, 0);
    }
    Ok(magnitude)
}

/// A number of two's complement in exactly so many bytes.
fn widened(number: &[u8], size: usize) -> Result<Vec<u8>, &'static str> {
    let Some(missing) = size.checked_sub(number.len()) else {
        return Err("is beyond what its fixed size holds");
    };
    let sign = match number.first() {
        Some(first) if first & 0x80 != 0 => 0xff,
        Some(_) | None => 0,
    };
    let mut wide = vec![sign; missing];
    wide.extend_from_slice(number);
    Ok(wide)
}

#[cfg(test)]
mod tests {
    use apache_avro::reader::datum::GenericDatumReader;
    use proptest::prelude::*;

    use super::super::Reader;
    use super::*;

    const SCHEMA: &str = r#"{"type":"record","name":"R","fields":[
        {"name":"id","type":"long"},
        {"name":"n","type":["null","int"],"default":null},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]},"default":"A"},
        {"name":"list","type":{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"x","type":"double"}]}}},
        {"name":"map","type":{"type":"map","values":["string","boolean"]},"default":{}},
        {"name":"b","type":["null",{"type":"fixed","name":"F","size":2}]},
        {"name":"d","type":["null",{"type":"bytes","logicalType":"decimal","precision":20,"scale":2}],"default":null}
    ]}"#;

    fn written(text: &str) -> Result<Vec<u8>, Unfit> {
        let schema = AvroSchema::parse(SCHEMA).unwrap();
        let mut out = Vec::new();
        schema.write_json(text, &mut out).map(|()| out)
    }

    fn read(schema: &str, body: &[u8]) -> String {
        let schema = AvroSchema::parse(schema).unwrap();
        let mut reader = Reader::new(&schema, body);
        let mut out = Vec::new();
        reader.json(schema.root(), &mut out).unwrap();
        reader.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_event_is_read_back_as_it_was_written_whatever_its_order() {
        let event = r#"{"list":[{"x":1.0},{"x":-2.5}],"map":{"k\"":"v\n","t":true},"id":-7,"b":"AQI=","e":"B","d":"-1.5"}"#;
        let body = written(event).unwrap();
        assert_eq!(
            read(SCHEMA, &body),
            r#"{"id":-7,"n":null,"e":"B","list":[{"x":1.0},{"x":-2.5}],"map":{"k\"":"v\n","t":true},"b":"AQI=","d":"/2o="}"#
        );
        let least = written(r#"{"id":1,"list":[]}"#).unwrap();
        assert_eq!(
            read(SCHEMA, &least),
            r#"{"id":1,"n":null,"e":"A","list":[],"map":{},"b":null,"d":null}"#
        );
    }

    /// The reference implementation reads the same.
    #[test]
    fn a_body_is_what_avro_itself_reads() {
        let schema = apache_avro::Schema::parse_str(SCHEMA).unwrap();
        let body = written(r#"{"id":5,"n":3,"list":[{"x":1}],"d":12.34}"#).unwrap();
        let mut rest = body.as_slice();
        let value = GenericDatumReader::builder(&schema)
            .build()
            .unwrap()
            .read_value(&mut rest)
            .unwrap();
        assert!(rest.is_empty());
        let apache_avro::types::Value::Record(fields) = value else {
            panic!("no record");
        };
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["id", "n", "e", "list", "map", "b", "d"]);
        assert_eq!(fields[0].1, apache_avro::types::Value::Long(5));
    }

    #[test]
    fn what_does_not_fit_names_its_field() {
        for (event, field, what) in [
            (r#"{"list":[]}"#, "id", "is missing"),
            (
                r#"{"id":1,"list":[{"x":"1"}]}"#,
                "list[0].x",
                "must be a number",
            ),
            (
                r#"{"id":1,"list":[{"x":1e999}]}"#,
                "list[0].x",
                "is beyond what a double holds",
            ),
            (
                r#"{"id":1,"list":[],"d":"1.234"}"#,
                "d",
                "has more digits after the point than its schema's scale",
            ),
            (
                r#"{"id":1,"list":[],"d":"x"}"#,
                "d",
                "must be a decimal: digits, with a point where it has a fraction",
            ),
            (
                r#"{"id":1,"list":[],"map":{"a":"\ud800"}}"#,
                "map.a",
                "holds an escape that is no character (a lone surrogate)",
            ),
        ] {
            let unfit = written(event).unwrap_err();
            assert_eq!(
                (unfit.field.as_str(), unfit.what.as_str()),
                (field, what),
                "{event}"
            );
        }
    }

    #[test]
    fn a_fixed_decimal_has_its_size() {
        let schema = r#"{"type":"record","name":"R","fields":[{"name":"d","type":
            {"type":"fixed","name":"D","size":4,"logicalType":"decimal","precision":9,"scale":1}}]}"#;
        let parsed = AvroSchema::parse(schema).unwrap();
        let mut out = Vec::new();
        parsed.write_json(r#"{"d":-1.5}"#, &mut out).unwrap();
        assert_eq!(out, [0xff, 0xff, 0xff, 0xf1]);
        let unfit = parsed.write_json(r#"{"d":999999999999}"#, &mut out);
        assert!(unfit.unwrap_err().what.contains("fixed size"));
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_avro(n: i64) {
            let mut out = Vec::new();
            long(n, &mut out);
            prop_assert_eq!(read("\"long\"", &out), n.to_string());
        }

        #[test]
        fn a_decimal_is_its_integer(n: i128) {
            let text = n.to_string();
            let bytes = unscaled(Value::Number(&text), 0).unwrap();
            prop_assert!(bytes.len() <= 17);
            let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
            let back = bytes.iter().fold(sign, |n: i128, b| n << 8 | i128::from(*b));
            prop_assert_eq!(back, n);
        }
    }
}
