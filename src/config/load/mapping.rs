//! A pipeline's mapping file: a bare mapping, or a body as for making an index, `{"settings": …, "mappings": …}`.
//! It is handed on as it is. The sink adds `_deleted` and `_deleted_at` where they are absent; here they are
//! refused where they are something else.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::config::read::{Source, did_you_mean, listed};
use crate::config::{DocumentSpec, Place, Problems};

/// What a mapping may hold at its top.
const KEYS: [&str; 11] = [
    "properties",
    "dynamic",
    "dynamic_templates",
    "dynamic_date_formats",
    "date_detection",
    "numeric_detection",
    "runtime",
    "subobjects",
    "_source",
    "_field_names",
    "_meta",
];

/// Keys that a mapping may not have, with the reason.
const REFUSED: [(&str, &str); 3] = [
    (
        "aliases",
        "the pipeline's `index` is the only alias, and it is made with its filter",
    ),
    (
        "_routing",
        "documents are found by their id alone, without a routing",
    ),
    (
        "enabled",
        "with it no field could be searched, the tombstones' mark among them",
    ),
];

/// Fields that deletes and purges rely on, with the type that each must have.
const OURS: [(&str, &str); 2] = [("_deleted", "boolean"), ("_deleted_at", "date")];

/// Types that take a masked value, which is text whatever the column was.
const TEXTUAL: [&str; 4] = ["keyword", "text", "wildcard", "match_only_text"];

/// A JSON object whose values are still text, so that each has a place.
type Raw<'t> = BTreeMap<String, &'t RawValue>;

/// Reads a mapping file. `named_at` is where the pipeline names it.
pub(super) fn read(
    file: &Path,
    named_at: &Place,
    document: &DocumentSpec,
    problems: &mut Problems,
) -> Option<Value> {
    if !file.exists() {
        let message = format!(
            "mapping: there is no file {}: make it, or leave the key out to have the mapping derived",
            file.display()
        );
        problems.add(named_at.clone(), message);
        return None;
    }
    let source = Source::read(file, problems)?;
    let file: Raw<'_> = parse(source.text(), &source, problems)?;
    let mapping: Raw<'_> = match file.get("mappings") {
        Some(raw) => {
            beside_mappings(&file, &source, problems);
            parse(raw.get(), &source, problems)?
        }
        None => file,
    };
    for (key, value) in &mapping {
        let place = place(&source, value);
        if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| refused == key) {
            problems.add(
                place,
                format!("{key:?} is not taken in a mapping: {reason}"),
            );
        } else if key == "settings" {
            let message = "\"settings\" stands beside \"mappings\": put the mapping under that";
            problems.add(place, message);
        } else if !KEYS.contains(&key.as_str()) {
            let advice = match did_you_mean(key, KEYS) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("the keys are {}", listed(KEYS, "and")),
            };
            problems.add(place, format!("unknown key {key:?} in a mapping: {advice}"));
        }
    }
    if let Some(raw) = mapping.get("_meta")
        && parse(raw.get(), &source, problems)?.contains_key("twolane")
    {
        let message = "\"_meta\" holds \"twolane\", where this program keeps the topic's identity: leave it out";
        problems.add(place(&source, raw), message);
    }
    let properties: Raw<'_> = match mapping.get("properties") {
        Some(raw) => parse(raw.get(), &source, problems)?,
        None => Raw::new(),
    };
    check_properties(&properties, document, &source, problems);
    serde_json::from_str(source.text()).ok()
}

/// A body as for making an index has `settings` beside `mappings`, and nothing else.
fn beside_mappings(file: &Raw<'_>, source: &Source, problems: &mut Problems) {
    for (key, value) in file {
        match key.as_str() {
            "mappings" => {}
            "settings" => {
                parse(value.get(), source, problems);
            }
            other => {
                let message =
                    format!("beside \"mappings\" there may be \"settings\", and not {other:?}");
                problems.add(place(source, value), message);
            }
        }
    }
}

/// Parses a JSON object that is, or is a part of, the file's text.
fn parse<'t>(text: &'t str, source: &Source, problems: &mut Problems) -> Option<Raw<'t>> {
    serde_json::from_str(text)
        .map_err(|error| {
            let start = offset(source, text);
            let place = match source.place(start) {
                Place::Character { file, line, column } => Place::Character {
                    file,
                    line: line + error.line().saturating_sub(1),
                    column: if error.line() <= 1 {
                        column + error.column().saturating_sub(1)
                    } else {
                        error.column()
                    },
                },
                whole @ (Place::File(_) | Place::Variable(_) | Place::Default(_)) => whole,
            };
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or_default();
            let message = if error.is_data() {
                "must be a JSON object".to_owned()
            } else {
                format!("is not JSON: {what}")
            };
            problems.add(place, message);
        })
        .ok()
}

fn check_properties(
    properties: &Raw<'_>,
    document: &DocumentSpec,
    source: &Source,
    problems: &mut Problems,
) {
    let mut field =
        |name: &str, check: &mut dyn FnMut(&Raw<'_>, Option<&str>) -> Option<String>| {
            let Some(raw) = properties.get(name) else {
                return;
            };
            let place = place(source, raw);
            let Ok(parts) = serde_json::from_str::<Raw<'_>>(raw.get()) else {
                problems.add(
                    place,
                    format!(
                        "field {name:?} must be a JSON object such as {{\"type\": \"keyword\"}}"
                    ),
                );
                return;
            };
            let kind: Option<String> = parts
                .get("type")
                .and_then(|kind| serde_json::from_str(kind.get()).ok());
            if let Some(wrong) = check(&parts, kind.as_deref()) {
                problems.add(place, wrong);
            }
        };
    for (name, right) in OURS {
        field(name, &mut |parts, kind| {
            let searchable = parts
                .get("index")
                .is_none_or(|index| index.get() != "false");
            let readable = parts
                .get("format")
                .is_none_or(|format| format.get().contains("epoch_millis"));
            (kind != Some(right) || !searchable || !readable).then(|| {
                format!("field {name:?} belongs to this program and must be {{\"type\": {right:?}}}: write it so, or leave it out and it is added")
            })
        });
    }
    for column in document.mask.keys() {
        let name = document.rename.get(column).unwrap_or(column);
        field(name, &mut |_, kind| {
            kind.filter(|kind| !TEXTUAL.contains(kind)).map(|kind| {
                format!("field {name:?} is masked, so its values are text: map it as \"keyword\", not as {kind:?}")
            })
        });
    }
    let targets: Vec<&String> = document.rename.values().collect();
    for (column, name) in &document.rename {
        if targets.contains(&column) {
            continue;
        }
        field(column, &mut |_, _| {
            Some(format!(
                "column {column:?} is renamed to {name:?}, so no document has this field: map {name:?} instead"
            ))
        });
    }
}

fn place(source: &Source, raw: &RawValue) -> Place {
    source.place(offset(source, raw.get()))
}

/// Where `part`, which is a part of the file's text, begins in it.
fn offset(source: &Source, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(source.text().as_ptr() as usize)
}
