//! The process is killed, stopped and continued, or asked to end.

use std::time::{Duration, Instant};

use super::super::case::{Case, Start, options};
use super::super::process::Process;
use super::super::table::Row;
use super::super::until;

/// Less than the pause between two commits.
const IN_FLIGHT: Duration = Duration::from_millis(150);
/// An orderly restart; three times what it takes on an idle machine.
const GRACEFUL: Duration = Duration::from_secs(9);
/// After a SIGKILL with a session timeout of 10 s, and as much again for a busy machine.
const SESSION: Duration = Duration::from_secs(30);

pub async fn killed(start: &Start<'_>) -> Row {
    let case = Case::new(start, "worker process killed (SIGKILL)", options()).await;
    let mut process = Process::start(case.rig.directory());
    case.warm(start).await;
    case.while_loaded(async {
        case.strikes().await;
        // Something comes that is not committed before the next turn.
        tokio::time::sleep(IN_FLIGHT).await;
        process.kill();
        case.lifted();
        let rev = case.model.rev();
        for sink in case.watch.sinks.clone() {
            case.duplicates(case.watch.read_again(sink).await.unwrap_or(0));
        }
        process = Process::start(case.rig.directory());
        case.shows(rev).await;
        let took = case.recovered();
        if took > SESSION {
            case.violation(format!("back after {took:?}"));
        }
    })
    .await;
    case.settles().await;
    case.rest_process(process).await;
    case.verdict().await
}

pub async fn stopped_and_continued(start: &Start<'_>) -> Row {
    let case = Case::new(
        start,
        "stopped past the session timeout, then continued",
        options(),
    )
    .await;
    let zombie = Process::start(case.rig.directory());
    case.warm(start).await;
    let heir = case
        .while_loaded(async {
            case.strikes().await;
            zombie.signal("STOP");
            case.lifted();
            let rev = case.model.rev();
            let heir = Process::start(case.rig.directory());
            case.shows(rev).await;
            let took = case.recovered();
            if took > SESSION {
                case.violation(format!("taken over after {took:?}"));
            }
            // The heir is in the midst of the load when the zombie wakes up with what it had in hand.
            let rev = case.model.rev();
            zombie.signal("CONT");
            case.shows(rev).await;
            tokio::time::sleep(super::LASTS).await;
            heir
        })
        .await;
    case.settles().await;
    // By its own clock, or since the group said so first: it gives up what it had in hand, and resolves none of it.
    until("the zombie to know that it was one", async || {
        let said = zombie.said();
        let knows = |sink: &str| {
            said.lines()
                .any(|line| line.contains("others may have its partitions") && line.contains(sink))
        };
        [".elasticsearch", ".redis"].into_iter().all(knows)
    })
    .await;
    let mut resolved = std::collections::BTreeMap::new();
    for process in [&zombie, &heir] {
        for (sink, count) in process.counts().await.unwrap_or_default() {
            *resolved.entry(sink).or_insert(0) += count.resolved();
        }
    }
    for resolved in resolved.values() {
        case.duplicates(resolved.saturating_sub(case.model.sent()));
    }
    case.rest_process(zombie).await;
    case.rest_process(heir).await;
    case.verdict().await
}

pub async fn terminated(start: &Start<'_>) -> Row {
    let case = Case::new(start, "asked to end (SIGTERM) in the middle", options()).await;
    let mut process = Process::start(case.rig.directory());
    case.warm(start).await;
    case.while_loaded(async {
        let asked = Instant::now();
        // Nothing has struck, so that nothing may be done twice.
        case.lifted();
        let status = process.terminate().await;
        let ended = asked.elapsed();
        if !status.success() || ended > case.rig.config.settings.shutdown {
            case.violation(format!("{status} after {ended:?}: {}", process.said()));
        }
        case.note(format!("ended after {ended:.1?} with {status}"));
        let rev = case.model.rev();
        for sink in case.watch.sinks.clone() {
            // Whatever it took is done and committed: none of it may come again.
            case.duplicates(case.watch.read_again(sink).await.unwrap_or(0));
        }
        let restarted = Instant::now();
        process = Process::start(case.rig.directory());
        case.shows(rev).await;
        let took = ended + restarted.elapsed();
        case.recovered();
        case.note(format!("orderly restart: {took:.1?}"));
        if took > GRACEFUL {
            case.violation(format!("an orderly restart took {took:?}"));
        }
    })
    .await;
    case.settles().await;
    case.rest_process(process).await;
    case.verdict().await
}
