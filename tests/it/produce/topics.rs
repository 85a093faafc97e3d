//! `twolane topics plan` and `apply`.

use std::collections::BTreeMap;

use rdkafka::admin::{AdminOptions, ResourceSpecifier};

use super::desk::{Desk, SCHEMA, Said, event};
use crate::formats::registry::Registry;
use crate::lane::rig;
use crate::nats::Nats;
use crate::stack;

/// On a thread of its own: servers in this process go on meanwhile.
async fn run(desk: &Desk, arguments: &[&str]) -> Said {
    let child = desk.start(arguments);
    tokio::task::spawn_blocking(|| super::desk::ended(child))
        .await
        .expect("it ends")
}

fn topic(desk: &Desk, partitions: i32, more: &str) {
    desk.write(
        "topics/t.toml",
        &format!(
            "name = \"{}\"\nformat = \"avro\"\nkey = [\"id\"]\npartitions = {partitions}\nepoch = 1\n{more}\n",
            desk.topic
        ),
    );
}

async fn own_settings(desk: &Desk) -> BTreeMap<String, String> {
    let topic = ResourceSpecifier::Topic(&desk.topic);
    let described = rig::admin(&desk.brokers)
        .describe_configs([&topic], &AdminOptions::new())
        .await
        .expect("the broker answers");
    let described = described
        .into_iter()
        .next()
        .expect("one")
        .expect("it is there");
    let own = described.entries.into_iter().filter(|e| !e.is_default);
    own.filter_map(|e| Some((e.name, e.value?))).collect()
}

#[test]
fn a_topic_is_made_and_altered_and_what_its_spec_does_not_name_stays() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let desk = Desk::without_topic(&stack, "apply", "avro", 3);
        topic(&desk, 3, "[config]\n\"retention.ms\" = \"100000\"");
        let said = run(&desk, &["topics", "plan"]).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(
            said.out.contains(&format!(
                "+ topic {} is to be made\n    3 partitions\n",
                desk.topic
            )),
            "{said:?}"
        );
        let said = run(&desk, &["topics", "apply", &desk.topic]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.out.contains("1 made, 0 altered"), "{said:?}");
        for command in ["plan", "apply"] {
            let said = run(&desk, &["topics", command]).await;
            assert_eq!(said.code, Some(0), "{said:?}");
            assert!(
                said.out.contains("0 failed, 1 as they should be"),
                "{said:?}"
            );
        }
        assert_eq!(desk.run(&["produce", &desk.topic], &event(1)).code, Some(0));

        // Somebody sets what the spec does not name; the spec changes another.
        let set = rdkafka::admin::AlterConfig::new(ResourceSpecifier::Topic(&desk.topic))
            .set("retention.ms", "100000")
            .set("segment.ms", "60000");
        let altered = rig::admin(&desk.brokers)
            .alter_configs([&set], &AdminOptions::new())
            .await;
        altered
            .expect("the broker answers")
            .remove(0)
            .expect("it is set");
        topic(&desk, 3, "[config]\n\"retention.ms\" = \"200000\"");
        let said = run(&desk, &["topics", "plan"]).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(
            said.out
                .contains("retention.ms is \"100000\", and should be \"200000\""),
            "{said:?}"
        );
        assert_eq!(run(&desk, &["topics", "apply"]).await.code, Some(0));
        let own = own_settings(&desk).await;
        assert_eq!(own.get("retention.ms").map(String::as_str), Some("200000"));
        assert_eq!(own.get("segment.ms").map(String::as_str), Some("60000"));
        assert_eq!(run(&desk, &["topics", "plan"]).await.code, Some(0));
    });
}

#[test]
fn what_cannot_be_altered_is_refused_with_the_remedy_and_left_as_it_is() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let desk = Desk::new(&stack, "refuse", "avro", 3).await;
        desk.write(
            "pipelines/p.toml",
            &format!("topic = \"{}\"\n[[sink]]\ntype = \"redis\"\nkey = \"p:{{id}}\"\nhorizon = \"8d\"\n", desk.topic),
        );
        topic(
            &desk,
            4,
            "replication = 2\n[config]\n\"retention.ms\" = \"1000\"\n\"segment.ms\" = \"70000\"",
        );
        for command in ["plan", "apply"] {
            let said = run(&desk, &["topics", command]).await;
            assert_eq!(said.code, Some(1), "{said:?}");
            for expected in [
                "it has 3 partitions, and its spec says 4",
                "1 replicas",
                "retention.ms is 1000, below the horizon of p.redis, 8d",
                "\"retention.ms\" = \"691200000\"",
            ] {
                assert!(said.out.contains(expected), "{expected}: {said:?}");
            }
        }
        assert!(!own_settings(&desk).await.contains_key("segment.ms"));
        // A wrong file, and brokers that are away, are failures too, and no differences.
        topic(&desk, 3, "wrong = 1");
        assert_eq!(run(&desk, &["topics", "plan"]).await.code, Some(1));
        topic(&desk, 3, "");
        let absent = run(&desk, &["topics", "plan", "nobody.knows"]).await;
        assert_eq!(absent.code, Some(1), "{absent:?}");
    });
}

#[test]
fn columns_that_the_rows_have_and_the_spec_does_not_are_differences() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let desk = Desk::new(&stack, "columns", "avro", 2).await;
        let said = desk.run(&["produce", &desk.topic], &event(1));
        assert_eq!(said.code, Some(0), "{said:?}");
        topic(
            &desk,
            2,
            "[columns]\nid = \"bigint\"\nname = \"varchar(9)\"\ngone = \"int\"",
        );
        let said = run(&desk, &["topics", "plan"]).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        for expected in ["`note` is in the newest rows", "`gone` is in [columns]"] {
            assert!(said.out.contains(expected), "{expected}: {said:?}");
        }
        assert!(!said.out.contains("`name`"), "{said:?}");
    });
}

#[test]
fn a_schema_is_registered_and_one_that_does_not_follow_is_refused_naming_the_field() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let registry = Registry::start();
        let desk = Desk::new(&stack, "schema", "avro", 2).await;
        desk.settings(&format!("[schema_registry]\nurl = \"{}\"", registry.url));
        let produce = async |desk: &Desk| {
            let mut child = desk.start(&["produce", &desk.topic]);
            let mut to = child.stdin.take().expect("its input");
            std::io::Write::write_all(&mut to, event(1).as_bytes()).expect("written");
            drop(to);
            tokio::task::spawn_blocking(|| super::desk::ended(child))
                .await
                .expect("it ends")
        };
        let said = produce(&desk).await;
        assert!(said.err.contains("`twolane topics apply`"), "{said:?}");
        let said = run(&desk, &["topics", "apply"]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.out.contains("+ schema"), "{said:?}");
        assert_eq!(run(&desk, &["topics", "plan"]).await.code, Some(0));
        let said = produce(&desk).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let records = desk.records().await;
        let value = rdkafka::message::Message::payload(&records[0]).expect("a value");
        assert_eq!(value[..5], [0, 0, 0, 0, 1]);

        // A field without a default does not follow; with one it does.
        let more = |field: &str| SCHEMA.replace("\n]}", &format!(",\n{field}\n]}}"));
        desk.write("topics/t.avsc", &more(r#"{"name":"at","type":"long"}"#));
        for command in ["plan", "apply"] {
            let said = run(&desk, &["topics", command]).await;
            assert_eq!(said.code, Some(1), "{said:?}");
            assert!(
                said.out.contains("not backward compatible: the field `at`"),
                "{said:?}"
            );
        }
        desk.write(
            "topics/t.avsc",
            &more(r#"{"name":"at","type":"long","default":0}"#),
        );
        assert_eq!(run(&desk, &["topics", "plan"]).await.code, Some(2));
        let said = run(&desk, &["topics", "apply"]).await;
        assert!(said.out.contains("version 2 follows version 1"), "{said:?}");
        // Who comes with the first one again is behind.
        desk.write("topics/t.avsc", SCHEMA);
        let said = run(&desk, &["topics", "plan"]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.out.contains("a newer version, 2"), "{said:?}");
    });
}

#[test]
fn the_live_lanes_streams_are_planned_and_made_with_the_rest() {
    let nats = Nats::start();
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let desk = Desk::without_topic(&stack, "streams", "avro", 1);
        desk.settings(&format!("[nats]\nurl = \"{}\"", nats.url()));
        desk.write(
            "topics/live.toml",
            "[inbox]\nmax_bytes = \"1MiB\"\n[out]\nmax_bytes = \"1MiB\"\n",
        );
        let said = run(&desk, &["topics", "plan", "live"]).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(
            said.out.contains("+ stream LIVE_IN is to be made"),
            "{said:?}"
        );
        assert!(!said.out.contains(&desk.topic), "{said:?}");
        assert_eq!(run(&desk, &["topics", "apply", "live"]).await.code, Some(0));
        assert_eq!(run(&desk, &["topics", "plan", "live"]).await.code, Some(0));
        desk.write(
            "topics/live.toml",
            "[inbox]\nmax_bytes = \"2MiB\"\n[out]\nmax_bytes = \"1MiB\"\n",
        );
        let said = run(&desk, &["topics", "plan", "live"]).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.out.contains("max_bytes is"), "{said:?}");
        assert_eq!(run(&desk, &["topics", "apply", "live"]).await.code, Some(0));
    });
}
