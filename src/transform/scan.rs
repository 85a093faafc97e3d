//! Walks the members of a JSON object in text that is known to be valid JSON, without building anything.
//!
//! On text that is not valid the walk ends with [`Broken`] or gives nonsense, but it neither panics nor
//! leaves the text. Syntax is the decoder's to check: `RawValue` has done so.

use crate::decode::to_special;

/// The text was not valid JSON after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// A string as written, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Str<'a> {
    pub(crate) inner: &'a str,
    /// Whether there is a backslash in it.
    pub(crate) escaped: bool,
}

/// A value as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    String(Str<'a>),
    Nested(Nested<'a>),
}

/// An object or an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nested<'a> {
    pub(crate) text: &'a str,
    /// Levels of nesting: 1 for `{}`.
    pub(crate) depth: usize,
    /// Members of all objects in it.
    pub(crate) members: usize,
    /// Whether a string in it has an escape that is no character.
    pub(crate) lone_surrogate: bool,
}

/// The members of an object.
pub(crate) struct Members<'a> {
    text: &'a str,
    at: usize,
}

// === impl Members ===

impl<'a> Members<'a> {
    /// The members of the object that `text` holds.
    pub(crate) fn of(text: &'a str) -> Result<Self, Broken> {
        let mut members = Self { text, at: 0 };
        members.space();
        members.expect(b'{')?;
        Ok(members)
    }

    /// The next member, `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(Str<'a>, Value<'a>)>, Broken> {
        self.space();
        match self.peek() {
            Some(b'}') => return Ok(None),
            Some(b',') => {
                self.at += 1;
                self.space();
            }
            _ => {}
        }
        self.expect(b'"')?;
        let name = self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        let value = self.value()?;
        Ok(Some((name, value)))
    }

    /// The value of the next member, if that is written as `member`, `"name":` without blanks: most rows have their
    /// columns in the order of the row before, and then a name need not be taken apart. Where it is not, nothing has
    /// happened.
    #[inline]
    pub(crate) fn value_of(&mut self, member: &[u8]) -> Option<Result<Value<'a>, Broken>> {
        let at = self.at + usize::from(self.peek() == Some(b','));
        let rest = self.text.as_bytes().get(at..)?;
        if !rest.starts_with(member) {
            return None;
        }
        self.at = at + member.len();
        self.space();
        Some(self.value())
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(Broken)
        }
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// The rest of a string whose opening quote is behind.
    #[inline]
    fn string(&mut self) -> Result<Str<'a>, Broken> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = to_special(self.text.as_bytes(), self.at);
            match self.peek().ok_or(Broken)? {
                b'"' => {
                    let inner = self.text.get(start..self.at).ok_or(Broken)?;
                    self.at += 1;
                    return Ok(Str { inner, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                // In valid text there is none; it is the decoder's to say.
                _control => self.at += 1,
            }
        }
    }

    #[inline]
    fn value(&mut self) -> Result<Value<'a>, Broken> {
        match self.peek().ok_or(Broken)? {
            b'"' => {
                self.at += 1;
                self.string().map(Value::String)
            }
            b'n' => self.literal("null", Value::Null),
            b't' => self.literal("true", Value::Bool(true)),
            b'f' => self.literal("false", Value::Bool(false)),
            b'{' | b'[' => self.nested().map(Value::Nested),
            _ => {
                let start = self.at;
                while let Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') = self.peek() {
                    self.at += 1;
                }
                match self.text.get(start..self.at) {
                    Some(number) if !number.is_empty() => Ok(Value::Number(number)),
                    _ => Err(Broken),
                }
            }
        }
    }

    #[inline]
    fn literal(&mut self, literal: &str, value: Value<'a>) -> Result<Value<'a>, Broken> {
        let end = self.at + literal.len();
        if self.text.as_bytes().get(self.at..end) == Some(literal.as_bytes()) {
            self.at = end;
            Ok(value)
        } else {
            Err(Broken)
        }
    }

    /// Counts brackets, so that no depth of nesting needs a stack.
    fn nested(&mut self) -> Result<Nested<'a>, Broken> {
        let start = self.at;
        let (mut open, mut depth, mut members, mut lone_surrogate) = (0_usize, 0, 0, false);
        loop {
            let byte = self.peek().ok_or(Broken)?;
            self.at += 1;
            match byte {
                b'{' | b'[' => {
                    open += 1;
                    depth = depth.max(open);
                }
                b'}' | b']' => {
                    open = open.saturating_sub(1);
                    if open == 0 {
                        let text = self.text.get(start..self.at).ok_or(Broken)?;
                        return Ok(Nested {
                            text,
                            depth,
                            members,
                            lone_surrogate,
                        });
                    }
                }
                b':' => members += 1,
                b'"' => {
                    let string = self.string()?;
                    lone_surrogate |= string.escaped && string.check().is_err();
                }
                _ => {}
            }
        }
    }
}

/// The one value that `text` holds.
pub(crate) fn value(text: &str) -> Result<Value<'_>, Broken> {
    let mut walk = Members { text, at: 0 };
    walk.space();
    walk.value()
}

// === impl Value ===

impl Value<'_> {
    /// Appends the value as it is written.
    pub(crate) fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Number(text) => out.extend_from_slice(text.as_bytes()),
            Self::String(s) => {
                out.push(b'"');
                out.extend_from_slice(s.inner.as_bytes());
                out.push(b'"');
            }
            Self::Nested(nested) => out.extend_from_slice(nested.text.as_bytes()),
        }
    }
}

// === impl Str ===

impl Str<'_> {
    /// Whether it stands for this text.
    pub(crate) fn is(self, text: &str) -> bool {
        if !self.escaped {
            return self.inner == text;
        }
        let mut own = Vec::new();
        self.unescape(&mut own).is_ok() && own == text.as_bytes()
    }

    /// Whether every escape is a character.
    pub(crate) fn check(self) -> Result<(), Broken> {
        if self.escaped {
            self.pieces(|_| {})
        } else {
            Ok(())
        }
    }

    /// Appends the text that the string stands for.
    #[inline]
    pub(crate) fn unescape(self, out: &mut Vec<u8>) -> Result<(), Broken> {
        if self.escaped {
            self.pieces(|piece| out.extend_from_slice(piece.as_bytes()))
        } else {
            out.extend_from_slice(self.inner.as_bytes());
            Ok(())
        }
    }

    fn pieces(self, mut put: impl FnMut(&str)) -> Result<(), Broken> {
        let mut rest = self.inner;
        while let Some((plain, escape)) = rest.split_once('\\') {
            put(plain);
            let mut chars = escape.chars();
            let ch = match chars.next().ok_or(Broken)? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let first = hex4(&mut chars)?;
                    unicode(first, &mut chars)?
                }
                other => other,
            };
            put(ch.encode_utf8(&mut [0; 4]));
            rest = chars.as_str();
        }
        put(rest);
        Ok(())
    }
}

/// RFC 8259 writes what is beyond the first plane as two escapes; one of them alone is no character.
fn unicode(first: u32, chars: &mut std::str::Chars<'_>) -> Result<char, Broken> {
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first).ok_or(Broken);
    }
    if chars.next() != Some('\\') || chars.next() != Some('u') {
        return Err(Broken);
    }
    let second = hex4(chars)?;
    if !(0xdc00..0xe000).contains(&second) {
        return Err(Broken);
    }
    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(Broken)
}

fn hex4(chars: &mut std::str::Chars<'_>) -> Result<u32, Broken> {
    (0..4).try_fold(0, |n, _| {
        let digit = chars.next().and_then(|c| c.to_digit(16)).ok_or(Broken)?;
        Ok(n << 4 | digit)
    })
}

/// Appends `text` as the inside of a JSON string.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            0..0x20 => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let low = HEX.get(usize::from(byte & 15)).copied().unwrap_or(b'0');
                let high = if byte < 16 { b'0' } else { b'1' };
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value as Dom;

    fn unescaped(s: Str<'_>) -> String {
        let mut out = Vec::new();
        s.unescape(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn dom(value: Value<'_>) -> Dom {
        match value {
            Value::Null => Dom::Null,
            Value::Bool(b) => Dom::Bool(b),
            Value::Number(n) => serde_json::from_str(n).unwrap(),
            Value::String(s) => Dom::String(unescaped(s)),
            Value::Nested(n) => serde_json::from_str(n.text).unwrap(),
        }
    }

    fn members(text: &str) -> Result<Vec<(String, Dom)>, Broken> {
        let mut walk = Members::of(text)?;
        let mut all = Vec::new();
        while let Some((name, value)) = walk.next()? {
            all.push((unescaped(name), dom(value)));
        }
        Ok(all)
    }

    fn any_json() -> impl Strategy<Value = Dom> {
        let leaf = prop_oneof![
            Just(Dom::Null),
            any::<bool>().prop_map(Dom::from),
            any::<i64>().prop_map(Dom::from),
            any::<String>().prop_map(Dom::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Dom::from),
                prop::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|m| Dom::Object(m.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn a_member_is_taken_by_its_text_or_left_where_it_is() {
        let mut walk = Members::of(r#"{"a":1,"b": "x","\u0063":null}"#).unwrap();
        assert!(walk.value_of(br#""b":"#).is_none());
        assert_eq!(walk.value_of(br#""a":"#), Some(Ok(Value::Number("1"))));
        let Some(Ok(Value::String(x))) = walk.value_of(br#""b":"#) else {
            panic!("a string");
        };
        assert_eq!(x.inner, "x");
        assert!(walk.value_of(br#""c":"#).is_none());
        let (name, value) = walk.next().unwrap().unwrap();
        assert!(name.is("c") && value == Value::Null);
        assert!(walk.value_of(br#""a":"#).is_none());
        assert_eq!(walk.next(), Ok(None));
    }

    #[test]
    fn nesting_is_measured_whatever_stands_in_strings() {
        let Ok(Value::Nested(n)) = value(r#"{"a":[1,{"b":"}{:["}],"c":{}}"#) else {
            panic!("an object");
        };
        assert_eq!((n.depth, n.members, n.lone_surrogate), (3, 3, false));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let Ok(Value::Nested(n)) = value(&deep) else {
            panic!("an array");
        };
        assert_eq!(n.depth, 100_000);
    }

    #[test]
    fn escapes_are_read_and_lone_surrogates_refused() {
        let Ok(Value::String(s)) = value(r#""\"\\\/\b\f\n\r\t\u00e9\uD83C\uDF7C""#) else {
            panic!("a string");
        };
        assert_eq!(unescaped(s), "\"\\/\u{8}\u{c}\n\r\té🍼");
        for lone in [
            r#""\ud83c""#,
            r#""\udf7c""#,
            r#""\ud83cx""#,
            r#""\ud83c\u0041""#,
        ] {
            let Ok(Value::String(s)) = value(lone) else {
                panic!("a string");
            };
            assert_eq!(s.check(), Err(Broken), "{lone}");
            let array = format!("[{lone}]");
            let Ok(Value::Nested(n)) = value(&array) else {
                panic!("an array");
            };
            assert!(n.lone_surrogate, "{lone}");
        }
    }

    proptest! {
        #[test]
        fn members_and_values_are_those_that_serde_reads(
            json in prop::collection::vec((any::<String>(), any_json()), 0..8), pretty: bool
        ) {
            let object = Dom::Object(json.into_iter().collect());
            let text = if pretty {
                serde_json::to_string_pretty(&object).unwrap()
            } else {
                object.to_string()
            };
            let read: serde_json::Map<_, _> = members(&text).unwrap().into_iter().collect();
            prop_assert_eq!(Dom::Object(read), object);
        }

        #[test]
        fn an_escaped_text_reads_back(text: String) {
            let mut out = b"\"".to_vec();
            escape(&text, &mut out);
            out.push(b'"');
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn text_that_is_no_json_neither_panics_nor_loops(text in r#"[\{\}\[\]",:\\a0 \u{e9}]{0,40}"#) {
            if let Ok(mut walk) = Members::of(&text) {
                while let Ok(Some((name, value))) = walk.next() {
                    let _ = name.check();
                    if let Value::String(s) = value {
                        let _ = s.check();
                    }
                }
            }
        }
    }
}
