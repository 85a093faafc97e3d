//! The README's table of values, cell by cell: what each format sends of a column, and what its document has.

use std::path::Path;

use serde_json::Value;
use twolane::config::{Format, Reading};

use crate::lane::{Lane, tables, topic};

/// A line of the table.
pub struct Line {
    pub column: String,
    pub debezium: String,
    pub canal: String,
    pub maxwell: String,
    pub document: String,
}

/// Reads the README's table.
pub fn lines() -> Vec<Line> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(file).unwrap();
    let (_, rest) = readme
        .split_once("<!-- values -->\n")
        .expect("a table of values");
    let (table, _) = rest
        .split_once("<!-- /values -->")
        .expect("the table's end");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cell = |text: &str| text.trim().trim_matches('`').to_owned();
    rows.map(|row| {
        let cells: Vec<String> = row.trim_matches('|').split('|').map(cell).collect();
        let [column, debezium, canal, maxwell, document] =
            <[String; 5]>::try_from(cells).unwrap_or_else(|_| panic!("five cells: {row}"));
        Line {
            column,
            debezium,
            canal,
            maxwell,
            document,
        }
    })
    .collect()
}

/// Canal's table prints in Shanghai's time.
pub fn reading(format: Format) -> Reading {
    let mut reading = match format {
        Format::CanalJson | Format::MaxwellJson => tables(&["app.t"]),
        Format::DebeziumJson | Format::DebeziumAvro | Format::Avro | Format::Json => {
            Reading::default()
        }
    };
    if format == Format::CanalJson {
        reading.zone = Some("Asia/Shanghai".parse().unwrap());
    }
    reading
}

/// A record of one row in which column `v` of this type has this value.
pub fn record(format: Format, column: &str, value: &str) -> (Option<&'static str>, String) {
    match format {
        Format::DebeziumJson => (
            Some(r#"{"id":1}"#),
            format!(r#"{{"before":null,"after":{{"id":1,"v":{value}}},"op":"c"}}"#),
        ),
        Format::CanalJson => {
            let column = serde_json::to_string(column).unwrap();
            (
                None,
                format!(
                    r#"{{"database":"app","table":"t","type":"INSERT","pkNames":["id"],"mysqlType":{{"id":"int","v":{column}}},"data":[{{"id":"1","v":{value}}}]}}"#
                ),
            )
        }
        Format::MaxwellJson => (
            Some(r#"{"database":"app","table":"t","pk.id":1}"#),
            format!(
                r#"{{"database":"app","table":"t","type":"insert","data":{{"id":1,"v":{value}}}}}"#
            ),
        ),
        Format::DebeziumAvro | Format::Avro | Format::Json => panic!("not in the table"),
    }
}

#[test]
fn every_cell_becomes_its_lines_document() {
    let lines = lines();
    assert!(lines.len() >= 30, "{} lines", lines.len());
    for line in &lines {
        let expected: Value = serde_json::from_str(&line.document).unwrap();
        for (format, cell) in [
            (Format::DebeziumJson, &line.debezium),
            (Format::CanalJson, &line.canal),
            (Format::MaxwellJson, &line.maxwell),
        ] {
            let columns = [("id", "int"), ("v", line.column.as_str())];
            let topic = topic(format, &["id"], &columns, reading(format));
            let (key, value) = record(format, &line.column, cell);
            let written = Lane::new(&topic)
                .take(key.map(str::as_bytes), Some(value.as_bytes()))
                .unwrap_or_else(|e| panic!("{} in {format:?}: {e}", line.column));
            let (id, document) = written[0].split_once('\t').unwrap();
            assert_eq!(id, "1");
            let document: Value = serde_json::from_str(document).unwrap();
            assert_eq!(document["v"], expected, "{} in {format:?}", line.column);
        }
    }
}

#[test]
fn the_table_has_a_line_for_each_column_type() {
    let lines = lines();
    for name in [
        "tinyint",
        "smallint",
        "mediumint",
        "int",
        "bigint",
        "bigint unsigned",
        "tinyint(1)",
        "decimal",
        "float",
        "double",
        "bit(1)",
        "bit(13)",
        "char",
        "varchar",
        "text",
        "binary",
        "varbinary",
        "blob",
        "date",
        "time",
        "datetime",
        "timestamp",
        "year",
        "enum",
        "set",
        "json",
        "point",
    ] {
        assert!(lines.iter().any(|l| l.column.starts_with(name)), "{name}");
    }
}
