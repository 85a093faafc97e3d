//! Maxwell's own records.

use twolane::config::Format;

use crate::lane::{Lane, expected, fixture, messages, tables, topic};

/// Key and columns of one of the files' tables, and which of the file's records are its own.
type Table<'t> = (&'t str, &'t str, &'t str, &'t [(&'t str, &'t str)]);

/// The events in a file of SQL: what follows `->`, with the names quoted that stand without quotes.
fn events(name: &str) -> Vec<String> {
    let text = fixture(&format!("maxwell/{name}.txt"));
    let events = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("->"));
    events.map(quote_names).collect()
}

fn quote_names(relaxed: &str) -> String {
    let mut json = String::new();
    let mut in_string = false;
    let mut word = String::new();
    for c in relaxed.trim().chars() {
        let in_word = !in_string
            && (c.is_ascii_alphabetic() || c == '_' || !word.is_empty() && c.is_ascii_digit());
        if in_word {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            // Of the words of JSON only null occurs as a value.
            json.push_str(&match word.as_str() {
                "null" => "null".to_owned(),
                word => format!("\"{word}\""),
            });
            word.clear();
        }
        in_string ^= c == '"';
        json.push(c);
    }
    json
}

#[test]
fn what_maxwell_emits_for_its_sql_arrives_as_written() {
    let tables_of: [Table<'_>; 6] = [
        (
            "test_bignum",
            "long_db.test_long",
            "id",
            &[
                ("id", "int(10) unsigned"),
                ("long_field", "bigint(20) unsigned"),
            ],
        ),
        (
            "test_blob",
            "blob_db.test_blob",
            "id",
            &[("id", "int(10) unsigned"), ("blob_field", "blob")],
        ),
        (
            "test_blob",
            "blob_db.test_binary",
            "id",
            &[("id", "int(10)"), ("binary_field", "binary(10)")],
        ),
        (
            "test_blob",
            "blob_db.test_varbinary",
            "id",
            &[("id", "int(10)"), ("varbinary_field", "varbinary(10)")],
        ),
        (
            "test_set",
            "set_db.test_sets",
            "id",
            &[
                ("id", "int(10) unsigned"),
                ("set_field", "set('foo','bar','baz')"),
            ],
        ),
        // The table has no key; its column `dt` is another in each row.
        (
            "test_time",
            "timedb.tt",
            "dt",
            &[
                ("t", "time(6)"),
                ("small_t", "time(3)"),
                ("dt", "datetime(6)"),
                ("small_dt", "datetime(3)"),
                ("ts", "timestamp(4)"),
            ],
        ),
    ];
    let mut seen = 0;
    for (file, table, key, columns) in tables_of {
        let expected = expected(&format!("maxwell/expected/{file}.tsv"));
        let topic = topic(Format::MaxwellJson, &[key], columns, tables(&[table]));
        let mut lane = Lane::new(&topic);
        let events = events(file);
        assert_eq!(events.len(), expected.len(), "{file}");
        for (event, expected) in events.iter().zip(expected) {
            let (_, name) = table.split_once('.').unwrap();
            if event.contains(&format!("\"{name}\"")) {
                assert_eq!(lane.value(event), [expected], "{file}");
                seen += 1;
            } else {
                assert_eq!(lane.value(event), ["pass\tother_table"], "{file}");
            }
        }
    }
    assert_eq!(seen, 1 + 3 + 5 + 4);
}

#[test]
fn a_table_that_gains_a_column_goes_on() {
    let topic = topic(Format::MaxwellJson, &["id"], &[], tables(&["test.product"]));
    let mut lane = Lane::new(&topic);
    for n in 1..=2 {
        let name = format!("table-schemaevolution-maxwell-data-{n}");
        let messages = messages(&format!("maxwell/{name}.txt"));
        let lines: Vec<_> = messages.iter().flat_map(|m| lane.value(m)).collect();
        assert_eq!(lines, expected(&format!("maxwell/expected/{name}.tsv")));
    }
}

#[test]
fn a_partial_image_is_refused_with_the_servers_setting() {
    let columns = [("id", "int"), ("name", "text"), ("weight", "double")];
    let topic = topic(
        Format::MaxwellJson,
        &["id"],
        &columns,
        tables(&["test.product"]),
    );
    for (data, column) in [
        (r#"{"id":1,"name":"a"}"#, "`weight`"),
        (r#"{"name":"a","weight":1}"#, "`id`"),
    ] {
        let value =
            format!(r#"{{"database":"test","table":"product","type":"update","data":{data}}}"#);
        let refused = Lane::new(&topic).take(None, Some(value.as_bytes()));
        let refused = refused.unwrap_err();
        assert_eq!(refused.reason.name(), "partial_row");
        assert!(refused.detail.contains(column), "{refused}");
        assert!(
            refused.detail.contains("binlog_row_image=FULL"),
            "{refused}"
        );
    }
}
