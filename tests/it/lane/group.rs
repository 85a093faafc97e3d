//! Several members of one group, and members that leave: nothing is lost, and nothing is done twice for no
//! reason.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use twolane::branch::Branch;
use twolane::config::GroupProtocol;
use twolane::lane::Lane;

use super::rig::{self, Options, PATIENCE, Rig};
use super::tools;
use crate::stack;

#[test]
fn lanes_that_come_and_go_in_a_group_share_its_partitions_and_lose_nothing_classic() {
    come_and_go("classic", GroupProtocol::Classic);
}

#[test]
fn lanes_that_come_and_go_in_a_group_share_its_partitions_and_lose_nothing_kip_848() {
    come_and_go("kip848", GroupProtocol::Consumer);
}

fn come_and_go(name: &str, protocol: GroupProtocol) {
    const ROWS: i64 = 40;
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let mut rig = Rig::new(&stack, name, Options::default()).await;
        rig.config.settings.kafka.group_protocol = protocol;
        let rig = &rig;
        let done = std::cell::Cell::new(false);
        let last = std::cell::Cell::new(0);
        let load = async {
            while !done.get() {
                let rev = last.get() + 1;
                let rows = futures_util::stream::iter(0..ROWS);
                rows.for_each_concurrent(64, |id| async move {
                    rig.upsert(id, rev, "ada").await;
                })
                .await;
                last.set(rev);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let members = async {
            let first = rig.start().await;
            takes(&first).await;
            let second = rig.start().await;
            takes(&second).await;
            let mut branches = first.branches();
            branches.extend(second.branches());
            // the one that was there first leaves, and the other takes all of it
            first.stop().await;
            takes(&second).await;
            done.set(true);
            (second, branches)
        };
        let ((), (second, branches)) = futures_util::join!(load, members);
        for branch in second.branches() {
            rig::until("the commits at the log's ends", || caught_up(&branch)).await;
        }
        second.stop().await;
        for branch in &branches {
            tools::assert_sum(branch);
        }
        for id in 0..ROWS {
            let (_, source) = rig.document(id).await.expect("a document");
            assert_eq!(source["rev"], last.get(), "{id}");
            assert_eq!(rig.hash(id).await["rev"], last.get().to_string(), "{id}");
        }
    });
}

/// Each branch of the lane takes records that come from now on.
async fn takes(lane: &Lane) {
    for branch in lane.branches() {
        let before = rig::consumed(&branch);
        rig::until(&format!("{} to take records", branch.name), || async {
            rig::consumed(&branch) > before
        })
        .await;
    }
}

async fn caught_up(branch: &Arc<Branch>) -> bool {
    for (partition, offset) in tools::committed(branch).await {
        let (_, end) = branch.probe.watermarks(partition).await.expect("ends");
        if offset != Some(end) {
            return false;
        }
    }
    true
}

#[test]
fn sigterm_drains_and_what_was_committed_is_exactly_what_is_in_the_sinks() {
    const ROWS: i64 = 20_000;
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "sigterm", Options::default()).await;
        // every record is a row of its own, so that the sinks' rows are the records that were resolved
        let records: Vec<_> = (0..ROWS)
            .map(|id| (rig::key(id), Some(rig::event("c", id, 1, "ada"))))
            .collect();
        rig.send_all(&records[..1_000]).await;
        let mut child = Command::new(env!("CARGO_BIN_EXE_twolane"))
            .arg("run")
            .current_dir(rig.directory())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("twolane run");
        let terminate = async {
            rig::until("the first rows", || async {
                !rig.hash(0).await.is_empty() && rig.document(0).await.is_some()
            })
            .await;
            let pid = child.id().to_string();
            let told = Command::new("kill").args(["-TERM", &pid]).status();
            assert!(told.expect("kill runs").success());
            let started = Instant::now();
            loop {
                if let Some(status) = child.try_wait().expect("waited") {
                    break status;
                }
                assert!(started.elapsed() < PATIENCE, "it does not end");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let (_, status) = futures_util::join!(rig.send_all(&records[1_000..]), terminate);
        assert_eq!(status.code(), Some(0));

        // a lane that is made but not fed yet tells what the group committed
        let rows = u64::try_from(ROWS).unwrap();
        let in_elasticsearch = rig.visible().await;
        let in_redis = keys(&rig).await;
        let lane = rig.start().await;
        let branches = lane.branches();
        rig::until("both sinks to hold every row", || async {
            rig.visible().await == rows && keys(&rig).await == rows
        })
        .await;
        for (branch, held) in branches.iter().zip([in_elasticsearch, in_redis]) {
            rig::until("the commits at the log's ends", || caught_up(branch)).await;
            assert!(held > 0, "{}", branch.name);
            assert_eq!(rig::consumed(branch), rows - held, "{}", branch.name);
            assert_eq!(tools::applied(branch), rows - held, "{}", branch.name);
        }
        lane.stop().await;
    });
}

/// Rows in Redis.
async fn keys(rig: &Rig) -> u64 {
    let mut c = rig.redis().await;
    let mut cursor = 0_u64;
    let mut all = std::collections::BTreeSet::new();
    loop {
        let (next, found): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(format!("{}:*", rig.prefix))
            .arg("COUNT")
            .arg(10_000)
            .query_async(&mut c)
            .await
            .expect("SCAN");
        all.extend(found);
        cursor = next;
        if cursor == 0 {
            return all.len() as u64;
        }
    }
}
