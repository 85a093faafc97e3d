//! Bytes for people's eyes: nothing that comes out of here can steer a terminal.

use std::fmt::Write as _;

use serde::de::IgnoredAny;

/// A time in milliseconds since 1970, in UTC and to the second; `-` where it is unknown.
pub(crate) fn time(ms: Option<i64>) -> String {
    ms.filter(|ms| *ms > 0)
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(
            || String::from("-"),
            |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        )
}

/// A text on one line: control characters are escaped.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
    }
    out
}

/// At most `width` characters, the last of them `…` where it was longer.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// What a key or a value is, and its lines: indented where it is JSON, in hexadecimal where it is not.
pub(crate) fn body(bytes: &[u8]) -> (&'static str, String) {
    match std::str::from_utf8(bytes) {
        Ok(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => ("JSON", json(text)),
        _ => ("not JSON", hex(bytes)),
    }
}

/// A header's value: text where it is some, hexadecimal digits where it is not.
pub(crate) fn value(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => line(text),
        Err(_) => bytes.iter().fold(String::from("0x"), |mut out, b| {
            let _infallible = write!(out, "{b:02x}");
            out
        }),
    }
}

/// JSON that is known to be well formed, over several lines. Numbers keep every digit and members their
/// order, which a parsed document would not.
fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let mut rest = text.chars().peekable();
    let newline = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = rest.next() {
        if quoted {
            // JSON's own escape takes what may not be printed as it is.
            if is_plain(c) {
                out.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _infallible = write!(out, "\\u{unit:04x}");
                }
            }
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                if let Some(end) = rest.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    newline(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                newline(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                newline(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => {
                quoted = c == '"';
                out.push(c);
            }
        }
    }
    out
}

/// 16 bytes a line: their offset, the bytes, and those of them that are printable ASCII.
fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 5);
    for (n, row) in bytes.chunks(16).enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let _infallible = write!(out, "{:08x} ", n * 16);
        for at in 0..16 {
            let _infallible = match row.get(at) {
                Some(b) => write!(out, " {b:02x}"),
                None => write!(out, "   "),
            };
        }
        out.push_str("  ");
        out.extend(row.iter().map(|b| match b {
            b' '..=b'~' => char::from(*b),
            _ => '.',
        }));
    }
    out
}

/// Whether a terminal just prints it: no control character, and none that turns the direction of writing.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn json_is_indented_and_keeps_its_digits_and_its_order() {
        let text =
            r#" {"z":123456789012345678901234567890,"a":[ ],"b":[1, {"c":"x,{\"\\"}],"e":{}} "#;
        let lines = [
            "{",
            "  \"z\": 123456789012345678901234567890,",
            "  \"a\": [],",
            "  \"b\": [",
            "    1,",
            "    {",
            r#"      "c": "x,{\"\\""#,
            "    }",
            "  ],",
            "  \"e\": {}",
            "}",
        ];
        assert_eq!(body(text.as_bytes()), ("JSON", lines.join("\n")));
    }

    #[test]
    fn what_is_not_json_is_shown_in_hexadecimal() {
        let (what, shown) = body(b"{\"a\":\x1b[2J 12345");
        assert_eq!(what, "not JSON");
        assert_eq!(
            shown,
            "00000000  7b 22 61 22 3a 1b 5b 32 4a 20 31 32 33 34 35     {\"a\":.[2J 12345"
        );
        assert_eq!(body(b""), ("not JSON", String::new()));
    }

    #[test]
    fn nothing_that_is_printed_steers_a_terminal() {
        assert_eq!(line("a\u{1b}[2J\nb\u{9b}ü"), "a\\u{1b}[2J\\u{a}b\\u{9b}ü");
        assert_eq!(value(b"a\tb"), "a\\u{9}b");
        assert_eq!(value(b"\xff\x1b"), "0xff1b");
        let (_, shown) = body("\"\u{9b}31m\u{202e}ü\"".as_bytes());
        assert_eq!(shown, r#""\u009b31m\u202eü""#);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }

    #[test]
    fn a_time_is_in_utc_and_an_unknown_one_is_a_dash() {
        assert_eq!(time(Some(1_800_000_000_123)), "2027-01-15T08:00:00Z");
        assert_eq!((time(Some(0)), time(None)), ("-".into(), "-".into()));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((".{0,6}", inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn indented_json_means_the_same(value in any_json()) {
            let shown = json(&value.to_string());
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
