use super::*;

#[test]
fn a_pipeline_spec_is_refused_at_the_line_that_is_wrong() {
    pipeline_cases(&[
        (
            "topic = \"app.users\"\n",
            "",
            &[
                "pipelines/users.toml:1:1: missing key \"topic\": add topic = \"app.app.user_profile\"",
            ],
        ),
        (
            "topic = \"app.users\"",
            "topic = \"app.user\"",
            &[
                "pipelines/users.toml:1:9: topic \"app.user\" has no spec file: did you mean \"app.users\"?",
            ],
        ),
        (
            "topic = \"app.users\"",
            "topic = \"shop.orders\"",
            &[
                "pipelines/users.toml:1:9: topic \"shop.orders\" has no spec file: the specs there are: \"app.users\"",
            ],
        ),
        (
            "topic = \"app.users\"",
            "topic = \"app.users\"\nindex = \"x\"",
            &[
                "pipelines/users.toml:2:1: unknown key \"index\": the keys are \"document\", \"sink\", \"supervise\" and \"topic\"",
            ],
        ),
        (
            "topic = \"app.users\"",
            "topic = \"app.users\"\nomit = [\"x\"]",
            &["pipelines/users.toml:2:1: unknown key \"omit\": it belongs in [document]"],
        ),
        (
            "[document]",
            "[documents]",
            &["pipelines/users.toml:2:2: unknown key \"documents\": did you mean \"document\"?"],
        ),
        (
            "omit   =",
            "ommit =",
            &[
                "pipelines/users.toml:4:1: unknown key \"ommit\" in [document]: did you mean \"omit\"?",
            ],
        ),
        (
            "[supervise]\nmax_restarts = 5",
            "[supervise]\nmax_restart = 5",
            &[
                "pipelines/users.toml:12:1: unknown key \"max_restart\" in [supervise]: did you mean \"max_restarts\"?",
            ],
        ),
        (
            "max_restarts = 5",
            "max_restarts = 1001",
            &[
                "pipelines/users.toml:12:16: supervise.max_restarts must be a whole number from 0 to 1000, not 1001",
            ],
        ),
        (
            "\"60s\"",
            "60",
            &[
                "pipelines/users.toml:13:16: supervise.within must be a duration from \"1s\" to \"1d\", not 60",
            ],
        ),
        (
            "\"60s\"",
            "\"2d\"",
            &[
                "pipelines/users.toml:13:16: supervise.within must be a duration from \"1s\" to \"1d\", not \"2d\"",
            ],
        ),
        (
            "topic = \"app.users\"",
            "topic = \"app.users\"\nsupervise = 3",
            &["pipelines/users.toml:12:2: is not TOML: duplicate key"],
        ),
    ]);
}

#[test]
fn a_sink_is_refused_at_the_line_that_is_wrong() {
    pipeline_cases(&[
        (
            "index =",
            "indx =",
            &[
                "pipelines/users.toml:5:1: missing key \"index\": add index = \"user_profile\"",
                "pipelines/users.toml:7:1: unknown key \"indx\" in [[sink]]: did you mean \"index\"?",
            ],
        ),
        (
            "type  = \"elasticsearch\"",
            "type = \"elastic\"",
            &[
                "pipelines/users.toml:6:8: type must be \"elasticsearch\" or \"redis\", not \"elastic\"",
            ],
        ),
        (
            "type  = \"elasticsearch\"",
            "type = \"elasticsearc\"",
            &[
                "pipelines/users.toml:6:8: type must be \"elasticsearch\" or \"redis\", not \"elasticsearc\": did you mean \"elasticsearch\"?",
            ],
        ),
        (
            "type  = \"elasticsearch\"\n",
            "",
            &["pipelines/users.toml:5:1: missing key \"type\": add type = \"elasticsearch\""],
        ),
        (
            "index = \"users\"",
            "index = \"users\"\nshape = \"hash\"",
            &[
                "pipelines/users.toml:8:1: unknown key \"shape\" in [[sink]]: it is not one of a sink of type \"elasticsearch\"",
            ],
        ),
        (
            "type = \"redis\"",
            "type = \"redis\"\nmapping = \"x.json\"",
            &[
                "pipelines/users.toml:10:1: unknown key \"mapping\" in [[sink]]: it is not one of a sink of type \"redis\"",
            ],
        ),
        (
            "index = \"users\"",
            "index = \"users\"\ndeletes = \"soft\"",
            &["pipelines/users.toml:8:11: deletes must be \"tombstone\" or \"hard\", not \"soft\""],
        ),
        (
            "index = \"users\"",
            "index = \"users\"\nworkers = 0",
            &["pipelines/users.toml:8:11: workers must be a whole number from 1 to 64, not 0"],
        ),
        (
            "index = \"users\"",
            "index = \"users\"\nin_flight = 65",
            &["pipelines/users.toml:8:13: in_flight must be a whole number from 1 to 64, not 65"],
        ),
        (
            "index = \"users\"",
            "index = \"users\"\nbatch_bytes = \"24MB\"",
            &[
                "pipelines/users.toml:8:15: batch_bytes must be a size from \"1KiB\" to \"64MiB\", not \"24MB\"",
            ],
        ),
        (
            "index = \"users\"",
            "index = \"users\"\nbatch_bytes = \"32MiB\"",
            &[
                "pipelines/users.toml:8:15: batch_bytes is above buffer_bytes, so no batch could ever fill: lower it, or raise the other",
            ],
        ),
        (
            "index = \"users\"",
            "index = \"users\"\nlinger = \"5\"",
            &[
                "pipelines/users.toml:8:10: linger must be a duration from \"0ms\" to \"10s\", not \"5\"",
            ],
        ),
        (
            "index = \"users\"",
            "index = \"users\"\nhorizon = \"7 weeks\"",
            &[
                "pipelines/users.toml:8:11: horizon must be a duration from \"1s\" to \"365d\", not \"7 weeks\"",
            ],
        ),
        (
            "index = \"users\"",
            "index = \"users\"\nname = \"a.b\"",
            &[
                "pipelines/users.toml:8:8: name \"a.b\" may hold letters, digits, '_' and '-' only, since it is a part of the consumer group's name",
            ],
        ),
        (
            "index = \"users\"",
            "index = \"users\"\nname = \"redis\"",
            &[
                "pipelines/users.toml:9:1: two sinks are named \"redis\": give one of them another name = \"…\"",
            ],
        ),
        (
            "index = \"users\"",
            "index = \"Users\"",
            &[
                "pipelines/users.toml:7:9: index \"Users\" must be in lower case, which Elasticsearch demands",
            ],
        ),
        (
            "index = \"users\"",
            "index = \"all users\"",
            &[
                "pipelines/users.toml:7:9: index \"all users\" may hold no spaces and none of \\ / * ? \" < > | , # :",
            ],
        ),
        (
            "index = \"users\"",
            "index = \"_users\"",
            &["pipelines/users.toml:7:9: index \"_users\" may not begin with '-', '_', '+' or '.'"],
        ),
        (
            "index = \"users\"",
            "index = \"\"",
            &["pipelines/users.toml:7:9: index must be text, not \"\""],
        ),
        (
            "[[sink]]\ntype = \"redis\"",
            "[[sink]]\ntype = \"redis\"\nttl = \"0s\"",
            &[
                "pipelines/users.toml:10:7: ttl must be a duration from \"1s\" to \"3650d\", not \"0s\"",
            ],
        ),
        (
            "[[sink]]\ntype = \"redis\"",
            "[[sink]]\ntype = \"redis\"\nshape = \"json\"",
            &["pipelines/users.toml:10:9: shape must be \"hash\" or \"string\", not \"json\""],
        ),
    ]);
    let one_bracket = "topic = \"app.users\"\n[sink]\ntype = \"redis\"\nkey = \"user:{id}\"\n";
    let folder = Folder::with(&[("pipelines/users.toml", one_bracket)]);
    assert_eq!(
        folder.problems(&[]),
        ["pipelines/users.toml:2:1: a sink is written as [[sink]], with two brackets"]
    );
    let folder = Folder::with(&[("pipelines/users.toml", "topic = \"app.users\"\n")]);
    assert_eq!(
        folder.problems(&[]),
        [
            "pipelines/users.toml:1:1: there is no [[sink]]: add one with type = \"elasticsearch\" or type = \"redis\""
        ]
    );
}

#[test]
fn a_default_batch_is_no_larger_than_the_buffer() {
    let pipeline = changed(
        GOOD_PIPELINE,
        "index = \"users\"",
        "index = \"users\"\nbuffer_bytes = \"4MiB\"",
    );
    let config = Folder::with(&[("pipelines/users.toml", &pipeline)]).load();
    assert_eq!(config.pipelines[0].sinks[0].batch_bytes, 4 << 20);
}

#[test]
fn hard_deletes_are_there_for_those_who_ask() {
    let pipeline = changed(
        GOOD_PIPELINE,
        "index = \"users\"",
        "index = \"users\"\ndeletes = \"hard\"",
    );
    let config = Folder::with(&[("pipelines/users.toml", &pipeline)]).load();
    assert_eq!(
        config.pipelines[0].sinks[0].deletes,
        crate::config::Deletes::Hard
    );
}

#[test]
fn the_pipelines_name_is_a_part_of_a_groups() {
    let folder = Folder::with(&[
        ("pipelines/users.toml", ""),
        ("pipelines/app.users.toml", GOOD_PIPELINE),
    ]);
    assert_eq!(
        folder.problems(&[]),
        [
            "pipelines/app.users.toml: the file's name makes the pipeline's, \"app.users\", which may hold letters, digits, '_' and '-' only, since it is a part of the consumer group's name",
        ]
    );
}

#[test]
fn two_pipelines_write_neither_one_index_nor_one_prefix() {
    let orders = changed(GOOD_TOPIC, "\"app.users\"", "\"app.orders\"");
    for (index, key, expected) in [
        (
            "users",
            "order:{id}",
            vec![
                "pipelines/zorders.toml:7:9: index \"users\" is written by users.elasticsearch too (pipelines/users.toml:7:9): one topic and one sink for each",
            ],
        ),
        (
            "users-v1",
            "order:{id}",
            vec![
                "pipelines/zorders.toml:7:9: index \"users-v1\" is written by users.elasticsearch too (pipelines/users.toml:7:9): one topic and one sink for each",
            ],
        ),
        (
            "orders",
            "user:{id}",
            vec![
                "pipelines/zorders.toml:10:8: the key's prefix \"user:\" and \"user:\" are not apart: the second is of users.redis too (pipelines/users.toml:10:8): one topic and one sink for each",
            ],
        ),
        (
            "orders",
            "user:order:{id}",
            vec![
                "pipelines/zorders.toml:10:8: the key's prefix \"user:order:\" and \"user:\" are not apart: the second is of users.redis too (pipelines/users.toml:10:8): one topic and one sink for each",
            ],
        ),
        (
            "orders",
            "us{id}",
            vec![
                "pipelines/zorders.toml:10:8: the key's prefix \"us\" and \"user:\" are not apart: the second is of users.redis too (pipelines/users.toml:10:8): one topic and one sink for each",
            ],
        ),
        ("orders", "users:{id}", vec![]),
    ] {
        let pipeline = GOOD_PIPELINE
            .replace("topic = \"app.users\"", "topic = \"app.orders\"")
            .replace("index = \"users\"", &format!("index = \"{index}\""))
            .replace("user:{id}", key);
        let folder = Folder::with(&[
            ("topics/orders.toml", &orders),
            ("pipelines/zorders.toml", &pipeline),
        ]);
        assert_eq!(folder.problems(&[]), expected, "{index} {key}");
    }
}

#[test]
fn a_key_template_names_the_whole_key_and_nothing_else() {
    let begin = "may not begin with \"twolane:\" or with a beginning of it, where this program keeps its own keys: choose another prefix";
    for (key, expected) in [
        ("user:{id}", None),
        ("user:{id}:profile", None),
        (
            "user:{uid}",
            Some("names `{uid}`, which is no column of the topic's key; those are `{id}`"),
        ),
        (
            "user:{balance}",
            Some("names `{balance}`, which is no column of the topic's key; those are `{id}`"),
        ),
        (
            "user:",
            Some(
                "lacks the key column `{id}`: a key that leaves out a column of the topic's key would be shared by several rows",
            ),
        ),
        ("user:{id}:{id}", Some("names `{id}` twice: once is enough")),
        (
            "{id}",
            Some(
                "must begin with a text of its own, such as `profile:`, which keeps its keys apart from all others",
            ),
        ),
        ("twolane:{id}", Some(begin)),
        ("two{id}", Some(begin)),
        (
            "user:{id",
            Some(
                "has a brace without its other: a column stands as `{column}`, and braces stand for nothing else",
            ),
        ),
    ] {
        let folder = Folder::with(&[(
            "pipelines/users.toml",
            &changed(GOOD_PIPELINE, "user:{id}", key),
        )]);
        let expected: Vec<String> = expected
            .map(|text| format!("pipelines/users.toml:10:8: key `{key}` {text}"))
            .into_iter()
            .collect();
        assert_eq!(folder.problems(&[]), expected, "{key}");
    }
}

#[test]
fn a_key_template_of_several_columns_has_a_separator_that_no_value_holds() {
    let topic = changed(GOOD_TOPIC, "[\"id\"]", "[\"id\", \"name\"]");
    for (key, expected) in [
        ("u:{id}:{name}", None),
        ("u:{name}:{id}", None),
        (
            "u:{id}{name}",
            Some(
                "has nothing before `{name}` that tells where the column before it ends: put one of `:`, `/` or `|` there",
            ),
        ),
        (
            "u:{id}-{name}",
            Some(
                "has nothing before `{name}` that tells where the column before it ends: put one of `:`, `/` or `|` there",
            ),
        ),
        (
            "u:{id}",
            Some(
                "lacks the key column `{name}`: a key that leaves out a column of the topic's key would be shared by several rows",
            ),
        ),
    ] {
        let folder = Folder::with(&[
            ("topics/users.toml", &topic),
            (
                "pipelines/users.toml",
                &changed(GOOD_PIPELINE, "user:{id}", key),
            ),
        ]);
        let expected: Vec<String> = expected
            .map(|text| format!("pipelines/users.toml:10:8: key `{key}` {text}"))
            .into_iter()
            .collect();
        assert_eq!(folder.problems(&[]), expected, "{key}");
    }
}
