//! What an index must look like: its mapping, from the pipeline's file or derived from the topic's declared
//! columns, and what an existing index lacks of it or contradicts.
//!
//! Promises: a derived mapping takes every value of the declared type, and every value of a column that is
//! not declared. It never changes a field that exists.
//!
//! | column | field | why |
//! |---|---|---|
//! | integers up to 63 bits, year | `long` | |
//! | `bigint unsigned`, `bit(64)` | `long` that ignores what is past 2^63 − 1, and `.exact`, a `keyword` | `unsigned_long` is not in every distribution; numbers sort and range as numbers, and the few that a `long` cannot hold are found through `.exact` |
//! | `decimal` | `double`, with more than 15 digits also `.exact` | money is compared and summed; `_source` keeps the exact text; a double tells 15 digits apart |
//! | `float`, `double` | `double` | |
//! | `boolean`, `bit(1)` | `boolean` | |
//! | text | `text`, and `.keyword` up to 256 characters | as the server's own dynamic mapping has it |
//! | `enum`, `set`, `time`, masked columns | `keyword` | `time` may be negative or past a day, which no date is |
//! | `date`, `datetime`, `timestamp` | `date` | the default format reads all three; beyond milliseconds only `_source` is exact |
//! | binary | `binary` | kept, not searched |
//! | geometry | `keyword`, not indexed | kept, not searched: `geo_shape` refuses what is no longitude and latitude; where a column holds those, say so in a mapping of your own |
//! | `json` | `object`, not enabled | kept, not searched: `flattened` refuses arrays and scalars, and each further way can refuse the second shape that a column takes |
//!
//! Columns that are not declared are kept in `_source` and are not searchable (`dynamic: false`): a mapping
//! guessed from the first value that comes by refuses rows later.

use serde_json::{Map, Value, json};

use crate::config::{ColumnType, Deletes, DocumentSpec, ElasticsearchSpec, TopicSpec};
use crate::sink::SinkError;

type Object = Map<String, Value>;

/// Marks a tombstone.
pub(super) const DELETED: &str = "_deleted";
/// When a tombstone was written, in milliseconds since 1970.
pub(super) const DELETED_AT: &str = "_deleted_at";

/// `keyword` fields skip longer texts: Lucene refuses a term of more than 32,766 bytes, and with it the
/// document, and a character has up to four.
const KEYWORD_CHARACTERS: u32 = 8_191;
/// The same for a text's `.keyword`, where long texts are found through their words: the server's own choice.
const SUBFIELD_CHARACTERS: u32 = 256;
/// Decimal digits that any two doubles tell apart.
const DOUBLE_DIGITS: u8 = 15;
/// How long Elasticsearch remembers the version of what was deleted for good. Writes may be retried for
/// that long and still meet it; each remembered version takes some hundred bytes of the server's heap.
const GC_DELETES: &str = "1h";

/// Names that Elasticsearch keeps for itself: a document with such a field is refused.
const RESERVED: [&str; 14] = [
    "_data_stream_timestamp",
    "_doc_count",
    "_feature",
    "_field_names",
    "_id",
    "_ignored",
    "_index",
    "_nested_path",
    "_routing",
    "_seq_no",
    "_source",
    "_tier",
    "_type",
    "_version",
];

/// An index as the pipeline wants it.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// `settings` of a new index.
    pub(super) settings: Value,
    /// `mappings`, without our part of `_meta`.
    pub(super) mappings: Object,
}

/// How an existing mapping differs from the wanted one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    /// Fields to add, as `properties` of a mapping.
    pub(super) missing: Object,
    /// One sentence part for each field of another type.
    pub(super) contradictions: Vec<String>,
}

// === impl Wanted ===

impl Wanted {
    /// # Errors
    /// [`SinkError::Refused`] naming the field at fault.
    pub(super) fn new(
        spec: &ElasticsearchSpec,
        topic: &TopicSpec,
        document: &DocumentSpec,
        deletes: Deletes,
    ) -> Result<Self, SinkError> {
        let (mut settings, mut mappings) = match &spec.mapping {
            Some(file) => given(file)?,
            None => (Map::new(), derived(topic, document)?),
        };
        if deletes == Deletes::Hard {
            settings
                .entry("index.gc_deletes")
                .or_insert_with(|| json!(GC_DELETES));
        }
        let properties = mappings
            .entry("properties")
            .or_insert_with(|| Value::Object(Map::new()));
        let Some(properties) = properties.as_object_mut() else {
            return Err(refused("its `properties` are not an object of fields"));
        };
        for (name, field) in [
            (DELETED, json!({"type": "boolean"})),
            (
                DELETED_AT,
                json!({"type": "date", "format": "epoch_millis"}),
            ),
        ] {
            let kind = field["type"].clone();
            let found = properties.entry(name).or_insert(field);
            if found.get("type") != Some(&kind) {
                return Err(refused(&format!(
                    "field {name} marks tombstones and must be of type {kind}; leave it out of the file"
                )));
            }
        }
        Ok(Self {
            settings: Value::Object(settings),
            mappings,
        })
    }

    /// What `mappings` of an existing index lack and contradict.
    pub(super) fn difference(&self, mappings: &Value) -> Difference {
        let mut difference = Difference::default();
        let none = Map::new();
        let wanted = object(self.mappings.get("properties")).unwrap_or(&none);
        let found = object(mappings.get("properties")).unwrap_or(&none);
        difference.missing = compare(wanted, found, "", &mut difference.contradictions);
        difference
    }
}

fn refused(what: &str) -> SinkError {
    SinkError::Refused(format!("the pipeline's mapping cannot be used: {what}"))
}

fn object(value: Option<&Value>) -> Option<&Object> {
    value.and_then(Value::as_object)
}

/// A mapping file is a bare mapping, or a body as for making an index: `{"settings": …, "mappings": …}`.
fn given(file: &Value) -> Result<(Object, Object), SinkError> {
    let Some(file) = file.as_object() else {
        return Err(refused("it is not a JSON object"));
    };
    let Some(mappings) = file.get("mappings") else {
        if file.contains_key("settings") || file.contains_key("aliases") {
            return Err(refused(
                "it has `settings` or `aliases` and no `mappings`; put the fields under mappings.properties",
            ));
        }
        return Ok((Map::new(), file.clone()));
    };
    if let Some(other) = file.keys().find(|k| *k != "mappings" && *k != "settings") {
        return Err(refused(&format!(
            "beside `mappings` it may have `settings`, not `{other}`"
        )));
    }
    let mappings = mappings
        .as_object()
        .ok_or_else(|| refused("its `mappings` are not an object"))?;
    let settings = match file.get("settings") {
        None => Map::new(),
        Some(Value::Object(settings)) => settings.clone(),
        Some(_) => return Err(refused("its `settings` are not an object")),
    };
    Ok((settings, mappings.clone()))
}

fn derived(topic: &TopicSpec, document: &DocumentSpec) -> Result<Object, SinkError> {
    let mut properties = Map::new();
    for (column, column_type) in &topic.columns {
        if document.omit.contains(column) {
            continue;
        }
        let name = document.rename.get(column).unwrap_or(column);
        if RESERVED.contains(&name.as_str()) {
            return Err(SinkError::Refused(format!(
                "column {column} becomes field {name}, a name that Elasticsearch keeps for itself: rename it under [document] of the pipeline"
            )));
        }
        let field = if document.mask.contains_key(column) {
            keyword()
        } else {
            field(column_type)
        };
        properties.insert(name.clone(), field);
    }
    let mut mappings = Map::new();
    mappings.insert(String::from("dynamic"), json!("false"));
    mappings.insert(String::from("properties"), Value::Object(properties));
    Ok(mappings)
}

fn keyword() -> Value {
    json!({"type": "keyword", "ignore_above": KEYWORD_CHARACTERS})
}

fn field(column: &ColumnType) -> Value {
    let big_unsigned =
        || json!({"type": "long", "ignore_malformed": true, "fields": {"exact": keyword()}});
    match column {
        ColumnType::Integer | ColumnType::Unsigned | ColumnType::Year => json!({"type": "long"}),
        ColumnType::BigUnsigned => big_unsigned(),
        ColumnType::Bit(1) | ColumnType::Boolean => json!({"type": "boolean"}),
        ColumnType::Bit(2..=63) => json!({"type": "long"}),
        ColumnType::Bit(_) => big_unsigned(),
        ColumnType::Decimal { precision, .. } if *precision <= DOUBLE_DIGITS => {
            json!({"type": "double"})
        }
        ColumnType::Decimal { .. } => json!({"type": "double", "fields": {"exact": keyword()}}),
        ColumnType::Float => json!({"type": "double"}),
        ColumnType::Text => json!({
            "type": "text",
            "fields": {"keyword": {"type": "keyword", "ignore_above": SUBFIELD_CHARACTERS}}
        }),
        ColumnType::Enum(_) | ColumnType::Set(_) | ColumnType::Time(_) => keyword(),
        ColumnType::Date | ColumnType::DateTime(_) | ColumnType::Timestamp(_) => {
            json!({"type": "date"})
        }
        ColumnType::Binary | ColumnType::FixedBinary(_) => json!({"type": "binary"}),
        ColumnType::Json => json!({"type": "object", "enabled": false}),
        ColumnType::Geometry => json!({"type": "keyword", "index": false, "doc_values": false}),
    }
}

/// The wanted fields that are not found; those of another type go to `contradictions`.
fn compare(
    wanted: &Object,
    found: &Object,
    path: &str,
    contradictions: &mut Vec<String>,
) -> Object {
    let mut missing = Map::new();
    for (name, want) in wanted {
        let Some(have) = found.get(name) else {
            missing.insert(name.clone(), want.clone());
            continue;
        };
        let path = format!("{path}{name}");
        let (want_type, have_type) = (type_of(want), type_of(have));
        if want_type != have_type {
            contradictions.push(format!(
                "field {path} is {have_type} there and {want_type} in the pipeline"
            ));
            continue;
        }
        // To add what lies within a field, the field is named again as it stands.
        for within in ["properties", "fields"] {
            let (Some(want), none) = (object(want.get(within)), Map::new()) else {
                continue;
            };
            let inner = object(have.get(within)).unwrap_or(&none);
            let lacking = compare(want, inner, &format!("{path}."), contradictions);
            if lacking.is_empty() {
                continue;
            }
            let again = missing.entry(name).or_insert_with(|| have.clone());
            let inner = again
                .as_object_mut()
                .map(|field| field.entry(within).or_insert_with(|| json!({})));
            if let Some(Value::Object(inner)) = inner {
                inner.extend(lacking);
            }
        }
    }
    missing
}

fn type_of(field: &Value) -> &str {
    field
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("object")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{pipeline, sink};
    use super::*;
    use crate::config::Mask;

    fn wanted(mapping: Option<Value>, columns: &[(&str, ColumnType)]) -> Result<Wanted, SinkError> {
        let spec = ElasticsearchSpec {
            index: String::from("a"),
            mapping,
        };
        let pipeline = pipeline(columns, &sink(&spec));
        Wanted::new(
            &spec,
            &pipeline.topic,
            &pipeline.document,
            Deletes::Tombstone,
        )
    }

    #[test]
    fn every_mapping_has_both_tombstone_fields() {
        for mapping in [
            None,
            Some(json!({})),
            Some(json!({"properties": {"a": {"type": "long"}}})),
            Some(json!({"mappings": {}, "settings": {"number_of_shards": 3}})),
        ] {
            let wanted = wanted(mapping, &[]).unwrap();
            let properties = &wanted.mappings["properties"];
            assert_eq!(properties[DELETED], json!({"type": "boolean"}));
            assert_eq!(properties[DELETED_AT]["type"], "date");
        }
    }

    #[test]
    fn files_that_are_no_mapping_are_refused() {
        for (mapping, named) in [
            (json!([]), "object"),
            (json!({"settings": {}}), "mappings"),
            (json!({"mappings": {}, "aliases": {}}), "aliases"),
            (json!({"properties": 1}), "properties"),
            (
                json!({"properties": {"_deleted": {"type": "keyword"}}}),
                "_deleted",
            ),
        ] {
            match wanted(Some(mapping.clone()), &[]) {
                Err(SinkError::Refused(text)) => assert!(text.contains(named), "{text}"),
                other => panic!("{mapping}: {other:?}"),
            }
        }
    }

    #[test]
    fn columns_are_mapped_under_their_document_names() {
        let spec = ElasticsearchSpec {
            index: String::from("a"),
            mapping: None,
        };
        let columns = [
            ("due_at", ColumnType::DateTime(6)),
            ("password_hash", ColumnType::Text),
            ("phone", ColumnType::Integer),
        ];
        let mut p = pipeline(&columns, &sink(&spec));
        p.document.rename.insert("due_at".into(), "dueDate".into());
        p.document.omit.insert("password_hash".into());
        p.document.mask.insert("phone".into(), Mask::Sha256);
        let wanted = Wanted::new(&spec, &p.topic, &p.document, Deletes::Hard).unwrap();
        let properties = wanted.mappings["properties"].as_object().unwrap();
        let names: Vec<_> = properties.keys().map(String::as_str).collect();
        assert_eq!(names, [DELETED, DELETED_AT, "dueDate", "phone"]);
        assert_eq!(properties["phone"]["type"], "keyword");
        assert_eq!(wanted.mappings["dynamic"], "false");
        assert_eq!(wanted.settings["index.gc_deletes"], GC_DELETES);

        p.document.rename.insert("phone".into(), "_id".into());
        let refused = Wanted::new(&spec, &p.topic, &p.document, Deletes::Hard);
        assert!(matches!(refused, Err(SinkError::Refused(text)) if text.contains("_id")));
    }

    #[test]
    fn a_field_of_another_type_contradicts_and_an_absent_one_is_missing() {
        let columns = [
            ("a", ColumnType::Integer),
            ("b", ColumnType::Text),
            ("c", ColumnType::Json),
            ("d", ColumnType::Date),
        ];
        let wanted = wanted(None, &columns).unwrap();
        let there = json!({"properties": {
            "_deleted": {"type": "boolean"},
            "_deleted_at": {"type": "date", "format": "epoch_millis"},
            "a": {"type": "keyword"},
            "b": {"type": "text", "analyzer": "x"},
            "c": {"type": "object", "enabled": false},
            "other": {"type": "long"},
        }});
        let difference = wanted.difference(&there);
        assert_eq!(
            difference.contradictions,
            ["field a is keyword there and long in the pipeline"]
        );
        assert_eq!(
            Value::Object(difference.missing),
            json!({
                "b": {"type": "text", "analyzer": "x", "fields": {"keyword": {"type": "keyword", "ignore_above": SUBFIELD_CHARACTERS}}},
                "d": {"type": "date"},
            })
        );
        let own = Value::Object(wanted.mappings.clone());
        assert_eq!(wanted.difference(&own), Difference::default());
    }
}
