//! Versions, outcomes, deletes and the purge against a real Elasticsearch.

use elasticsearch::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use twolane::config::{ColumnType, Deletes};
use twolane::event::Version;
use twolane::sink::{Outcome, SinkError, SinkHub as _};

use crate::elasticsearch_support::{Lane, settings, unavailable, version, write};

fn superseded_by(by: Version) -> Outcome {
    Outcome::Superseded { by: Some(by) }
}

#[tokio::test]
async fn an_older_version_that_arrives_later_changes_nothing_also_beyond_2_to_the_53() {
    let lane = Lane::new("older");
    let (_hub, sink) = lane.open().await;
    for epoch in [1, 32, 0x7fff] {
        let id = format!("e{epoch}");
        let (older, newer) = (version(epoch, 10), version(epoch, 11));
        if epoch >= 32 {
            assert!(newer.get() > 1 << 53);
        }
        let first = write(&sink, &[(&id, newer, Some(r#"{"n":"newer"}"#))]).await;
        assert_eq!(first.unwrap(), [Outcome::Applied]);
        for version in [older, newer] {
            let again = write(&sink, &[(&id, version, Some(r#"{"n":"older"}"#))]).await;
            assert_eq!(again.unwrap(), [superseded_by(newer)]);
        }
        let delete = write(&sink, &[(&id, older, None)]).await;
        assert_eq!(delete.unwrap(), [superseded_by(newer)]);
        let there = lane.reader().get(&id).await.unwrap().unwrap();
        assert_eq!(there.version, newer);
        assert_eq!(there.source.get(), r#"{"n":"newer"}"#);
    }
}

#[tokio::test]
async fn a_deleted_row_stays_deleted_when_an_older_event_comes_after_a_restart_of_its_shard() {
    let lane = Lane::new("deleted");
    let (_hub, sink) = lane.open().await;
    let index = lane.index();
    let outcomes = write(
        &sink,
        &[
            ("a", version(1, 1), Some(r#"{"n":1}"#)),
            ("b", version(1, 2), Some(r#"{"n":1}"#)),
        ],
    )
    .await;
    assert_eq!(outcomes.unwrap(), [Outcome::Applied, Outcome::Applied]);
    let deleted = write(&sink, &[("a", version(1, 9), None)]).await;
    assert_eq!(deleted.unwrap(), [Outcome::Applied]);
    for step in ["_flush", "_close", "_open"] {
        lane.ok(Method::Post, &format!("{index}/{step}"), Value::Null)
            .await;
    }
    let green = format!("_cluster/health/{index}?wait_for_status=yellow");
    lane.ok(Method::Get, &green, Value::Null).await;

    let older = write(&sink, &[("a", version(1, 8), Some(r#"{"n":0}"#))]).await;
    assert_eq!(older.unwrap(), [superseded_by(version(1, 9))]);
    let tombstone = lane.reader().get("a").await.unwrap().unwrap();
    assert!(tombstone.deleted && !tombstone.source.get().contains("\"n\""));
    assert_eq!(lane.search(json!({})).await, ["b"]);

    let newer = write(&sink, &[("a", version(1, 10), Some(r#"{"n":2}"#))]).await;
    assert_eq!(newer.unwrap(), [Outcome::Applied]);
    assert!(!lane.reader().get("a").await.unwrap().unwrap().deleted);
}

#[tokio::test]
async fn hard_deletes_leave_nothing_and_a_delete_of_nothing_is_applied() {
    let mut lane = Lane::new("hard");
    lane.deletes = Deletes::Hard;
    let (hub, sink) = lane.open().await;
    let outcomes = write(
        &sink,
        &[
            ("a", version(1, 1), Some("{}")),
            ("a", version(1, 2), None),
            ("b", version(1, 3), None),
            ("b", version(1, 2), None),
        ],
    )
    .await;
    assert_eq!(
        outcomes.unwrap(),
        [
            Outcome::Applied,
            Outcome::Applied,
            Outcome::Applied,
            superseded_by(version(1, 3))
        ]
    );
    assert!(lane.reader().get("a").await.unwrap().is_none());
    assert_eq!(hub.purge().await.unwrap(), 0);
}

#[tokio::test]
async fn a_wrong_value_is_rejected_and_its_neighbours_are_applied() {
    let mut lane = Lane::new("poison");
    lane.mapping = Some(json!({"properties": {"n": {"type": "long"}}}));
    let (_hub, sink) = lane.open().await;
    let odd = "a/b \"ü\\\n?";
    let outcomes = write(
        &sink,
        &[
            ("good", version(1, 1), Some("{\n  \"n\": 1\n}")),
            ("", version(1, 2), Some("{}")),
            ("bad", version(1, 3), Some(r#"{"n":"zzsecret"}"#)),
            ("worse", version(1, 4), Some(r#"{"n":zzsecret}"#)),
            ("cut", version(1, 5), Some(r#"{"n":1"#)),
            (odd, version(1, 6), Some(r#"{"n":2}"#)),
            (&"x".repeat(513), version(1, 7), Some("{}")),
        ],
    )
    .await;
    let outcomes = outcomes.unwrap();
    assert_eq!(outcomes.len(), 7);
    for (at, outcome) in outcomes.iter().enumerate() {
        match (at, outcome) {
            (0 | 5, Outcome::Applied) => {}
            (1 | 6, Outcome::Rejected(f)) => assert_eq!(&*f.kind, "invalid_id"),
            (2..=4, Outcome::Rejected(f)) => {
                assert_eq!(&*f.kind, "document_parsing_exception");
                assert!(!f.detail.contains("zzsecret"), "{}", f.detail);
            }
            (_, _) => panic!("{at}: {outcome:?}"),
        }
    }
    assert!(
        matches!(&outcomes[2], Outcome::Rejected(f) if f.detail.contains("field [n] of type [long]"))
    );
    assert!(lane.reader().get(odd).await.unwrap().is_some());
    assert!(lane.reader().get("bad").await.unwrap().is_none());
}

#[tokio::test]
async fn blocks_closed_indices_and_missing_aliases_are_retried_with_an_alarm() {
    let lane = Lane::new("blocks");
    let (hub, sink) = lane.open().await;
    let index = lane.index();
    let blocks = format!("{index}/_settings");
    let close = format!("{index}/_close");
    let open = format!("{index}/_open");
    let remove = json!({"actions": [{"remove": {"index": index, "alias": lane.alias}}]});
    let no_write = json!({"actions": [{"add": {"index": index, "alias": lane.alias, "is_write_index": false}}]});
    let mend = json!({"actions": [{"add": {"index": index, "alias": lane.alias, "is_write_index": true,
        "filter": {"bool": {"must_not": {"term": {"_deleted": true}}}}}}]});
    let steps = [
        (
            Method::Put,
            &blocks,
            json!({"index.blocks.write": true}),
            "cluster_block_exception",
        ),
        (
            Method::Put,
            &blocks,
            json!({"index.blocks.write": null}),
            "",
        ),
        (
            Method::Put,
            &blocks,
            json!({"index.blocks.read_only_allow_delete": true}),
            "cluster_block_exception",
        ),
        (
            Method::Put,
            &blocks,
            json!({"index.blocks.read_only_allow_delete": null}),
            "",
        ),
        (Method::Post, &close, Value::Null, "index_closed_exception"),
        (Method::Post, &open, Value::Null, ""),
        (
            Method::Post,
            &String::from("_aliases"),
            no_write,
            "illegal_argument_exception",
        ),
        (Method::Post, &String::from("_aliases"), mend.clone(), ""),
        (
            Method::Post,
            &String::from("_aliases"),
            remove,
            "index_not_found_exception",
        ),
        (Method::Post, &String::from("_aliases"), mend, ""),
    ];
    for (offset, (method, path, body, kind)) in (0..).zip(steps) {
        let step = format!("{path} {body}");
        lane.ok(method, path, body).await;
        let health = format!("_cluster/health/{index}?wait_for_status=yellow");
        if path == &open {
            lane.ok(Method::Get, &health, Value::Null).await;
        }
        for json in [Some("{}"), None] {
            let version = version(1, 2 * offset + i64::from(json.is_none()));
            let outcomes = write(&sink, &[("a", version, json)]).await.unwrap();
            match &outcomes[0] {
                Outcome::Applied => assert_eq!(kind, "", "{step}"),
                Outcome::Retry(f) => {
                    assert_eq!(&*f.kind, kind, "{step}");
                    assert!(f.alarm && !f.alone, "{step}: {f:?}");
                }
                other => panic!("{step}: {other:?}"),
            }
        }
    }
    assert_eq!(hub.purge().await.unwrap(), 0);
}

#[tokio::test]
async fn a_request_larger_than_the_server_takes_is_to_be_split() {
    let lane = Lane::new("large");
    let (_hub, sink) = lane.open().await;
    // The default of http.max_content_length is 100 MB.
    let half = format!(r#"{{"x":"{}"}}"#, "x".repeat(51 << 20));
    let puts = [
        ("a", version(1, 1), Some(half.as_str())),
        ("b", version(1, 2), Some(half.as_str())),
    ];
    let answer = write(&sink, &puts).await;
    assert!(matches!(answer, Err(SinkError::TooLarge(_))), "{answer:?}");
    let after = write(&sink, &[("c", version(1, 1), Some("{}"))]).await;
    assert_eq!(after.unwrap(), [Outcome::Applied]);
}

#[tokio::test]
async fn the_purge_takes_only_tombstones_past_the_horizon() {
    let lane = Lane::new("purge");
    let (hub, sink) = lane.open().await;
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_millis();
    let long_ago = now - 8 * 86_400_000;
    let old = format!(r#"{{"_deleted":true,"_deleted_at":{long_ago}}}"#);
    let ids: Vec<String> = (0..1_500).map(|n| format!("old{n}")).collect();
    let mut puts: Vec<_> = ids
        .iter()
        .map(|id| (id.as_str(), version(40, 5), Some(old.as_str())))
        .collect();
    puts.push(("row", version(40, 6), Some("{}")));
    puts.push(("fresh", version(40, 7), None));
    let outcomes = write(&sink, &puts).await.unwrap();
    assert!(outcomes.iter().all(|o| *o == Outcome::Applied));
    // Two rows came back, one of them before its tombstone could be found.
    let back = write(&sink, &[("old0", version(40, 8), Some(r#"{"n":1}"#))]).await;
    assert_eq!(back.unwrap(), [Outcome::Applied]);
    let index = lane.index();
    lane.ok(Method::Post, &format!("{index}/_refresh"), Value::Null)
        .await;
    let back = write(&sink, &[("old1", version(40, 8), Some(r#"{"n":1}"#))]).await;
    assert_eq!(back.unwrap(), [Outcome::Applied]);

    assert_eq!(hub.purge().await.unwrap(), 1_498);
    assert_eq!(hub.purge().await.unwrap(), 0);
    let mut left = Vec::new();
    let count = lane
        .reader()
        .export(|d| left.push((d.id.into_owned(), d.deleted)))
        .await;
    assert_eq!(count.unwrap(), 4);
    left.sort();
    let expected = [
        ("fresh", true),
        ("old0", false),
        ("old1", false),
        ("row", false),
    ];
    let left: Vec<_> = left.iter().map(|(id, d)| (id.as_str(), *d)).collect();
    assert_eq!(left, expected);

    // The next record of a purged key has a higher version, also the very next.
    let next = write(&sink, &[("old2", version(40, 6), Some("{}"))]).await;
    assert_eq!(next.unwrap(), [Outcome::Applied]);
}

#[tokio::test]
async fn an_export_gives_every_document_with_its_version() {
    let lane = Lane::new("export");
    let (_hub, sink) = lane.open().await;
    let ids: Vec<String> = (0..4_100).map(|n| format!("r{n}")).collect();
    let puts: Vec<_> = (0..)
        .zip(&ids)
        .map(|(n, id)| {
            (
                id.as_str(),
                version(33, n),
                (n % 10 != 0).then_some(r#"{"n":1}"#),
            )
        })
        .collect();
    write(&sink, &puts).await.unwrap();
    let mut seen = std::collections::BTreeMap::new();
    let count = lane
        .reader()
        .export(|d| {
            assert_eq!(d.deleted, !d.source.get().contains("\"n\""));
            seen.insert(d.id.into_owned(), d.version);
        })
        .await;
    assert_eq!(count.unwrap(), 4_100);
    for (id, version, _) in puts {
        assert_eq!(seen.get(id), Some(&version));
    }
}

#[tokio::test]
async fn a_derived_mapping_takes_every_value_of_every_declared_type_and_undeclared_columns() {
    let mut lane = Lane::new("derived");
    lane.columns = vec![
        ("tiny", ColumnType::Integer),
        ("ubig", ColumnType::BigUnsigned),
        ("flag", ColumnType::Boolean),
        (
            "price",
            ColumnType::Decimal {
                precision: 65,
                scale: 30,
            },
        ),
        (
            "balance",
            ColumnType::Decimal {
                precision: 12,
                scale: 2,
            },
        ),
        ("real", ColumnType::Float),
        ("bits", ColumnType::Bit(64)),
        ("bit", ColumnType::Bit(1)),
        ("bio", ColumnType::Text),
        ("blob", ColumnType::Binary),
        ("birthday", ColumnType::Date),
        ("length", ColumnType::Time(6)),
        ("made", ColumnType::DateTime(6)),
        ("seen", ColumnType::Timestamp(0)),
        ("born", ColumnType::Year),
        ("level", ColumnType::Enum(vec![])),
        ("tags", ColumnType::Set(vec![])),
        ("extra", ColumnType::Json),
    ];
    let (_hub, sink) = lane.open().await;
    let long = "界".repeat(40_000);
    let first = json!({
        "tiny": i64::MIN, "ubig": u64::MAX, "flag": true, "price": "99999999999999999999999999999999999.000000000000000000000000000001",
        "balance": "-0.10", "real": -2.25e300, "bits": u64::MAX, "bit": false, "bio": long, "blob": "3q2+7w==",
        "birthday": "9999-12-31", "length": "-838:59:59.000001", "made": "1000-01-01T00:00:00.123456",
        "seen": "2026-03-04T05:06:07Z", "born": 1901, "level": long, "tags": ["a", "b,c"], "extra": [1, {"a": null}],
        "new": "2026-01-01",
    });
    let second = json!({"extra": "text", "new": {"a": [1]}, "seen": "2026-03-04T05:06:07.123456Z", "made": "2026-03-04T05:06:07",
        "birthday": null, "tags": [], "ubig": 5});
    let outcomes = write(
        &sink,
        &[
            ("1", version(1, 1), Some(&first.to_string())),
            ("2", version(1, 2), Some(&second.to_string())),
        ],
    )
    .await;
    assert_eq!(outcomes.unwrap(), [Outcome::Applied, Outcome::Applied]);
    let there = lane.reader().get("1").await.unwrap().unwrap();
    let there: Value = serde_json::from_str(there.source.get()).unwrap();
    assert_eq!(there, first);
    for (query, ids) in [
        (
            json!({"term": {"ubig.exact": "18446744073709551615"}}),
            vec!["1"],
        ),
        (json!({"range": {"ubig": {"lte": 5}}}), vec!["2"]),
        (json!({"range": {"balance": {"lt": 0}}}), vec!["1"]),
        (json!({"term": {"tags": "b,c"}}), vec!["1"]),
        (json!({"range": {"made": {"gte": "2026-01-01"}}}), vec!["2"]),
    ] {
        assert_eq!(lane.search(json!({"query": query})).await, ids, "{query}");
    }
}

/// A server that reads one request and answers these bytes; an empty answer closes the connection.
async fn answering(bytes: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    url
}

#[tokio::test]
async fn an_answer_that_is_no_answer_says_nothing_of_any_write() {
    let answers: [&'static [u8]; 6] = [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"items\":[{\"index\":{\"status\":201}}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"items\":[",
        b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"items\":[]}",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>",
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n",
    ];
    for answer in answers {
        let lane = Lane::at("no-answer", settings(&answering(answer).await));
        let sink = lane.hub().connect().unwrap();
        let (detail, alarm) = unavailable(write(&sink, &[("a", version(1, 1), Some("{}"))]).await);
        assert!(!alarm && detail.contains(&lane.settings.url), "{detail}");
    }
}

#[tokio::test]
async fn a_server_that_is_silent_is_late_within_the_timeout_and_one_that_is_not_there_unavailable()
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut lane = Lane::at(
        "silent",
        settings(&format!("http://{}", listener.local_addr().unwrap())),
    );
    lane.settings.timeout = std::time::Duration::from_millis(200);
    let sink = lane.hub().connect().unwrap();
    let late = write(&sink, &[("a", version(1, 1), Some("{}"))]).await;
    assert!(
        matches!(&late, Err(SinkError::Late(detail)) if detail.contains("elasticsearch.timeout")),
        "{late:?}"
    );
    drop(listener);
    let (detail, alarm) = unavailable(write(&sink, &[("a", version(1, 1), Some("{}"))]).await);
    assert!(alarm && detail.contains("elasticsearch.url"), "{detail}");
}
