//! The usual envelope and the usual key, in one pass over their text.
//!
//! Promises: what it gives out is what the readers in `envelope` and `wrapper` give out for the same text, and the
//! text is JSON. It gives up (`None`) on whatever it does not know, be it unusual or wrong, and then those readers
//! decide; so nothing depends on it but time. Serde's layers took 37 % of a worker's time (perf, 750-byte updates);
//! this takes about a third of that.

use std::borrow::Cow;

use super::super::json::to_special;
use super::envelope::{Envelope, Seen, Source};

/// Levels of nesting that are followed.
const DEPTH: u32 = 32;

/// The envelope in `text`, if it has only a change's own fields, each once and without escapes in its name.
pub(super) fn envelope(text: &str) -> Option<Envelope<'_>> {
    let mut scan = Scan::new(text);
    let mut envelope = Envelope::default();
    let (mut op, mut ts) = (None, Seen::default());
    scan.members(|scan, name| {
        let first = match name {
            "after" => {
                let after = scan.slice(|scan| scan.value(DEPTH))?;
                envelope.after.replace(after).is_none()
            }
            "source" => {
                envelope.source = scan.source()?;
                !std::mem::replace(&mut envelope.seen.source, true)
            }
            "op" => {
                scan.expect(b'"')?;
                op.replace(scan.plain()?).is_none()
            }
            "before" => scan.passed(&mut envelope.seen.before)?,
            "transaction" => scan.passed(&mut envelope.seen.transaction)?,
            "ts_ms" => scan.passed(&mut envelope.seen.ts_ms)?,
            // Whether they are there tells nothing; that each is there once is not looked at either.
            "ts_us" | "ts_ns" => scan.passed(&mut ts.other).map(|_| true)?,
            _ => return None,
        };
        first.then_some(())
    })?;
    scan.end()?;
    envelope.op = op.map(Cow::Borrowed);
    Some(envelope)
}

/// Whether `text` is an object and nothing else, without a member of the name that a wrapper has.
pub(super) fn is_plain_key(text: &str) -> bool {
    let mut scan = Scan::new(text);
    let read = scan.members(|scan, name| {
        scan.value(DEPTH)?;
        (name != "payload").then_some(())
    });
    // Blanks around it are no part of a key's text.
    read.is_some() && scan.at == text.len() && text.starts_with('{')
}

/// A place in a text, of which everything before it was valid.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Nothing but blanks follows.
    fn end(&mut self) -> Option<()> {
        self.space();
        (self.at == self.text.len()).then_some(())
    }

    /// The text that `read` passes over.
    #[inline]
    fn slice(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<&'a str> {
        let start = self.at;
        read(self)?;
        self.text.get(start..self.at)
    }

    /// Passes over a value, and notes that its member was there; `false` where it was before.
    #[inline]
    fn passed(&mut self, seen: &mut bool) -> Option<bool> {
        self.value(DEPTH)?;
        Some(!std::mem::replace(seen, true))
    }

    /// Calls `each` for every member of an object, at its value and with its name, which has no escapes.
    #[inline]
    fn members(&mut self, mut each: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.space();
        self.expect(b'{')?;
        self.space();
        if self.expect(b'}').is_some() {
            return Some(());
        }
        loop {
            self.expect(b'"')?;
            let name = self.plain()?;
            self.colon()?;
            each(self, name)?;
            if !self.more(b'}')? {
                return Some(());
            }
        }
    }

    #[inline]
    fn colon(&mut self) -> Option<()> {
        self.space();
        self.expect(b':')?;
        self.space();
        Some(())
    }

    /// Behind an item: whether another one follows, or the closing bracket did.
    #[inline]
    fn more(&mut self, close: u8) -> Option<bool> {
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

    fn source(&mut self) -> Option<Source<'a>> {
        let mut source = Source::default();
        let mut seen = [false; 4];
        self.members(|scan, name| {
            let which = match name {
                "file" => {
                    scan.expect(b'"')?;
                    source.file = scan.plain()?;
                    0
                }
                "pos" => {
                    source.pos = scan.whole()?;
                    1
                }
                "row" => {
                    source.row = scan.whole()?;
                    2
                }
                "ts_ms" => {
                    source.ts_ms = scan.whole()?.try_into().ok()?;
                    3
                }
                _ => return scan.value(DEPTH),
            };
            let again = std::mem::replace(seen.get_mut(which)?, true);
            (!again).then_some(())
        })?;
        Some(source)
    }

    /// The rest of a string whose opening quote is behind, if there is no escape in it.
    #[inline]
    fn plain(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.pass_ordinary();
        let text = self.text.get(start..self.at)?;
        self.expect(b'"')?;
        Some(text)
    }

    /// A whole number without sign that fits.
    fn whole(&mut self) -> Option<u64> {
        let text = self.slice(Self::number)?;
        text.parse().ok()
    }

    /// Passes over a value of any kind.
    fn value(&mut self, depth: u32) -> Option<()> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.string()
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

    #[inline]
    fn literal(&mut self, literal: &str) -> Option<()> {
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

    /// RFC 8259: `-`, a whole number without zeros in front, a fraction, an exponent.
    #[inline]
    fn number(&mut self) -> Option<()> {
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

    /// The rest of a string whose opening quote is behind. An escape may stand for no character: that is the
    /// transform's to say.
    #[inline]
    fn string(&mut self) -> Option<()> {
        loop {
            self.pass_ordinary();
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::envelope::Outer;
    use super::super::wrapper::wrapped_key;
    use super::*;

    const USUAL: &str = r#"{"before":null,"after":{"id":1,"t":"a\"é\u00e9","n":[1,-2.5e-3,{}]},"source":{"version":"3","ts_ms":1795393440000,"db":"app","file":"binlog.000001","pos":8895,"row":3,"thread":null},"transaction":null,"op":"u","ts_ms":1795393440248,"ts_us":1,"ts_ns":2}"#;

    /// Where it gives an answer, the slow reader gives the same.
    fn agrees(text: &str) -> bool {
        let Some(usual) = envelope(text) else {
            return false;
        };
        let outer = Outer::parse_slowly(text).unwrap();
        assert_eq!(outer.duplicate(), None, "{text}");
        assert!(outer.schema.is_none(), "{text}");
        assert_eq!(Some(usual), outer.envelope, "{text}");
        true
    }

    #[test]
    fn the_usual_envelope_is_read_as_by_serde() {
        assert!(agrees(USUAL));
        assert!(agrees(&format!(" {} \n", USUAL.replace(':', " : "))));
        assert!(agrees(r#"{"op":"d","after":null}"#));
        assert!(agrees("{}"));
    }

    #[test]
    fn what_is_unusual_is_left_to_serde() {
        for text in [
            "null",
            "",
            r#"{"op":"u","op":"c"}"#,
            r#"{"after":{},"after":{}}"#,
            r#"{"schema":{},"payload":{"op":"u"}}"#,
            r#"{"op":null}"#,
            r#"{"op":"\u0075"}"#,
            r#"{"source":null,"op":"u"}"#,
            r#"{"source":{"pos":1,"pos":2}}"#,
            r#"{"source":{"pos":-1}}"#,
            r#"{"source":{"pos":18446744073709551616}}"#,
            r#"{"op":"u"}x"#,
            r#"{"op":"u",}"#,
            r#"{"after":{"a":01}}"#,
            r#"{"after":{"a":1.}}"#,
            r#"{"after":{"a":"\x"}}"#,
            "{\"after\":{\"a\":\"\n\"}}",
            r#"{"after":[1}"#,
        ] {
            assert!(!agrees(text), "{text}");
        }
        let deep = format!("{{\"after\":{}{}}}", "[".repeat(100), "]".repeat(100));
        assert!(!agrees(&deep));
    }

    #[test]
    fn a_plain_key_is_one_that_no_wrapper_is_around() {
        assert!(is_plain_key(r#"{"id":7}"#));
        for text in [
            r#"{"payload":{"id":7}}"#,
            r#" {"id":7}"#,
            r#"{"id":7} "#,
            "7",
            "",
        ] {
            assert!(!is_plain_key(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_text_is_read_as_by_serde_or_not_at_all(
            at in 0..USUAL.len(), with in proptest::option::of(any::<char>()), cut in 0..3_usize
        ) {
            let end = (at + cut).min(USUAL.len());
            if let (Some(head), Some(tail)) = (USUAL.get(..at), USUAL.get(end..)) {
                let text = format!("{head}{}{tail}", with.map(String::from).unwrap_or_default());
                agrees(&text);
            }
        }

        #[test]
        fn any_json_is_read_as_by_serde_or_not_at_all(
            text in r#"\{"(op|after|source|before|ts_us)":("[a-z\\"u]{0,3}"|[-+.0-9eE]{1,5}|\{"(file|pos)":[0-9"a-]{0,4}\}|null|true)(,"after":[\[\]\{\},:0-9"]{0,6})?\}"#
        ) {
            agrees(&text);
        }

        #[test]
        fn a_key_is_plain_only_where_serde_finds_no_wrapper(text in r#"\{"(id|payload|schema)":("[a-z\\"]{0,3}"|[-.0-9e]{1,4}|\{\}|\{"id":1\}|null)(,"payload":\{\})?\}"#) {
            if is_plain_key(&text) {
                let (schema, key) = wrapped_key(&text).unwrap();
                prop_assert!(schema.is_none());
                prop_assert_eq!(key.get(), &*text);
            }
        }
    }
}
