use super::*;
use crate::config::SinkKind;

fn folder(mapping: &str, pipeline: &str) -> Folder {
    let pipeline = changed(
        pipeline,
        "index = \"users\"",
        "index = \"users\"\nmapping = \"users.json\"",
    );
    Folder::with(&[
        ("pipelines/users.toml", &pipeline),
        ("pipelines/users.json", mapping),
    ])
}

fn mapping(folder: &Folder) -> serde_json::Value {
    match &folder.load().pipelines[0].sinks[0].kind {
        SinkKind::Elasticsearch(spec) => spec.mapping.clone().unwrap(),
        SinkKind::Redis(_) => panic!("not Elasticsearch"),
    }
}

#[test]
fn a_mapping_file_is_handed_on_as_it_is() {
    for text in [
        "{}",
        r#"{ "dynamic": false, "_meta": { "by": "me" }, "properties": { "_deleted": { "type": "boolean" }, "a": { "type": "long" } } }"#,
        r#"{ "settings": { "number_of_shards": 3 }, "mappings": { "properties": {} } }"#,
        r#"{ "properties": { "_deleted_at": { "type": "date", "format": "epoch_millis" } } }"#,
    ] {
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(mapping(&folder(text, GOOD_PIPELINE)), expected);
    }
}

#[test]
fn a_mapping_is_refused_at_the_line_that_is_wrong() {
    let masked = changed(
        GOOD_PIPELINE,
        "[\"password_hash\"]",
        "[]\nmask = { phone = \"last4\" }",
    );
    for (text, pipeline, expected) in [
        (
            "{\n  \"properties\": {\n    \"a\": }\n}",
            GOOD_PIPELINE,
            "pipelines/users.json:3:10: is not JSON: expected value",
        ),
        (
            "{",
            GOOD_PIPELINE,
            "pipelines/users.json:1:1: is not JSON: EOF while parsing an object",
        ),
        (
            "[]",
            GOOD_PIPELINE,
            "pipelines/users.json:1:1: must be a JSON object",
        ),
        (
            "{\n\"properties\": 3 }",
            GOOD_PIPELINE,
            "pipelines/users.json:2:15: must be a JSON object",
        ),
        (
            "{\n\"mappings\": {}, \"aliases\": {} }",
            GOOD_PIPELINE,
            "pipelines/users.json:2:28: beside \"mappings\" there may be \"settings\", and not \"aliases\"",
        ),
        (
            "{\n\"settings\": {} }",
            GOOD_PIPELINE,
            "pipelines/users.json:2:13: \"settings\" stands beside \"mappings\": put the mapping under that",
        ),
        (
            "{\n\"mappings\":\n{ \"propertis\": {} } }",
            GOOD_PIPELINE,
            "pipelines/users.json:3:16: unknown key \"propertis\" in a mapping: did you mean \"properties\"?",
        ),
        (
            "{\n\"enabled\": false }",
            GOOD_PIPELINE,
            "pipelines/users.json:2:12: \"enabled\" is not taken in a mapping: with it no field could be searched, the tombstones' mark among them",
        ),
        (
            "{\n\"_meta\": { \"twolane\": {} } }",
            GOOD_PIPELINE,
            "pipelines/users.json:2:10: \"_meta\" holds \"twolane\", where this program keeps the topic's identity: leave it out",
        ),
        (
            "{ \"properties\": {\n  \"_deleted_at\": { \"type\": \"date\", \"format\": \"strict_date\" } } }",
            GOOD_PIPELINE,
            "pipelines/users.json:2:18: field \"_deleted_at\" belongs to this program and must be {\"type\": \"date\"}: write it so, or leave it out and it is added",
        ),
        (
            "{\n\"propertys\": {} }",
            GOOD_PIPELINE,
            "pipelines/users.json:2:14: unknown key \"propertys\" in a mapping: did you mean \"properties\"?",
        ),
        (
            "{ \"properties\": {\n  \"a\": 3,\n  \"_deleted\": { \"type\": \"keyword\" } } }",
            GOOD_PIPELINE,
            "pipelines/users.json:3:15: field \"_deleted\" belongs to this program and must be {\"type\": \"boolean\"}: write it so, or leave it out and it is added",
        ),
        (
            "{ \"properties\": {\n  \"_deleted_at\": { \"type\": \"long\" } } }",
            GOOD_PIPELINE,
            "pipelines/users.json:2:18: field \"_deleted_at\" belongs to this program and must be {\"type\": \"date\"}: write it so, or leave it out and it is added",
        ),
        (
            "{ \"properties\": {\n  \"_deleted\": { \"type\": \"boolean\", \"index\": false } } }",
            GOOD_PIPELINE,
            "pipelines/users.json:2:15: field \"_deleted\" belongs to this program and must be {\"type\": \"boolean\"}: write it so, or leave it out and it is added",
        ),
        (
            "{ \"properties\": {\n  \"_deleted\": true } }",
            GOOD_PIPELINE,
            "pipelines/users.json:2:15: field \"_deleted\" must be a JSON object such as {\"type\": \"keyword\"}",
        ),
        (
            "{ \"properties\": {\n  \"due_at\": { \"type\": \"date\" } } }",
            GOOD_PIPELINE,
            "pipelines/users.json:2:13: column \"due_at\" is renamed to \"dueDate\", so no document has this field: map \"dueDate\" instead",
        ),
        (
            "{ \"properties\": {\n  \"phone\": { \"type\": \"long\" } } }",
            &masked,
            "pipelines/users.json:2:12: field \"phone\" is masked, so its values are text: map it as \"keyword\", not as \"long\"",
        ),
    ] {
        assert_eq!(folder(text, pipeline).problems(&[]), [expected], "{text}");
    }
}

#[test]
fn a_mapping_that_is_not_there_is_named_where_the_pipeline_names_it() {
    let pipeline = changed(
        GOOD_PIPELINE,
        "index = \"users\"",
        "index = \"users\"\nmapping = \"gone.json\"",
    );
    let folder = Folder::with(&[("pipelines/users.toml", &pipeline)]);
    assert_eq!(
        folder.problems(&[]),
        [
            "pipelines/users.toml:8:11: mapping: there is no file pipelines/gone.json: make it, or leave the key out to have the mapping derived"
        ]
    );
}
