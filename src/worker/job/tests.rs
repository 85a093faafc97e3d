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
    let ledger = Arc::new(Ledger::default());
    ledger.open(0, 0);
    let mut chunk = Chunk::new(
        Arc::clone(&ledger),
        Budget::new(1 << 20, 1).chunk().unwrap(),
        &Spare::new(1, 1 << 16),
    );
    for (offset, id) in (0..).zip(ids) {
        let claim = ledger
            .take(Position {
                partition: 0,
                offset,
            })
            .unwrap();
        let key = format!("{{\"id\":{id}}}");
        let value =
            format!("{{\"before\":null,\"after\":{{\"id\":{id},\"n\":{offset}}},\"op\":\"u\"}}");
        let (key, value) = (key.into_bytes(), value.into_bytes());
        chunk.push(claim.unwrap(), 0, Some(&key), Some(&value), b"");
    }
    let chunk = Arc::new(chunk);
    let spec = topic();
    let id = IdTemplate::joined(&spec.key);
    let mut projection = Projection::new(&spec, &DocumentSpec::default(), Shape::Json, id).unwrap();
    let mut decoder = DebeziumJson::default();
    let mut job = Job::new(Shape::Json);
    for index in order {
        let (claim, record) = chunk.get(*index).unwrap();
        let version = Version::new(spec.epoch, record.position.offset).unwrap();
        let added = job.add(
            (&chunk, *index),
            (claim, &record),
            version,
            false,
            (&mut decoder, &mut projection),
            |_| {},
        );
        assert!(matches!(added, Ok(Added::Batched)));
    }
    job
}

fn offset(job: &Job, write: u32) -> i64 {
    job.batch().writes()[write as usize].position.offset
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
