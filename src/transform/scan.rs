//! Walks the members of a JSON object in text, without building anything.
//!
//! Text of which it is known that it is JSON is walked whatever it nests. In other text the walk finds out: a walk to
//! the end of [`Members::unchecked`] has seen one valid object and nothing beside it.

use crate::decode::scan::{DEPTH, Scan};

/// The text is not valid JSON, or, where it was not checked before, perhaps only nests deeply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// A string as written, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Str<'a> {
    pub(crate) inner: &'a str,
    /// Whether there is a backslash in it.
    pub(crate) escaped: bool,
}

/// A value as written. It is given by the million, so it is no larger than a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    String(Str<'a>),
    /// An object or an array.
    Nested(&'a str),
}

/// What an object or an array has in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Nesting {
    /// Levels of nesting: 1 for `{}`.
    pub(crate) depth: usize,
    /// Members of all objects in it.
    pub(crate) members: usize,
    /// Whether a string in it has an escape that is no character.
    pub(crate) lone_surrogate: bool,
}

/// A member's name as most texts have it, `"name":` without blanks.
#[derive(Debug)]
pub(crate) struct Member {
    text: Box<[u8]>,
    /// Its first bytes, and which of [`HEAD`] they are.
    head: u128,
    mask: u128,
}

/// Bytes that are compared at once.
const HEAD: usize = 16;

/// The members of an object.
pub(crate) struct Members<'a> {
    scan: Scan<'a>,
    /// Whether the text is known to be JSON.
    checked: bool,
    /// Whether no member has been given yet.
    first: bool,
}

// === impl Members ===

impl<'a> Members<'a> {
    /// The members of the object that `text` holds, which is JSON.
    pub(crate) fn of(text: &'a str) -> Result<Self, Broken> {
        Self::new(text, true)
    }

    /// The members of the object that `text` holds, if it is JSON.
    pub(crate) fn unchecked(text: &'a str) -> Result<Self, Broken> {
        Self::new(text, false)
    }

    fn new(text: &'a str, checked: bool) -> Result<Self, Broken> {
        let mut scan = Scan::new(text);
        scan.space();
        scan.expect(b'{').ok_or(Broken)?;
        Ok(Self {
            scan,
            checked,
            first: true,
        })
    }

    /// The next member, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(Str<'a>, Value<'a>)>, Broken> {
        let Some(name) = self.name()? else {
            return Ok(None);
        };
        Ok(Some((name, self.value()?)))
    }

    /// Passes over the next member's name, if it is this one: most rows have their columns in the order of the row
    /// before, and then a name need not be taken apart. Where it is not, nothing has happened.
    #[inline]
    pub(crate) fn is_next(&mut self, member: &Member) -> bool {
        let scan = &mut self.scan;
        let at = match scan.peek() {
            Some(b',') if !self.first => scan.at + 1,
            Some(_) if self.first => scan.at,
            Some(_) | None => return false,
        };
        let rest = scan.text.as_bytes().get(at..);
        let is = rest.is_some_and(|rest| member.begins(rest));
        if is {
            scan.at = at + member.text.len();
            scan.space();
            self.first = false;
        }
        is
    }

    /// The next member's name, `None` at the end.
    #[inline]
    pub(crate) fn name(&mut self) -> Result<Option<Str<'a>>, Broken> {
        self.read_name().ok_or(Broken)
    }

    /// The value of the member whose name was passed.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Value<'a>, Broken> {
        self.read_value().ok_or(Broken)
    }

    #[inline]
    fn read_name(&mut self) -> Option<Option<Str<'a>>> {
        let scan = &mut self.scan;
        scan.space();
        match scan.peek()? {
            b'}' => {
                let mut rest = Scan {
                    text: scan.text,
                    at: scan.at + 1,
                };
                return rest.end().map(|()| None);
            }
            b',' if !self.first => {
                scan.at += 1;
                scan.space();
            }
            _ if self.first => {}
            _ => return None,
        }
        self.first = false;
        scan.expect(b'"')?;
        let name = string(&mut self.scan)?;
        self.scan.colon()?;
        Some(Some(name))
    }

    #[inline]
    fn read_value(&mut self) -> Option<Value<'a>> {
        let scan = &mut self.scan;
        Some(match scan.peek()? {
            b'"' => {
                scan.at += 1;
                Value::String(string(&mut self.scan)?)
            }
            b'n' => scan.literal("null").map(|()| Value::Null)?,
            b't' => scan.literal("true").map(|()| Value::Bool(true))?,
            b'f' => scan.literal("false").map(|()| Value::Bool(false))?,
            b'{' | b'[' if self.checked => {
                Value::Nested(scan.slice(|scan| nested(scan).map(drop))?)
            }
            b'{' | b'[' => Value::Nested(scan.slice(|scan| scan.value(DEPTH))?),
            _ => Value::Number(scan.slice(Scan::number)?),
        })
    }
}

// === impl Member ===

impl Member {
    pub(crate) fn new(name: &str) -> Self {
        let mut text = b"\"".to_vec();
        escape(name, &mut text);
        text.extend_from_slice(b"\":");
        let (mut head, mut mask) = ([0; HEAD], [0; HEAD]);
        for ((head, mask), byte) in head.iter_mut().zip(&mut mask).zip(&text) {
            (*head, *mask) = (*byte, 0xff);
        }
        Self {
            text: text.into(),
            head: u128::from_le_bytes(head),
            mask: u128::from_le_bytes(mask),
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether `rest` begins with it. To call for each name to be compared took a twentieth of a worker's time (perf).
    #[inline]
    fn begins(&self, rest: &[u8]) -> bool {
        match rest.first_chunk::<HEAD>() {
            Some(first) if self.text.len() <= HEAD => {
                (u128::from_le_bytes(*first) ^ self.head) & self.mask == 0
            }
            Some(_) | None => rest.starts_with(&self.text),
        }
    }
}

/// What is in an object or an array, which is JSON.
pub(crate) fn nesting(text: &str) -> Result<Nesting, Broken> {
    nested(&mut Scan::new(text)).ok_or(Broken)
}

/// Passes over an object or an array by counting brackets, so that no depth of nesting needs a stack.
fn nested(scan: &mut Scan<'_>) -> Option<Nesting> {
    let (mut open, mut nesting) = (0_usize, Nesting::default());
    loop {
        let byte = scan.peek()?;
        scan.at += 1;
        match byte {
            b'{' | b'[' => {
                open += 1;
                nesting.depth = nesting.depth.max(open);
            }
            b'}' | b']' => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return Some(nesting);
                }
            }
            b':' => nesting.members += 1,
            b'"' => {
                let string = string(scan)?;
                nesting.lone_surrogate |= string.escaped && string.check().is_err();
            }
            _ => {}
        }
    }
}

/// The rest of a string whose opening quote is behind.
#[inline]
fn string<'a>(scan: &mut Scan<'a>) -> Option<Str<'a>> {
    let start = scan.at;
    let escaped = scan.string()?;
    let inner = scan.text.get(start..scan.at - 1)?;
    Some(Str { inner, escaped })
}

/// The one value that `text`, which is JSON, holds.
pub(crate) fn value(text: &str) -> Result<Value<'_>, Broken> {
    let mut scan = Scan::new(text);
    scan.space();
    let mut walk = Members {
        scan,
        checked: true,
        first: true,
    };
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
            Self::Nested(text) => out.extend_from_slice(text.as_bytes()),
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
            Value::Nested(text) => serde_json::from_str(text).unwrap(),
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
    fn a_member_is_passed_by_its_text_or_left_where_it_is() {
        let long = "a name of more than sixteen bytes";
        let text = format!(r#"{{"a":1,"b": "x","{long}":2,"\u0063":null}}"#);
        let mut walk = Members::of(&text).unwrap();
        assert!(!walk.is_next(&Member::new("b")));
        assert!(walk.is_next(&Member::new("a")));
        assert_eq!(walk.value(), Ok(Value::Number("1")));
        assert!(walk.is_next(&Member::new("b")));
        let Ok(Value::String(x)) = walk.value() else {
            panic!("a string");
        };
        assert_eq!(x.inner, "x");
        assert!(!walk.is_next(&Member::new(&long[..20])));
        assert!(walk.is_next(&Member::new(long)));
        assert_eq!(walk.value(), Ok(Value::Number("2")));
        assert!(!walk.is_next(&Member::new("c")));
        let (name, value) = walk.next().unwrap().unwrap();
        assert!(name.is("c") && value == Value::Null);
        assert!(!walk.is_next(&Member::new("a")));
        assert_eq!(walk.next(), Ok(None));
        // A member behind another one has a comma before it.
        let mut walk = Members::of(r#"{"a":1"b":2}"#).unwrap();
        walk.next().unwrap();
        assert!(!walk.is_next(&Member::new("b")) && walk.name().is_err());
    }

    #[test]
    fn nesting_is_measured_whatever_stands_in_strings() {
        let Ok(Value::Nested(text)) = value(r#"{"a":[1,{"b":"}{:["}],"c":{}}"#) else {
            panic!("an object");
        };
        let n = nesting(text).unwrap();
        assert_eq!((n.depth, n.members, n.lone_surrogate), (3, 3, false));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let Ok(Value::Nested(text)) = value(&deep) else {
            panic!("an array");
        };
        assert_eq!(nesting(text).unwrap().depth, 100_000);
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
            let Ok(Value::Nested(text)) = value(&array) else {
                panic!("an array");
            };
            assert!(nesting(text).unwrap().lone_surrogate, "{lone}");
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
        fn an_unchecked_walk_ends_well_in_an_object_alone(
            text in r#"[ ]?\{("[ab\\"\n]{0,2}" ?: ?("[ab\\u0\n]{0,2}"|[-+.0-9e]{1,4}|\[[0,\[\]]{0,3}\]|\{("c":1,?)?\}|true|nul|null),?){0,3}\}[ }x]?"#
        ) {
            let walked = Members::unchecked(&text).and_then(|mut walk| {
                while walk.next()?.is_some() {}
                Ok(())
            });
            let valid = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(walked.is_ok(), valid, "{}", text);
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
