use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::commit::Ledger;
use crate::config::{DocumentSpec, Format, Reading, TopicSpec};
use crate::decode::DebeziumJson;
use crate::event::{Epoch, Position};
use crate::route::Spare;
use crate::source::Budget;
use crate::transform::IdTemplate;

fn topic() -> TopicSpec {
    TopicSpec {
        name: "t".into(),
        format: Format::DebeziumJson,
        key: vec!["id".into()],
        partitions: 1,
        replication: None,
        epoch: Epoch::new(1).unwrap(),
        partitioner: None,
        config: BTreeMap::new(),
        columns: [("id".to_owned(), "bigint".parse().unwrap())].into(),
        reading: Reading::default(),
        file: PathBuf::new(),
    }
}

/// A job of one record an offset, of these rows, added in the order of `order`.
fn job(ids: &[u8], order: &[usize]) -> Job {
    let value = |(offset, id)| {
        format!("{{\"before\":null,\"after\":{{\"id\":{id},\"n\":{offset}}},\"op\":\"u\"}}")
    };
    let values: Vec<String> = (0..).zip(ids).map(value).collect();
    let keys: Vec<String> = ids.iter().map(|id| format!("{{\"id\":{id}}}")).collect();
    let (job, added) = add(&keys, &values, order);
    assert!(
        added
            .iter()
            .all(|added| matches!(added, Ok(Added::Batched)))
    );
    job
}

/// The same of records with these values; what became of each.
fn add(
    keys: &[String],
    values: &[String],
    order: &[usize],
) -> (Job, Vec<Result<Added, DecodeError>>) {
    let ledger = Arc::new(Ledger::default());
    ledger.open(0, 0);
    let mut chunk = Chunk::new(
        Arc::clone(&ledger),
        Budget::new(1 << 20, 1).chunk().unwrap(),
        &Spare::new(1, 1 << 16),
    );
    for (offset, (key, value)) in (0..).zip(keys.iter().zip(values)) {
        let claim = ledger
            .take(Position {
                partition: 0,
                offset,
            })
            .unwrap();
        let (key, value) = (key.as_bytes(), value.as_bytes());
        chunk.push(claim.unwrap(), 0, Some(key), Some(value), b"");
    }
    let chunk = Arc::new(chunk);
    let spec = topic();
    let id = IdTemplate::joined(&spec.key);
    let mut projection = Projection::new(&spec, &DocumentSpec::default(), Shape::Json, id).unwrap();
    let mut decoder = DebeziumJson::default();
    let mut job = Job::new(Shape::Json);
    let mut all = Vec::new();
    for index in order {
        let (claim, record) = chunk.get(*index).unwrap();
        let version = Version::new(spec.epoch, record.position.offset).unwrap();
        let incoming = Incoming {
            chunk: &chunk,
            index: *index,
            claim,
            record: &record,
            version,
        };
        all.push(job.add(&incoming, false, (&mut decoder, &mut projection), |_| {}));
    }
    (job, all)
}

fn offset(job: &Job, write: u32) -> i64 {
    job.batch().writes()[write as usize].position.offset
}

#[test]
fn what_becomes_of_a_record_does_not_depend_on_those_before() {
    let value = |row: &str, pos: u32| {
        format!(r#"{{"before":null,"after":{row},"source":{{"pos":{pos}}},"op":"u"}}"#)
    };
    let deep = format!(r#"{{"id":1,"n":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    let rows = [
        r#"{"id":1}"#,
        r#"{"id":2}"#,
        r#"{"id":3,}"#,
        r#"{"id":"a"}"#,
        r#"{"id":1,"id":2,"#,
        deep.as_str(),
        r#"{"id":7},"op":{}"#,
        // The next two have a key that is no key.
        r#"{"id":3,}"#,
        r#"{"id":3},"op":"c""#,
    ];
    let keys: Vec<String> = (0..rows.len())
        .map(|n| {
            if n < 7 {
                format!("{{\"id\":{n}}}")
            } else {
                "[]".to_owned()
            }
        })
        .collect();
    let values: Vec<String> = (11..).zip(rows).map(|(pos, row)| value(row, pos)).collect();
    let order: Vec<usize> = (0..rows.len()).collect();
    let (job, added) = add(&keys, &values, &order);
    let text = |added: Result<Added, DecodeError>| match added {
        Ok(Added::Batched) => "batched".to_owned(),
        Ok(_) => "not written".to_owned(),
        Err(why) => why.to_string(),
    };
    let added: Vec<String> = added.into_iter().map(text).collect();
    assert_eq!(
        added.iter().filter(|added| *added == "batched").count(),
        job.documents()
    );
    assert_eq!(&added[..2], ["batched", "batched"]);
    for ((key, value), added) in keys.iter().zip(&values).zip(&added) {
        // To one that knows nothing yet every ending is new.
        let (_, alone) = add(std::slice::from_ref(key), std::slice::from_ref(value), &[0]);
        assert_eq!(
            *added,
            alone.into_iter().map(text).collect::<String>(),
            "{key} {value}"
        );
    }
}

fn records() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    prop::collection::vec(0_u8..6, 1..40).prop_flat_map(|ids| {
        let order: Vec<usize> = (0..ids.len()).collect();
        (Just(ids), Just(order).prop_shuffle())
    })
}

proptest! {
    #[test]
    fn each_record_is_resolved_once_and_of_each_row_the_newest_lands_that_is_not_rejected(
        (ids, order) in records(),
        rejected in prop::collection::vec(any::<bool>(), 40),
        turns in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let mut job = job(&ids, &order);
        let mut newest = BTreeMap::new();
        for (offset, id) in (0_i64..).zip(&ids) {
            newest.insert(*id, offset);
        }
        let mut open = job.live();
        let live: BTreeSet<i64> = open.iter().map(|write| offset(&job, *write)).collect();
        prop_assert_eq!(live, newest.values().copied().collect::<BTreeSet<_>>());
        prop_assert_eq!(job.documents(), newest.len());

        let mut resolved = Vec::new();
        for turn in turns {
            if open.is_empty() {
                break;
            }
            let write = open.swap_remove(turn.index(open.len()));
            if rejected[usize::try_from(offset(&job, write)).unwrap()] {
                open.extend(job.older(write));
                job.settle_one(write, Resolution::DeadLettered, &mut resolved);
            } else {
                job.settle(write, Resolution::Applied, &mut resolved);
            }
        }
        prop_assert!(open.is_empty());
        let by_offset: BTreeMap<i64, Resolution> = resolved
            .iter()
            .map(|(claim, resolution)| (claim.position.offset, *resolution))
            .collect();
        prop_assert_eq!(resolved.len(), ids.len());
        prop_assert_eq!(by_offset.len(), ids.len());
        for id in newest.keys() {
            let of = (0_i64..).zip(&ids).filter(|(_, of)| *of == id);
            let mut landed = false;
            for (offset, _) in of.collect::<Vec<_>>().into_iter().rev() {
                let expected = match (landed, rejected[usize::try_from(offset).unwrap()]) {
                    (true, _) => Resolution::Superseded,
                    (false, true) => Resolution::DeadLettered,
                    (false, false) => {
                        landed = true;
                        Resolution::Applied
                    }
                };
                prop_assert_eq!(by_offset[&offset], expected);
            }
        }
    }
}
