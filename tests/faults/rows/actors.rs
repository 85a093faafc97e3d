//! The lane's own actors fail at their steps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use twolane::commit::Committer;
use twolane::lane::Lane;
use twolane::source::Source;
use twolane::supervise::{Fault, Plan, Tree};
use twolane::worker::Worker;

use super::super::case::{Case, Start, options};
use super::super::table::Row;
use super::super::until;
use crate::lane::rig::Options;

/// A failure within the process is noticed, and its actor made anew, within this.
const NOTICED: Duration = Duration::from_secs(5);

pub async fn worker(start: &Start<'_>) -> Row {
    fails(start, "worker-0", "write", Fault::Panic).await
}

pub async fn source(start: &Start<'_>) -> Row {
    fails(start, "source", "route", Fault::Freeze).await
}

pub async fn committer(start: &Start<'_>) -> Row {
    fails(start, "committer", "checkpoint", Fault::Error).await
}

/// Every step of every actor, and every fault.
pub fn every_step() -> Vec<(&'static str, &'static str, Fault)> {
    let actors = [
        ("worker-0", Worker::STEPS),
        ("source", Source::STEPS),
        ("committer", Committer::STEPS),
    ];
    let faults = [Fault::Panic, Fault::Error, Fault::Freeze, Fault::Stop];
    let steps = actors
        .into_iter()
        .flat_map(|(actor, steps)| steps.iter().map(move |step| (actor, *step)));
    steps
        .flat_map(|(actor, step)| faults.map(|fault| (actor, step, fault)))
        .collect()
}

pub async fn fails(start: &Start<'_>, actor: &str, step: &str, fault: Fault) -> Row {
    let only = Options {
        elasticsearch: None,
        ..options()
    };
    let name = format!("{actor} fails at {step} ({fault:?})");
    let case = Case::new(start, &name, only).await;
    let tree = Arc::new(Tree::with_chaos());
    let lane = case.rig.start_in(Arc::clone(&tree)).await;
    case.warm(start).await;
    let branch = lane.branches().remove(0);
    let child = format!("{}/{actor}", branch.name);
    let status = tree.find(&child).expect("a child of that name");
    let before = status.restarts();
    case.while_loaded(async {
        case.strikes().await;
        tree.chaos()
            .plan(Plan {
                actor: child.clone(),
                step: step.to_owned(),
                fault,
                times: 1,
            })
            .expect("it may be planned");
        let lured = lure(&case, &tree, step).await;
        until("the step", || async { tree.chaos().planned().is_empty() }).await;
        let met = Instant::now();
        until("the restart", || async { status.restarts() > before }).await;
        let noticed = met.elapsed();
        case.lifted();
        let exit = status.last_exit();
        case.note(format!("noticed after {noticed:.1?}: {exit:?}"));
        if noticed > NOTICED {
            case.violation(format!("noticed after {noticed:?}"));
        }
        let rev = case.model.rev();
        case.shows(rev).await;
        case.recovered();
        // What was frozen goes on, and must change nothing.
        tree.chaos().clear();
        for lane in lured {
            lane.stop().await;
        }
    })
    .await;
    // A member that joined to lure the actor did a part of the work.
    case.allow(case.model.sent());
    case.settles().await;
    case.rest(vec![lane]).await;
    case.verdict().await
}

/// Brings the actor to a step that the load alone does not.
async fn lure(case: &Case, tree: &Tree, step: &str) -> Vec<Lane> {
    match step {
        "bury" => {
            // Rows of both workers.
            for id in 0..8 {
                case.model.poison_with(&case.rig, id, b"not json").await;
            }
            Vec::new()
        }
        "drain" => vec![case.rig.start().await],
        "rewind" => {
            let worker = tree
                .children()
                .into_iter()
                .find(|child| child.name.ends_with("/worker-1"))
                .expect("a second worker");
            tree.chaos()
                .plan(Plan {
                    actor: worker.name.clone(),
                    step: String::from("write"),
                    fault: Fault::Panic,
                    times: 1,
                })
                .expect("it may be planned");
            Vec::new()
        }
        "prepare" | "consume" | "begin" => {
            // The source goes through these when it is made anew.
            let source = tree
                .children()
                .into_iter()
                .find(|child| child.name.ends_with("/source"))
                .expect("a source");
            tree.restart(&source.name, "a test");
            Vec::new()
        }
        _ => Vec::new(),
    }
}
