//! Where Canal puts a row: `MQMessageUtils.messagePartition` of its MQ connectors, with `canal.mq.database.hash`
//! on, which is the default. The hash of each part is Java's of a `String`; the parts are combined by XOR, so
//! their order does not count.

use crate::transform::scan::{Broken, Value};

/// The hash of a row's key, in the making.
#[derive(Debug)]
pub(super) struct Hash(i32);

// === impl Hash ===

impl Hash {
    /// Of the rows of this database.
    pub(super) fn new(database: &str) -> Self {
        Self(java(database))
    }

    /// Adds a key column's value; NULL is the empty text.
    pub(super) fn add(&mut self, value: Option<Value<'_>>) -> Result<(), Broken> {
        self.0 ^= match value {
            Some(Value::String(text)) => {
                let mut unescaped = Vec::new();
                text.unescape(&mut unescaped)?;
                java(std::str::from_utf8(&unescaped).map_err(|_| Broken)?)
            }
            Some(Value::Number(text)) => java(text),
            Some(Value::Null | Value::Bool(_) | Value::Nested(_)) | None => 0,
        };
        Ok(())
    }

    /// The partition, from 0, of a topic with so many.
    pub(super) fn partition(&self, partitions: i32) -> i32 {
        // Java's abs leaves the least integer negative, hence the second one after the remainder.
        self.0
            .wrapping_abs()
            .checked_rem(partitions)
            .map_or(0, i32::wrapping_abs)
    }
}

/// `String.hashCode`: over UTF-16 units.
fn java(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::scan;

    #[test]
    fn the_hash_is_javas() {
        // By hand: "ab" is 97·31 + 98; the bottle is the pair D83C DF7C: 55356·31 + 57212.
        for (text, hash) in [("", 0), ("1", 49), ("ab", 3105), ("🍼", 1_773_248)] {
            assert_eq!(java(text), hash, "{text}");
        }
        // The well-known text whose hash is the least integer.
        assert_eq!(java("polygenelubricants"), i32::MIN);
    }

    #[test]
    fn a_partition_is_never_negative() {
        let hash = Hash(i32::MIN);
        // 2^31 modulo 7 is 2.
        assert_eq!(hash.partition(7), 2);
        assert_eq!(Hash(-5).partition(4), 1);
        assert_eq!(Hash(-5).partition(0), 0);
    }

    #[test]
    fn values_are_hashed_as_their_text() {
        let mut hash = Hash::new("app");
        hash.add(Some(scan::value(r#""\u0031""#).unwrap())).unwrap();
        hash.add(None).unwrap();
        // "app" is (97·31 + 112)·31 + 112 = 96801; 96801 ^ 49 is 96784.
        assert_eq!(hash.0, 96_784);
        assert_eq!(hash.partition(8), 0);
    }
}
