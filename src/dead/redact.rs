//! What of a dead letter may be shown: nothing that no document of its pipelines holds in clear.
//!
//! A letter holds its record as it came, with the columns that pipelines mask and omit. Their values are replaced
//! wherever a member of the JSON has such a column's name: in a row's images, in a key, in Canal's `old`. With them go
//! `query` and `sql`, where captures put whole statements. What is no JSON object cannot be searched, and is not shown
//! at all where anything is to be hidden.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::config::PipelineSpec;

/// What stands for a value.
const HIDDEN: &str = "\"***\"";
/// Members in which captures put the statement that made the change.
const STATEMENTS: [&str; 2] = ["query", "sql"];
/// Deeper values are hidden: decoders refuse such records as well.
const DEEPEST: usize = 64;

/// Hides the values of columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Redactor {
    /// In lower case, as MySQL compares the names of columns.
    columns: BTreeSet<String>,
    /// Nobody knows what is to be hidden.
    everything: bool,
}

/// An object's members in their order; of several of one name all.
struct Members<'a>(Vec<(String, &'a RawValue)>);

// === impl Redactor ===

impl Redactor {
    /// Of everything that one of these pipelines masks or omits.
    pub(crate) fn of<'p>(pipelines: impl IntoIterator<Item = &'p PipelineSpec>) -> Self {
        let documents = pipelines.into_iter().map(|p| &p.document);
        let columns = documents.flat_map(|d| d.mask.keys().chain(&d.omit));
        Self {
            columns: columns.map(|c| c.to_lowercase()).collect(),
            everything: false,
        }
    }

    /// Of all that there is, where it is not known what a letter's pipeline masks.
    pub(crate) fn everything() -> Self {
        Self {
            everything: true,
            ..Self::default()
        }
    }

    /// Whether nothing is to be hidden.
    pub(crate) fn hides_nothing(&self) -> bool {
        self.columns.is_empty() && !self.everything
    }

    /// Whether what has this name is to be hidden.
    pub(crate) fn hides(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let column = self.columns.contains(&name) || STATEMENTS.contains(&name.as_str());
        self.everything || (column && !self.columns.is_empty())
    }

    /// A JSON object without what is to be hidden; `None` where the text is none.
    pub(crate) fn json(&self, text: &str) -> Option<String> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        if self.everything || !raw.get().starts_with('{') {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        self.write(raw, 0, &mut out)?;
        Some(out)
    }

    fn write(&self, raw: &RawValue, depth: usize, out: &mut String) -> Option<()> {
        let text = raw.get();
        if depth >= DEEPEST {
            out.push_str(HIDDEN);
            return Some(());
        }
        if text.starts_with('{') {
            let Members(members) = serde_json::from_str(text).ok()?;
            out.push('{');
            for (n, (name, value)) in members.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::to_string(name).ok()?);
                out.push(':');
                if self.hides(name) && value.get() != "null" {
                    out.push_str(HIDDEN);
                } else {
                    self.write(value, depth + 1, out)?;
                }
            }
            out.push('}');
        } else if text.starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push('[');
            for (n, item) in items.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                self.write(item, depth + 1, out)?;
            }
            out.push(']');
        } else {
            out.push_str(text);
        }
        Some(())
    }
}

// === impl Members ===

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(All).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(columns: &[&str]) -> Redactor {
        Redactor {
            columns: columns.iter().map(|c| c.to_lowercase()).collect(),
            everything: false,
        }
    }

    #[test]
    fn a_hidden_column_shows_nowhere_and_everything_else_stays_to_the_digit() {
        let r = redactor(&["phone", "Password_Hash"]);
        let text = r#"{"before":{"ID":1,"PHONE":"139"},"after":{"phone":"138","n":12345678901234567890.10,"password_hash":null},
            "old":[{"phone":{"x":"138"}}],"source":{"query":"UPDATE u SET phone='138'"},"sql":"138","s":"phone"}"#;
        let shown = r.json(text).unwrap();
        assert!(!shown.contains("138") && !shown.contains("139"), "{shown}");
        for kept in [
            "12345678901234567890.10",
            r#""ID":1"#,
            r#""s":"phone""#,
            r#""password_hash":null"#,
        ] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
        assert_eq!(
            r.json(r#"{"ph\u006fne":"138"}"#).unwrap(),
            r#"{"phone":"***"}"#
        );
        // Of two members of one name both are hidden.
        let twice = r.json(r#"{"phone":"138","phone":"139"}"#).unwrap();
        assert_eq!(twice, r#"{"phone":"***","phone":"***"}"#);
    }

    #[test]
    fn what_is_no_object_is_not_shown_and_nothing_is_hidden_without_masks() {
        let r = redactor(&["phone"]);
        for none in ["\"138\"", "138", "[138]", "{\"phone\":138", ""] {
            assert_eq!(r.json(none), None, "{none}");
        }
        let none = Redactor::default();
        assert!(none.hides_nothing() && !none.hides("query"));
        let deep = "{\"a\":".repeat(100) + "138" + &"}".repeat(100);
        assert!(!r.json(&deep).unwrap().contains("138"));
    }
}
