//! A field's value before anyone has judged its meaning.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::field::Unfit;
use super::{Field, Kind, Source, show_duration, show_size};
use crate::config::{Place, Problems, Secret};

/// A value and where it was written.
#[derive(Clone)]
pub(crate) struct Placed<T> {
    /// Where.
    pub place: Place,
    /// What.
    pub value: T,
}

/// One entry of a map.
#[derive(Clone)]
pub(crate) struct Entry {
    /// Its name.
    pub name: Placed<String>,
    /// Its value.
    pub value: Placed<String>,
}

/// What a field holds. It has no `Debug`: texts of a map may be secrets.
#[derive(Clone)]
pub(crate) enum Value {
    /// [`Kind::Text`] or [`Kind::Choice`].
    Text(String),
    /// [`Kind::Secret`].
    Secret(Secret),
    /// [`Kind::Integer`].
    Integer(u64),
    /// [`Kind::Duration`].
    Duration(Duration),
    /// [`Kind::Size`].
    Size(usize),
    /// [`Kind::Address`].
    Address(SocketAddr),
    /// [`Kind::Path`].
    Path(PathBuf),
    /// [`Kind::List`].
    List(Vec<Placed<String>>),
    /// [`Kind::Map`].
    Map(Vec<Entry>),
}

// === impl Value ===

impl Value {
    /// A list whose items have no place of their own.
    pub(super) fn texts<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        Self::List(texts.map(unplaced).collect())
    }

    /// A map whose entries have no place of their own.
    pub(super) fn pairs(pairs: Vec<(&str, &str)>) -> Self {
        let entry = |(name, value)| Entry {
            name: unplaced(name),
            value: unplaced(value),
        };
        Self::Map(pairs.into_iter().map(entry).collect())
    }

    /// For people's eyes. A secret is not shown, nor is any text of a map, which may be one.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Secret(secret) => secret.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Duration(duration) => show_duration(*duration),
            Self::Size(bytes) => show_size(u64::try_from(*bytes).unwrap_or(u64::MAX)),
            Self::Address(address) => address.to_string(),
            Self::Path(path) => path.display().to_string(),
            Self::List(items) => {
                let items: Vec<&str> = items.iter().map(|item| item.value.as_str()).collect();
                items.join(", ")
            }
            Self::Map(entries) => {
                let hidden = |entry: &Entry| format!("{} = [redacted]", entry.name.value);
                let entries: Vec<String> = entries.iter().map(hidden).collect();
                entries.join(", ")
            }
        }
    }

    /// Gives every item of a list or map the place of the whole.
    pub(super) fn placed_at(mut self, place: &Place) -> Self {
        match &mut self {
            Self::List(items) => items.iter_mut().for_each(|item| item.place = place.clone()),
            Self::Map(entries) => {
                for entry in entries {
                    entry.name.place = place.clone();
                    entry.value.place = place.clone();
                }
            }
            Self::Text(_)
            | Self::Secret(_)
            | Self::Integer(_)
            | Self::Duration(_)
            | Self::Size(_)
            | Self::Address(_)
            | Self::Path(_) => {}
        }
        self
    }
}

fn unplaced(text: &str) -> Placed<String> {
    Placed {
        place: Place::Default(""),
        value: text.to_owned(),
    }
}

/// The value of `field` in a file. What does not fit goes to `problems`.
pub(super) fn from_toml(
    field: &Field,
    found: &Spanned<DeValue<'_>>,
    source: &Source,
    problems: &mut Problems,
) -> Option<Value> {
    let place = source.place(found.span().start);
    let fitted = match (&field.kind, found.get_ref()) {
        (Kind::List, DeValue::Array(items)) => {
            let items = items
                .iter()
                .map(|item| item_text(field, item, source, problems));
            let items: Vec<Option<_>> = items.collect();
            return items
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .map(Value::List);
        }
        (Kind::Map { scalars }, DeValue::Table(table)) => {
            return entries(field, *scalars, table, source, problems).map(Value::Map);
        }
        (Kind::Map { .. } | Kind::List, DeValue::String(_)) => Err(Unfit),
        (kind, DeValue::String(text)) => kind.fit_text(text, source.folder()),
        (kind, DeValue::Integer(number)) => integer(number)
            .ok_or(Unfit)
            .and_then(|n| kind.fit_number(n)),
        (
            _,
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_),
        ) => Err(Unfit),
    };
    fitted
        .map_err(|Unfit| problems.add(place, field.refusal(Some(&shown(found.get_ref())))))
        .ok()
}

fn item_text(
    field: &Field,
    item: &Spanned<DeValue<'_>>,
    source: &Source,
    problems: &mut Problems,
) -> Option<Placed<String>> {
    let place = source.place(item.span().start);
    match item.get_ref() {
        DeValue::String(text) if !text.is_empty() => Some(Placed {
            place,
            value: text.clone().into_owned(),
        }),
        other => {
            let message = format!("{} must hold texts, not {}", field.path, shown(other));
            problems.add(place, message);
            None
        }
    }
}

fn entries(
    field: &Field,
    scalars: bool,
    table: &DeTable<'_>,
    source: &Source,
    problems: &mut Problems,
) -> Option<Vec<Entry>> {
    let mut entries = Some(Vec::new());
    for (name, value) in table.iter() {
        let text = match value.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            DeValue::Integer(number) if scalars => Some(number.to_string()),
            DeValue::Boolean(yes) if scalars => Some(yes.to_string()),
            DeValue::Table(inner) => {
                let dotted = dotted(name.get_ref(), inner);
                let message = format!(
                    "a name with dots needs quotes in {}: {dotted:?}",
                    field.path
                );
                problems.add(source.place(name.span().start), message);
                entries = None;
                continue;
            }
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => None,
        };
        let Some(text) = text else {
            let message = format!(
                "{}.{} must be text, not {}",
                field.path,
                name.get_ref(),
                shown(value.get_ref())
            );
            problems.add(source.place(value.span().start), message);
            entries = None;
            continue;
        };
        if let Some(entries) = &mut entries {
            entries.push(Entry {
                name: Placed {
                    place: source.place(name.span().start),
                    value: name.get_ref().clone().into_owned(),
                },
                value: Placed {
                    place: source.place(value.span().start),
                    value: text,
                },
            });
        }
    }
    entries
}

/// The name that unquoted dots have taken apart.
fn dotted(first: &str, inner: &DeTable<'_>) -> String {
    let mut name = first.to_owned();
    let mut inner = Some(inner);
    while let Some((key, value)) = inner.and_then(|table| table.iter().next()) {
        name.push('.');
        name.push_str(key.get_ref());
        inner = match value.get_ref() {
            DeValue::Table(table) => Some(table),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => None,
        };
    }
    name
}

fn integer(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A value in a message: what it is, and itself where it is short.
fn shown(value: &DeValue<'_>) -> String {
    // Long enough for any value that was nearly right.
    const LONGEST: usize = 60;
    match value {
        DeValue::String(text) if text.len() <= LONGEST => format!("{text:?}"),
        DeValue::String(_) => "so long a text".to_owned(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
