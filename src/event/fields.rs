//! A document's fields, packed: names and values in turn, each a string of MessagePack, one after another.
//!
//! So a sink can hand all of them on as they are, where its server unpacks them: a script of Redis gets a row as one
//! argument instead of one for each value. The format is <https://github.com/msgpack/msgpack/blob/master/spec.md>, of
//! which only the strings are used.

use super::batch::Span;

/// What begins a string of up to 31 bytes, its length in the lower five bits.
const FIXSTR: u8 = 0xa0;
/// What begins a string whose length follows in one, two or four bytes, the highest first.
const STR8: u8 = 0xd9;
const STR16: u8 = 0xda;
const STR32: u8 = 0xdb;
/// A value's length is not known before it is written: so many bytes are kept free for it, enough for 64 KiB.
const KEPT: usize = 3;

/// A field's name, packed.
#[derive(Debug)]
pub struct PackedName(Box<[u8]>);

/// The fields of one document in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    pub(super) span: Span,
    pub(super) count: u32,
}

/// Names and values.
#[derive(Debug, Clone)]
pub struct FieldsIter<'a> {
    packed: &'a [u8],
    left: usize,
}

/// A field in the making: where it began, and where its value does.
#[derive(Debug)]
pub struct FieldStart {
    pub(super) name: usize,
    value: usize,
}

// === impl PackedName ===

impl PackedName {
    /// Packs a name.
    pub fn new(name: &str) -> Self {
        let mut packed = Vec::with_capacity(name.len() + 5);
        match (u8::try_from(name.len()), u16::try_from(name.len())) {
            (Ok(n), _) if n < 32 => packed.push(FIXSTR | n),
            (Ok(n), _) => packed.extend([STR8, n]),
            (_, Ok(n)) => {
                packed.push(STR16);
                packed.extend(n.to_be_bytes());
            }
            (_, Err(_)) => {
                packed.push(STR32);
                packed.extend(u32_of(name.len()).to_be_bytes());
            }
        }
        packed.extend_from_slice(name.as_bytes());
        Self(packed.into())
    }
}

// === impl Fields ===

impl Fields {
    /// How many they are.
    pub fn len(self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Where the batch has them, packed.
    pub fn packed(self) -> Span {
        self.span
    }
}

// === impl FieldStart ===

impl FieldStart {
    /// Appends the name, and room for the length of the value that is appended next.
    pub(super) fn new(name: &PackedName, out: &mut Vec<u8>) -> Self {
        let at = out.len();
        out.extend_from_slice(&name.0);
        out.extend_from_slice(&[STR16, 0, 0]);
        Self {
            name: at,
            value: out.len(),
        }
    }

    /// Sets the length of the value that was appended.
    pub(super) fn end(&self, out: &mut Vec<u8>) {
        let length = out.len().saturating_sub(self.value);
        if let Ok(length) = u16::try_from(length) {
            let kept = out.get_mut(self.value - KEPT + 1..self.value);
            if let Some(kept) = kept {
                kept.copy_from_slice(&length.to_be_bytes());
            }
            return;
        }
        let [a, b, c, d] = u32_of(length).to_be_bytes();
        out.splice(self.value - KEPT..self.value, [STR32, a, b, c, d]);
    }
}

// === impl FieldsIter ===

impl<'a> FieldsIter<'a> {
    pub(super) fn new(packed: &'a [u8], fields: Fields) -> Self {
        Self {
            packed,
            left: fields.len(),
        }
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let (&first, rest) = self.packed.split_first()?;
        let wide = match first {
            STR8 => 1,
            STR16 => 2,
            STR32 => 4,
            short => {
                let (text, rest) = rest.split_at_checked(usize::from(short & !FIXSTR))?;
                self.packed = rest;
                return Some(text);
            }
        };
        let (length, rest) = rest.split_at_checked(wide)?;
        let length = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        let (text, rest) = rest.split_at_checked(length)?;
        self.packed = rest;
        Some(text)
    }
}

impl<'a> Iterator for FieldsIter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.string()?, self.string()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for FieldsIter<'_> {}

/// A batch is smaller than that.
fn u32_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pack(fields: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut packed = Vec::new();
        for (name, value) in fields {
            let field = FieldStart::new(&PackedName::new(name), &mut packed);
            packed.extend_from_slice(value);
            field.end(&mut packed);
        }
        packed
    }

    fn back(packed: &[u8], count: usize) -> Vec<(String, Vec<u8>)> {
        let fields = Fields {
            span: Span::default(),
            count: u32::try_from(count).unwrap(),
        };
        FieldsIter::new(packed, fields)
            .map(|(n, v)| (String::from_utf8(n.to_vec()).unwrap(), v.to_vec()))
            .collect()
    }

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        let long = "n".repeat(32);
        let packed = pack(&[("id".into(), b"7".to_vec()), (long.clone(), Vec::new())]);
        let expected = [
            b"\xa2id\xda\x00\x017\xd9\x20",
            long.as_bytes(),
            b"\xda\x00\x00",
        ]
        .concat();
        assert_eq!(packed, expected);
    }

    #[test]
    fn every_length_on_either_side_of_a_header_comes_back() {
        for n in [0, 31, 32, 255, 256, 65_535, 65_536, 70_000] {
            let fields = [
                ("x".repeat(n), b"first".to_vec()),
                ("y".into(), vec![b'v'; n]),
                ("z".into(), b"last".to_vec()),
            ];
            assert_eq!(back(&pack(&fields), 3), fields, "{n}");
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(fields in prop::collection::vec((".{0,40}", prop::collection::vec(any::<u8>(), 0..300)), 0..8)) {
            prop_assert_eq!(back(&pack(&fields), fields.len()), fields);
        }
    }
}
