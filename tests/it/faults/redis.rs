//! Redis forgets while the lane runs: all of it, or the last while.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::model::{Model, Sink};
use super::{adds_up, alone, passes, until, while_loaded};
use crate::lane::rig::{self, Options, Rig};

const SINKS: [Sink; 1] = [Sink::Redis];

fn without_elasticsearch() -> Options {
    Options {
        elasticsearch: None,
        ..Options::default()
    }
}

#[test]
fn redis_flushed_under_load_is_noticed_and_caught_up_from_the_logs_start() {
    let (_turn, stack) = alone(&["kafka", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "flushed", without_elasticsearch()).await;
        let lane = rig.start().await;
        let branch = lane.branches().remove(0);
        let forgot = || branch.stats.forgot.load(Ordering::Relaxed);
        let mut model = Model::new(300);
        model.change(&rig, 3_000).await;
        model.arrives(&rig, &SINKS).await;
        for _ in 0..3 {
            let before = (model.rev(), forgot());
            while_loaded(&rig, &mut model, async {
                passes(&rig, Sink::Redis, before.0).await;
                let mut redis = rig.redis().await;
                let flushed = redis::cmd("FLUSHALL").exec_async(&mut redis).await;
                flushed.expect("FLUSHALL");
                until("the flush to be noticed", || async { forgot() > before.1 }).await;
            })
            .await;
        }
        model.arrives(&rig, &SINKS).await;
        // And while nothing is written.
        let before = forgot();
        let mut redis = rig.redis().await;
        let flushed = redis::cmd("FLUSHALL").exec_async(&mut redis).await;
        flushed.expect("FLUSHALL");
        model.arrives(&rig, &SINKS).await;
        assert!(forgot() > before);
        adds_up(&lane).await;
        lane.stop().await;
    });
}

#[test]
fn a_flush_is_noticed_in_all_partitions_at_once_though_nothing_is_written() {
    let (_turn, stack) = alone(&["kafka", "redis"]);
    rig::system(async {
        let options = Options {
            partitions: 40,
            ..without_elasticsearch()
        };
        let rig = Rig::new(&stack, "idle", options).await;
        let lane = rig.start().await;
        let branch = lane.branches().remove(0);
        let mut model = Model::new(300);
        model.change(&rig, 1_000).await;
        model.arrives(&rig, &SINKS).await;
        let mut redis = rig.redis().await;
        let flushed = redis::cmd("FLUSHALL").exec_async(&mut redis).await;
        flushed.expect("FLUSHALL");
        let began = Instant::now();
        model.arrives(&rig, &SINKS).await;
        assert!(branch.stats.forgot.load(Ordering::Relaxed) >= 40);
        // An idle sink is asked once a second, and not once a second for each partition.
        let took = began.elapsed();
        assert!(took < Duration::from_secs(30), "{took:?}");
        adds_up(&lane).await;
        lane.stop().await;
    });
}

#[test]
fn redis_restarted_with_older_data_is_noticed_and_caught_up_from_the_marker() {
    let (_turn, stack) = alone(&["kafka", "redis"]);
    let data = Path::new(stack.get("REDIS_DIR"));
    let older = tempfile::tempdir().expect("a temporary folder");
    rig::system(async {
        let rig = Rig::new(&stack, "older", without_elasticsearch()).await;
        let lane = rig.start().await;
        let branch = lane.branches().remove(0);
        let mut model = Model::new(300);
        model.change(&rig, 10_000).await;
        model.arrives(&rig, &SINKS).await;
        until("the marker to stand at the end", || async {
            marker(&rig, &branch.name).await == Some(model.sent())
        })
        .await;
        stack.stop("redis").await;
        copy(data, older.path());
        stack.start("redis").await;

        let consumed = rig::consumed(&branch);
        model.change(&rig, 500).await;
        model.arrives(&rig, &SINKS).await;
        let forgot = || branch.stats.forgot.load(Ordering::Relaxed);
        assert_eq!(forgot(), 0, "an orderly restart loses nothing");
        let loss = async {
            stack.kill("redis").await;
            copy(older.path(), data);
            stack.start("redis").await;
        };
        futures_util::future::join(model.change(&rig, 500), loss).await;
        until("the loss to be noticed", || async { forgot() > 0 }).await;
        model.change(&rig, 500).await;
        model.arrives(&rig, &SINKS).await;
        adds_up(&lane).await;
        // What came since the copy was read, and most of it once more; nothing before the marker was.
        let read = rig::consumed(&branch) - consumed;
        assert!(read < 10_000, "{read} records were read since the copy");
        lane.stop().await;
    });
}

/// The sum of the branch's markers.
async fn marker(rig: &Rig, branch: &str) -> Option<u64> {
    let mut redis = rig.redis().await;
    let mut values = redis::cmd("HGETALL");
    values.arg(format!("twolane:marker:{branch}"));
    let values: std::collections::BTreeMap<String, String> =
        values.query_async(&mut redis).await.ok()?;
    let partition = |name: &str| name.strip_prefix('p')?.parse::<i32>().ok();
    let offsets = values.iter().filter(|(name, _)| partition(name).is_some());
    offsets.map(|(_, value)| value.parse::<u64>().ok()).sum()
}

/// Makes `to` a copy of the folder `from`.
fn copy(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).expect("an old copy goes");
    }
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.expect("cp runs").success());
}
