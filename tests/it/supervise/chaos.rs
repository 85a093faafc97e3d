//! The lane's own actors, made to fail at their steps while records pass: it is noticed, mended, and nothing is
//! lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use twolane::branch;
use twolane::supervise::{ChildStatus, Exit, Fault, Plan, Tree};

use crate::lane::rig::{self, Options, Rig};
use crate::lane::tools;
use crate::stack;

/// Rows before the failure, and as many after it.
const ROWS: i64 = 400;
/// A failure in the process is noticed within this.
const NOTICED: Duration = Duration::from_secs(5);

async fn send(rig: &Rig, rows: std::ops::Range<i64>) {
    let records: Vec<_> = rows
        .map(|id| (rig::key(id), Some(rig::event("c", id, 1, "ada"))))
        .collect();
    rig.send_all(&records).await;
}

async fn fails(name: &str, actor: &str, step: &str, fault: Fault, exit: fn(&Exit) -> bool) {
    let stack = stack::plain(&["kafka", "redis", "elasticsearch"]);
    let options = Options {
        elasticsearch: None,
        redis: Some("shape = \"hash\"\nworkers = 2\nbatch_documents = 50"),
        ..Options::default()
    };
    let rig = Rig::new(&stack, name, options).await;
    let settings = Arc::new(rig.config.settings.clone());
    let pipeline = Arc::new(rig.config.pipelines[0].clone());
    let tree = Arc::new(Tree::with_chaos());
    let running = branch::start(&settings, &pipeline, &pipeline.sinks[0], &tree).expect("a branch");
    let branch = Arc::clone(&running.branch);
    send(&rig, 0..ROWS).await;
    rig::resolved(std::slice::from_ref(&branch), ROWS.unsigned_abs()).await;
    let child = format!("{}/{actor}", branch.name);
    let status: Arc<ChildStatus> = tree.find(&child).expect("a child of that name");
    assert_eq!(status.restarts(), 0, "{:?}", status.last_exit());
    tree.chaos()
        .plan(Plan {
            actor: child.clone(),
            step: step.into(),
            fault,
            times: 1,
        })
        .expect("it may be planned");
    send(&rig, ROWS..2 * ROWS).await;
    rig::until("the step", || async { tree.chaos().planned().is_empty() }).await;
    let met = Instant::now();
    rig::until("the restart", || async { status.restarts() == 1 }).await;
    let noticed = met.elapsed();
    let last = status.last_exit().expect("an exit");
    assert!(exit(&last), "{child} at {step}: {last}");
    assert!(noticed < NOTICED, "{child} at {step}: {noticed:?}");
    for id in 0..2 * ROWS {
        rig::until(&format!("row {id}"), || async {
            rig.hash(id).await.get("name").is_some_and(|n| n == "ada")
        })
        .await;
    }
    let whole = met.elapsed();
    println!("{child} at {step}, {fault:?}: noticed after {noticed:?}, all there after {whole:?}");
    // What is frozen goes on, and must change nothing.
    tree.chaos().clear();
    rig::until("rest", || async { branch.ledger.pending() == 0 }).await;
    send(&rig, 2 * ROWS..2 * ROWS + 10).await;
    for id in 2 * ROWS..2 * ROWS + 10 {
        rig::until(&format!("row {id}"), || async {
            rig.hash(id).await.get("name").is_some_and(|n| n == "ada")
        })
        .await;
    }
    assert_eq!(status.restarts(), 1, "{:?}", status.last_exit());
    assert_eq!(tools::dead_lettered(&branch), 0);
    running.stop().await;
    tools::assert_sum(&branch);
    tools::assert_committed_to_the_end(std::slice::from_ref(&branch)).await;
    let rewinds = branch.ledger.tally().rewinds.load(Ordering::Relaxed);
    println!("{rewinds} rewinds");
}

fn stalled(exit: &Exit) -> bool {
    matches!(exit, Exit::Stalled(_))
}

#[test]
fn a_worker_that_blocks_its_thread_is_left_behind_and_its_records_come_again() {
    rig::system(fails(
        "blocked",
        "worker-0",
        "decode",
        Fault::Freeze,
        stalled,
    ));
}

#[test]
fn a_worker_that_forgets_a_delivery_is_made_anew() {
    rig::system(fails(
        "forgetful",
        "worker-1",
        "resolve",
        Fault::Freeze,
        stalled,
    ));
}

#[test]
fn a_poller_that_blocks_loses_its_partitions_to_its_successor() {
    rig::system(fails("poller", "source", "route", Fault::Freeze, stalled));
}

#[test]
fn a_committer_that_hangs_is_made_anew() {
    rig::system(fails(
        "committer",
        "committer",
        "checkpoint",
        Fault::Freeze,
        stalled,
    ));
}

#[test]
fn a_poller_that_panics_is_made_anew() {
    let failed =
        |exit: &Exit| matches!(exit, Exit::Failed(why) if why.contains("a planned failure"));
    rig::system(fails("panics", "source", "poll", Fault::Panic, failed));
}

#[test]
fn a_worker_that_stops_unasked_is_made_anew() {
    let stopped = |exit: &Exit| *exit == Exit::Stopped;
    rig::system(fails("stops", "worker-0", "write", Fault::Stop, stopped));
}
