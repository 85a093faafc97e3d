//! What stands in the sinks is never older than the log as far as it was read.

use serde_json::json;
use twolane::event::{Epoch, Version};

use super::rig::{self, Options, Rig};
use super::tools;
use crate::stack;

/// Versions of this epoch and above lie past 2^53, where a double skips integers.
const EPOCH: u32 = 32;

fn version(offset: i64) -> Version {
    Version::new(Epoch::new(EPOCH).unwrap(), offset).unwrap()
}

#[test]
fn an_older_version_that_arrives_later_changes_nothing_in_either_sink_also_beyond_2_to_53() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let mut rig = Rig::new(&stack, "older", Options::default()).await;
        tools::set_epoch(&mut rig.config, EPOCH);
        let lane = rig.start().await;
        let mut newest = Vec::new();
        for rev in 1..=5 {
            for id in 0..6 {
                let at = rig.upsert(id, rev, "ada").await;
                if rev == 5 {
                    newest.push(at);
                }
            }
        }
        rig.delete(0).await;
        rig::resolved(&lane.branches(), 32).await;
        lane.stop().await;

        let again = tools::start(&tools::read_again(&rig.config)).await;
        let branches = again.branches();
        rig::resolved(&branches, 32).await;
        for branch in &branches {
            assert_eq!(tools::superseded(branch), 32, "{:?}", branch.ledger.tally());
            tools::assert_sum(branch);
        }
        again.stop().await;
        for id in 1..6 {
            let (_, offset) = newest[usize::try_from(id).unwrap()];
            let (there, source) = rig.document(id).await.expect("a document");
            assert!(there > 1 << 53);
            assert_eq!(there, version(offset).get());
            assert_eq!(source["rev"], 5);
            let hash = rig.hash(id).await;
            assert_eq!(hash["rev"], "5");
            assert_eq!(hash["_v"], version(offset).padded().to_string());
        }
        let (_, source) = rig.document(0).await.expect("a tombstone");
        assert_eq!(source["_deleted"], true);
        assert!(rig.hash(0).await.is_empty());
    });
}

#[test]
fn a_deleted_row_stays_deleted_when_older_events_are_replayed_also_after_its_shard_was_opened_anew()
{
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "deleted", Options::default()).await;
        let lane = rig.start().await;
        rig.upsert(1, 1, "ada").await;
        rig.upsert(1, 2, "ada").await;
        rig.upsert(2, 1, "eve").await;
        rig.delete(1).await;
        rig::resolved(&lane.branches(), 5).await;
        lane.stop().await;
        // an index that is closed and opened has read its versions from disk, as after a restart
        let index = format!("{}-v1", rig.index);
        for step in ["_flush", "_close", "_open"] {
            let path = format!("{index}/{step}");
            tools::elasticsearch(&rig, reqwest::Method::POST, &path, None).await;
        }
        let path = format!("_cluster/health/{index}?wait_for_status=yellow&timeout=60s");
        tools::elasticsearch(&rig, reqwest::Method::GET, &path, None).await;

        let again = tools::start(&tools::read_again(&rig.config)).await;
        let branches = again.branches();
        rig::resolved(&branches, 5).await;
        for branch in &branches {
            assert_eq!(tools::applied(branch), 0, "{:?}", branch.ledger.tally());
        }
        again.stop().await;
        assert_eq!(rig.visible().await, 1);
        assert_eq!(
            rig.document(1).await.expect("a tombstone").1["_deleted"],
            true
        );
        assert!(rig.hash(1).await.is_empty());
        assert_eq!(rig.hash(2).await["name"], "eve");
    });
}

#[test]
fn a_null_value_alone_deletes() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "null", Options::default()).await;
        let lane = rig.start().await;
        rig.upsert(1, 1, "ada").await;
        rig::resolved(&lane.branches(), 1).await;
        assert_eq!(rig.visible().await, 1);
        // what compaction leaves of a delete, of a known row and of one never seen
        let (_, offset) = rig.send(Some(&rig::key(1)), None).await;
        rig.send(Some(&rig::key(2)), None).await;
        rig::resolved(&lane.branches(), 3).await;
        assert_eq!(rig.visible().await, 0);
        let (there, source) = rig.document(1).await.expect("a tombstone");
        let expected = Version::new(Epoch::new(1).unwrap(), offset).unwrap();
        assert_eq!(there, expected.get());
        assert_eq!(source["_deleted"], true);
        assert!(source.get("name").is_none(), "{source}");
        assert!(rig.hash(1).await.is_empty());
        lane.stop().await;
    });
}

#[test]
fn a_change_of_primary_key_removes_the_old_document_in_both_sinks() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "rekeyed", Options::default()).await;
        let lane = rig.start().await;
        let (mut same, mut other) = (0, 0);
        for id in 0..12 {
            let (from, _) = rig.upsert(id, 1, "ada").await;
            // as Debezium writes it: the old key's delete and its tombstone, then the new key's row
            rig.delete(id).await;
            let row = rig::event("c", id + 100, 2, "ada");
            let (to, _) = rig.send(Some(&rig::key(id + 100)), Some(&row)).await;
            *(if from == to { &mut same } else { &mut other }) += 1;
        }
        assert!(same > 0 && other > 0, "both within a partition and across");
        rig::resolved(&lane.branches(), 48).await;
        assert_eq!(rig.visible().await, 12);
        for id in 0..12 {
            let (_, source) = rig.document(id).await.expect("a tombstone");
            assert_eq!(source["_deleted"], true, "{id}");
            assert!(rig.hash(id).await.is_empty(), "{id}");
            let (_, source) = rig.document(id + 100).await.expect("a document");
            assert_eq!(source["id"], id + 100);
            assert_eq!(rig.hash(id + 100).await["rev"], "2");
        }
        lane.stop().await;
    });
}

#[test]
fn a_version_above_the_end_of_its_partition_halts_the_branch_with_the_remedy() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let mut rig = Rig::new(&stack, "above", Options::default()).await;
        tools::set_epoch(&mut rig.config, EPOCH);
        let lane = rig.start().await;
        rig.upsert(1, 1, "ada").await;
        let branches = lane.branches();
        rig::resolved(&branches, 1).await;
        let above = version(1_000_000);
        let path = format!(
            "{}-v1/_doc/2?version={above}&version_type=external",
            rig.index
        );
        tools::elasticsearch(&rig, reqwest::Method::PUT, &path, Some(json!({"id": 2}))).await;
        let mut c = rig.redis().await;
        let key = format!("{}:2", rig.prefix);
        let () = redis::cmd("HSET")
            .arg(&key)
            .arg("_v")
            .arg(above.padded().to_string())
            .query_async(&mut c)
            .await
            .unwrap();
        let (partition, offset) = rig.upsert(2, 1, "eve").await;
        for branch in &branches {
            let why = tools::halted(branch).await;
            assert!(
                why.contains("raise `epoch`") || why.contains("Raise `epoch`"),
                "{why}"
            );
            assert!(why.contains("offset 1000000"), "{why}");
            rig::until("the commit to stand at the record", || async {
                tools::committed(branch).await[&partition] == Some(offset)
            })
            .await;
            tools::given_up(branch).await;
            tools::assert_sum(branch);
        }
        // mended: what nobody's record wrote is gone
        let () = redis::cmd("DEL")
            .arg(&key)
            .query_async(&mut c)
            .await
            .unwrap();
        let redis = tools::branch(&branches, "redis");
        assert!(redis.control.resume());
        rig::until("the row", || async {
            rig.hash(2).await.contains_key("name")
        })
        .await;
        lane.stop().await;
    });
}
