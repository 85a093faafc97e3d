//! Redis forgets while nothing is written.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::alone;
use super::case::options;
use crate::lane::rig::{self, Options, Rig};
use crate::lane::tools;

const ROWS: i64 = 300;

#[test]
fn a_flush_is_noticed_in_all_partitions_at_once_though_nothing_is_written() {
    let (_turn, stack) = alone(&["kafka", "redis"]);
    rig::system(async {
        let only = Options {
            elasticsearch: None,
            partitions: 40,
            ..options()
        };
        let rig = Rig::new(&stack, "idle", only).await;
        let lane = rig.start().await;
        let branch = lane.branches().remove(0);
        let rows = (0..ROWS).map(|id| (rig::key(id), Some(rig::event("c", id, 1, "ada"))));
        rig.send_all(&rows.collect::<Vec<_>>()).await;
        rig::resolved(&lane.branches(), ROWS.unsigned_abs()).await;
        let mut redis = rig.redis().await;
        let flushed = redis::cmd("FLUSHALL").exec_async(&mut redis).await;
        flushed.expect("FLUSHALL");
        let began = Instant::now();
        for id in 0..ROWS {
            rig::until(&format!("row {id}"), || async {
                rig.hash(id).await.contains_key("rev")
            })
            .await;
        }
        assert!(branch.stats.forgot.load(Ordering::Relaxed) >= 40);
        // An idle sink is asked once a second, and not once a second for each partition.
        let took = began.elapsed();
        assert!(took < Duration::from_secs(30), "{took:?}");
        rig::until("rest", || async { branch.ledger.pending() == 0 }).await;
        tools::assert_sum(&branch);
        lane.stop().await;
    });
}
