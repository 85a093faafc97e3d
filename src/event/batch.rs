//! A batch of versioned writes for one sink, held in one arena so that no write allocates.
//!
//! A batch keeps *every* change that it was given. Where several of them are for one document only the
//! newest is live; the older ones wait behind it (`Write::older`) and are written if the newest is rejected.

use super::fields::{FieldStart, Fields, FieldsIter, PackedName};
use super::{Position, Version};

/// A range of bytes in the batch's arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u32,
    end: u32,
}

/// How a sink wants its documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One JSON object.
    Json,
    /// Names and values, the values as plain text; columns that are NULL are left out.
    Fields,
}

/// What a write does to its document.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// Replaces the document by this JSON object.
    Json(Span),
    /// Replaces the document by these fields.
    Fields(Fields),
    /// Deletes the document.
    Delete,
}

/// One write to one document.
#[derive(Debug, Clone)]
pub struct Write {
    /// The record that it came from.
    pub position: Position,
    /// The version that it carries.
    pub version: Version,
    /// The index, in whatever list the batch's maker keeps, of the record that it came from.
    pub record: u32,
    /// When the source committed it, in milliseconds since 1970; 0 where unknown.
    pub committed_ms: i64,
    /// The write to the same document that this one makes needless once it has landed.
    pub older: Option<u32>,
    id: Span,
    body: Body,
}

/// Writes for one sink.
#[derive(Debug)]
pub struct Batch {
    shape: Shape,
    arena: Vec<u8>,
    writes: Vec<Write>,
}

/// A write in the making: first the id, then the body, then [`Draft::commit`]. Dropped before that, it
/// leaves the batch as it was.
#[derive(Debug)]
pub struct Draft<'b> {
    batch: &'b mut Batch,
    arena_start: usize,
    /// Where the first field begins, and how many there are.
    fields_start: Option<usize>,
    fields: u32,
    id: Span,
    done: bool,
}

// === impl Span ===

impl Span {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Bytes in the span.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it holds nothing.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

// === impl Batch ===

impl Batch {
    /// The most bytes a batch may hold; spans are 32 bits wide.
    pub const MAX_BYTES: usize = 1 << 30;

    /// An empty batch of documents in `shape`.
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            arena: Vec::new(),
            writes: Vec::new(),
        }
    }

    /// Starts a write.
    pub fn draft(&mut self) -> Draft<'_> {
        Draft {
            arena_start: self.arena.len(),
            fields_start: None,
            fields: 0,
            id: Span::default(),
            done: false,
            batch: self,
        }
    }

    /// The shape of its documents.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Every write, live or waiting behind a newer one.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The write at `index`.
    pub fn write_mut(&mut self, index: u32) -> Option<&mut Write> {
        self.writes.get_mut(index as usize)
    }

    /// Bytes in the arena.
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.writes.clear();
    }

    /// The bytes of a span of this batch.
    pub fn slice(&self, span: Span) -> &[u8] {
        self.arena.get(span.range()).unwrap_or_default()
    }

    /// A write's document id or key: UTF-8.
    pub fn id(&self, write: &Write) -> &str {
        std::str::from_utf8(self.slice(write.id)).unwrap_or_default()
    }

    /// What a write does.
    pub fn body<'w>(&self, write: &'w Write) -> &'w Body {
        &write.body
    }

    /// Name and value of each field of a document in [`Shape::Fields`].
    pub fn fields(&self, fields: Fields) -> FieldsIter<'_> {
        FieldsIter::new(self.slice(fields.packed()), fields)
    }
}

// === impl Draft ===

impl Draft<'_> {
    /// Writes the id through `put`, which may only append.
    pub fn id<E>(&mut self, put: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let start = self.batch.arena.len();
        put(&mut self.batch.arena)?;
        self.id = span(start, self.batch.arena.len());
        Ok(())
    }

    /// The arena, to append to.
    pub fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.batch.arena
    }

    /// Begins a field: its value is what is appended to the arena until [`Draft::end_field`].
    pub fn begin_field(&mut self, name: &PackedName) -> FieldStart {
        let field = FieldStart::new(name, &mut self.batch.arena);
        self.fields_start.get_or_insert(field.name);
        field
    }

    /// Ends a field, whose value is all that was appended since it began.
    pub fn end_field(&mut self, field: &FieldStart) {
        field.end(&mut self.batch.arena);
        self.fields += 1;
    }

    /// Forgets a field and what was appended since it began.
    pub fn drop_field(&mut self, field: &FieldStart) {
        self.batch.arena.truncate(field.name);
    }

    /// Ends the write with a JSON object that was appended since `start`.
    pub fn commit_json(self, start: usize, write: Origin) -> u32 {
        let body = Body::Json(span(start, self.batch.arena.len()));
        self.commit(body, write)
    }

    /// Ends the write with its fields, after which nothing may have been appended.
    pub fn commit_fields(self, write: Origin) -> u32 {
        let end = self.batch.arena.len();
        let fields = Fields {
            span: span(self.fields_start.unwrap_or(end), end),
            count: self.fields,
        };
        self.commit(Body::Fields(fields), write)
    }

    /// Ends the write as a delete.
    pub fn commit_delete(self, write: Origin) -> u32 {
        self.commit(Body::Delete, write)
    }

    fn commit(mut self, body: Body, origin: Origin) -> u32 {
        self.done = true;
        let at = index(self.batch.writes.len());
        self.batch.writes.push(Write {
            position: origin.position,
            version: origin.version,
            record: origin.record,
            committed_ms: origin.committed_ms,
            older: None,
            id: self.id,
            body,
        });
        at
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.batch.arena.truncate(self.arena_start);
        }
    }
}

/// What a write inherits from its record.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The record's place.
    pub position: Position,
    /// The record's version.
    pub version: Version,
    /// The record's index in the list that the batch's maker keeps.
    pub record: u32,
    /// When the source committed it, in milliseconds since 1970; 0 where unknown.
    pub committed_ms: i64,
}

fn span(start: usize, end: usize) -> Span {
    Span {
        start: index(start),
        end: index(end),
    }
}

/// Batches are cut long before [`Batch::MAX_BYTES`], which is below `u32::MAX`.
fn index(n: usize) -> u32 {
    debug_assert!(n <= Batch::MAX_BYTES);
    u32::try_from(n).unwrap_or(u32::MAX)
}
