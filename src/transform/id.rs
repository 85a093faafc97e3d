//! A document's id, or a row's key in Redis, from the texts of the topic key's columns.
//!
//! Two different keys never give one id, whatever their values hold: each value is percent-encoded so that it
//! has none of the characters that the template relies on, and only `%` and two upper-case hex digits begin an
//! escape. What is not followed by those is the lane's own: `%empty` for an id without a character, which
//! Elasticsearch refuses, and `%sha256-…` for one that is too long. A key made of another's with something
//! like `:_v` behind it is not the key of any row.
//!
//! The column's *converted* text counts, so the integer 1 and the string "1" are one id: a column has one
//! type, and widening it from integer to text keeps its rows' ids.

use std::ops::Range;

use super::mask::sha256_hex;

/// The longest id in bytes: Elasticsearch refuses longer ones, and Redis is kept alike.
pub(super) const MAX_BYTES: usize = 512;
/// What an empty id is written as.
const EMPTY: &[u8] = b"%empty";
/// What a hashed id begins with, after the template's literal prefix.
const HASHED: &[u8] = b"%sha256-";

/// How the key's columns make an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdTemplate {
    pub(super) columns: Box<[Box<str>]>,
    pub(super) parts: Box<[Part]>,
    pub(super) escape: Escape,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(Box<str>),
    /// By place in the topic's key.
    Column(usize),
}

/// Which characters of a value are percent-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// Control characters, `%`, `,`, `"` and `\`: an id that JSON takes as it is.
    Joined,
    /// All of ASCII but letters, digits, `-`, `.`, `_` and `~` (RFC 3986's unreserved characters).
    Reserved,
}

// === impl IdTemplate ===

impl IdTemplate {
    /// The columns' texts with `,` between, in the key's order: an Elasticsearch `_id`. It needs no escapes in
    /// a JSON string.
    pub fn joined(key: &[String]) -> Self {
        let mut parts = Vec::new();
        for column in 0..key.len() {
            if column > 0 {
                parts.push(Part::Literal(",".into()));
            }
            parts.push(Part::Column(column));
        }
        Self {
            columns: key.iter().map(|c| c.as_str().into()).collect(),
            parts: parts.into(),
            escape: Escape::Joined,
        }
    }

    /// What every id begins with: `profile:` of `profile:{id}`, and nothing for [`IdTemplate::joined`].
    pub fn literal_prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            Some(Part::Column(_)) | None => "",
        }
    }

    /// The topic key's columns, in its order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &str> {
        self.columns.iter().map(|c| &**c)
    }

    /// Appends the id made of the columns' texts, which stand at `columns` of `texts`.
    pub(super) fn write(&self, texts: &[u8], columns: &[Range<usize>], out: &mut Vec<u8>) {
        let start = out.len();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Column(at) => {
                    let text = columns.get(*at).and_then(|range| texts.get(range.clone()));
                    self.escape.write(text.unwrap_or_default(), out);
                }
            }
        }
        if out.len() == start {
            out.extend_from_slice(EMPTY);
        } else if out.len() - start > MAX_BYTES {
            let rest = start + self.literal_prefix().len();
            let mut hash = HASHED.to_vec();
            sha256_hex(out.get(rest..).unwrap_or_default(), &mut hash);
            out.truncate(rest);
            out.extend_from_slice(&hash);
        }
    }
}

// === impl Escape ===

impl Escape {
    fn keeps(self, byte: u8) -> bool {
        match self {
            Self::Joined => !matches!(byte, 0..0x20 | b'%' | b',' | b'"' | b'\\' | 0x7f),
            Self::Reserved => {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'-' | b'.' | b'_' | b'~')
                    || !byte.is_ascii()
            }
        }
    }

    fn write(self, text: &[u8], out: &mut Vec<u8>) {
        if text.iter().all(|byte| self.keeps(*byte)) {
            out.extend_from_slice(text);
            return;
        }
        for byte in text {
            if self.keeps(*byte) {
                out.push(*byte);
            } else {
                out.push(b'%');
                for half in [byte >> 4, byte & 15] {
                    out.push(if half < 10 {
                        b'0' + half
                    } else {
                        b'A' + half - 10
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("c{i}")).collect()
    }

    fn id(template: &IdTemplate, values: &[&str]) -> String {
        let (mut texts, mut ranges) = (Vec::new(), Vec::new());
        for value in values {
            let start = texts.len();
            texts.extend_from_slice(value.as_bytes());
            ranges.push(start..texts.len());
        }
        let mut out = b"before".to_vec();
        template.write(&texts, &ranges, &mut out);
        String::from_utf8(out.split_off(6)).unwrap()
    }

    fn joined(values: &[&str]) -> String {
        id(&IdTemplate::joined(&names(values.len())), values)
    }

    fn redis(template: &str, values: &[&str]) -> String {
        id(
            &IdTemplate::parse(template, &names(values.len())).unwrap(),
            values,
        )
    }

    #[test]
    fn usual_ids_read_as_their_values() {
        assert_eq!(joined(&["42"]), "42");
        assert_eq!(
            joined(&["18446744073709551615", "a-b"]),
            "18446744073709551615,a-b"
        );
        assert_eq!(joined(&["小明@example.com"]), "小明@example.com");
        assert_eq!(redis("profile:{c0}", &["42"]), "profile:42");
        assert_eq!(redis("p:{c1}/{c0}:x", &["小明", "é"]), "p:é/小明:x");
    }

    #[test]
    fn values_cannot_fool_the_template() {
        assert_eq!(joined(&["a,b", "c"]), "a%2Cb,c");
        assert_eq!(joined(&["\"\\\n%"]), "%22%5C%0A%25");
        assert_eq!(redis("profile:{c0}", &["1:_v"]), "profile:1%3A_v");
        assert_eq!(redis("profile:{c0}", &["{a} *"]), "profile:%7Ba%7D%20%2A");
    }

    #[test]
    fn an_empty_key_has_an_id_of_its_own() {
        assert_eq!(joined(&[""]), "%empty");
        assert_eq!(joined(&["%empty"]), "%25empty");
        assert_eq!(joined(&["", ""]), ",");
        assert_eq!(redis("profile:{c0}", &[""]), "profile:");
    }

    #[test]
    fn long_ids_are_hashed_behind_their_prefix_and_no_other_id_looks_so() {
        let value = "x".repeat(MAX_BYTES);
        assert_eq!(joined(&[&value]), value);
        let hashed = joined(&[&format!("{value}x")]);
        assert!(hashed.starts_with("%sha256-") && hashed.len() == 8 + 64);
        assert_ne!(joined(&[&hashed]), hashed);
        let hashed = redis("profile:{c0}", &[&value]);
        assert!(hashed.starts_with("profile:%sha256-") && hashed.len() == 16 + 64);
        assert_ne!(redis("profile:{c0}", &[&hashed[8..]]), hashed);
        assert_ne!(
            redis("profile:{c0}", &[&format!("{value}y")]),
            redis("profile:{c0}", &[&format!("{value}z")])
        );
    }

    /// Values that are near each other in all that the encodings care for.
    fn values(n: usize) -> impl Strategy<Value = Vec<String>> {
        let tricky = r#"[a1%,:/"\\_v\-2C5é\u{0}]{0,6}|%empty|%sha256-|:_v|[a,%]{508,514}"#;
        prop::collection::vec(tricky, n)
    }

    proptest! {
        #[test]
        fn different_keys_have_different_ids(
            (a, b) in (1_usize..4).prop_flat_map(|n| (values(n), values(n)))
        ) {
            let (a, b): (Vec<&str>, Vec<&str>) =
                (a.iter().map(String::as_str).collect(), b.iter().map(String::as_str).collect());
            let templates = ["p:{c0}", "p:{c0}:{c1}x", "p:{c0}a:/{c2}%b,{c1}:_v"];
            let template = templates[a.len() - 1].replace('%', "");
            let (left, right) = (redis(&template, &a), redis(&template, &b));
            prop_assert_eq!(joined(&a) == joined(&b), a == b);
            prop_assert_eq!(left == right, a == b);
            // Nor is a row's key the sibling of another's.
            prop_assert_ne!(&left, &format!("{right}:_v"));
            for id in [joined(&a), left] {
                prop_assert!(!id.is_empty() && id.len() <= MAX_BYTES);
                prop_assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
            }
        }
    }
}
