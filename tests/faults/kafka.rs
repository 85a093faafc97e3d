//! What is committed around an outage of the broker.

use super::case::options;
use super::{all_committed, alone, until};
use crate::lane::rig::{self, Options, Rig};

const ROWS: i64 = 200;

/// Sends a change of every row.
async fn change(rig: &Rig, rev: i64) {
    let rows = (0..ROWS).map(|id| (rig::key(id), Some(rig::event("u", id, rev, "ada"))));
    rig.send_all(&rows.collect::<Vec<_>>()).await;
}

#[test]
fn a_commit_that_meets_an_outage_is_made_good_though_nothing_more_comes() {
    let (_turn, stack) = alone(&["kafka", "redis"]);
    rig::system(async {
        let only = Options {
            elasticsearch: None,
            ..options()
        };
        let rig = Rig::new(&stack, "commit", only).await;
        let lane = rig.start().await;
        let branches = lane.branches();
        let branch = &branches[0];
        change(&rig, 1).await;
        rig::resolved(&branches, ROWS.unsigned_abs()).await;
        until("the first commits", || all_committed(branch)).await;
        // What is fetched and not yet in the sink when the broker goes is committed into the outage.
        stack.stop("redis").await;
        change(&rig, 2).await;
        until("all to be taken", || async {
            rig::consumed(branch) >= 2 * ROWS.unsigned_abs()
        })
        .await;
        stack.kill("kafka").await;
        stack.start("redis").await;
        until("all to be in the sink", || async {
            branch.ledger.pending() == 0
        })
        .await;
        // Until the committer has had its turn, and the client has noticed.
        until("the watermark to be stored", || async {
            let stats = branch.stats.partitions();
            stats.values().all(|p| p.committed == p.watermark)
        })
        .await;
        stack.start("kafka").await;
        until("what was resolved to be committed", || {
            all_committed(branch)
        })
        .await;
        lane.stop().await;
    });
}
