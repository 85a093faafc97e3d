//! Kafka Connect's schema as its JSON converter writes it into every record. A schema of a few kilobytes is
//! the same from record to record, so its text is compared with those known and parsed only when it is new.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::{DecodeError, Reason, connect};
use crate::event::{RowSchema, WireType};

/// Schemas kept. Partitions of one topic show an ALTER at different times, so a worker meets the old and the
/// new one in turns; more than a handful at once is not seen.
const KNOWN: usize = 8;

/// Which of a record's two schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A structure of the key's columns.
    Key,
    /// The envelope's, with the row's structure as its field `after`.
    Value,
}

/// The schemas met last, the latest first.
#[derive(Debug)]
pub(super) struct KnownSchemas {
    side: Side,
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    text: Box<str>,
    schema: Option<Arc<RowSchema>>,
}

/// A field of a schema, or a schema.
#[derive(Deserialize)]
struct Field<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    field: Cow<'a, str>,
    #[serde(default)]
    name: Option<Cow<'a, str>>,
    #[serde(default)]
    fields: Vec<Field<'a>>,
    #[serde(default)]
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    scale: Option<String>,
    #[serde(default)]
    length: Option<String>,
}

// === impl KnownSchemas ===

impl KnownSchemas {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            known: Vec::new(),
        }
    }

    /// Takes a wrapped text apart without reading its schema, where that is one of those known. The payload's
    /// text is what remains between, and is yet to be read.
    pub(super) fn split<'a>(&mut self, text: &'a str) -> Option<(Option<Arc<RowSchema>>, &'a str)> {
        let rest = text.strip_prefix(r#"{"schema":"#)?;
        let (at, payload) = self.known.iter().enumerate().find_map(|(i, known)| {
            let rest = rest.strip_prefix(&*known.text)?;
            let rest = rest.strip_prefix(r#","payload":"#)?;
            Some((i, rest.trim_ascii_end().strip_suffix('}')?))
        })?;
        Some((self.take(at), payload))
    }

    /// The row's schema in a schema's text; `None` where it describes no row (a heartbeat's).
    pub(super) fn get(&mut self, raw: &RawValue) -> Result<Option<Arc<RowSchema>>, DecodeError> {
        let at = self
            .known
            .iter()
            .position(|known| *known.text == *raw.get());
        if let Some(at) = at {
            return Ok(self.take(at));
        }
        let schema = parse(raw.get(), self.side)?.map(Arc::new);
        self.known.truncate(KNOWN - 1);
        self.known.insert(
            0,
            Known {
                text: raw.get().into(),
                schema: schema.clone(),
            },
        );
        Ok(schema)
    }

    fn take(&mut self, at: usize) -> Option<Arc<RowSchema>> {
        self.known.get_mut(..=at)?.rotate_right(1);
        self.known.first()?.schema.clone()
    }
}

fn parse(text: &str, side: Side) -> Result<Option<RowSchema>, DecodeError> {
    let root: Field<'_> = serde_json::from_str(text).map_err(|e| {
        let at = e.column();
        let which = side.name();
        DecodeError::new(
            side.reason(),
            format!("the {which}'s `schema` is not Kafka Connect's (column {at} of it)"),
        )
    })?;
    let row = match side {
        Side::Key => &root.fields,
        Side::Value => match root.fields.iter().find(|f| f.field == "after") {
            Some(after) => &after.fields,
            None => return Ok(None),
        },
    };
    let columns = row
        .iter()
        .map(|f| Ok((f.field.as_ref().into(), wire_type(f, side)?)))
        .collect::<Result<_, DecodeError>>()?;
    Ok(Some(RowSchema::new(columns)))
}

/// The logical type where it has a name that is known, else the type under it.
fn wire_type(field: &Field<'_>, side: Side) -> Result<WireType, DecodeError> {
    let parameters = field.parameters.as_ref();
    let name = field.name.as_deref().unwrap_or_default();
    let scale = parameters.and_then(|p| p.scale.as_deref());
    let length = parameters.and_then(|p| p.length.as_deref());
    if let Some(logical) = connect::logical(name, scale, length) {
        return logical.map_err(|parameter| without(field, parameter, side));
    }
    Ok(match field.kind.as_ref() {
        "int8" | "int16" | "int32" | "int64" => WireType::Integer,
        "float" | "double" => WireType::Float,
        "boolean" => WireType::Boolean,
        "string" => WireType::Text,
        "bytes" => WireType::Bytes,
        _ => WireType::Nested,
    })
}

fn without(field: &Field<'_>, parameter: &str, side: Side) -> DecodeError {
    let (column, which) = (&field.field, side.name());
    DecodeError::new(
        side.reason(),
        format!("the {which}'s `schema` gives column `{column}` no usable `{parameter}`"),
    )
}

// === impl Side ===

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
        }
    }

    fn reason(self) -> Reason {
        match self {
            Self::Key => Reason::Key,
            Self::Value => Reason::Envelope,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"type":"struct","fields":[{"type":"struct","fields":[{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"4","connect.decimal.precision":"20"},"field":"d"},{"type":"bytes","name":"io.debezium.data.Bits","version":1,"parameters":{"length":"13"},"field":"b"},{"type":"struct","name":"io.debezium.data.geometry.Point","fields":[{"type":"double","field":"x"}],"field":"p"},{"type":"string","name":"io.debezium.time.IsoDate","field":"i"}],"field":"after"}],"name":"x.Envelope"}"#;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn logical_types_come_by_name_with_their_parameters() {
        let schema = KnownSchemas::new(Side::Value)
            .get(&raw(TEXT))
            .unwrap()
            .unwrap();
        assert_eq!(schema.get("d"), Some(&WireType::Decimal { scale: 4 }));
        assert_eq!(schema.get("b"), Some(&WireType::Bits { length: 13 }));
        assert_eq!(schema.get("p"), Some(&WireType::Nested));
        assert_eq!(schema.get("i"), Some(&WireType::Text));
        assert_eq!(schema.get("x"), None);
    }

    #[test]
    fn a_schema_that_repeats_is_parsed_once_and_split_off_by_its_text() {
        let mut known = KnownSchemas::new(Side::Value);
        let wrapped = format!("{{\"schema\":{TEXT},\"payload\":{{\"op\":\"c\"}}}}\n");
        assert!(known.split(&wrapped).is_none());
        let first = known.get(&raw(TEXT)).unwrap().unwrap();
        let (again, payload) = known.split(&wrapped).unwrap();
        assert!(Arc::ptr_eq(&first, &again.unwrap()));
        assert_eq!(payload, r#"{"op":"c"}"#);
        assert!(Arc::ptr_eq(
            &first,
            &known.get(&raw(TEXT)).unwrap().unwrap()
        ));
    }

    #[test]
    fn more_schemas_than_are_kept_push_the_oldest_out() {
        let mut known = KnownSchemas::new(Side::Key);
        for i in 0..KNOWN + 3 {
            let text =
                format!(r#"{{"type":"struct","fields":[{{"type":"int32","field":"c{i}"}}]}}"#);
            let schema = known.get(&raw(&text)).unwrap().unwrap();
            assert_eq!(schema.get(&format!("c{i}")), Some(&WireType::Integer));
        }
        assert_eq!(known.known.len(), KNOWN);
    }

    #[test]
    fn what_is_not_connects_schema_is_an_error() {
        for text in [
            "5",
            "{}",
            r#"{"type":5}"#,
            r#"{"type":"struct","fields":5}"#,
        ] {
            let error = KnownSchemas::new(Side::Key).get(&raw(text)).unwrap_err();
            assert_eq!(error.reason, Reason::Key, "{text}");
        }
        let deep = format!(
            "{}{}{}",
            r#"{"type":"struct","fields":["#.repeat(50_000),
            r#"{"type":"int32"}"#,
            "]}".repeat(50_000)
        );
        assert!(KnownSchemas::new(Side::Key).get(&raw(&deep)).is_err());
        let scale = TEXT.replace(r#""scale":"4""#, r#""scale":"-4""#);
        assert!(KnownSchemas::new(Side::Value).get(&raw(&scale)).is_err());
    }
}
