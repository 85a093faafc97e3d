//! A pause: nothing more is fetched, what was taken is written and committed, no partition moves, and the lag is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use twolane::branch::{Branch, Pausing};
use twolane::config::GroupProtocol;
use twolane::lane::Lane;
use twolane::supervise::{Asked, Tree};

use super::rig::{self, Options, Rig};
use super::tools;
use crate::stack;

const PARTITIONS: usize = 4;

#[test]
fn a_paused_branch_keeps_its_partitions_and_goes_on_where_it_was_classic() {
    pause("pause-classic", GroupProtocol::Classic);
}

#[test]
fn a_paused_branch_keeps_its_partitions_and_goes_on_where_it_was_kip_848() {
    pause("pause-kip848", GroupProtocol::Consumer);
}

fn pause(name: &str, protocol: GroupProtocol) {
    const ROWS: i64 = 300;
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let mut rig = Rig::new(&stack, name, Options::default()).await;
        rig.config.settings.kafka.group_protocol = protocol;
        let tree = Arc::new(Tree::default());
        let lanes = [rig.start_in(Arc::clone(&tree)).await, rig.start().await];
        let redis = lanes.each_ref().map(|lane| of(lane, ".redis"));
        let others = lanes.each_ref().map(|lane| of(lane, ".elasticsearch"));
        for pair in [&redis, &others] {
            rig::until("both to have their share", || async {
                shares(&pair[0]).await.iter().all(|(_, p)| p.len() == 2)
                    && pair.iter().all(|b| b.ledger.marks().len() == 2)
            })
            .await;
        }
        let rows = |rev: i64| -> Vec<_> {
            let row = |id| (rig::key(id), Some(rig::event("u", id, rev, "ada")));
            (0..ROWS).map(row).collect()
        };
        rig.send_all(&rows(1)).await;
        rig::until("the first rows", || async { taken(&redis) == 300 }).await;
        let before = shares(&redis[0]).await;

        for branch in &redis {
            assert_eq!(branch.control.pause("a test"), Pausing::Paused);
        }
        // At once: the poll that is under way must not take what it brings.
        rig.send_all(&rows(2)).await;
        // The other branch is not paused.
        rig::until("the other branch", || async { taken(&others) == 600 }).await;
        rig::until("the lag to be told", || async { lag(&redis) == ROWS }).await;
        rig::until("what was resolved to be committed", || async {
            committed(&redis[0]).await == ROWS
        })
        .await;
        assert_eq!(taken(&redis), 300);
        assert_eq!(rig.hash(0).await["rev"], "1");
        assert_eq!(shares(&redis[0]).await, before);

        // A source that is made anew beneath a pause takes nothing either.
        let source = format!("{}/source", redis[0].name);
        assert_eq!(tree.restart(&source, "a test"), Asked::Restarting);
        let restarted = || tree.find(&source).is_some_and(|c| c.restarts() > 0);
        rig::until("the source to be made anew", || async { restarted() }).await;
        rig::until("every partition to be had again", || async {
            redis.iter().map(|b| b.ledger.marks().len()).sum::<usize>() == PARTITIONS
        })
        .await;
        rig::until("the lag to be told again", || async { lag(&redis) == ROWS }).await;
        assert_eq!(taken(&redis), 300);

        for branch in &redis {
            assert!(branch.control.resume());
        }
        rig::until("the rest", || async {
            taken(&redis) == 600 && lag(&redis) == 0
        })
        .await;
        for id in 0..ROWS {
            assert_eq!(rig.hash(id).await["rev"], "2", "{id}");
        }
        for lane in lanes {
            lane.stop().await;
        }
        redis.iter().for_each(|branch| tools::assert_sum(branch));
    });
}

fn of(lane: &Lane, sink: &str) -> Arc<Branch> {
    let branches = lane.branches();
    let mut found = branches.into_iter().filter(|b| b.name.ends_with(sink));
    found.next().expect("a branch")
}

/// Every member and its partitions, as Kafka says.
async fn shares(branch: &Branch) -> BTreeMap<String, Vec<i32>> {
    let members = branch.probe.members().await.expect("members");
    let shares = members.into_iter().map(|m| {
        assert!(
            m.client_id.starts_with("twolane-") && !m.host.is_empty(),
            "{m:?}"
        );
        (m.member_id, m.partitions)
    });
    shares.collect()
}

/// Records that were taken and not given up.
fn taken(branches: &[Arc<Branch>]) -> u64 {
    let one = |b: &Arc<Branch>| rig::consumed(b) - rig::abandoned(b);
    branches.iter().map(one).sum()
}

fn lag(branches: &[Arc<Branch>]) -> i64 {
    let partitions = branches.iter().flat_map(|b| {
        let ends = b.stats.partitions();
        let marks = b.ledger.marks().into_iter();
        marks.map(move |(m, _)| ends.get(&m.partition).map_or(0, |p| p.end) - m.offset)
    });
    partitions.sum()
}

async fn committed(branch: &Arc<Branch>) -> i64 {
    let offsets = tools::committed(branch).await;
    offsets.values().map(|offset| offset.unwrap_or(0)).sum()
}
