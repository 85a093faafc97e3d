use std::time::Duration;

use super::*;
use crate::config::read::Kind;

fn settings(text: &str, variables: &[(&str, &str)]) -> Settings {
    let folder = Folder::with(&[("twolane.toml", text)]);
    load_settings(&folder.options(variables)).unwrap_or_else(|problems| panic!("{problems}"))
}

/// What is wrong with a settings file and variables, as `validate` prints it.
fn refused(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    Folder::with(&[("twolane.toml", text), ("empty", ""), ("ca.pem", "x")]).problems(variables)
}

#[test]
fn every_default_fits_its_own_field() {
    for field in SETTINGS
        .iter()
        .chain(&TOPIC)
        .chain(&PIPELINE)
        .chain(&SINK)
        .chain(&ELASTICSEARCH)
        .chain(&REDIS)
        .chain(&LIVE)
    {
        assert_eq!(
            field.default.is_some(),
            field.default_value().is_some(),
            "{}",
            field.path
        );
        assert!(!field.about.is_empty(), "{}", field.path);
        assert!(!field.required || field.example.is_some(), "{}", field.path);
    }
}

#[test]
fn every_setting_has_a_variable_of_its_own() {
    let names: std::collections::BTreeSet<String> = SETTINGS.iter().map(variable).collect();
    assert_eq!(names.len(), SETTINGS.len());
    assert!(names.contains("TWOLANE_KAFKA_GROUP_PROTOCOL"));
    assert!(
        names
            .iter()
            .all(|name| !name.starts_with("TWOLANE_STACK_") && name != "TWOLANE_SETTINGS")
    );
}

#[test]
fn without_a_file_everything_has_a_default_for_one_machine() {
    let settings = load_settings(&LoadOptions::default()).unwrap();
    assert_eq!(settings.kafka.brokers, "127.0.0.1:9092");
    assert_eq!(settings.kafka.queue_bytes, 4 << 20);
    assert_eq!(settings.kafka.session_timeout, Duration::from_secs(10));
    assert_eq!(settings.elasticsearch.url, "http://127.0.0.1:9200");
    assert_eq!(settings.redis.url, "redis://127.0.0.1:6379/0");
    assert!(settings.admin.listen.ip().is_loopback());
    assert_eq!(settings.topics_dir, Path::new("topics"));
}

#[test]
fn variables_win_and_empty_ones_count_as_not_set() {
    let text = "[kafka]\nbrokers = \"file:1\"\n[redis]\nurl = \"redis://file\"\n[log]\nformat = \"json\"\n";
    let settings = settings(
        text,
        &[
            ("TWOLANE_KAFKA_BROKERS", "a:1, b:2"),
            ("TWOLANE_REDIS_URL", ""),
            ("TWOLANE_SHUTDOWN", "3s"),
            ("TWOLANE_KAFKA_QUEUE_BYTES", "1MiB"),
            (
                "TWOLANE_KAFKA_PROPERTIES",
                "client.rack=a; debug=broker,topic",
            ),
            ("TWOLANE_STACK_KAFKA", "ignored"),
            ("TWOLANE_TEST_INSTANCE", "ignored"),
            ("HOME", "ignored"),
        ],
    );
    assert_eq!(settings.kafka.brokers, "a:1,b:2");
    assert_eq!(settings.redis.url, "redis://file");
    assert_eq!(settings.log.format, crate::config::LogFormat::Json);
    assert_eq!(settings.shutdown, Duration::from_secs(3));
    assert_eq!(settings.kafka.queue_bytes, 1 << 20);
    let properties = (&settings.kafka.properties).into_iter();
    let properties: Vec<_> = properties
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        properties,
        [("client.rack", "a"), ("debug", "broker,topic")]
    );
}

#[test]
fn paths_in_a_file_start_from_its_folder() {
    let folder = Folder::with(&[(
        "pipelines/own.toml",
        "topics_dir = \"../t\"\npipelines_dir = \"/p\"\n",
    )]);
    for options in [
        LoadOptions {
            settings: Some("pipelines/own.toml".into()),
            ..folder.options(&[("TWOLANE_SETTINGS", "gone.toml")])
        },
        folder.options(&[("TWOLANE_SETTINGS", "pipelines/own.toml")]),
    ] {
        let settings = load_settings(&options).unwrap();
        assert_eq!(settings.topics_dir, folder.path().join("pipelines/../t"));
        assert_eq!(settings.pipelines_dir, Path::new("/p"));
    }
}

#[test]
fn a_settings_file_that_was_named_must_be_there() {
    let folder = Folder::with(&[]);
    assert_eq!(
        folder.problems(&[("TWOLANE_SETTINGS", "gone.toml")]),
        ["gone.toml: there is no such file, though TWOLANE_SETTINGS names it"]
    );
    let options = LoadOptions {
        settings: Some("gone.toml".into()),
        ..folder.options(&[])
    };
    let problems = load(&options).unwrap_err().to_string();
    assert!(
        problems.ends_with("gone.toml: there is no such file, though --settings names it"),
        "{problems}"
    );
}

#[test]
fn settings_are_refused_at_the_line_that_is_wrong() {
    for (text, expected) in [
        (
            "[kafak]\n",
            "twolane.toml:1:2: unknown key \"kafak\": did you mean \"kafka\"?",
        ),
        (
            "brokers = \"a:1\"\n",
            "twolane.toml:1:1: unknown key \"brokers\": it belongs in [kafka]",
        ),
        (
            "[kafka]\nshutdown = \"1s\"\n",
            "twolane.toml:2:1: unknown key \"shutdown\" in [kafka]: it belongs above the first section",
        ),
        (
            "kafka = \"a:1\"\n",
            "twolane.toml:1:1: kafka is a section: write [kafka]",
        ),
        (
            "[kafka]\nbrokers = \"a\"\n",
            "twolane.toml:2:11: kafka.brokers holds \"a\", which is not host:port such as \"127.0.0.1:9092\"",
        ),
        (
            "[kafka]\nbrokers = \"ssl://a:1\"\n",
            "twolane.toml:2:11: kafka.brokers holds \"ssl://a:1\": write host:port, and the protocol into kafka.security_protocol",
        ),
        (
            "[kafka]\ngroup_protocol = \"kip848\"\n",
            "twolane.toml:2:18: kafka.group_protocol must be \"classic\" or \"consumer\", not \"kip848\"",
        ),
        (
            "[kafka]\ngroup_protocol = \"consumer\"\nsession_timeout = \"10s\"\n",
            "twolane.toml:3:19: kafka.session_timeout goes with group_protocol = \"classic\": with \"consumer\" it is the broker's group.consumer.session.timeout.ms",
        ),
        (
            "[kafka]\nusername = \"u\"\n",
            "twolane.toml:2:12: kafka.username needs security_protocol = \"sasl_ssl\" (or \"sasl_plaintext\"), which is \"plaintext\"",
        ),
        (
            "[kafka]\nsecurity_protocol = \"sasl_ssl\"\nusername = \"u\"\n",
            "twolane.toml:2:21: security_protocol = \"sasl_ssl\" needs kafka.sasl_mechanism and kafka.password (or kafka.password_file)",
        ),
        (
            "[kafka]\nqueue_bytes = 1000\n",
            "twolane.toml:2:15: kafka.queue_bytes must be a size from \"1MiB\" to \"1GiB\", not 1000",
        ),
        (
            "[elasticsearch]\nurl = \"localhost:9200\"\n",
            "twolane.toml:2:7: elasticsearch.url is \"localhost:9200\": write it as \"http://host:port\" or \"https://host:port\"",
        ),
        (
            "[elasticsearch]\nusername = \"u\"\n",
            "twolane.toml:2:12: elasticsearch.username needs elasticsearch.password or elasticsearch.password_file",
        ),
        (
            "[elasticsearch]\npassword = \"p\"\n",
            "twolane.toml:2:12: elasticsearch.password needs elasticsearch.username",
        ),
        (
            "[elasticsearch]\nusername = \"u\"\npassword = \"p\"\napi_key = \"k\"\n",
            "twolane.toml:4:11: elasticsearch.api_key and elasticsearch.username are two ways to log in: keep one",
        ),
        (
            "[redis]\nurl = \"localhost\"\n",
            "twolane.toml:2:7: redis.url is \"localhost\": write it as \"redis://host:port/db\", or \"rediss://\" for TLS",
        ),
        (
            "[redis]\nusername = \"u\"\n",
            "twolane.toml:2:12: redis.username needs redis.password or redis.password_file",
        ),
        (
            "[admin]\nlisten = \"9464\"\n",
            "twolane.toml:2:10: admin.listen must be an address such as \"127.0.0.1:9464\", not \"9464\"",
        ),
        (
            "[log]\nformat = \"text\"\n",
            "twolane.toml:2:10: log.format must be \"human\" or \"json\", not \"text\"",
        ),
        (
            "[log]\nfilter = \"twolane=loud\"\n",
            "twolane.toml:2:10: log.filter is not a filter such as \"twolane=debug,info\": error parsing level filter: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5",
        ),
        (
            "shutdown = 20\n",
            "twolane.toml:1:12: shutdown must be a duration from \"1s\" to \"10m\", not 20",
        ),
        (
            "topics_dir = \"gone\"\n",
            "gone: cannot be read (No such file or directory (os error 2)): make this folder, or set topics_dir",
        ),
    ] {
        let problems: Vec<String> = refused(text, &[])
            .into_iter()
            .filter(|line| !line.starts_with("pipelines/"))
            .collect();
        assert_eq!(problems, [expected], "{text}");
    }
}

#[test]
fn files_of_secrets_and_authorities_are_looked_at() {
    let folder = Folder::with(&[
        ("ca.pem", "not a certificate"),
        ("lines", "one\ntwo\n"),
        ("nothing", "\n"),
        (
            "twolane.toml",
            "[elasticsearch]\nurl = \"https://a\"\nca_file = \"ca.pem\"\nusername = \"u\"\npassword_file = \"lines\"\n\
                          [redis]\nca_file = \"gone.pem\"\npassword_file = \"nothing\"\n\
                          [kafka]\npassword_file = \"gone\"\npassword = \"s3cret\"\nsecurity_protocol = \"sasl_ssl\"\nsasl_mechanism = \"PLAIN\"\nusername = \"u\"\n",
        ),
    ]);
    assert_eq!(
        folder.problems(&[]),
        [
            "twolane.toml:3:11: elasticsearch.ca_file: ca.pem holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
            "twolane.toml:5:17: elasticsearch.password_file: lines has more than one line",
            "twolane.toml:7:11: redis.ca_file needs a rediss:// address",
            "twolane.toml:7:11: redis.ca_file: gone.pem cannot be read: No such file or directory (os error 2)",
            "twolane.toml:8:17: redis.password_file: nothing is empty",
            "twolane.toml:10:17: kafka.password and kafka.password_file say the same thing: keep one",
        ]
    );
}

#[test]
fn a_secret_may_come_from_a_file_or_a_variable() {
    let folder = Folder::with(&[
        ("secret", "s3cret\n"),
        ("twolane.toml", "[redis]\npassword_file = \"secret\"\n"),
    ]);
    let redis =
        |variables: &[(&str, &str)]| load_settings(&folder.options(variables)).unwrap().redis;
    assert_eq!(redis(&[]).password.unwrap().expose(), "s3cret");
    assert_eq!(
        redis(&[("TWOLANE_REDIS_PASSWORD", "other")])
            .password
            .unwrap()
            .expose(),
        "other"
    );
}

#[test]
fn unknown_variables_are_refused() {
    assert_eq!(
        refused(
            "",
            &[
                ("TWOLANE_KAFKA_BROKER", "a:1"),
                ("TWOLANE_KAFKA__BROKERS", "a:1"),
                ("TWOLANE_COLOUR", "red"),
                ("TWOLANE_REDIS_PASWORD", "s3cret"),
                ("TWOLANE_KAFKA_GROUP_PROTOCOL", "clasic"),
            ]
        ),
        [
            "TWOLANE_COLOUR: no setting has this variable: `twolane reference settings` lists them",
            "TWOLANE_KAFKA_BROKER: no setting has this variable: did you mean TWOLANE_KAFKA_BROKERS?",
            "TWOLANE_KAFKA_GROUP_PROTOCOL: kafka.group_protocol must be \"classic\" or \"consumer\", not \"clasic\": did you mean \"classic\"?",
            "TWOLANE_KAFKA__BROKERS: no setting has this variable: did you mean TWOLANE_KAFKA_BROKERS?",
            "TWOLANE_REDIS_PASWORD: no setting has this variable: did you mean TWOLANE_REDIS_PASSWORD?",
        ]
    );
}

#[test]
fn properties_that_would_break_a_promise_are_refused() {
    for name in [
        "enable.auto.commit",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "group.id",
        "enable.idempotence",
        "acks",
        "isolation.level",
        "session.timeout.ms",
        "partition.assignment.strategy",
        "bootstrap.servers",
        "sasl.password",
    ] {
        let text =
            format!("[kafka.properties]\n\"client.rack\" = \"a\"\n\"{name}\" = \"s3cret\"\n");
        let problems = refused(&text, &[]);
        let [problem] = &problems[..] else {
            panic!("{name}: {problems:?}");
        };
        let expected = format!("twolane.toml:3:1: {name:?} in kafka.properties is refused: ");
        assert!(
            problem.starts_with(&expected) && !problem.contains("s3cret"),
            "{problem}"
        );
    }
    let heartbeat = |protocol: &str| {
        let text = format!(
            "[kafka]\ngroup_protocol = \"{protocol}\"\nproperties = {{ \"heartbeat.interval.ms\" = 1000 }}\n"
        );
        refused(&text, &[])
    };
    assert!(heartbeat("classic").is_empty());
    assert_eq!(
        heartbeat("consumer"),
        [
            "twolane.toml:3:16: \"heartbeat.interval.ms\" in kafka.properties is refused: with group_protocol = \"consumer\" it is the broker's group.consumer.heartbeat.interval.ms"
        ]
    );
    assert_eq!(
        refused("", &[("TWOLANE_KAFKA_PROPERTIES", "acks=1;x")]),
        ["TWOLANE_KAFKA_PROPERTIES: kafka.properties must be a table of texts by name"]
    );
}

/// Sets every secret that there is, rightly and wrongly, and looks for it in every print.
#[test]
fn no_print_ever_shows_a_secret() {
    const SECRET: &str = "hunter2-hunter2";
    let whole = "[kafka]\nsecurity_protocol = \"sasl_ssl\"\nsasl_mechanism = \"PLAIN\"\nusername = \"u\"\npassword = \"hunter2-hunter2\"\n\
                 properties = { \"ssl.key.password\" = \"hunter2-hunter2\" }\n\
                 [elasticsearch]\nusername = \"u\"\npassword = \"hunter2-hunter2\"\n[redis]\npassword = \"hunter2-hunter2\"\n";
    let good = settings(whole, &[]);
    assert_eq!(good.kafka.password.as_ref().unwrap().expose(), SECRET);
    assert_eq!(good.redis.password.as_ref().unwrap().expose(), SECRET);
    for shown in [format!("{good:?}"), format!("{good:#?}")] {
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(
            shown.contains("[redacted]") && shown.contains("ssl.key.password"),
            "{shown}"
        );
    }
    for field in SETTINGS
        .iter()
        .filter(|field| matches!(field.kind, Kind::Secret))
    {
        let (section, name) = (field.section(), field.name());
        let name_of_variable = variable(field);
        for (text, variables) in [
            (format!("[{section}]\n{name} = \"{SECRET}\n"), vec![]),
            (format!("[{section}]\n{name} = [\"{SECRET}\"]\n"), vec![]),
            (
                format!("[{section}]\n{name} = {{ a = \"{SECRET}\" }}\n"),
                vec![],
            ),
            (format!("[{section}]\n{name}s = \"{SECRET}\"\n"), vec![]),
            (format!("[{section}]\n{name} = {SECRET}\n"), vec![]),
            (
                format!("[{section}]\n{name} = \"{SECRET}\"\n{name}_file = \"gone\"\n"),
                vec![],
            ),
            (
                format!("[{section}]\nurl = \"http://u:{SECRET}@a\"\nbrokers = \"{SECRET}@a:1\"\n"),
                vec![],
            ),
            (
                String::new(),
                vec![(format!("{name_of_variable}S"), SECRET)],
            ),
        ] {
            let variables: Vec<(&str, &str)> = variables
                .iter()
                .map(|(name, value)| (name.as_str(), *value))
                .collect();
            let problems = refused(&text, &variables);
            assert!(!problems.is_empty(), "{text}");
            assert!(!problems.join("\n").contains("hunter2"), "{problems:?}");
        }
    }
}
