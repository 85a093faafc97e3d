//! Canal's own messages.

use twolane::config::{Format, OnNewColumn, Reading, TopicSpec};

use crate::lane::{Lane, expected, fixture, messages, tables, topic};

fn shanghai(all: &[&str]) -> Reading {
    Reading {
        zone: Some("Asia/Shanghai".parse().unwrap()),
        ..tables(all)
    }
}

fn evolution(reading: Reading) -> TopicSpec {
    topic(Format::CanalJson, &["_id"], &[], reading)
}

fn all_tables() -> Reading {
    shanghai(&[
        "paimon_sync_table.all_types_table",
        "paimon_sync_table.event",
        "paimon_sync_table.schema_evolution_1",
        "paimon_sync_table.schema_evolution_2",
    ])
}

fn lines(topic: &TopicSpec, name: &str) -> Vec<String> {
    let mut lane = Lane::new(topic);
    let messages = messages(&format!("canal/{name}.txt"));
    assert!(!messages.is_empty(), "{name}");
    messages.iter().flat_map(|m| lane.value(m)).collect()
}

#[test]
fn every_message_arrives_as_written() {
    for name in [
        "table-alltype-canal-data",
        "table-event-event-delete",
        "table-event-event-insert",
        "table-event-event-row",
        "table-event-event-update",
        "table-schemaevolution-canal-data-1",
        "table-schemaevolution-canal-data-2",
    ] {
        let expected = expected(&format!("canal/expected/{name}.tsv"));
        assert_eq!(lines(&evolution(all_tables()), name), expected, "{name}");
    }
}

#[test]
fn rows_of_other_tables_are_passed_over() {
    let one = shanghai(&["paimon_sync_table.schema_evolution_2"]);
    let lines = lines(&evolution(one), "table-schemaevolution-canal-data-1");
    let both = expected("canal/expected/table-schemaevolution-canal-data-1.tsv");
    assert_eq!(lines, ["pass\tother_table", &both[1], &both[2]]);
}

#[test]
fn declarations_say_what_a_new_column_becomes() {
    let typed = |on_new_column| {
        let columns = [("_id", "int"), ("pt", "int"), ("v1", "varchar(10)")];
        let reading = Reading {
            on_new_column,
            ..all_tables()
        };
        let topic = topic(Format::CanalJson, &["_id"], &columns, reading);
        let message = &messages("canal/table-schemaevolution-canal-data-2.txt")[1];
        Lane::new(&topic).take(None, Some(message.as_bytes()))
    };
    let mapped = typed(OnNewColumn::Map).unwrap();
    assert_eq!(
        mapped[0],
        "3\t{\"pt\":2,\"_id\":3,\"v1\":\"three\",\"v2\":30}"
    );
    let ignored = typed(OnNewColumn::Ignore).unwrap();
    assert_eq!(ignored[0], "3\t{\"pt\":2,\"_id\":3,\"v1\":\"three\"}");
    let refused = typed(OnNewColumn::DeadLetter).unwrap_err();
    assert_eq!(refused.reason.name(), "new_column");
    assert!(refused.detail.contains("`v2`"), "{refused}");
}

#[test]
fn a_row_without_a_column_that_its_types_have_is_partial() {
    let update = &messages("canal/table-event-event-update.txt")[0];
    let partial = update.replace(r#","v1":"second""#, "");
    assert_ne!(&partial, update);
    let refused = Lane::new(&evolution(all_tables())).take(None, Some(partial.as_bytes()));
    let refused = refused.unwrap_err();
    assert_eq!(refused.reason.name(), "partial_row");
    assert!(
        refused.detail.contains("binlog_row_image=FULL"),
        "{refused}"
    );
}

#[test]
fn a_changed_key_deletes_the_former_document() {
    let update = &messages("canal/table-event-event-update.txt")[0];
    let moved = update.replace(
        r#""old":[{"v1":"two"}]"#,
        r#""old":[{"_id":"1","v1":"two"}]"#,
    );
    assert_ne!(&moved, update);
    let lines = Lane::new(&evolution(all_tables())).value(&moved);
    let now = fixture("canal/expected/table-event-event-update.tsv");
    assert_eq!(lines, ["1\tdeleted", now.trim_end()]);
    let mut spread = evolution(all_tables());
    spread.partitions = 4;
    assert_eq!(Lane::new(&spread).value(&moved), [now.trim_end(), "stray"]);
}
