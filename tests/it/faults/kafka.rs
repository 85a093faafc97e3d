//! The broker is killed under load.

use super::model::{BOTH, Model, Sink};
use super::{adds_up, all_committed, alone, passes, until, while_loaded};
use crate::lane::rig::{self, Options, Rig};

#[test]
fn kafka_killed_under_load_and_started_again_loses_nothing() {
    let (_turn, stack) = alone(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "broker", Options::default()).await;
        let lane = rig.start().await;
        let mut model = Model::new(300);
        for _ in 0..2 {
            let rev = model.rev();
            while_loaded(&rig, &mut model, async {
                passes(&rig, Sink::Redis, rev).await;
                passes(&rig, Sink::Elasticsearch, rev).await;
                stack.kill("kafka").await;
                stack.start("kafka").await;
            })
            .await;
        }
        model.arrives(&rig, &BOTH).await;
        adds_up(&lane).await;
        // A commit that met the outage is made good without another record to carry it.
        for branch in lane.branches() {
            until(
                &format!("{} to commit the ends of the log", branch.name),
                || all_committed(&branch),
            )
            .await;
        }
        lane.stop().await;
    });
}

#[test]
fn a_commit_that_meets_an_outage_is_made_good_though_nothing_more_comes() {
    let (_turn, stack) = alone(&["kafka", "redis"]);
    rig::system(async {
        let options = Options {
            elasticsearch: None,
            ..Options::default()
        };
        let rig = Rig::new(&stack, "commit", options).await;
        let lane = rig.start().await;
        let branch = lane.branches().remove(0);
        let mut model = Model::new(100);
        model.change(&rig, 200).await;
        model.arrives(&rig, &[Sink::Redis]).await;
        until("the first commits", || all_committed(&branch)).await;
        // What is fetched and not yet in the sink when the broker goes is committed into the outage.
        stack.stop("redis").await;
        model.change(&rig, 200).await;
        until("all to be taken", || async {
            rig::consumed(&branch) >= model.sent()
        })
        .await;
        stack.kill("kafka").await;
        stack.start("redis").await;
        model.arrives(&rig, &[Sink::Redis]).await;
        // Until the committer has had its turn, and the client has noticed.
        until("the watermark to be stored", || async {
            let stats = branch.stats.partitions();
            stats.values().all(|p| p.committed == p.watermark)
        })
        .await;
        stack.start("kafka").await;
        until("what was resolved to be committed", || {
            all_committed(&branch)
        })
        .await;
        adds_up(&lane).await;
        lane.stop().await;
    });
}
