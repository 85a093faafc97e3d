use super::*;

#[test]
fn a_topic_spec_is_refused_at_the_line_that_is_wrong() {
    topic_cases(&[
        (
            "partitions = 8",
            "partitons = 8",
            &[
                "topics/users.toml:1:1: missing key \"partitions\": add partitions = 8",
                "topics/users.toml:4:1: unknown key \"partitons\": did you mean \"partitions\"?",
            ],
        ),
        (
            "key        = [\"id\"]\n",
            "",
            &["topics/users.toml:1:1: missing key \"key\": add key = [\"id\"]"],
        ),
        (
            "key        = [\"id\"]",
            "key = \"id\"",
            &["topics/users.toml:3:7: key must be a list of texts, not \"id\""],
        ),
        (
            "key        = [\"id\"]",
            "key = []",
            &[
                "topics/users.toml:3:7: key is empty: name the columns of the table's primary key, such as [\"id\"]",
            ],
        ),
        (
            "key        = [\"id\"]",
            "key = [\"id\", 7]",
            &["topics/users.toml:3:14: key must hold texts, not 7"],
        ),
        (
            "key        = [\"id\"]",
            "key = [\"id\", \"id\"]",
            &["topics/users.toml:3:14: key names column \"id\" twice"],
        ),
        (
            "partitions = 8",
            "partitions = 0",
            &["topics/users.toml:4:14: partitions must be a whole number from 1 to 10000, not 0"],
        ),
        (
            "partitions = 8",
            "partitions = 10001",
            &[
                "topics/users.toml:4:14: partitions must be a whole number from 1 to 10000, not 10001",
            ],
        ),
        (
            "partitions = 8",
            "partitions = -1",
            &["topics/users.toml:4:14: partitions must be a whole number from 1 to 10000, not -1"],
        ),
        (
            "epoch      = 1",
            "epoch      = 32768",
            &["topics/users.toml:5:14: epoch must be a whole number from 1 to 32767, not 32768"],
        ),
        (
            "format     = \"debezium-json\"",
            "format     = \"debezium\"",
            &[
                "topics/users.toml:2:14: format must be \"debezium-json\", \"debezium-avro\", \"canal-json\", \"maxwell-json\", \"avro\" or \"json\", not \"debezium\"",
            ],
        ),
        (
            "format     = \"debezium-json\"",
            "format     = \"debezium_json\"",
            &[
                "topics/users.toml:2:14: format must be \"debezium-json\", \"debezium-avro\", \"canal-json\", \"maxwell-json\", \"avro\" or \"json\", not \"debezium_json\": did you mean \"debezium-json\"?",
            ],
        ),
        (
            "epoch      = 1",
            "epoch      = 1\npartitioner = \"murmur\"",
            &[
                "topics/users.toml:6:15: partitioner must be \"murmur2\", \"canal\" or \"table\", not \"murmur\": did you mean \"murmur2\"?",
            ],
        ),
        (
            "balance = \"decimal(12,2)\"",
            "balance = \"decimal(12,22)\"",
            &[
                "topics/users.toml:9:11: columns.balance: \"decimal(12,22)\" is not a column type: its scale 22 is above its precision 12",
            ],
        ),
        (
            "balance = \"decimal(12,2)\"",
            "balance = 12",
            &["topics/users.toml:9:11: columns.balance must be text, not 12"],
        ),
        (
            "balance = \"decimal(12,2)\"",
            "balance.x = \"int\"",
            &["topics/users.toml:9:1: a name with dots needs quotes in columns: \"balance.x\""],
        ),
        (
            "[columns]",
            "[column]",
            &["topics/users.toml:7:2: unknown key \"column\": did you mean \"columns\"?"],
        ),
        (
            "config     = {",
            "config     = { \"delete.retension.ms\" = \"1\",",
            &[
                "topics/users.toml:6:16: unknown setting \"delete.retension.ms\" in config: did you mean \"delete.retention.ms\"?",
            ],
        ),
        (
            "config     = {",
            "config     = { segment.ms = 1,",
            &["topics/users.toml:6:16: a name with dots needs quotes in config: \"segment.ms\""],
        ),
        (
            "\"delete.retention.ms\" = \"604800000\"",
            "\"delete.retention.ms\" = \"7d\"",
            &[
                "topics/users.toml:6:70: \"delete.retention.ms\" must be milliseconds, such as \"604800000\" for 7 days, not \"7d\"",
            ],
        ),
        (
            "\"cleanup.policy\" = \"compact\"",
            "\"cleanup.policy\" = \"compacted\"",
            &[
                "topics/users.toml:6:35: \"cleanup.policy\" is \"compact\" or \"delete\" or both, not \"compacted\"",
            ],
        ),
        (
            "\"app.users\"",
            "\"app users\"",
            &[
                "pipelines/users.toml:1:9: topic \"app.users\" has no spec file: did you mean \"app users\"?",
                "topics/users.toml:1:14: name \"app users\" may hold letters, digits, '.', '_' and '-' only",
            ],
        ),
    ]);
}

#[test]
fn a_number_and_a_setting_unknown_here_may_stand_in_config() {
    topic_cases(&[
        (
            "config     = {",
            "config     = { \"retention.bytes\" = 1, \"preallocate\" = true, \"x.y\" = \"z\",",
            &[],
        ),
        (
            "{ \"cleanup.policy\" = \"compact\", \"delete.retention.ms\" = \"604800000\", \"min.compaction.lag.ms\" = \"604800000\" }",
            "{}",
            &[],
        ),
    ]);
}

#[test]
fn a_compacted_topic_remembers_as_long_as_its_sinks() {
    topic_cases(&[
        (
            "\"delete.retention.ms\" = \"604800000\"",
            "\"delete.retention.ms\" = \"604799999\"",
            &[
                "topics/users.toml:6:70: delete.retention.ms is 604799999, below the horizon of users.redis, 7d (a reader that is further behind would miss deletes): set \"delete.retention.ms\" = \"604800000\"",
            ],
        ),
        (
            ", \"min.compaction.lag.ms\" = \"604800000\"",
            "",
            &[
                "topics/users.toml:6:14: min.compaction.lag.ms is by default 0, below the horizon of users.redis, 7d (a repair or a replay could meet a log that compaction has already thinned out): set \"min.compaction.lag.ms\" = \"604800000\"",
            ],
        ),
        (
            "\"cleanup.policy\" = \"compact\", \"delete.retention.ms\" = \"604800000\"",
            "\"cleanup.policy\" = \"compact,delete\"",
            &[
                "topics/users.toml:6:14: delete.retention.ms is by default 86400000, below the horizon of users.redis, 7d (a reader that is further behind would miss deletes): set \"delete.retention.ms\" = \"604800000\"",
            ],
        ),
        (
            "\"cleanup.policy\" = \"compact\", \"delete.retention.ms\" = \"604800000\"",
            "\"cleanup.policy\" = \"delete\"",
            &[],
        ),
    ]);
    pipeline_cases(&[(
        "index = \"users\"",
        "index = \"users\"\nhorizon = \"8d\"",
        &[
            "topics/users.toml:6:70: delete.retention.ms is 604800000, below the horizon of users.elasticsearch, 8d (a reader that is further behind would miss deletes): set \"delete.retention.ms\" = \"691200000\"",
            "topics/users.toml:6:109: min.compaction.lag.ms is 604800000, below the horizon of users.elasticsearch, 8d (a repair or a replay could meet a log that compaction has already thinned out): set \"min.compaction.lag.ms\" = \"691200000\"",
        ],
    )]);
}

#[test]
fn a_topic_has_one_spec_and_is_nobodys_dead_letter_topic() {
    let folder = Folder::with(&[
        ("topics/again.toml", GOOD_TOPIC),
        (
            "topics/dead.toml",
            &changed(GOOD_TOPIC, "\"app.users\"", "\"app.users.dead\""),
        ),
    ]);
    assert_eq!(
        folder.problems(&[]),
        [
            "topics/dead.toml:1:14: topic \"app.users.dead\" is where the dead letters of \"app.users\" go: choose another name",
            "topics/users.toml:1:14: topic \"app.users\" has a spec already, at topics/again.toml:1:14: keep one",
        ]
    );
}

#[test]
fn what_is_no_spec_is_not_passed_over() {
    let folder = Folder::with(&[
        ("topics/users.tml", "x"),
        ("topics/users.avsc", "{}"),
        ("topics/README.md", "x"),
        ("topics/.users.toml.swp", "x"),
        ("pipelines/users.yaml", "x"),
        ("pipelines/users.mapping.json", "x"),
    ]);
    assert_eq!(
        folder.problems(&[]),
        [
            "pipelines/users.yaml: is not a spec: name it *.toml, or move it away",
            "topics/users.tml: is not a spec: name it *.toml, or move it away",
        ]
    );
}

#[test]
fn names_leave_room_for_the_dead_letter_topic() {
    let name = "n".repeat(244);
    let renamed = |name: &str| {
        let topic = changed(GOOD_TOPIC, "app.users", name);
        let pipeline = changed(GOOD_PIPELINE, "app.users", name);
        Folder::with(&[
            ("topics/users.toml", &topic),
            ("pipelines/users.toml", &pipeline),
        ])
        .problems(&[])
    };
    assert!(renamed(&name).is_empty());
    let refused = renamed(&format!("{name}n"));
    assert!(refused[0].ends_with(
        "is longer than 244 characters, which leaves no room for its dead-letter topic's \".dead\""
    ));
}
