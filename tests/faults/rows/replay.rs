//! An older event is replayed after a delete, and an older delete after the row came back, over a restart of the
//! shard: an index remembers a deleted document's version no longer.

use reqwest::Method;
use twolane::event::{Epoch, Headers, Position, Record, Version};
use twolane::sink::dead_letter::{DeadLetters, Letter};

use super::super::case::{Case, EPOCH, Start, options};
use super::super::process::command;
use super::super::table::Row;
use super::super::until;
use crate::lane::rig;
use crate::lane::tools::elasticsearch;

/// Deleted, and there again.
const GONE: i64 = 7;
const BACK: i64 = 8;

pub async fn after_a_delete_and_a_shards_restart(start: &Start<'_>) -> Row {
    let case = Case::new(
        start,
        "delete, shard restart, replay of an older event",
        options(),
    )
    .await;
    let lane = case.begin(start).await;
    let (model, rig) = (&case.model, &case.rig);
    case.strikes().await;
    let older = model.upsert(rig, GONE).await;
    model.upsert(rig, BACK).await;
    case.settles().await;
    model.delete(rig, GONE).await;
    let older_delete = model.delete(rig, BACK).await;
    case.settles().await;
    model.upsert(rig, BACK).await;
    case.settles().await;
    for branch in lane.branches() {
        until("rest", || async { branch.ledger.pending() == 0 }).await;
    }

    let path = |what: &str| format!("{}-v1/{what}", rig.index);
    for what in ["_flush", "_close", "_open"] {
        elasticsearch(rig, Method::POST, &path(what), None).await;
    }
    let health = format!("_cluster/health/{}-v1?wait_for_status=yellow", rig.index);
    elasticsearch(rig, Method::GET, &health, None).await;

    for (id, (partition, offset, value)) in [(GONE, older), (BACK, older_delete)] {
        let position = Position { partition, offset };
        bury(&case, id, position, &value).await;
    }
    let directory = rig.directory().to_owned();
    let replay = move || {
        command(&directory)
            .args(["dead", "replay", "--all", "--settings", "twolane.toml"])
            .output()
    };
    let replayed = tokio::task::spawn_blocking(replay).await;
    let replayed = replayed.expect("it ends").expect("twolane runs");
    let said = String::from_utf8_lossy(&replayed.stdout).into_owned();
    if !said.contains("4 letters: 4 superseded") {
        let complaint = String::from_utf8_lossy(&replayed.stderr);
        case.violation(format!("S: replayed: {said}{complaint}"));
    }
    case.lifted();
    case.settles().await;
    case.rest(vec![lane]).await;
    case.verdict().await
}

/// Puts a record of the log into both sinks' dead letters.
async fn bury(case: &Case, id: i64, position: Position, value: &str) {
    let key = rig::key(id);
    let epoch = Epoch::new(EPOCH).expect("an epoch");
    let pipeline = &case.rig.config.pipelines[0];
    for sink in &pipeline.sinks {
        let kafka = &case.rig.config.settings.kafka;
        let dead = DeadLetters::new(kafka, &case.rig.topic, &pipeline.name, &sink.name);
        let letter = Letter {
            record: Record {
                position,
                timestamp_ms: twolane::branch::now_ms(),
                key: Some(key.as_bytes()),
                value: Some(value.as_bytes()),
                headers: Headers::default(),
            },
            version: Some(Version::new(epoch, position.offset).expect("a version")),
            reason: "rejected",
            detail: "by hand",
        };
        let sent = dead.expect("a producer").send(&letter).await;
        sent.expect("acknowledged");
    }
}
