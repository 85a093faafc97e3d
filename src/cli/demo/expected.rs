//! What a field should hold, from the text that a SELECT gives for its column.
//!
//! These rules are the documents' promise written a second time: they share no code with the lane's
//! conversions, so that a mistake there cannot hide behind its own twin.

use std::fmt;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::table::Kind;
use crate::config::Mask;

/// What a field should hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// SQL NULL.
    Null,
    /// This text.
    Text(String),
    /// This integer, as digits with an optional minus sign.
    Integer(String),
    /// This number.
    Double(f64),
    /// This number, in single precision.
    Float(f32),
    /// True or false.
    Boolean(bool),
    /// These texts in this order.
    List(Vec<String>),
    /// A JSON value that is structurally equal to this one.
    Json(Value),
    /// The SELECT's text is not what the column's kind has; equal to nothing.
    Unknown(String),
}

// === impl Expected ===

impl Expected {
    /// What a column of this kind should be shown as, given its text; `None` is SQL NULL.
    pub fn from_text(kind: Kind, mask: Option<Mask>, text: Option<&str>) -> Self {
        let Some(text) = text else { return Self::Null };
        if let Some(mask) = mask {
            return Self::Text(masked(mask, text));
        }
        let known = match kind {
            Kind::Integer | Kind::Bits => text
                .parse::<i128>()
                .ok()
                .map(|n| Self::Integer(n.to_string())),
            Kind::Text | Kind::Decimal | Kind::Binary | Kind::Date | Kind::Time => {
                Some(Self::Text(text.to_owned()))
            }
            Kind::Double => text.parse().ok().map(Self::Double),
            Kind::Float => text.parse::<f64>().ok().map(|n| Self::Float(n as f32)),
            Kind::Boolean => match text {
                "0" => Some(Self::Boolean(false)),
                "1" => Some(Self::Boolean(true)),
                _ => None,
            },
            Kind::Set if text.is_empty() => Some(Self::List(Vec::new())),
            Kind::Set => Some(Self::List(text.split(',').map(str::to_owned).collect())),
            Kind::Json => serde_json::from_str(text).ok().map(Self::Json),
            Kind::DateTime => text
                .split_once(' ')
                .map(|(date, time)| Self::Text(format!("{date}T{time}"))),
            Kind::Timestamp => text
                .split_once(' ')
                .map(|(date, time)| Self::Text(format!("{date}T{time}Z"))),
        };
        known.unwrap_or_else(|| Self::Unknown(text.to_owned()))
    }

    /// Whether a document's field, given as its JSON text, holds it.
    pub fn is_json(&self, json: &str) -> bool {
        match self {
            Self::Null => json == "null",
            Self::Text(text) => serde_json::from_str::<String>(json).is_ok_and(|t| t == *text),
            Self::Integer(_) | Self::Double(_) | Self::Float(_) | Self::Boolean(_) => {
                self.is_text(json.as_bytes())
            }
            Self::List(members) => {
                serde_json::from_str::<Vec<String>>(json).is_ok_and(|list| list == *members)
            }
            Self::Json(value) => serde_json::from_str::<Value>(json).is_ok_and(|v| v == *value),
            Self::Unknown(_) => false,
        }
    }

    /// Whether a hash's field, given as its bytes, holds it. SQL NULL has no field.
    pub fn is_text(&self, bytes: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return false;
        };
        match self {
            Self::Null | Self::Unknown(_) => false,
            Self::Text(expected) | Self::Integer(expected) => text == expected,
            Self::Double(n) => number(text).is_some_and(|t| t == *n),
            Self::Float(n) => number(text).is_some_and(|t| t as f32 == *n),
            Self::Boolean(b) => text == if *b { "true" } else { "false" },
            Self::List(_) | Self::Json(_) => self.is_json(text),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Integer(digits) => f.write_str(digits),
            Self::Double(n) => n.fmt(f),
            Self::Float(n) => n.fmt(f),
            Self::Boolean(b) => b.fmt(f),
            Self::List(members) => write!(f, "{members:?}"),
            Self::Json(value) => value.fmt(f),
            Self::Unknown(text) => write!(f, "(a text that the check does not know: '{text}')"),
        }
    }
}

/// A JSON number, read exactly; Rust's own parser would also take `inf`.
fn number(text: &str) -> Option<f64> {
    let json = serde_json::from_str::<&serde_json::value::RawValue>(text)
        .ok()?
        .get();
    json.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        .then(|| json.parse().ok())?
}

fn masked(mask: Mask, text: &str) -> String {
    match mask {
        Mask::Redact => "***".to_owned(),
        Mask::Last4 => {
            let characters: Vec<char> = text.chars().collect();
            let shown = if characters.len() > 8 {
                &characters[characters.len() - 4..]
            } else {
                &[]
            };
            format!("***{}", shown.iter().collect::<String>())
        }
        Mask::Sha256 => Sha256::digest(text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(kind: Kind, text: &str, json: &str, redis: &str) {
        let expected = Expected::from_text(kind, None, Some(text));
        assert!(expected.is_json(json), "{expected:?} {json}");
        assert!(expected.is_text(redis.as_bytes()), "{expected:?} {redis}");
    }

    #[track_caller]
    fn other(kind: Kind, text: &str, json: &str) {
        let expected = Expected::from_text(kind, None, Some(text));
        assert!(!expected.is_json(json), "{expected:?} {json}");
    }

    #[test]
    fn each_kind_is_recognised_in_a_document_and_in_a_hash() {
        same(
            Kind::Integer,
            "18446744073709551615",
            "18446744073709551615",
            "18446744073709551615",
        );
        same(Kind::Integer, "-8388608", "-8388608", "-8388608");
        same(Kind::Bits, "255", "255", "255");
        same(
            Kind::Text,
            "say \"hi\"\n",
            r#""say \u0022hi\"\n""#,
            "say \"hi\"\n",
        );
        same(Kind::Decimal, "-0.01", r#""-0.01""#, "-0.01");
        same(Kind::Double, "-2.25e300", "-2.25E300", "-2.25e+300");
        same(
            Kind::Double,
            "0.30000000000000004",
            "0.30000000000000004",
            "0.30000000000000004",
        );
        same(Kind::Double, "5e-324", "4.9E-324", "5e-324");
        same(Kind::Float, "1.7300000190734863", "1.73", "1.73");
        same(
            Kind::Float,
            "1.7300000190734863",
            "1.7300000190734863",
            "1.73",
        );
        same(Kind::Boolean, "1", "true", "true");
        same(Kind::Boolean, "0", "false", "false");
        same(Kind::Set, "", "[]", "[]");
        same(
            Kind::Set,
            "sleep,toys",
            r#"["sleep","toys"]"#,
            r#"["sleep", "toys"]"#,
        );
        same(
            Kind::Json,
            r#"{"a": 1, "b": [null]}"#,
            r#"{"b":[null],"a":1}"#,
            r#"{"b":[null],"a":1}"#,
        );
        same(Kind::Binary, "/wA=", r#""/wA=""#, "/wA=");
        same(Kind::Date, "1000-01-01", r#""1000-01-01""#, "1000-01-01");
        same(Kind::Time, "-838:59:59", r#""-838:59:59""#, "-838:59:59");
        same(
            Kind::DateTime,
            "2026-03-04 05:06:07.080",
            r#""2026-03-04T05:06:07.080""#,
            "2026-03-04T05:06:07.080",
        );
        same(
            Kind::Timestamp,
            "2026-03-04 05:06:07.080",
            r#""2026-03-04T05:06:07.080Z""#,
            "2026-03-04T05:06:07.080Z",
        );
    }

    #[test]
    fn what_is_nearly_right_is_wrong() {
        other(Kind::Integer, "9007199254740993", "9007199254740992");
        other(Kind::Integer, "1", r#""1""#);
        other(Kind::Integer, "18446744073709551615", "-1");
        other(Kind::Decimal, "1.10", r#""1.1""#);
        other(Kind::Decimal, "1.10", "1.10");
        other(Kind::Double, "0.30000000000000004", "0.3");
        other(Kind::Double, "1.5", r#""1.5""#);
        other(Kind::Boolean, "1", "1");
        other(Kind::Set, "sleep,toys", r#"["toys","sleep"]"#);
        other(Kind::Set, "sleep", r#""sleep""#);
        other(Kind::Json, r#"{"a":1}"#, r#""{\"a\":1}""#);
        other(
            Kind::Timestamp,
            "2026-03-04 05:06:07.080",
            r#""2026-03-04T05:06:07.08Z""#,
        );
        other(
            Kind::DateTime,
            "2026-03-04 05:06:07",
            r#""2026-03-04T05:06:07Z""#,
        );
        other(Kind::Text, "", "null");
        other(Kind::Boolean, "2", "true");
    }

    #[test]
    fn null_is_null_in_a_document_and_absent_from_a_hash() {
        let null = Expected::from_text(Kind::Text, Some(Mask::Redact), None);
        assert_eq!(null, Expected::Null);
        assert!(null.is_json("null") && !null.is_json("\"\"") && !null.is_text(b""));
    }

    #[test]
    fn masks_count_characters_not_bytes() {
        let last4 = |text| masked(Mask::Last4, text);
        assert_eq!(last4("13812345678"), "***5678");
        assert_eq!(last4("12345678"), "***");
        assert_eq!(last4("一二三四五六七八九"), "***六七八九");
        assert_eq!(masked(Mask::Redact, "x"), "***");
        assert_eq!(
            masked(Mask::Sha256, ""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
