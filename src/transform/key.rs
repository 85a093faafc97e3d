//! The document's id from a record's key.
//!
//! The key must hold all and only the topic key's columns, none of them null. A column is converted by its
//! *declared* type: what a record's schema adds is how its values are represented, never another text, so
//! that a row keeps its id when the connector's schemas are switched on or off.

use std::ops::Range;
use std::sync::Arc;

use crate::config::{ColumnType, Decimals, TopicSpec};
use crate::decode::{DecodeError, Reason};
use crate::event::{Key, RowSchema};

use super::convert::{Conversion, Fault, Form, Representation, Unresolved, resolve};
use super::id::IdTemplate;
use super::plan::error;
use super::scan::{Members, Value};

/// Reads keys of one topic and writes ids of one template.
#[derive(Debug)]
pub(super) struct KeyReader {
    template: IdTemplate,
    how: Representation,
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
    conversion: Result<Conversion, Unresolved>,
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
        // An id has the same text whatever decimals are in the document.
        let how = Representation::new(topic.format, &topic.reading, Decimals::String);
        let columns = topic.key.iter().map(|name| {
            let declared = topic.columns.get(name).cloned();
            Column {
                name: name.as_str().into(),
                conversion: resolve(declared.as_ref(), None, &how),
                declared,
                seen: false,
            }
        });
        Ok(Self {
            columns: columns.collect(),
            template,
            how,
            schema: None,
            texts: Vec::new(),
            ranges: vec![0..0; topic.key.len()],
            scratch: Vec::new(),
        })
    }

    /// Appends the id of a key.
    pub(super) fn write(&mut self, key: &Key<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let (row, alone) = match key {
            Key::Alone(row) => (row, true),
            Key::Within(row) => (row, false),
        };
        self.use_schema(row.schema.as_ref());
        self.texts.clear();
        for column in &mut self.columns {
            column.seen = false;
        }
        let broken = |_| DecodeError::new(Reason::Malformed, "the key is not a JSON object");
        let mut members = Members::of(&row.object).map_err(broken)?;
        let mut expected = 0;
        while let Some((name, value)) = members.next().map_err(broken)? {
            let mut unescaped = Vec::new();
            let name = if name.escaped {
                name.unescape(&mut unescaped).map_err(broken)?;
                std::str::from_utf8(&unescaped).unwrap_or_default()
            } else {
                name.inner
            };
            let at = match self.find(expected, name) {
                Some(at) => at,
                None if alone => {
                    return Err(DecodeError::new(
                        Reason::Key,
                        format!(
                            "the key has the column `{name}`, which the topic's spec has not in `key`"
                        ),
                    ));
                }
                None => continue,
            };
            self.take(at, value)?;
            expected = at + 1;
        }
        if let Some(missing) = self.columns.iter().find(|c| !c.seen) {
            let name = &missing.name;
            return Err(if alone {
                DecodeError::new(
                    Reason::Key,
                    format!("the key lacks the column `{name}` that the topic's spec has in `key`"),
                )
            } else {
                DecodeError::new(
                    Reason::PartialRow,
                    format!(
                        "the row image lacks the key's column `{name}`: set binlog_row_image=FULL on the captured server, or correct `key` in the topic's spec"
                    ),
                )
            });
        }
        self.template.write(&self.texts, &self.ranges, out);
        Ok(())
    }

    fn find(&self, expected: usize, name: &str) -> Option<usize> {
        if self.columns.get(expected).is_some_and(|c| *c.name == *name) {
            return Some(expected);
        }
        self.columns.iter().position(|c| *c.name == *name)
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
        const NO_VALUE: &str = "is null or no single value, which no row can be found by";
        if matches!(value, Value::Null | Value::Nested(_)) {
            return Err(refused(NO_VALUE));
        }
        let conversion = match &column.conversion {
            Ok(conversion) => conversion,
            Err(why) => return Err(why.error(&column.name, column.declared.as_ref())),
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
            .map_err(|fault| match fault {
                Fault::Null => refused(NO_VALUE),
                fault => error(fault, &column.name, column.declared.as_ref(), None),
            })?;
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
                Some(declared) => resolve(Some(declared), wire, &self.how),
                None => Ok(Conversion::AsIs),
            };
        }
        self.schema = schema.cloned();
    }
}
