//! The document's id from a record's key.
//!
//! The key must hold all and only the topic key's columns, none of them null. A column is converted by its
//! *declared* type: what a record's schema adds is how its values are represented, never another text, so
//! that a row keeps its id when the connector's schemas are switched on or off.

use std::ops::Range;
use std::sync::Arc;

use crate::config::{ColumnType, TopicSpec};
use crate::decode::{DecodeError, Reason};
use crate::event::{Key, RowSchema, WireType};

use super::convert::{Conversion, Form, resolve};
use super::id::IdTemplate;
use super::plan::{contradiction, error};
use super::scan::{Members, Value};

/// Reads keys of one topic and writes ids of one template.
#[derive(Debug)]
pub(super) struct KeyReader {
    template: IdTemplate,
    columns: Box<[Column]>,
    /// The schema that the conversions are for.
    schema: Option<Arc<RowSchema>>,
    texts: Vec<u8>,
    ranges: Vec<Range<usize>>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Column {
    name: Box<str>,
    declared: Option<ColumnType>,
    conversion: Result<Conversion, WireType>,
    seen: bool,
}

// === impl KeyReader ===

impl KeyReader {
    pub(super) fn new(topic: &TopicSpec, template: IdTemplate) -> Result<Self, String> {
        if !template.columns().eq(topic.key.iter().map(String::as_str)) {
            return Err(format!(
                "the id template was made for other columns than the key of topic `{}`",
                topic.name
            ));
        }
        let columns = topic.key.iter().map(|name| {
            let declared = topic.columns.get(name).cloned();
            Column {
                name: name.as_str().into(),
                conversion: resolve(declared.as_ref(), None),
                declared,
                seen: false,
            }
        });
        Ok(Self {
            template,
            columns: columns.collect(),
            schema: None,
            texts: Vec::new(),
            ranges: vec![0..0; topic.key.len()],
            scratch: Vec::new(),
        })
    }

    /// Appends the id of a key.
    pub(super) fn write(&mut self, key: &Key<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let Key(row) = key;
        self.use_schema(row.schema.as_ref());
        self.texts.clear();
        for column in &mut self.columns {
            column.seen = false;
        }
        let broken = |_| DecodeError::new(Reason::Malformed, "the key is not a JSON object");
        let mut members = Members::of(row.object.get()).map_err(broken)?;
        let mut expected = 0;
        while let Some((name, value)) = members.next().map_err(broken)? {
            let mut unescaped = Vec::new();
            let name = if name.escaped {
                name.unescape(&mut unescaped).map_err(broken)?;
                std::str::from_utf8(&unescaped).unwrap_or_default()
            } else {
                name.inner
            };
            let at = self.find(expected, name)?;
            self.take(at, value)?;
            expected = at + 1;
        }
        if let Some(missing) = self.columns.iter().find(|c| !c.seen) {
            return Err(DecodeError::new(
                Reason::Key,
                format!(
                    "the key lacks the column `{}` that the topic's spec has in `key`",
                    missing.name
                ),
            ));
        }
        self.template.write(&self.texts, &self.ranges, out);
        Ok(())
    }

    fn find(&self, expected: usize, name: &str) -> Result<usize, DecodeError> {
        if self.columns.get(expected).is_some_and(|c| *c.name == *name) {
            return Ok(expected);
        }
        self.columns
            .iter()
            .position(|c| *c.name == *name)
            .ok_or_else(|| {
                DecodeError::new(
                    Reason::Key,
                    format!(
                        "the key has the column `{name}`, which the topic's spec has not in `key`"
                    ),
                )
            })
    }

    fn take(&mut self, at: usize, value: Value<'_>) -> Result<(), DecodeError> {
        let (Some(column), Some(range)) = (self.columns.get_mut(at), self.ranges.get_mut(at))
        else {
            return Ok(());
        };
        let refused = |what: &str| {
            DecodeError::new(
                Reason::Key,
                format!("the key's column `{}` {what}", column.name),
            )
        };
        if std::mem::replace(&mut column.seen, true) {
            return Err(refused("is there twice"));
        }
        if matches!(value, Value::Null | Value::Nested(_)) {
            return Err(refused(
                "is null or no single value, which no row can be found by",
            ));
        }
        let conversion = match &column.conversion {
            Ok(conversion) => conversion,
            Err(wire) => {
                return Err(contradiction(&column.name, column.declared.as_ref(), *wire));
            }
        };
        let start = self.texts.len();
        conversion
            .write(
                value,
                Form::Text,
                &mut self.scratch,
                &mut 0,
                &mut self.texts,
            )
            .map_err(|fault| error(fault, &column.name, column.declared.as_ref(), None))?;
        *range = start..self.texts.len();
        Ok(())
    }

    fn use_schema(&mut self, schema: Option<&Arc<RowSchema>>) {
        let same = match (&self.schema, schema) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if same {
            return;
        }
        for column in &mut self.columns {
            let wire = schema.and_then(|s| s.get(&column.name));
            column.conversion = match &column.declared {
                Some(declared) => resolve(Some(declared), wire),
                None => Ok(Conversion::AsIs),
            };
        }
        self.schema = schema.cloned();
    }
}
