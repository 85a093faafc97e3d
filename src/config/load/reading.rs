//! The keys of a topic spec that say how its records are read: which go with which format, and what they
//! need of one another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::read::{Placed, Values};
use crate::config::{
    AvroFile, BinaryMode, ColumnType, Compatibility, DecimalMode, Format, OnNewColumn, OnTruncate,
    Partitioner, Place, Problems, Reading, TimeMode, Zone,
};

/// Every format's name.
pub(super) const FORMATS: [&str; 6] = [
    "debezium-json",
    "debezium-avro",
    "canal-json",
    "maxwell-json",
    "avro",
    "json",
];

const DEBEZIUM: &[Format] = &[Format::DebeziumJson, Format::DebeziumAvro];
const TABLES: &[Format] = &[Format::CanalJson, Format::MaxwellJson];
const PLAIN: &[Format] = &[Format::Avro, Format::Json];

/// Keys that mean something to these formats alone.
const ONLY_WITH: [(&str, &[Format]); 8] = [
    ("decimal_handling_mode", DEBEZIUM),
    ("binary_handling_mode", DEBEZIUM),
    ("time_precision_mode", DEBEZIUM),
    ("timestamp_zone", TABLES),
    ("tables", TABLES),
    ("schema", PLAIN),
    ("former_schemas", PLAIN),
    ("compatibility", PLAIN),
];

/// The format; Debezium's JSON where it is missing or wrong, which has been reported.
pub(super) fn format(values: &Values) -> Option<Format> {
    match values.text("format").as_deref() {
        Some("debezium-json") | None => Some(Format::DebeziumJson),
        Some("debezium-avro") => Some(Format::DebeziumAvro),
        Some("canal-json") => Some(Format::CanalJson),
        Some("maxwell-json") => Some(Format::MaxwellJson),
        Some("avro") => Some(Format::Avro),
        Some("json") => Some(Format::Json),
        Some(_) => None,
    }
}

/// The partitioner, where one is declared.
pub(super) fn partitioner(values: &Values) -> Option<Partitioner> {
    match values.text("partitioner")?.as_str() {
        "murmur2" => Some(Partitioner::Murmur2),
        "canal" => Some(Partitioner::Canal),
        "table" => Some(Partitioner::Table),
        _ => None,
    }
}

/// Reads the keys. `None` where a schema that is needed cannot be read, which has been reported.
pub(super) fn read(
    values: &Values,
    file: &Path,
    columns: &BTreeMap<String, ColumnType>,
    problems: &mut Problems,
) -> Option<Reading> {
    let format = format(values)?;
    for (key, formats) in ONLY_WITH {
        if values.given(key) && !formats.contains(&format) {
            let names: Vec<&str> = formats.iter().map(|f| f.name()).collect();
            let message = format!(
                "{key} goes with format {}, not with {:?}",
                names.join(" or "),
                format.name()
            );
            problems.add(values.place(key), message);
        }
    }
    check_partitioner(values, format, problems);
    let zone = zone(values, problems);
    if format == Format::CanalJson && zone.is_none() && !values.given("timestamp_zone") {
        let timestamp = |column: &ColumnType| matches!(column, ColumnType::Timestamp(_));
        if let Some((name, _)) = columns.iter().find(|(_, column)| timestamp(column)) {
            let message = format!(
                "column {name:?} is a timestamp, which Canal prints in its own zone: add timestamp_zone = \"Asia/Shanghai\", or whichever it is"
            );
            problems.add(values.place("columns"), message);
        }
    }
    let schemas = match format {
        Format::Avro | Format::Json => schemas(values, file, problems)?,
        Format::DebeziumJson | Format::DebeziumAvro | Format::CanalJson | Format::MaxwellJson => {
            Vec::new()
        }
    };
    let compatibility = match values.text("compatibility").as_deref() {
        Some("forward") => Compatibility::Forward,
        Some("full") => Compatibility::Full,
        Some("none") => Compatibility::None,
        Some(_) | None => Compatibility::Backward,
    };
    check_schemas(&schemas, compatibility, problems);
    Some(Reading {
        decimals: match values.text("decimal_handling_mode").as_deref() {
            Some("precise") => Some(DecimalMode::Precise),
            Some("string") => Some(DecimalMode::String),
            Some("double") => Some(DecimalMode::Double),
            Some(_) | None => None,
        },
        binaries: match values.text("binary_handling_mode").as_deref() {
            Some("base64-url-safe") => BinaryMode::Base64UrlSafe,
            Some("hex") => BinaryMode::Hex,
            Some(_) | None => BinaryMode::Base64,
        },
        times: match values.text("time_precision_mode").as_deref() {
            Some("adaptive") => TimeMode::Adaptive,
            Some("connect") => TimeMode::Connect,
            Some(_) | None => TimeMode::AdaptiveTimeMicroseconds,
        },
        zone,
        tables: tables(values, format, problems),
        on_truncate: match values.text("on_truncate").as_deref() {
            Some("dead-letter") => OnTruncate::DeadLetter,
            Some(_) | None => OnTruncate::Ignore,
        },
        on_new_column: match values.text("on_new_column").as_deref() {
            Some("ignore") => OnNewColumn::Ignore,
            Some("dead-letter") => OnNewColumn::DeadLetter,
            Some(_) | None => OnNewColumn::Map,
        },
        schemas,
        compatibility,
    })
}

/// The schema in force against its predecessor.
fn check_schemas(schemas: &[AvroFile], rule: Compatibility, problems: &mut Problems) {
    let [now, before, ..] = schemas else { return };
    for fault in rule.faults(&before.text, &now.text) {
        let message = format!(
            "as the successor of {} it is {fault}. Give a new field a default and keep the others as they are, set `compatibility` to what is meant, or make a new topic",
            before.file.display()
        );
        problems.add(Place::File(now.file.clone()), message);
    }
}

fn check_partitioner(values: &Values, format: Format, problems: &mut Problems) {
    let wrong = match (partitioner(values), format) {
        (None, _)
        | (Some(Partitioner::Canal | Partitioner::Table), Format::CanalJson)
        | (Some(Partitioner::Table), Format::MaxwellJson)
        | (
            Some(Partitioner::Murmur2),
            Format::DebeziumJson | Format::DebeziumAvro | Format::Avro | Format::Json,
        ) => return,
        (Some(Partitioner::Murmur2), Format::CanalJson) => {
            "partitioner = \"murmur2\" needs a record's key, and Canal's have none: write \"canal\" or \"table\""
        }
        (Some(Partitioner::Murmur2), Format::MaxwellJson) => {
            "partitioner = \"murmur2\" is not how Maxwell places its records: write \"table\", or leave it out"
        }
        (Some(Partitioner::Canal), _) => {
            "partitioner = \"canal\" goes with format = \"canal-json\""
        }
        (Some(Partitioner::Table), _) => {
            "partitioner = \"table\" goes with format = \"canal-json\" or \"maxwell-json\""
        }
    };
    problems.add(values.place("partitioner"), wrong);
}

fn zone(values: &Values, problems: &mut Problems) -> Option<Zone> {
    let text = values.text("timestamp_zone")?;
    text.parse()
        .map_err(|wrong| {
            problems.add(
                values.place("timestamp_zone"),
                format!("timestamp_zone: {wrong}"),
            )
        })
        .ok()
}

fn tables(values: &Values, format: Format, problems: &mut Problems) -> Vec<String> {
    let tables = values.list("tables");
    if TABLES.contains(&format) && tables.is_empty() && !values.refused("tables") {
        let message = format!(
            "format {:?} needs the tables whose rows are taken: add tables = [\"app.user_profile\"]",
            format.name()
        );
        problems.add(values.place("format"), message);
    }
    for Placed { place, value } in &tables {
        let named = value.split_once('.');
        if !named.is_some_and(|(database, table)| !database.is_empty() && !table.is_empty()) {
            problems.add(
                place.clone(),
                format!("tables: {value:?} must be written \"database.table\""),
            );
        }
    }
    tables.into_iter().map(|table| table.value).collect()
}

/// The schema in force, then those before it.
fn schemas(values: &Values, file: &Path, problems: &mut Problems) -> Option<Vec<AvroFile>> {
    let (first, place) = match values.path("schema") {
        Some(path) => (path, values.place("schema")),
        None => (file.with_extension("avsc"), values.place("format")),
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let former = values.list("former_schemas").into_iter();
    let files = std::iter::once(Placed {
        place,
        value: first,
    })
    .chain(former.map(|Placed { place, value }| Placed {
        place,
        value: folder.join(value),
    }));
    let key = values.list("key");
    let read: Vec<Option<AvroFile>> = files
        .enumerate()
        .map(|(i, file)| schema(file, if i == 0 { &key } else { &[] }, problems))
        .collect();
    read.into_iter().collect()
}

fn schema(
    Placed { place, value: file }: Placed<PathBuf>,
    key: &[Placed<String>],
    problems: &mut Problems,
) -> Option<AvroFile> {
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            let message = format!(
                "the topic's Avro schema {} cannot be read: {error}",
                file.display()
            );
            problems.add(place, message);
            return None;
        }
    };
    match crate::decode::avro_columns(&text) {
        Ok(columns) => {
            for Placed { place, value } in key {
                if !columns.contains(value) {
                    let message = format!("key names {value:?}, which {} has not", file.display());
                    problems.add(place.clone(), message);
                }
            }
            Some(AvroFile { file, text })
        }
        Err(wrong) => {
            problems.add(Place::File(file), format!("is no Avro schema: {wrong}"));
            None
        }
    }
}
