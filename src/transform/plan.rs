//! What to do with each column of a row, worked out when the column is first met.
//!
//! A plan belongs to one schema (or to none) and remembers which column came after which, so that a row like
//! the one before needs no look-up by name.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::config::{ColumnType, DocumentSpec, Mask, OnNewColumn, TopicSpec};
use crate::decode::{DecodeError, Reason};
use crate::event::{PackedName, RowSchema};

use super::convert::{Conversion, Fault, MAX_DEPTH, Representation, resolve};
use super::scan::{Member, Str};

/// Fields that the lane itself puts beside a row's.
const RESERVED: [&str; 3] = ["_v", "_deleted", "_deleted_at"];
/// Fields that a document may have, nested ones counted: Elasticsearch's own default for an index.
pub(super) const MAX_FIELDS: usize = 1000;
/// Columns remembered. MySQL has at most 4,096 in a table; where more names than that come and go, the plan is
/// made anew.
const MAX_COLUMNS: usize = 4096;

/// What the topic and the pipeline say of columns.
#[derive(Debug)]
pub(super) struct Rules {
    declared: HashMap<Box<str>, Option<ColumnType>>,
    document: DocumentSpec,
    how: Representation,
    /// What becomes of a column that is not declared; [`OnNewColumn::Map`] where none is.
    on_new_column: OnNewColumn,
}

/// The columns met so far.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) schema: Option<Arc<RowSchema>>,
    columns: Vec<Column>,
    by_name: HashMap<Box<str>, usize>,
    /// The number of the row in hand; a column seen in it bears it.
    row: u64,
    /// Columns that a row must have.
    required: usize,
    /// Those that it has not shown yet.
    missing: usize,
    /// The column before the one to come, if any.
    previous: Option<usize>,
    /// The column that was a row's first.
    first: usize,
}

/// One column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: Box<str>,
    member: Member,
    declared: Option<ColumnType>,
    /// What the record's own schema says that it is.
    own: Option<String>,
    pub(super) action: Action,
    /// The column that came after it.
    next: usize,
    seen: u64,
    required: bool,
}

/// What becomes of a column.
#[derive(Debug)]
pub(super) enum Action {
    Omit,
    Write {
        /// The field's name, packed and as a JSON member's beginning.
        field: Field,
        conversion: Conversion,
        mask: Option<Mask>,
    },
    Refuse(DecodeError),
}

/// A field's name.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) packed: PackedName,
    /// `,"name":`
    pub(super) json: Box<[u8]>,
}

// === impl Rules ===

impl Rules {
    pub(super) fn new(topic: &TopicSpec, document: &DocumentSpec) -> Result<Self, String> {
        let mut declared: HashMap<Box<str>, Option<ColumnType>> = topic
            .columns
            .iter()
            .map(|(name, kind)| (name.as_str().into(), Some(kind.clone())))
            .collect();
        for name in &topic.key {
            declared.entry(name.as_str().into()).or_insert(None);
        }
        let rules = Self {
            declared,
            document: document.clone(),
            how: Representation::new(topic.format, &topic.reading, document.decimals),
            on_new_column: if topic.columns.is_empty() {
                OnNewColumn::Map
            } else {
                topic.reading.on_new_column
            },
        };
        let mut columns: Vec<&str> = rules.declared.keys().map(|name| &**name).collect();
        columns.extend(document.rename.keys().map(String::as_str));
        columns.sort_unstable();
        columns.dedup();
        columns
            .into_iter()
            .try_for_each(|name| rules.field(name).map(drop))?;
        Ok(rules)
    }

    /// The name of a column's field; `None` where it is left out.
    fn field<'n>(&'n self, column: &'n str) -> Result<Option<&'n str>, String> {
        let DocumentSpec { rename, omit, .. } = &self.document;
        if omit.contains(column) {
            return Ok(None);
        }
        let renamed = rename.get(column);
        let field = renamed.map_or(column, String::as_str);
        let other = rename
            .iter()
            .find(|(from, to)| *to == field && *from != column && !omit.contains(*from));
        match (renamed, other) {
            _ if RESERVED.contains(&field) => Err(format!(
                "the column `{column}` would be the field `{field}`, which is the lane's own: rename the column in the pipeline's [document], or omit it"
            )),
            (_, Some((from, _))) => Err(format!(
                "the columns `{column}` and `{from}` would both be the field `{field}`: rename one of them otherwise in the pipeline's [document]"
            )),
            (_, None) => Ok(Some(field)),
        }
    }

    /// What to do with a column.
    fn column(&self, name: &str, schema: Option<&RowSchema>) -> Column {
        let known = self.declared.get(name);
        let declared = known.cloned().flatten();
        let wire = schema.and_then(|s| s.get(name));
        let new = known.is_none().then_some(self.on_new_column);
        let resolved = resolve(declared.as_ref(), wire, &self.how);
        let action = match (self.field(name), new, resolved) {
            (Ok(None), _, Ok(_)) | (_, Some(OnNewColumn::Ignore), _) => Action::Omit,
            (_, Some(OnNewColumn::DeadLetter), _) => Action::Refuse(DecodeError::new(
                Reason::NewColumn,
                format!(
                    "the row has the column `{name}`, which the topic's spec does not declare: add it under [columns]"
                ),
            )),
            (Err(detail), _, _) => Action::Refuse(DecodeError::new(Reason::FieldName, detail)),
            (_, _, Err(why)) => Action::Refuse(why.error(name, declared.as_ref())),
            (Ok(Some(field)), None | Some(OnNewColumn::Map), Ok(conversion)) => Action::Write {
                field: Field::new(field),
                conversion,
                mask: self.document.mask.get(name).copied(),
            },
        };
        let of_schema = schema.filter(|s| s.is_complete()).and(wire);
        Column {
            name: name.into(),
            member: Member::new(name),
            own: wire.map(|wire| wire.name()),
            required: known.is_some() || of_schema.is_some(),
            declared,
            action,
            next: 0,
            seen: 0,
        }
    }

    /// The columns that a row of this schema must have.
    fn required<'n>(&'n self, schema: Option<&'n RowSchema>) -> impl Iterator<Item = &'n str> {
        let complete = schema.filter(|s| s.is_complete());
        let own = complete.into_iter().flat_map(RowSchema::names);
        let declared = self.declared.keys().map(|name| &**name);
        declared.chain(own.filter(|name| !self.declared.contains_key(*name)))
    }
}

// === impl Field ===

impl Field {
    fn new(name: &str) -> Self {
        Self {
            packed: PackedName::new(name),
            json: [b",", Member::new(name).text()].concat().into(),
        }
    }
}

// === impl Plan ===

impl Plan {
    pub(super) fn new(schema: Option<Arc<RowSchema>>, rules: &Rules) -> Self {
        Self {
            required: rules.required(schema.as_deref()).count(),
            schema,
            columns: Vec::new(),
            by_name: HashMap::new(),
            row: 0,
            missing: 0,
            previous: None,
            first: 0,
        }
    }

    /// Columns remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether it is for this schema.
    pub(super) fn is_for(&self, schema: Option<&Arc<RowSchema>>) -> bool {
        match (&self.schema, schema) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// A row begins.
    pub(super) fn begin(&mut self) {
        if self.columns.len() + MAX_FIELDS > MAX_COLUMNS {
            self.columns.clear();
            self.by_name.clear();
        }
        self.row += 1;
        self.missing = self.required;
        self.previous = None;
    }

    /// The place of the column that came after the last one in the row before.
    #[inline]
    fn expected_at(&self) -> usize {
        match self.previous.and_then(|at| self.columns.get(at)) {
            Some(previous) => previous.next,
            None => self.first,
        }
    }

    /// How a row has the column that is expected next.
    #[inline]
    pub(super) fn expected(&self) -> Option<&Member> {
        Some(&self.columns.get(self.expected_at())?.member)
    }

    /// The expected column has come.
    #[inline]
    pub(super) fn take_expected(&mut self) -> Result<&Column, DecodeError> {
        self.take(self.expected_at())
    }

    /// The row's next column, which is not the expected one.
    pub(super) fn next(&mut self, name: Str<'_>, rules: &Rules) -> Result<&Column, DecodeError> {
        let at = self.find(name, rules)?;
        self.take(at)
    }

    #[inline]
    fn take(&mut self, at: usize) -> Result<&Column, DecodeError> {
        self.previous = Some(at);
        let row = self.row;
        let Some(column) = self.columns.get_mut(at) else {
            return Err(DecodeError::new(Reason::Malformed, "a column went missing"));
        };
        if std::mem::replace(&mut column.seen, row) == row {
            let detail = format!("the row has the column `{}` twice", column.name);
            return Err(DecodeError::new(Reason::Envelope, detail));
        }
        self.missing -= usize::from(column.required);
        Ok(column)
    }

    /// The row ended.
    pub(super) fn end(&self, rules: &Rules) -> Result<(), DecodeError> {
        if self.missing == 0 {
            return Ok(());
        }
        let seen = |name: &str| {
            let at = self.by_name.get(name);
            at.and_then(|at| self.columns.get(*at))
                .is_some_and(|column| column.seen == self.row)
        };
        let required = rules.required(self.schema.as_deref());
        let missing = required.filter(|name| !seen(name)).min();
        Err(DecodeError::new(
            Reason::PartialRow,
            format!(
                "the row image lacks the column `{}`: set binlog_row_image=FULL on the captured server, or take the column out of the topic's spec if the table has lost it",
                missing.unwrap_or_default()
            ),
        ))
    }

    /// A column that did not come where it came before, perhaps a new one.
    #[cold]
    fn find(&mut self, name: Str<'_>, rules: &Rules) -> Result<usize, DecodeError> {
        let mut text = Vec::new();
        name.unescape(&mut text)
            .map_err(|_| no_text("a column's name"))?;
        let name = std::str::from_utf8(&text).map_err(|_| no_text("a column's name"))?;
        let at = match self.by_name.get(name) {
            Some(at) => *at,
            None => {
                let at = self.columns.len();
                self.columns
                    .push(rules.column(name, self.schema.as_deref()));
                self.by_name.insert(name.into(), at);
                at
            }
        };
        match self.previous.and_then(|at| self.columns.get_mut(at)) {
            Some(previous) => previous.next = at,
            None => self.first = at,
        }
        Ok(at)
    }
}

// === impl Column ===

impl Column {
    /// The error for a value of this column.
    #[cold]
    pub(super) fn error(&self, fault: Fault) -> DecodeError {
        let own = self.own.as_deref();
        error(fault, &self.name, self.declared.as_ref(), own)
    }
}

/// The error for a value of a column.
pub(super) fn error(
    fault: Fault,
    column: &str,
    declared: Option<&ColumnType>,
    own: Option<&str>,
) -> DecodeError {
    match fault {
        // Where null is no answer, the zeros are a value.
        Fault::Null => error(Fault::Mismatch("a date of zeros"), column, declared, own),
        Fault::Mismatch(found) => {
            let expected = match (declared, own) {
                (Some(declared), _) => format!(
                    "is declared {declared} but the record holds {found}: correct the topic's spec under [columns]"
                ),
                (None, Some(own)) => {
                    format!("is {own} by the record's own schema but the record holds {found}")
                }
                (None, None) => format!("holds {found}"),
            };
            DecodeError::new(
                Reason::ColumnType,
                format!("the column `{column}` {expected}"),
            )
        }
        Fault::Broken => no_text(&format!("the column `{column}`")),
        Fault::Depth => DecodeError::new(
            Reason::Limit,
            format!("the column `{column}` nests deeper than the {MAX_DEPTH} levels allowed"),
        ),
        Fault::Unavailable => DecodeError::new(
            Reason::PartialRow,
            format!(
                "the row image has no value of the column `{column}`: set binlog_row_image=FULL on the captured server"
            ),
        ),
    }
}

fn no_text(what: &str) -> DecodeError {
    DecodeError::new(
        Reason::Malformed,
        format!("{what} holds an escape that is no character (a lone surrogate)"),
    )
}
