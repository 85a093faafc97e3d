//! Geometries as well-known text (OGC 06-103r4, sections 7 and 8), such as `POINT (1 2)`, from well-known
//! binary. The reference system is not shown: a column has one.

use crate::transform::scan::{Members, Value};

use super::binary::{BinaryText, decode};
use super::{Fault, MAX_DEPTH, content, mismatch};

/// How a format writes a geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transform) enum GeometryText {
    /// A structure with base64 of well-known binary in `wkb` (Debezium).
    Structure,
    /// A character a byte: four bytes of the reference system's number, then well-known binary (Canal).
    Latin1,
    /// Well-known text (Maxwell).
    WellKnown,
}

const BROKEN: Fault = Fault::Mismatch("what is no well-known binary of a geometry");

/// The types, by their number in well-known binary.
const NAMES: [&str; 7] = [
    "POINT",
    "LINESTRING",
    "POLYGON",
    "MULTIPOINT",
    "MULTILINESTRING",
    "MULTIPOLYGON",
    "GEOMETRYCOLLECTION",
];

/// Appends the text, which needs no escapes.
pub(super) fn write(
    value: Value<'_>,
    written: GeometryText,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let bytes = match written {
        GeometryText::WellKnown => return well_known(content(value, scratch)?, out),
        GeometryText::Latin1 => {
            let bytes = decode(content(value, scratch)?, BinaryText::Latin1)?;
            bytes.get(4..).ok_or(BROKEN)?.to_vec()
        }
        GeometryText::Structure => {
            let Value::Nested(nested) = value else {
                return mismatch(value);
            };
            let mut members = Members::of(nested)?;
            loop {
                match members.next()? {
                    Some((name, wkb)) if name.inner == "wkb" => {
                        break decode(content(wkb, scratch)?, BinaryText::Base64)?;
                    }
                    Some(_) => {}
                    None => return Err(Fault::Mismatch("a structure without `wkb`")),
                }
            }
        }
    };
    let mut reader = Reader { rest: &bytes };
    reader.geometry(0, None, out)?;
    if reader.rest.is_empty() {
        Ok(())
    } else {
        Err(BROKEN)
    }
}

/// Text that begins as a geometry does and holds nothing else than one can.
fn well_known(text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let end = text.find([' ', '(']).unwrap_or(text.len());
    let (name, _) = text.split_at(end);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b" (),.+-".contains(&b);
    if !NAMES.contains(&name) || !text.bytes().all(allowed) {
        return Err(Fault::Mismatch("what is no well-known text of a geometry"));
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

struct Reader<'b> {
    rest: &'b [u8],
}

// === impl Reader ===

impl Reader<'_> {
    /// A geometry with its header; inside another of which its type follows, without its name.
    fn geometry(
        &mut self,
        depth: usize,
        within: Option<u32>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if depth >= MAX_DEPTH {
            return Err(Fault::Depth);
        }
        let big = match self.take::<1>()? {
            [0] => true,
            [1] => false,
            _ => return Err(BROKEN),
        };
        let kind = self.number(big)?;
        let name = usize::try_from(kind)
            .ok()
            .and_then(|kind| NAMES.get(kind.checked_sub(1)?))
            .ok_or(BROKEN)?;
        match within {
            None => {
                out.extend_from_slice(name.as_bytes());
                out.push(b' ');
            }
            Some(expected) if expected == kind => {}
            Some(_) => return Err(BROKEN),
        }
        match kind {
            1 => {
                out.push(b'(');
                self.point(big, out)?;
                out.push(b')');
                Ok(())
            }
            2 => self.points(big, out),
            3 => self.list(big, out, |r, out| r.points(big, out)),
            7 => self.list(big, out, |r, out| r.geometry(depth + 1, None, out)),
            // A collection of one type names it by its own: 4 of 1, 5 of 2, 6 of 3.
            many => self.list(big, out, |r, out| {
                r.geometry(depth + 1, Some(many - 3), out)
            }),
        }
    }

    fn points(&mut self, big: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.list(big, out, |r, out| r.point(big, out))
    }

    /// `(…, …)`, or `EMPTY`. Each part takes bytes, so a count beyond them ends soon.
    fn list(
        &mut self,
        big: bool,
        out: &mut Vec<u8>,
        mut part: impl FnMut(&mut Self, &mut Vec<u8>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let count = self.number(big)?;
        if count == 0 {
            out.extend_from_slice(b"EMPTY");
            return Ok(());
        }
        for i in 0..count {
            out.extend_from_slice(if i == 0 { &b"("[..] } else { b", " });
            part(self, out)?;
        }
        out.push(b')');
        Ok(())
    }

    fn point(&mut self, big: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        use std::io::Write as _;
        for between in ["", " "] {
            let bytes = self.take::<8>()?;
            let n = if big {
                f64::from_be_bytes(bytes)
            } else {
                f64::from_le_bytes(bytes)
            };
            if !n.is_finite() {
                return Err(BROKEN);
            }
            // The shortest digits that read back as the same number; writing into memory does not fail.
            let _ = write!(out, "{between}{n}");
        }
        Ok(())
    }

    fn number(&mut self, big: bool) -> Result<u32, Fault> {
        let bytes = self.take::<4>()?;
        Ok(if big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(BROKEN)?;
        self.rest = rest;
        Ok(*head)
    }
}
