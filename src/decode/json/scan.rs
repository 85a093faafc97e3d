//! The syntax of JSON (RFC 8259), checked while a text is passed over and nothing is built of it.
//!
//! Promises: what a method of [`Scan`] has passed is what it says, whatever the text is; where it is not, the answer is
//! `None`, and the scan is of no more use.

/// Levels of nesting that are followed.
pub(crate) const DEPTH: u32 = 32;
/// For eight bytes looked at in one word: a one in each, and the high bit of each.
pub(crate) const ONES: u64 = u64::from_le_bytes([1; 8]);
pub(crate) const HIGH: u64 = ONES << 7;

/// A place in a text. Of what it gives `None` for, it may be that it is no JSON or that it nests deeper than [`DEPTH`].
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
}

// === impl Scan ===

impl<'a> Scan<'a> {
    /// The beginning of `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte; it stays where it is.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over this byte.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Passes over blanks.
    #[inline]
    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Nothing but blanks follows.
    #[inline]
    pub(crate) fn end(&mut self) -> Option<()> {
        self.space();
        (self.at == self.text.len()).then_some(())
    }

    /// The text that `read` passes over.
    #[inline]
    pub(crate) fn slice(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<&'a str> {
        let start = self.at;
        read(self)?;
        self.text.get(start..self.at)
    }

    /// Behind a member's name.
    #[inline]
    pub(crate) fn colon(&mut self) -> Option<()> {
        self.space();
        self.expect(b':')?;
        self.space();
        Some(())
    }

    /// Behind an item: whether another one follows, or the closing bracket did.
    #[inline]
    pub(crate) fn more(&mut self, close: u8) -> Option<bool> {
        self.space();
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => {
                self.space();
                Some(true)
            }
            byte if byte == close => Some(false),
            _ => None,
        }
    }

    /// The rest of a string whose opening quote is behind, if there is no escape in it.
    #[inline]
    pub(crate) fn plain(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.pass_ordinary();
        let text = self.text.get(start..self.at)?;
        self.expect(b'"')?;
        Some(text)
    }

    /// Passes over a value of any kind.
    pub(crate) fn value(&mut self, depth: u32) -> Option<()> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.string().map(|_| ())
            }
            b'{' => {
                self.at += 1;
                self.nested(depth, b'}')
            }
            b'[' => {
                self.at += 1;
                self.nested(depth, b']')
            }
            b'n' => self.literal("null"),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            _ => self.number(),
        }
    }

    /// Passes over `literal`.
    #[inline]
    pub(crate) fn literal(&mut self, literal: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(literal.as_bytes())
            .then(|| self.at += literal.len())
    }

    /// The rest of an object or array whose opening bracket is behind.
    fn nested(&mut self, depth: u32, close: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.space();
        if self.expect(close).is_some() {
            return Some(());
        }
        loop {
            if close == b'}' {
                self.expect(b'"')?;
                self.string()?;
                self.colon()?;
            }
            self.value(depth)?;
            if !self.more(close)? {
                return Some(());
            }
        }
    }

    /// `-`, a whole number without zeros in front, a fraction, an exponent.
    #[inline]
    pub(crate) fn number(&mut self) -> Option<()> {
        let _ = self.expect(b'-');
        if self.expect(b'0').is_none() {
            self.digits()?;
        }
        if self.expect(b'.').is_some() {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// At least one digit.
    #[inline]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// Passes over the rest of a string whose opening quote is behind; whether there is an escape in it. One may stand
    /// for no character, which is left to whoever reads it.
    #[inline]
    pub(crate) fn string(&mut self) -> Option<bool> {
        let mut escaped = false;
        loop {
            self.pass_ordinary();
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(escaped),
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                // A control character.
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    /// Passes over everything up to a quote, a backslash, a control character or the end.
    #[inline]
    fn pass_ordinary(&mut self) {
        self.at = to_special(self.text.as_bytes(), self.at);
    }
}

/// The place from `at` on of a quote, a backslash or a control character, or the end: what a JSON string is looked
/// through for, eight bytes at a time, since most names and values are too short for anything wider.
#[inline]
fn to_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let found = specials(u64::from_le_bytes(*eight));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let ordinary = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    while bytes.get(at).is_some_and(ordinary) {
        at += 1;
    }
    at
}

/// The high bit of every byte that is a quote, a backslash or a control character. A byte above one of them may be
/// marked wrongly, so that only the lowest mark counts (Bit Twiddling Hacks, "determine if a word has a byte less than
/// n").
#[inline]
fn specials(eight: u64) -> u64 {
    let below = |x: u64, n: u64| x.wrapping_sub(ONES * n) & !x & HIGH;
    let quote = eight ^ (ONES * 0x22);
    let slash = eight ^ (ONES * 0x5c);
    below(eight, 0x20) | below(quote, 1) | below(slash, 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::{DEPTH, Scan, to_special};

    proptest! {
        #[test]
        fn what_a_string_ends_at_is_found_as_by_looking_at_each_byte(
            bytes in prop::collection::vec(prop_oneof![
                any::<u8>(), Just(b'"'), Just(b'\\'), 0x1f..0x25_u8, 0x5a..0x60_u8, 0x80..=0xff_u8,
            ], 0..40),
            from in 0..8_usize,
        ) {
            let from = from.min(bytes.len());
            let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
            let found = bytes[from..].iter().position(special);
            prop_assert_eq!(to_special(&bytes, from), found.map_or(bytes.len(), |n| from + n));
        }

        #[test]
        fn what_is_passed_is_what_serde_takes_for_json(
            text in r#"(["\\{\}\[\],:. +\-eEu0aF\n]|[0-9]{1,3}|"[a-c]{0,9}"|true|false|null){0,12}"#
        ) {
            let mut scan = Scan::new(&text);
            scan.space();
            let passed = scan.value(DEPTH).and_then(|()| scan.end()).is_some();
            prop_assert_eq!(passed, serde_json::from_str::<&RawValue>(&text).is_ok(), "{}", text);
        }
    }
}
