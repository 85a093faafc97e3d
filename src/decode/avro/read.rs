//! Walks a body by its schema: what is wanted becomes JSON text, the rest is skipped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Wrong;
use super::schema::{AvroSchema, Node};
use crate::transform::scan;

/// Levels of nesting: as many as a document may have.
const MAX_DEPTH: usize = 64;
/// Items of all arrays and maps of a body. An item may take no byte of it (null is written as nothing), so its
/// length bounds nothing.
const MAX_ITEMS: usize = 1 << 20;
/// The most JSON text of one body, in bytes: what one record may make the lane allocate beyond its own bytes.
const MAX_TEXT: usize = 8 << 20;

const TOO_DEEP: Wrong = Wrong::Limit("64 levels of nesting");
const TOO_MANY: Wrong = Wrong::Limit("1,048,576 items in arrays and maps");
const TOO_LONG: Wrong = Wrong::Limit("8 MiB of text");

/// A body in the reading.
pub(crate) struct Reader<'s, 'b> {
    schema: &'s AvroSchema,
    rest: &'b [u8],
    items: usize,
}

// === impl Reader ===

impl<'s, 'b> Reader<'s, 'b> {
    pub(crate) fn new(schema: &'s AvroSchema, body: &'b [u8]) -> Self {
        Self {
            schema,
            rest: body,
            items: 0,
        }
    }

    /// Nothing may be left.
    pub(crate) fn end(&self) -> Result<(), Wrong> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Wrong::Length)
        }
    }

    /// The type of what comes next: of a union the branch that was written.
    pub(crate) fn branch(&mut self, at: usize) -> Result<usize, Wrong> {
        let Node::Union(branches) = self.schema.node(at) else {
            return Ok(at);
        };
        usize::try_from(self.long()?)
            .ok()
            .and_then(|index| branches.get(index))
            .copied()
            .ok_or(Wrong::Content("a branch that its union has not"))
    }

    /// A text, or null.
    pub(crate) fn text(&mut self, at: usize) -> Result<Option<&'b str>, Wrong> {
        let at = self.branch(at)?;
        match self.schema.node(at) {
            Node::String => self.string().map(Some),
            _ => {
                self.skip(at, 0)?;
                Ok(None)
            }
        }
    }

    /// An integer, or null.
    pub(crate) fn integer(&mut self, at: usize) -> Result<Option<i64>, Wrong> {
        let at = self.branch(at)?;
        match self.schema.node(at) {
            Node::Int | Node::Long => self.long().map(Some),
            _ => {
                self.skip(at, 0)?;
                Ok(None)
            }
        }
    }

    /// Appends a value as JSON.
    pub(crate) fn json(&mut self, at: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
        self.value(at, 0, out)
    }

    /// Passes over a value.
    pub(crate) fn pass(&mut self, at: usize) -> Result<(), Wrong> {
        self.skip(at, 0)
    }

    fn value(&mut self, at: usize, depth: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
        if out.len() > MAX_TEXT {
            return Err(TOO_LONG);
        }
        let schema = self.schema;
        match schema.node(at) {
            Node::Open => Err(Wrong::Content("a type without a definition")),
            Node::Null => {
                out.extend_from_slice(b"null");
                Ok(())
            }
            Node::Boolean => {
                let text: &[u8] = if self.boolean()? { b"true" } else { b"false" };
                out.extend_from_slice(text);
                Ok(())
            }
            Node::Int => {
                let n = i32::try_from(self.long()?)
                    .map_err(|_| Wrong::Content("an int beyond 32 bits"))?;
                out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
                Ok(())
            }
            Node::Long => {
                let n = self.long()?;
                out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
                Ok(())
            }
            Node::Float => {
                let n = f32::from_le_bytes(self.chunk()?);
                number(n.is_finite(), format_args!("{n:?}"), out)
            }
            Node::Double => {
                let n = f64::from_le_bytes(self.chunk()?);
                number(n.is_finite(), format_args!("{n:?}"), out)
            }
            Node::Bytes => {
                let bytes = self.bytes()?;
                base64(bytes, out);
                Ok(())
            }
            Node::Fixed(size) => {
                let bytes = self.take(*size)?;
                base64(bytes, out);
                Ok(())
            }
            Node::String => {
                let text = self.string()?;
                quoted(text, out);
                Ok(())
            }
            Node::Enum(symbols) => {
                let index = usize::try_from(self.long()?).ok();
                let symbol = index.and_then(|index| symbols.get(index));
                let symbol = symbol.ok_or(Wrong::Content("a symbol that its enum has not"))?;
                quoted(symbol, out);
                Ok(())
            }
            Node::Union(_) => {
                let branch = self.branch(at)?;
                self.value(branch, deeper(depth)?, out)
            }
            Node::Array(item) => {
                let (item, depth) = (*item, deeper(depth)?);
                out.push(b'[');
                let mut first = true;
                self.blocks(|reader| {
                    comma(&mut first, out);
                    reader.value(item, depth, out)
                })?;
                out.push(b']');
                Ok(())
            }
            Node::Map(item) => {
                let (item, depth) = (*item, deeper(depth)?);
                out.push(b'{');
                let mut first = true;
                self.blocks(|reader| {
                    comma(&mut first, out);
                    let name = reader.string()?;
                    quoted(name, out);
                    out.push(b':');
                    reader.value(item, depth, out)
                })?;
                out.push(b'}');
                Ok(())
            }
            Node::Record(fields) => {
                let depth = deeper(depth)?;
                out.push(b'{');
                for (i, field) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(&field.json);
                    self.value(field.node, depth, out)?;
                }
                out.push(b'}');
                Ok(())
            }
        }
    }

    fn skip(&mut self, at: usize, depth: usize) -> Result<(), Wrong> {
        let schema = self.schema;
        match schema.node(at) {
            Node::Open => Err(Wrong::Content("a type without a definition")),
            Node::Null => Ok(()),
            Node::Boolean => self.boolean().map(drop),
            Node::Int | Node::Long | Node::Enum(_) => self.long().map(drop),
            Node::Float => self.take(4).map(drop),
            Node::Double => self.take(8).map(drop),
            Node::Bytes | Node::String => self.bytes().map(drop),
            Node::Fixed(size) => self.take(*size).map(drop),
            Node::Union(_) => {
                let branch = self.branch(at)?;
                self.skip(branch, deeper(depth)?)
            }
            Node::Array(item) => {
                let (item, depth) = (*item, deeper(depth)?);
                self.blocks(|reader| reader.skip(item, depth))
            }
            Node::Map(item) => {
                let (item, depth) = (*item, deeper(depth)?);
                self.blocks(|reader| {
                    reader.bytes()?;
                    reader.skip(item, depth)
                })
            }
            Node::Record(fields) => {
                let depth = deeper(depth)?;
                fields
                    .iter()
                    .try_for_each(|field| self.skip(field.node, depth))
            }
        }
    }

    /// An array's or a map's items, in blocks: a count, negative where the block's bytes follow it; 0 ends.
    fn blocks(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                self.items += 1;
                if self.items > MAX_ITEMS {
                    return Err(TOO_MANY);
                }
                item(self)?;
            }
        }
    }

    /// A variable-length zig-zag number.
    fn long(&mut self) -> Result<i64, Wrong> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.chunk::<1>()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // The tenth byte has one bit to give.
                if shift == 63 && byte > 1 {
                    break;
                }
                return Ok((n >> 1).cast_signed() ^ -(n & 1).cast_signed());
            }
        }
        Err(Wrong::Content("a number of more than 64 bits"))
    }

    fn boolean(&mut self) -> Result<bool, Wrong> {
        match self.chunk::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Wrong::Content("a boolean that is neither 0 nor 1")),
        }
    }

    fn string(&mut self) -> Result<&'b str, Wrong> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Wrong::Content("a string that is not UTF-8"))
    }

    fn bytes(&mut self) -> Result<&'b [u8], Wrong> {
        let len = usize::try_from(self.long()?).map_err(|_| Wrong::Length)?;
        self.take(len)
    }

    fn take(&mut self, len: usize) -> Result<&'b [u8], Wrong> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Wrong::Length)?;
        self.rest = rest;
        Ok(head)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Wrong::Length)?;
        self.rest = rest;
        Ok(*head)
    }
}

fn deeper(depth: usize) -> Result<usize, Wrong> {
    if depth >= MAX_DEPTH {
        Err(TOO_DEEP)
    } else {
        Ok(depth + 1)
    }
}

fn comma(first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

fn number(finite: bool, text: std::fmt::Arguments<'_>, out: &mut Vec<u8>) -> Result<(), Wrong> {
    use std::io::Write as _;
    if !finite {
        return Err(Wrong::Content("a number that is not finite"));
    }
    // Writing into memory does not fail.
    let _ = out.write_fmt(text);
    Ok(())
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    scan::escape(text, out);
    out.push(b'"');
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    // Four characters for each three bytes begun.
    out.resize(start + bytes.len().div_ceil(3) * 4, b'=');
    if let Some(place) = out.get_mut(start..) {
        let written = STANDARD.encode_slice(bytes, place).unwrap_or(0);
        out.truncate(start + written);
    }
    out.push(b'"');
}
