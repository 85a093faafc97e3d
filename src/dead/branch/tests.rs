use super::super::letter::{About, At};
use super::*;
use crate::config::{
    DocumentSpec, Format, Partitioner, RedisShape, RedisSpec, SinkKind, SuperviseSpec, TopicSpec,
};
use crate::event::{Epoch, Shape};

const NOW: i64 = 1_800_000_000_000;
const DAY: i64 = 86_400_000;

fn pipeline() -> PipelineSpec {
    PipelineSpec {
        name: String::from("p"),
        topic: Arc::new(TopicSpec {
            name: String::from("t"),
            format: Format::DebeziumJson,
            key: vec![String::from("id")],
            partitions: 8,
            epoch: Epoch::new(2).unwrap(),
            replication: None,
            partitioner: None,
            reading: Default::default(),
            config: BTreeMap::new(),
            columns: BTreeMap::new(),
            file: "topics/t.toml".into(),
        }),
        document: DocumentSpec::default(),
        sinks: Vec::new(),
        supervise: SuperviseSpec {
            max_restarts: 5,
            within: Duration::from_secs(60),
        },
        file: "pipelines/p.toml".into(),
    }
}

fn sink() -> SinkSpec {
    SinkSpec {
        name: String::from("redis"),
        kind: SinkKind::Redis(RedisSpec {
            key: String::from("p:{id}"),
            shape: RedisShape::Hash,
            ttl: None,
        }),
        deletes: Deletes::Tombstone,
        horizon: Duration::from_secs(7 * 86_400),
        workers: 1,
        in_flight: 1,
        batch_documents: 10,
        batch_bytes: 1 << 20,
        linger: Duration::ZERO,
        buffer_bytes: 1 << 20,
        alone_deadline: Duration::from_secs(600),
    }
}

fn letter() -> Letter {
    Letter {
        at: At {
            partition: 0,
            offset: 9,
        },
        key: Some(br#"{"id":1}"#.to_vec()),
        value: None,
        headers: Vec::new(),
        about: About {
            reason: String::from("malformed"),
            detail: String::new(),
            pipeline: String::from("p"),
            sink: String::from("redis"),
            topic: String::from("t"),
            partition: Some(3),
            offset: Some(40),
            version: Some(Version::new(Epoch::new(2).unwrap(), 40).unwrap()),
            time_ms: Some(NOW - DAY),
            record_time_ms: Some(NOW - 2 * DAY),
            omitted: None,
        },
    }
}

fn refused(change: impl FnOnce(&mut Letter)) -> String {
    let mut letter = letter();
    change(&mut letter);
    admit(&letter, &pipeline(), &sink(), NOW).unwrap_err()
}

#[test]
fn a_young_letter_keeps_its_place_its_version_and_its_time() {
    let (position, version, time) = admit(&letter(), &pipeline(), &sink(), NOW).unwrap();
    assert_eq!((position.partition, position.offset), (3, 40));
    assert_eq!(Some(version), letter().about.version);
    assert_eq!(time, NOW - 2 * DAY);
}

#[test]
fn a_record_or_a_letter_past_half_of_the_horizon_becomes_a_repair() {
    let old = NOW - 7 * DAY / 2 - 1;
    let text = refused(|l| l.about.record_time_ms = Some(old));
    assert!(text.contains("the record is 3 days old"), "{text}");
    let text = refused(|l| l.about.time_ms = Some(old));
    assert!(
        text.starts_with("becomes a repair (not available yet): the letter is"),
        "{text}"
    );
    for unknown in [None, Some(0), Some(-1)] {
        assert!(refused(|l| l.about.record_time_ms = unknown).contains("unknown"));
    }
    let mut edge = letter();
    edge.about.record_time_ms = Some(NOW - 7 * DAY / 2);
    admit(&edge, &pipeline(), &sink(), NOW).unwrap();
}

#[test]
fn another_epoch_another_topic_and_an_omitted_value_are_refused() {
    let version = Version::new(Epoch::new(1).unwrap(), 40).unwrap();
    let text = refused(|l| l.about.version = Some(version));
    assert!(text.contains("epoch 1") && text.contains("topics/t.toml"));
    assert!(refused(|l| l.about.topic = String::from("u")).contains("reads t"));
    assert!(refused(|l| l.about.omitted = Some(2_000_000)).contains("2000000 bytes was omitted"));
}

#[test]
fn headers_that_are_missing_or_contradict_are_refused() {
    assert!(refused(|l| l.about.version = None).contains("do not say"));
    assert!(refused(|l| l.about.offset = None).contains("do not say"));
    assert!(refused(|l| l.about.offset = Some(41)).contains("contradict"));
    assert!(refused(|l| l.about.partition = Some(8)).contains("contradict"));
}

#[test]
fn a_key_off_its_declared_partition_is_refused() {
    let mut pipeline = pipeline();
    let mut topic = TopicSpec::clone(&pipeline.topic);
    topic.partitioner = Some(Partitioner::Murmur2);
    pipeline.topic = Arc::new(topic);
    let mut letter = letter();
    let right = predicted_partition(letter.key.as_deref().unwrap(), 8);
    letter.about.partition = Some(right);
    admit(&letter, &pipeline, &sink(), NOW).unwrap();
    letter.about.partition = Some((right + 1) % 8);
    let text = admit(&letter, &pipeline, &sink(), NOW).unwrap_err();
    assert!(
        text.contains(&format!("belongs to partition {right}")),
        "{text}"
    );
}

/// A batch of upserts and deletes (`false`) of these documents.
fn batch(writes: &[(&str, bool)]) -> Batch {
    let mut batch = Batch::new(Shape::Json);
    for (id, upsert) in writes {
        let origin = Origin {
            position: Position {
                partition: 3,
                offset: 40,
            },
            version: letter().about.version.unwrap(),
            record: 0,
            committed_ms: 0,
        };
        let mut draft = batch.draft();
        let put = |out: &mut Vec<u8>| -> Result<(), ()> {
            out.extend_from_slice(id.as_bytes());
            Ok(())
        };
        draft.id(put).unwrap();
        let start = draft.arena().len();
        if *upsert {
            draft.arena().extend_from_slice(b"{}");
            draft.commit_json(start, origin);
        } else {
            draft.commit_delete(origin);
        }
    }
    batch
}

#[test]
fn of_a_records_rows_for_one_document_the_last_is_written() {
    let batch = batch(&[("a", true), ("b", true), ("a", false), ("c", true)]);
    assert_eq!(last_of_each(&batch, &[0, 1, 2, 3]), [1, 2, 3]);
}

#[test]
fn where_deleted_rows_are_not_remembered_only_deletes_are_replayed() {
    let batch = batch(&[("a", true), ("b", false)]);
    for (deletes, select, refused) in [
        (Deletes::Hard, vec![0, 1], true),
        (Deletes::Hard, vec![1], false),
        (Deletes::Tombstone, vec![0, 1], false),
    ] {
        assert_eq!(brings_back_deleted(deletes, &batch, &select), refused);
    }
}
