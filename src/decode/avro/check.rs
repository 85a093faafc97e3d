//! Whether a plain JSON value is one of a schema: as people write JSON, not in Avro's own JSON encoding, so a
//! union's value stands alone and bytes are base64.

use std::fmt;

use serde_json::value::RawValue;

use super::schema::{AvroSchema, Field, Node};
use crate::event::WireType;
use crate::transform::scan::{self, Members, Value};

/// Levels of nesting that are looked into.
const MAX_DEPTH: usize = 64;

/// What of an event is not as its schema says. It holds no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The field's path, such as `items[2].price`; empty where it is the event itself.
    pub field: String,
    /// What is wrong with it: a predicate, such as "must be a text".
    pub what: String,
}

// === impl AvroSchema ===

impl AvroSchema {
    /// Checks a JSON text that is valid as JSON.
    ///
    /// # Errors
    /// The field at fault, never its value.
    pub fn check_json(&self, text: &str) -> Result<(), Unfit> {
        let value = scan::value(text).map_err(|_| Unfit::json(""))?;
        self.check(self.root, None, value, "", 0)
    }

    pub(super) fn check(
        &self,
        at: usize,
        wire: Option<&WireType>,
        value: Value<'_>,
        path: &str,
        depth: usize,
    ) -> Result<(), Unfit> {
        if depth > MAX_DEPTH {
            return Err(Unfit::new(
                path,
                format!("nests deeper than {MAX_DEPTH} levels"),
            ));
        }
        let wrong = |expected: &str| Err(Unfit::new(path, format!("must be {expected}")));
        match (self.node(at), value) {
            (Node::Null, Value::Null) | (Node::Boolean, Value::Bool(_)) => Ok(()),
            (Node::Float | Node::Double, Value::Number(_)) | (Node::String, Value::String(_)) => {
                Ok(())
            }
            (Node::Int, Value::Number(n)) if n.parse::<i32>().is_ok() => Ok(()),
            (Node::Long, Value::Number(n)) if n.parse::<i64>().is_ok() => Ok(()),
            // What the digits are the conversion checks, against the scale.
            (Node::Bytes | Node::Fixed(_), Value::Number(_) | Value::String(_))
                if matches!(wire, Some(WireType::Decimal { .. })) =>
            {
                Ok(())
            }
            (Node::Bytes, Value::String(text)) if base64_len(text.inner).is_some() => Ok(()),
            (Node::Fixed(size), Value::String(text)) if base64_len(text.inner) == Some(*size) => {
                Ok(())
            }
            (Node::Enum(symbols), Value::String(text)) if symbols.iter().any(|s| text.is(s)) => {
                Ok(())
            }
            (Node::Array(item), Value::Nested(nested)) if nested.starts_with('[') => {
                let items: Vec<&RawValue> =
                    serde_json::from_str(nested).map_err(|_| Unfit::json(path))?;
                for (i, raw) in items.iter().enumerate() {
                    let path = format!("{path}[{i}]");
                    let value = scan::value(raw.get()).map_err(|_| Unfit::json(&path))?;
                    self.check(*item, None, value, &path, depth + 1)?;
                }
                Ok(())
            }
            (Node::Map(item), Value::Nested(nested)) if nested.starts_with('{') => {
                let mut members = Members::of(nested).map_err(|_| Unfit::json(path))?;
                while let Some((name, value)) = members.next().map_err(|_| Unfit::json(path))? {
                    let path = join(path, name.inner);
                    self.check(*item, None, value, &path, depth + 1)?;
                }
                Ok(())
            }
            (Node::Record(fields), Value::Nested(nested)) if nested.starts_with('{') => {
                self.fields(fields, nested, path, depth)
            }
            (Node::Union(branches), value) => {
                let mut first = None;
                for branch in branches {
                    match self.check(*branch, wire, value, path, depth + 1) {
                        Ok(()) => return Ok(()),
                        // Of null's branch the complaint says least.
                        Err(_) if *self.node(*branch) == Node::Null => {}
                        Err(wrong) => first = first.or(Some(wrong)),
                    }
                }
                Err(first.unwrap_or_else(|| Unfit::new(path, "must be null")))
            }
            (Node::Open, _) => wrong("of a type that is defined"),
            (Node::Null, _) => wrong("null"),
            (Node::Boolean, _) => wrong("true or false"),
            (Node::Int, _) => wrong("an integer of 32 bits"),
            (Node::Long, _) => wrong("an integer of 64 bits"),
            (Node::Float | Node::Double, _) => wrong("a number"),
            (Node::Bytes, _) => wrong("bytes in base64"),
            (Node::Fixed(size), _) => wrong(&format!("{size} bytes in base64")),
            (Node::String, _) => wrong("a text"),
            (Node::Enum(symbols), _) => wrong(&format!("one of {}", symbols.join(", "))),
            (Node::Array(_), _) => wrong("a list"),
            (Node::Map(_) | Node::Record(_), _) => wrong("an object"),
        }
    }

    fn fields(&self, fields: &[Field], text: &str, path: &str, depth: usize) -> Result<(), Unfit> {
        let mut seen = vec![false; fields.len()];
        let mut members = Members::of(text).map_err(|_| Unfit::json(path))?;
        while let Some((name, value)) = members.next().map_err(|_| Unfit::json(path))? {
            let found = fields.iter().zip(&mut seen).find(|(f, _)| name.is(&f.name));
            let path = join(path, name.inner);
            let Some((field, seen)) = found else {
                return Err(Unfit::new(&path, "is not in the schema"));
            };
            if std::mem::replace(seen, true) {
                return Err(Unfit::new(&path, "is there twice"));
            }
            self.check(field.node, Some(&field.wire), value, &path, depth + 1)?;
        }
        let missing = fields
            .iter()
            .zip(seen)
            .find(|(field, seen)| !seen && field.default.is_none() && !self.takes_null(field.node));
        match missing {
            None => Ok(()),
            Some((field, _)) => Err(Unfit::new(&join(path, &field.name), "is missing")),
        }
    }
}

// === impl Unfit ===

impl Unfit {
    pub(super) fn new(field: &str, what: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            what: what.into(),
        }
    }

    /// The text was checked as JSON before; what cannot be walked all the same is refused.
    pub(super) fn json(field: &str) -> Self {
        Self::new(field, "is not JSON")
    }
}

impl std::error::Error for Unfit {}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, what } = self;
        if field.is_empty() {
            write!(f, "the event {what}")
        } else {
            write!(f, "the field `{field}` {what}")
        }
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn base64_len(text: &str) -> Option<usize> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    bytes.ok().map(|bytes| bytes.len())
}
