//! The values of one table of fields, from a file, from variables, or both.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::field::Unfit;
use super::value::{Value, from_toml};
use super::{Entry, Field, Kind, Placed, Source, did_you_mean, listed};
use crate::config::{Place, Problems, Secret};

/// Values by the paths of their fields. A field that was refused counts as absent, so the checks that
/// follow can go on; the caller looks at the problems before it uses anything.
pub(crate) struct Values {
    whole: Place,
    fields: Vec<&'static Field>,
    found: BTreeMap<&'static str, Placed<Value>>,
    refused: BTreeSet<&'static str>,
}

/// How the keys of a table are spoken of.
pub(crate) struct Heading<'h> {
    /// The table's own heading, such as `[[sink]]`; empty for a file's top.
    pub name: &'h str,
    /// What is to be said of an unknown key, where the caller knows more.
    pub hint: &'h dyn Fn(&str) -> Option<String>,
}

// === impl Heading ===

impl Heading<'_> {
    /// The top of a file.
    pub(crate) const TOP: Heading<'static> = Heading {
        name: "",
        hint: &|_| None,
    };
}

// === impl Values ===

impl Values {
    /// No value but the defaults.
    pub(crate) fn new(fields: impl IntoIterator<Item = &'static Field>, whole: Place) -> Self {
        Self {
            whole,
            fields: fields.into_iter().collect(),
            found: BTreeMap::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Takes over what a table of a file holds. Unknown keys and values of the wrong kind go to `problems`.
    pub(crate) fn read_table(
        &mut self,
        table: &DeTable<'_>,
        source: &Source,
        heading: &Heading<'_>,
        problems: &mut Problems,
    ) {
        self.read_section(table, "", source, heading, problems);
    }

    fn read_section(
        &mut self,
        table: &DeTable<'_>,
        section: &str,
        source: &Source,
        heading: &Heading<'_>,
        problems: &mut Problems,
    ) {
        for (key, value) in table.iter() {
            let path = match section {
                "" => key.get_ref().to_string(),
                section => format!("{section}.{}", key.get_ref()),
            };
            let place = source.place(key.span().start);
            if let Some(field) = self.field(&path) {
                if matches!(field.kind, Kind::Sections) {
                    continue;
                }
                match from_toml(field, value, source, problems) {
                    Some(fitted) => {
                        let place = source.place(value.span().start);
                        self.found.insert(
                            field.path,
                            Placed {
                                place,
                                value: fitted,
                            },
                        );
                    }
                    None => {
                        self.refused.insert(field.path);
                    }
                }
            } else if self.is_section(&path) {
                match value.get_ref() {
                    DeValue::Table(inner) => {
                        self.read_section(inner, &path, source, heading, problems);
                    }
                    DeValue::String(_)
                    | DeValue::Integer(_)
                    | DeValue::Float(_)
                    | DeValue::Boolean(_)
                    | DeValue::Datetime(_)
                    | DeValue::Array(_) => {
                        problems.add(place, format!("{path} is a section: write [{path}]"))
                    }
                }
            } else {
                problems.add(place, self.unknown(key.get_ref(), section, heading));
            }
        }
    }

    fn unknown(&self, key: &str, section: &str, heading: &Heading<'_>) -> String {
        let place = match (section, heading.name) {
            ("", "") => String::new(),
            ("", name) => format!(" in {name}"),
            (section, _) => format!(" in [{section}]"),
        };
        let prefix = if section.is_empty() {
            String::new()
        } else {
            format!("{section}.")
        };
        let siblings: BTreeSet<&str> = self
            .fields
            .iter()
            .filter_map(|field| field.path.strip_prefix(&prefix))
            .map(|rest| rest.split_once('.').map_or(rest, |(name, _)| name))
            .collect();
        let advice = (heading.hint)(key)
            .or_else(|| {
                let near = did_you_mean(key, siblings.iter().copied())?;
                Some(format!("did you mean {near:?}?"))
            })
            .or_else(|| {
                let elsewhere = self.fields.iter().find(|field| field.name() == key)?;
                Some(match elsewhere.section() {
                    "" => "it belongs above the first section".to_owned(),
                    section => format!("it belongs in [{section}]"),
                })
            })
            .unwrap_or_else(|| format!("the keys are {}", listed(siblings, "and")));
        format!("unknown key {key:?}{place}: {advice}")
    }

    /// Takes over what variables say; `name_of` makes a field's variable, and paths start from `folder`. An
    /// empty variable counts as not set.
    pub(crate) fn read_variables(
        &mut self,
        variables: &BTreeMap<String, String>,
        folder: &Path,
        name_of: impl Fn(&Field) -> String,
        problems: &mut Problems,
    ) {
        for field in &self.fields {
            let name = name_of(field);
            let Some(text) = variables.get(&name).filter(|text| !text.is_empty()) else {
                continue;
            };
            let place = Place::Variable(name);
            match field.kind.fit_text(text, folder) {
                Ok(value) => {
                    self.refused.remove(field.path);
                    let value = value.placed_at(&place);
                    self.found.insert(field.path, Placed { place, value });
                }
                Err(Unfit) => {
                    let shown = !matches!(field.kind, Kind::Map { .. });
                    let found = format!("{text:?}");
                    problems.add(place, field.refusal(shown.then_some(&found)));
                    self.refused.insert(field.path);
                }
            }
        }
    }

    /// Notes every required field that is absent.
    pub(crate) fn require(&self, problems: &mut Problems) {
        for field in &self.fields {
            if field.required && !self.given(field.path) {
                let example = field.example.unwrap_or_default();
                let message = format!(
                    "missing key {:?}: add {} = {example}",
                    field.path, field.path
                );
                problems.add(self.whole.clone(), message);
            }
        }
    }

    /// Whether someone wrote it, rightly or wrongly.
    pub(crate) fn given(&self, path: &str) -> bool {
        self.found.contains_key(path) || self.refused.contains(path)
    }

    /// Whether someone wrote it wrongly.
    pub(crate) fn refused(&self, path: &str) -> bool {
        self.refused.contains(path)
    }

    /// Where it was written; the place of the whole where it was not.
    pub(crate) fn place(&self, path: &str) -> Place {
        self.found
            .get(path)
            .map_or_else(|| self.whole.clone(), |found| found.place.clone())
    }

    /// What a field holds, for people's eyes, and where it was written; `None` where nobody wrote it.
    pub(crate) fn written(&self, path: &str) -> Option<(String, &Place)> {
        let found = self.found.get(path)?;
        Some((found.value.shown(), &found.place))
    }

    /// A text or a choice, written or by default.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.get(path, |value| match value {
            Value::Text(text) => Some(text),
            _ => None,
        })
    }

    /// A secret.
    pub(crate) fn secret(&self, path: &str) -> Option<Secret> {
        self.get(path, |value| match value {
            Value::Secret(secret) => Some(secret),
            _ => None,
        })
    }

    /// A whole number, written or by default; 0 if there is neither.
    pub(crate) fn integer(&self, path: &str) -> u64 {
        let value = self.get(path, |value| match value {
            Value::Integer(number) => Some(number),
            _ => None,
        });
        value.unwrap_or_default()
    }

    /// A duration, written or by default.
    pub(crate) fn duration(&self, path: &str) -> Option<Duration> {
        self.get(path, |value| match value {
            Value::Duration(duration) => Some(duration),
            _ => None,
        })
    }

    /// A size in bytes, written or by default; 0 if there is neither.
    pub(crate) fn size(&self, path: &str) -> usize {
        let value = self.get(path, |value| match value {
            Value::Size(bytes) => Some(bytes),
            _ => None,
        });
        value.unwrap_or_default()
    }

    /// An address, written or by default.
    pub(crate) fn address(&self, path: &str) -> Option<SocketAddr> {
        self.get(path, |value| match value {
            Value::Address(address) => Some(address),
            _ => None,
        })
    }

    /// A path, written or by default.
    pub(crate) fn path(&self, path: &str) -> Option<PathBuf> {
        self.get(path, |value| match value {
            Value::Path(path) => Some(path),
            _ => None,
        })
    }

    /// A list's items; none where it was not written.
    pub(crate) fn list(&self, path: &str) -> Vec<Placed<String>> {
        let value = self.get(path, |value| match value {
            Value::List(items) => Some(items),
            _ => None,
        });
        value.unwrap_or_default()
    }

    /// A map's entries; none where it was not written.
    pub(crate) fn map(&self, path: &str) -> Vec<Entry> {
        let value = self.get(path, |value| match value {
            Value::Map(entries) => Some(entries),
            _ => None,
        });
        value.unwrap_or_default()
    }

    fn get<T>(&self, path: &str, take: impl Fn(Value) -> Option<T>) -> Option<T> {
        debug_assert!(self.field(path).is_some(), "{path} is not declared");
        match self.found.get(path) {
            Some(found) => take(found.value.clone()),
            None => take(self.field(path)?.default_value()?),
        }
    }

    fn field(&self, path: &str) -> Option<&'static Field> {
        self.fields.iter().copied().find(|field| field.path == path)
    }

    /// Whether fields, or sections with fields, are in it.
    fn is_section(&self, path: &str) -> bool {
        self.fields.iter().any(|field| {
            let rest = field.section().strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}
