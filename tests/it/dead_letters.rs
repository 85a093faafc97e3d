//! `twolane dead` as its users call it, against real Kafka, Elasticsearch and Redis.

pub mod desk;

use desk::{Desk, row};

const DAY: i64 = 86_400_000;

#[tokio::test]
async fn a_replay_carries_the_original_version_and_changes_nothing_that_is_newer() {
    let mut desk = Desk::open("replay").await;
    let first = desk.produce("1", &row(1, "\"abc\"")).await;
    let older = desk.produce("2", &row(2, "\"abc\"")).await;
    let newer = desk.produce("2", &row(2, "7")).await;
    for sink in ["elasticsearch", "redis"] {
        desk.land(sink, &newer).await;
        for record in [&first, &older] {
            desk.bury(sink, record).await;
        }
    }

    let listed = desk.dead(&["list"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert_eq!(listed.lines().len(), 6, "{listed:?}");
    assert!(listed.out.contains("4 dead letters: 4 column_type"));
    assert!(
        listed
            .out
            .contains(&format!("{}/0/{}", desk.topic, first.offset))
    );
    let json = desk.dead(&["list", &desk.pipeline, "--json", "--limit", "1"]);
    let letter: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(letter["letter"], "3");
    assert_eq!(letter["version"], desk.version(&older).to_string());
    let none = desk.dead(&["list", "--topic", &desk.topic, "--reason", "limit"]);
    assert_eq!(none.out, "no dead letters\n");

    let shown = desk.dead(&["show", "0"]);
    for part in [
        "column_type",
        "header     trace = t-1",
        "\"score\": \"abc\"",
        "\"id\": 1",
    ] {
        assert!(shown.out.contains(part), "{part}: {shown:?}");
    }
    let raw = desk.dead(&["show", "0", "--raw"]);
    assert_eq!(raw.out, row(1, "\"abc\""));
    let beyond = desk.dead(&["show", "4"]);
    assert_eq!(beyond.code, 1);
    assert!(beyond.err.contains("from 0 to 3"), "{beyond:?}");

    // Before its cause is mended a letter is rejected for the same reason.
    let again = desk.dead(&["replay", "--all"]);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(
        again.out.contains("4 letters: 4 rejected again"),
        "{again:?}"
    );
    assert_eq!(desk.in_elasticsearch(1).await, None);

    desk.omit_score();
    let dry = desk.dead(&["replay", "--all", "--dry-run"]);
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.out.contains("4 would be written"), "{dry:?}");
    assert_eq!(desk.in_elasticsearch(1).await, None);
    assert_eq!(desk.in_redis(1), None);

    let replayed = desk.dead(&["replay", "--reason", "column_type"]);
    assert_eq!(replayed.code, 0, "{replayed:?}");
    assert!(
        replayed
            .out
            .contains("4 letters: 2 applied, 2 superseded; the letters stay"),
        "{replayed:?}"
    );
    let (first, newer) = (desk.version(&first), desk.version(&newer));
    assert_eq!(desk.in_elasticsearch(1).await, Some(first));
    assert_eq!(desk.in_redis(1), Some(first));
    assert_eq!(desk.in_elasticsearch(2).await, Some(newer));
    assert_eq!(desk.in_redis(2), Some(newer));
    assert_eq!(desk.redis_field(2, "score").as_deref(), Some("7"));

    let twice = desk.dead(&["replay", "0", "2", "--sink", "elasticsearch"]);
    assert_eq!(twice.code, 1, "letter 2 is Redis's: {twice:?}");
    assert!(twice.out.contains("1 superseded, 1 refused"), "{twice:?}");
    assert!(desk.dead(&["list"]).out.contains("4 dead letters"));
}

#[tokio::test]
async fn what_the_sink_may_have_forgotten_is_not_replayed() {
    let desk = Desk::open("refused").await;
    let mut record = desk.produce("1", &row(1, "7")).await;
    desk.bury("redis", &record).await;
    record.timestamp_ms -= 4 * DAY;
    desk.bury("redis", &record).await;
    record.timestamp_ms += 4 * DAY;
    record.epoch = 2;
    desk.bury("redis", &record).await;
    record.epoch = 1;
    record.offset += 100;
    desk.bury("redis", &record).await;
    let other = desk.produce("2", &row(2, "7")).await;
    desk.bury("redis", &other).await;
    desk.hold_version(2, desk.version(&record));

    let replayed = desk.dead(&["replay", "--all"]);
    assert_eq!(replayed.code, 1, "{replayed:?}");
    let lines = replayed.lines();
    assert!(lines[0].ends_with("applied"), "{replayed:?}");
    assert!(
        lines[1]
            .contains("refused: becomes a repair (not available yet): the record is 4 days old"),
        "{replayed:?}"
    );
    assert!(
        lines[2].contains("refused: it is of epoch 2"),
        "{replayed:?}"
    );
    assert!(lines[3].contains("past the end of topic"), "{replayed:?}");
    assert!(
        lines[4].contains("rejected again: the sink holds version")
            && lines[4].contains("no record"),
        "{replayed:?}"
    );
    assert!(lines[5].starts_with("5 letters: 1 applied, 1 rejected again, 3 refused"));
}

#[tokio::test]
async fn a_replay_makes_no_sink_anew_and_refuses_a_topic_that_was_made_anew() {
    let desk = Desk::open("identity").await;
    let record = desk.produce("1", &row(1, "7")).await;
    for sink in ["elasticsearch", "redis"] {
        desk.bury(sink, &record).await;
    }
    desk.delete_index().await;
    desk.forget_markers();
    let replayed = desk.dead(&["replay", "--all"]);
    assert_eq!(replayed.code, 1);
    assert!(
        replayed.lines()[0].contains("no index behind it"),
        "{replayed:?}"
    );
    assert!(
        replayed.lines()[1].contains("Redis holds nothing of"),
        "{replayed:?}"
    );
    assert!(!desk.has_index().await);

    desk.prepare_sinks().await;
    desk.make_topic_anew().await;
    desk.produce("1", &row(1, "7")).await;
    let replayed = desk.dead(&["replay", "--all"]);
    assert_eq!(replayed.code, 1);
    for line in &replayed.lines()[..2] {
        assert!(line.contains("made anew"), "{replayed:?}");
    }
    assert_eq!(desk.in_redis(1), None);
}

#[tokio::test]
async fn a_value_as_large_as_the_topic_allows_fits_and_what_does_not_goes_without_its_value() {
    let desk = Desk::open("large").await;
    // What the topic takes less the record's batch, key and header.
    let room = desk::LARGEST - 200;
    let value = desk::incompressible(room);
    let record = desk.produce("1", &value).await;
    assert!(desk.refuses(&desk::incompressible(desk::LARGEST)).await);
    desk.bury("redis", &record).await;
    assert_eq!(desk.dead(&["show", "0", "--raw"]).out, value);

    let mut crowded = record;
    crowded.headers = vec![(String::from("big"), desk::incompressible(100_000))];
    desk.bury("redis", &crowded).await;
    let listed = desk.dead(&["list"]);
    assert!(
        listed.lines()[2].contains(&format!("(without its value of {room} bytes)")),
        "{listed:?}"
    );
    let shown = desk.dead(&["show", "1"]);
    assert!(
        shown
            .out
            .contains(&format!("value      omitted, since its {room} bytes")),
        "{}",
        shown.out.len()
    );
    let raw = desk.dead(&["show", "1", "--raw"]);
    assert_eq!((raw.code, raw.out.as_str()), (1, ""));
    assert!(raw.err.contains("did not fit"), "{raw:?}");
    let replayed = desk.dead(&["replay", "1"]);
    assert_eq!(replayed.code, 1);
    assert!(
        replayed.out.contains("was omitted: becomes a repair"),
        "{replayed:?}"
    );
}

#[tokio::test]
async fn a_topic_without_dead_letters_and_brokers_that_are_away_are_told_apart() {
    let desk = Desk::open("none").await;
    let listed = desk.dead(&["list", "--topic", "never-made"]);
    assert_eq!(
        (listed.code, listed.out.as_str()),
        (0, "no dead letters: there is no topic never-made.dead\n")
    );
    assert_eq!(desk.dead(&["list"]).out, "no dead letters\n");
    let nothing = desk.dead(&["replay", "--all"]);
    assert!(nothing.out.starts_with("no such letters"), "{nothing:?}");
    assert_eq!(
        desk.dead(&["replay"]).code,
        2,
        "which letters is to be said"
    );
    let away = desk.dead_at("127.0.0.1:1", &["list"]);
    assert_eq!(away.code, 1);
    assert!(away.err.contains("is `kafka.brokers` right?"), "{away:?}");
}
