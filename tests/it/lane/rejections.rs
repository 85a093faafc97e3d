//! What cannot be used: it ends in the dead-letter topic, or halts the branch, and holds up no neighbour.

use rdkafka::message::Message as _;
use serde_json::json;
use twolane::config::SinkKind;

use super::rig::{self, Options, Rig};
use super::tools::{self, Raw};
use crate::stack;

#[test]
fn of_two_changes_in_one_batch_the_newer_being_rejected_the_older_lands() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let options = Options {
            elasticsearch: Some("linger = \"1s\""),
            redis: None,
            ..Options::default()
        };
        let rig = Rig::new(&stack, "fallback", options).await;
        rig.upsert(1, 1, "first").await;
        let (_, landed) = rig.upsert(1, 2, "second").await;
        let wrong = rig::event("u", 1, 3, "third").replace("\"rev\":3", "\"rev\":\"x\"");
        let (partition, rejected) = rig.send(Some(&rig::key(1)), Some(&wrong)).await;
        rig.upsert(2, 1, "neighbour").await;
        let lane = rig.start().await;
        let branch = tools::branch(&lane.branches(), "elasticsearch");
        rig::resolved(&lane.branches(), 4).await;
        assert_eq!(
            branch.stats.batch.count(),
            2,
            "one batch, and the older write after it"
        );
        let (version, source) = rig.document(1).await.expect("a document");
        assert_eq!(source["name"], "second");
        assert_eq!(version, (1 << 48) + u64::try_from(landed).unwrap() + 1);
        assert_eq!(tools::applied(&branch), 2);
        assert_eq!(tools::superseded(&branch), 1);
        assert_eq!(tools::dead_lettered(&branch), 1);
        let letters = tools::dead_letters(&rig).await;
        let [letter] = &letters[..] else {
            panic!("{} dead letters", letters.len());
        };
        let header = |name: &str| tools::header(letter, name).unwrap_or_default();
        assert_eq!(header("twolane.reason"), "document_parsing_exception");
        assert_eq!(header("twolane.partition"), partition.to_string());
        assert_eq!(header("twolane.offset"), rejected.to_string());
        assert_eq!(letter.payload(), Some(wrong.as_bytes()));
        lane.stop().await;
        tools::assert_committed_to_the_end(&[branch]).await;
    });
}

#[test]
fn poison_records_end_in_the_dead_letter_topic_while_their_neighbours_pass() {
    const LARGEST: usize = 1_000_000;
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let options = Options {
            topic_config: &[("max.message.bytes", "1000000")],
            ..Options::default()
        };
        let rig = Rig::new(&stack, "poison", options).await;
        let producer = tools::producer(&rig);
        let good = rig::event("u", 1, 1, "ada");
        let deep = format!(
            "{{\"before\":null,\"after\":{{\"id\":1,\"rev\":1,\"name\":{}1{}}},\"source\":{{}},\"op\":\"u\"}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let wrong = good.replace("\"rev\":1", "\"rev\":\"many\"");
        let large = vec![b'x'; LARGEST];
        let key = rig::key(1);
        let key = Some(key.as_bytes());
        let headers: &[(&str, Option<&[u8]>)] =
            &[("trace", Some(b"7")), ("empty", Some(b"")), ("null", None)];
        let of = |key, value| Raw {
            key,
            value: Some(value),
            headers,
            partition: None,
        };
        let truncated = &good.as_bytes()[..good.len() / 2];
        // reasons that either sink may give; none where the record is no poison to that sink
        let poison: [(Raw<'_>, &str, Option<&str>); 8] = [
            (of(key, b"not json"), "malformed", Some("malformed")),
            (of(key, truncated), "malformed", Some("malformed")),
            (
                of(key, b"{\"op\":\"u\",\"after\":\xff\xfe}"),
                "malformed",
                Some("malformed"),
            ),
            (
                of(key, deep.as_bytes()),
                "malformed|limit|column_type",
                Some("malformed|limit|column_type"),
            ),
            (of(None, good.as_bytes()), "key", Some("key")),
            (
                of(Some(b"{\"other\":1}"), good.as_bytes()),
                "key",
                Some("key"),
            ),
            (
                of(Some(b"{\"id\":"), good.as_bytes()),
                "malformed",
                Some("malformed"),
            ),
            (
                of(key, wrong.as_bytes()),
                "document_parsing_exception",
                None,
            ),
        ];
        let mut sent = 0;
        let mut rejected = Vec::new();
        for (n, (raw, elasticsearch, redis)) in poison.iter().enumerate() {
            let at = tools::send(&producer, &rig.topic, raw).await.expect("sent");
            rig.upsert(10 + i64::try_from(n).unwrap(), 1, "neighbour")
                .await;
            sent += 2;
            rejected.push((at, raw, "elasticsearch", *elasticsearch));
            if let Some(redis) = redis {
                rejected.push((at, raw, "redis", *redis));
            }
        }
        // the largest that the topic takes, found as a producer would find it
        let mut size = LARGEST;
        let largest = loop {
            let raw = of(key, &large[..size]);
            match tools::send(&producer, &rig.topic, &raw).await {
                Ok(at) => break (at, raw),
                Err(why) => assert!(why.contains("MessageSizeTooLarge"), "{why}"),
            }
            size -= 8;
        };
        assert!(size > LARGEST - 400, "{size}");
        sent += 1;
        rejected.push((largest.0, &largest.1, "elasticsearch", "malformed"));
        rejected.push((largest.0, &largest.1, "redis", "malformed"));

        let lane = rig.start().await;
        let branches = lane.branches();
        rig::resolved(&branches, sent).await;
        for branch in &branches {
            let expected = rejected.iter().filter(|r| r.2 == branch.spec.name).count();
            assert_eq!(
                tools::dead_lettered(branch),
                expected as u64,
                "{}",
                branch.name
            );
            tools::assert_sum(branch);
        }
        for n in 0..8 {
            assert_eq!(
                rig.document(10 + n).await.expect("a document").1["name"],
                "neighbour"
            );
            assert_eq!(rig.hash(10 + n).await["name"], "neighbour");
        }
        let letters = tools::dead_letters(&rig).await;
        assert_eq!(letters.len(), rejected.len());
        for ((partition, offset), raw, sink, reasons) in rejected {
            let letter = letters
                .iter()
                .find(|l| {
                    let header = |name: &str| tools::header(l, name).unwrap_or_default();
                    header("twolane.sink") == sink
                        && header("twolane.partition") == partition.to_string()
                        && header("twolane.offset") == offset.to_string()
                })
                .unwrap_or_else(|| panic!("no dead letter of {sink} for {partition}/{offset}"));
            let reason = tools::header(letter, "twolane.reason").unwrap_or_default();
            assert!(
                reasons.split('|').any(|r| r == reason),
                "{reason}, not {reasons}"
            );
            assert!(
                !tools::header(letter, "twolane.detail")
                    .unwrap_or_default()
                    .is_empty()
            );
            assert_eq!(
                tools::header(letter, "twolane.topic").as_ref(),
                Some(&rig.topic)
            );
            assert_eq!(
                tools::header(letter, "twolane.version"),
                Some(((1u64 << 48) + u64::try_from(offset).unwrap() + 1).to_string())
            );
            assert_eq!(letter.key(), raw.key);
            assert_eq!(letter.payload(), raw.value, "{reason}");
            assert_eq!(tools::own_headers(letter), tools::as_headers(headers));
        }
        lane.stop().await;
        tools::assert_committed_to_the_end(&branches).await;
    });
}

#[test]
fn a_wrong_mapping_halts_its_branch_and_what_it_rejected_is_written_after_a_resume() {
    const ROWS: i64 = 600;
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let mut rig = Rig::new(&stack, "mapping", Options::default()).await;
        let sinks = &mut tools::pipeline(&mut rig.config).sinks;
        for sink in sinks {
            if let SinkKind::Elasticsearch(spec) = &mut sink.kind {
                // every row has columns that this mapping refuses
                spec.mapping =
                    Some(json!({"dynamic": "strict", "properties": {"id": {"type": "long"}}}));
            }
        }
        let records: Vec<_> = (0..ROWS)
            .map(|id| (rig::key(id), Some(rig::event("c", id, 1, "ada"))))
            .collect();
        rig.send_all(&records).await;
        let lane = rig.start().await;
        let branches = lane.branches();
        let elasticsearch = tools::branch(&branches, "elasticsearch");
        let redis = tools::branch(&branches, "redis");
        let why = tools::halted(&elasticsearch).await;
        assert!(why.contains("mapping") && why.contains("resume"), "{why}");
        // the other branch goes on
        rig::resolved(std::slice::from_ref(&redis), ROWS.unsigned_abs()).await;
        rig.upsert(ROWS, 1, "eve").await;
        rig::resolved(std::slice::from_ref(&redis), ROWS.unsigned_abs() + 1).await;
        assert_eq!(tools::applied(&redis), ROWS.unsigned_abs() + 1);
        // few letters, and no commit past a record that is not among them
        tools::given_up(&elasticsearch).await;
        tools::assert_sum(&elasticsearch);
        assert!(tools::dead_lettered(&elasticsearch) < 200);
        assert_eq!(tools::applied(&elasticsearch), 0);
        let passed: i64 = tools::committed(&elasticsearch)
            .await
            .values()
            .flatten()
            .sum();
        assert!(
            passed.unsigned_abs() <= tools::dead_lettered(&elasticsearch),
            "{passed}"
        );

        let path = format!("{}-v1/_mapping", rig.index);
        let mended = json!({"properties": {"rev": {"type": "long"}, "name": {"type": "keyword"}}});
        tools::elasticsearch(&rig, reqwest::Method::PUT, &path, Some(mended)).await;
        let letters = tools::dead_lettered(&elasticsearch);
        assert!(elasticsearch.control.resume());
        rig::resolved(
            std::slice::from_ref(&elasticsearch),
            ROWS.unsigned_abs() + 1,
        )
        .await;
        assert_eq!(tools::dead_lettered(&elasticsearch), letters);
        // a letter above the watermark was read again, and is a row now
        let missing = ROWS.unsigned_abs() + 1 - rig.visible().await;
        assert!(missing <= letters, "{missing} of {letters}");
        tools::assert_sum(&elasticsearch);
        lane.stop().await;
        tools::assert_committed_to_the_end(&branches).await;
    });
}

#[test]
fn some_poison_among_many_good_records_halts_nothing_however_far_decoding_is_ahead() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let options = Options {
            partitions: 1,
            elasticsearch: None,
            ..Options::default()
        };
        let rig = Rig::new(&stack, "spread", options).await;
        // one in twenty, and all of it on a few hot keys, so that nearly every record is coalesced
        let records: Vec<_> = (0..6_000)
            .map(|n| {
                let id = n % 5;
                let value = match n % 20 {
                    19 => String::from("not json"),
                    _ => rig::event("u", id, n, "ada"),
                };
                (rig::key(id), Some(value))
            })
            .collect();
        rig.send_all(&records).await;
        let lane = rig.start().await;
        let branches = lane.branches();
        rig::resolved(&branches, 6_000).await;
        let redis = tools::branch(&branches, "redis");
        assert!(!redis.control.is_halted());
        assert_eq!(tools::dead_lettered(&redis), 300);
        tools::assert_sum(&redis);
        lane.stop().await;
    });
}

#[test]
fn records_that_change_no_row_are_counted_as_filtered() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "filtered", Options::default()).await;
        let lane = rig.start().await;
        rig.send(Some("{\"serverName\":\"app\"}"), Some("{\"ts_ms\":1}"))
            .await;
        for status in ["BEGIN", "END"] {
            let mark = format!(
                "{{\"status\":\"{status}\",\"id\":\"tx\",\"event_count\":null,\"data_collections\":null,\"ts_ms\":1}}"
            );
            rig.send(Some("{\"id\":\"tx\"}"), Some(&mark)).await;
        }
        rig.upsert(1, 1, "ada").await;
        let branches = lane.branches();
        rig::resolved(&branches, 4).await;
        for branch in &branches {
            assert_eq!(tools::filtered(branch), 3, "{}", branch.name);
            assert_eq!(tools::applied(branch), 1, "{}", branch.name);
            let reasons = branch.stats.reasons();
            assert_eq!((reasons["heartbeat"], reasons["transaction"]), (1, 2));
            tools::assert_sum(branch);
        }
        lane.stop().await;
        tools::assert_committed_to_the_end(&branches).await;
    });
}
