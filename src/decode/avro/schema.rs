//! A schema as the reader walks it: nodes that name one another by number, so that a record may hold itself.

use std::sync::Arc;

use crate::event::{RowSchema, WireType};
use crate::transform::scan;

/// A parsed schema.
#[derive(Debug)]
pub struct AvroSchema {
    pub(super) nodes: Vec<Node>,
    pub(super) root: usize,
}

/// A type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// A named type that is being read; none is left in a whole schema.
    Open,
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Box<[Box<str>]>),
    Array(usize),
    Map(usize),
    Union(Box<[usize]>),
    Record(Box<[Field]>),
}

/// A record's field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: Box<str>,
    /// `"name":`
    pub(super) json: Box<[u8]>,
    pub(crate) node: usize,
    /// How its values are represented in JSON.
    pub(super) wire: WireType,
    /// Its default as JSON, in that representation.
    pub(super) default: Option<Box<str>>,
}

// === impl AvroSchema ===

impl AvroSchema {
    /// Parses a schema's JSON.
    ///
    /// # Errors
    /// One sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        super::compile::compile(text)
    }

    pub(crate) fn root(&self) -> usize {
        self.root
    }

    pub(crate) fn node(&self, at: usize) -> &Node {
        // Numbers come from the compiler alone.
        self.nodes.get(at).unwrap_or(&Node::Open)
    }

    /// The fields of a record, or of the record that may be null.
    pub(crate) fn record(&self, at: usize) -> Option<&[Field]> {
        match self.node(at) {
            Node::Record(fields) => Some(fields),
            Node::Union(branches) => {
                let mut records = branches.iter().filter_map(|at| match self.node(*at) {
                    Node::Record(fields) => Some(&**fields),
                    _ => None,
                });
                records.next().filter(|_| records.next().is_none())
            }
            _ => None,
        }
    }

    /// The columns' types of a record's JSON.
    pub(crate) fn row_schema(fields: &[Field]) -> Arc<RowSchema> {
        let columns = fields.iter();
        let columns = columns.map(|field| (field.name.clone(), field.wire.clone()));
        Arc::new(RowSchema::new(columns.collect()))
    }

    /// Whether null is a value of the type.
    pub(super) fn takes_null(&self, at: usize) -> bool {
        match self.node(at) {
            Node::Null => true,
            Node::Union(branches) => branches.iter().any(|at| *self.node(*at) == Node::Null),
            _ => false,
        }
    }
}

// === impl Field ===

impl Field {
    pub(super) fn new(name: &str, node: usize, wire: WireType, default: Option<Box<str>>) -> Self {
        let mut json = b"\"".to_vec();
        scan::escape(name, &mut json);
        json.extend_from_slice(b"\":");
        Self {
            name: name.into(),
            json: json.into(),
            node,
            wire,
            default,
        }
    }

    /// `"name":default`, where it has a default.
    pub(crate) fn default_member(&self, out: &mut Vec<u8>) -> bool {
        let Some(default) = &self.default else {
            return false;
        };
        out.extend_from_slice(&self.json);
        out.extend_from_slice(default.as_bytes());
        true
    }
}
