//! `[document]` of a pipeline: how a row becomes a document, checked against what is known of its columns.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::read::{Entry, Placed, Values, did_you_mean, listed};
use crate::config::{Decimals, DocumentSpec, Mask, Problems, TopicSpec};

/// Fields that the sinks keep beside a row's own.
const OURS: [&str; 3] = ["_deleted", "_deleted_at", "_v"];

/// Fields of Elasticsearch's own: a document that holds one is refused.
const METADATA: [&str; 16] = [
    "_data_stream_timestamp",
    "_id",
    "_index",
    "_type",
    "_source",
    "_routing",
    "_version",
    "_seq_no",
    "_primary_term",
    "_ignored",
    "_field_names",
    "_nested_path",
    "_doc_count",
    "_tier",
    "_size",
    "_feature",
];

const MASKS: [&str; 3] = ["redact", "last4", "sha256"];

/// Reads the section. `topic` is absent where its spec could not be read, and then nothing is checked
/// against it.
pub(super) fn read(
    values: &Values,
    topic: Option<&TopicSpec>,
    problems: &mut Problems,
) -> DocumentSpec {
    let rename = values.map("document.rename");
    let omit = values.list("document.omit");
    let mask = values.map("document.mask");
    check_names(&rename, problems);
    check_omitted(&rename, &omit, &mask, problems);
    let mask = masks(&mask, topic, problems);
    let rename: BTreeMap<String, String> = rename
        .into_iter()
        .map(|entry| (entry.name.value, entry.value.value))
        .collect();
    let omit: BTreeSet<String> = omit.into_iter().map(|column| column.value).collect();
    let document = DocumentSpec {
        rename,
        omit,
        mask,
        decimals: match values.text("document.decimals").as_deref() {
            Some("number") => Decimals::Number,
            Some(_) | None => Decimals::String,
        },
    };
    if let Some(topic) = topic {
        check_columns(values, &document, topic, problems);
    }
    document
}

fn check_names(rename: &[Entry], problems: &mut Problems) {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for Entry { name, value } in rename {
        let (column, field) = (name.value.as_str(), value.value.as_str());
        if let Some(wrong) = reserved(field) {
            problems.add(
                value.place.clone(),
                format!("rename.{column} = {field:?}: {wrong}"),
            );
        } else if field.split('.').any(str::is_empty) {
            let message = format!(
                "rename.{column} = {field:?}: a field's name is not empty and neither begins nor ends with a dot"
            );
            problems.add(value.place.clone(), message);
        } else if column == field {
            problems.add(
                value.place.clone(),
                format!("rename.{column} = {field:?} changes nothing: leave it out"),
            );
        }
        if let Some(other) = taken.insert(field, column) {
            let message = format!(
                "rename gives {other:?} and {column:?} one name, {field:?}: a document holds a field once"
            );
            problems.add(value.place.clone(), message);
        }
    }
}

/// Why no document may have a field of this name.
fn reserved(field: &str) -> Option<String> {
    if OURS.contains(&field) {
        Some(format!(
            "{field} is kept for deletes and versions; choose another name"
        ))
    } else if METADATA.contains(&field) {
        Some(format!(
            "{field} is a field of Elasticsearch's own; choose another name"
        ))
    } else {
        None
    }
}

fn check_omitted(
    rename: &[Entry],
    omit: &[Placed<String>],
    mask: &[Entry],
    problems: &mut Problems,
) {
    let mut seen = BTreeSet::new();
    for column in omit {
        if !seen.insert(&column.value) {
            problems.add(
                column.place.clone(),
                format!("omit names column {:?} twice", column.value),
            );
        }
        for (what, entries) in [("rename", rename), ("mask", mask)] {
            if entries.iter().any(|entry| entry.name.value == column.value) {
                let message = format!(
                    "column {:?} is in omit and in {what}: keep one",
                    column.value
                );
                problems.add(column.place.clone(), message);
            }
        }
    }
}

fn masks(
    entries: &[Entry],
    topic: Option<&TopicSpec>,
    problems: &mut Problems,
) -> BTreeMap<String, Mask> {
    let mut masks = BTreeMap::new();
    for Entry { name, value } in entries {
        let column = &name.value;
        if topic.is_some_and(|topic| topic.key.contains(column)) {
            let message = format!(
                "mask.{column}: a key's column cannot be hidden, since the document's id shows it"
            );
            problems.add(name.place.clone(), message);
        }
        let mask = match value.value.as_str() {
            "redact" => Mask::Redact,
            "last4" => Mask::Last4,
            "sha256" => Mask::Sha256,
            other => {
                let near =
                    did_you_mean(other, MASKS).map(|near| format!(": did you mean {near:?}?"));
                let message = format!(
                    "mask.{column} must be {}, not {other:?}{}",
                    listed(MASKS, "or"),
                    near.unwrap_or_default()
                );
                problems.add(value.place.clone(), message);
                continue;
            }
        };
        masks.insert(column.clone(), mask);
    }
    masks
}

/// Checks the names that the known columns end up with. Columns that the topic spec does not declare are not
/// known here; `[columns]` holds only what the format leaves out.
fn check_columns(
    values: &Values,
    document: &DocumentSpec,
    topic: &TopicSpec,
    problems: &mut Problems,
) {
    let known: BTreeSet<&String> = topic.key.iter().chain(topic.columns.keys()).collect();
    let entries = values.map("document.rename");
    for column in known {
        if document.omit.contains(column) || document.rename.contains_key(column) {
            continue;
        }
        if let Some(wrong) = reserved(column) {
            let message = format!(
                "topic {} has a column {column:?}, and {wrong}, by rename or omit under [document]",
                topic.name
            );
            problems.add(values.place("topic"), message);
        }
        if let Some(Entry { name, value }) =
            entries.iter().find(|entry| entry.value.value == *column)
        {
            let message = format!(
                "rename.{} = {column:?}: topic {} has a column of that name; choose another, or omit or rename that one",
                name.value, topic.name
            );
            problems.add(value.place.clone(), message);
        }
    }
}
