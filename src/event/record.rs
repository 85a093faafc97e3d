//! A Kafka record as the decoders see it: borrowed bytes and its position.

use super::Position;

/// One record. A null key or value is `None`; an empty one is `Some(&[])`.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Where it stands.
    pub position: Position,
    /// The record's own time in milliseconds since 1970, or 0 where the broker had none.
    pub timestamp_ms: i64,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes.
    pub value: Option<&'a [u8]>,
    /// The headers in their order.
    pub headers: Headers<'a>,
}

/// A record's headers, packed: a count, then for each the name's and the value's length and bytes.
/// The usual record has none, which costs nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a>(&'a [u8]);

// === impl Headers ===

impl<'a> Headers<'a> {
    /// Appends one header to `packed`. A null value is kept apart from an empty one.
    pub fn push(packed: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
        let len = |n: usize| u32::try_from(n).unwrap_or(u32::MAX - 1).to_le_bytes();
        packed.extend_from_slice(&len(name.len()));
        packed.extend_from_slice(name.as_bytes());
        match value {
            Some(v) => {
                packed.extend_from_slice(&len(v.len()));
                packed.extend_from_slice(v);
            }
            None => packed.extend_from_slice(&u32::MAX.to_le_bytes()),
        }
    }

    /// The headers packed by [`Headers::push`].
    pub fn packed(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Name and value of each header, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let name = take(&mut rest)??;
            let value = take(&mut rest)?;
            Some((std::str::from_utf8(name).unwrap_or_default(), value))
        })
    }
}

/// `None` at the end, `Some(None)` for a null.
fn take<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (len, tail) = rest.split_first_chunk::<4>()?;
    let len = u32::from_le_bytes(*len);
    if len == u32::MAX {
        *rest = tail;
        return Some(None);
    }
    let (head, tail) = tail.split_at_checked(usize::try_from(len).ok()?)?;
    *rest = tail;
    Some(Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_in_order_with_nulls_and_empties_apart() {
        let mut packed = Vec::new();
        Headers::push(&mut packed, "a", Some(b"1"));
        Headers::push(&mut packed, "a", Some(b""));
        Headers::push(&mut packed, "b", None);
        let back: Vec<_> = Headers::packed(&packed).iter().collect();
        assert_eq!(
            back,
            [("a", Some(&b"1"[..])), ("a", Some(&b""[..])), ("b", None)]
        );
    }
}
