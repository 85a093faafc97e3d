//! The rules that hold while nothing fails.

use std::sync::atomic::Ordering;

use super::rig::{self, Options, Rig};
use crate::stack;

#[test]
fn consumed_is_the_sum_of_the_five_at_rest_and_both_sinks_hold_the_newest() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "sum", Options::default()).await;
        let lane = rig.start().await;
        let mut records = Vec::new();
        for rev in 1..=20 {
            for id in 0..50 {
                records.push((rig::key(id), Some(rig::event("u", id, rev, "ada"))));
            }
        }
        rig.send_all(&records).await;
        rig.delete(7).await;
        let total = records.len() as u64 + 2;
        let branches = lane.branches();
        rig::resolved(&branches, total).await;
        for branch in &branches {
            assert_eq!(rig::consumed(branch), total, "{}", branch.name);
            assert_eq!(rig::sum(branch), total, "{}", branch.name);
            assert!(branch.ledger.tally().applied.load(Ordering::Relaxed) >= 50);
        }
        assert_eq!(rig.visible().await, 49);
        for id in 0..50 {
            let (_, source) = rig.document(id).await.expect("a document");
            let hash = rig.hash(id).await;
            if id == 7 {
                assert_eq!(source["_deleted"], true);
                assert!(hash.is_empty());
            } else {
                assert_eq!(source["rev"], 20);
                assert_eq!(hash["rev"], "20");
            }
        }
        lane.stop().await;
        for branch in &branches {
            for (partition, committed) in branch.probe.committed().await.expect("offsets") {
                let (_, end) = branch.probe.watermarks(partition).await.expect("ends");
                assert_eq!(
                    committed,
                    Some(end),
                    "{} partition {partition}",
                    branch.name
                );
            }
        }
        // what was committed is what was there: a second lane finds nothing to do
        let lane = rig.start().await;
        rig.upsert(1, 21, "eve").await;
        let branches = lane.branches();
        rig::resolved(&branches, 1).await;
        for branch in &branches {
            assert_eq!(rig::consumed(branch), 1, "{}", branch.name);
        }
        lane.stop().await;
    });
}
