//! Connect is killed, and emits again what it had not noted as emitted: the lane follows the log back, and the end is
//! judged by a comparison of every row with the table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use twolane::cli::demo::changes::{MARKERS, Made};
use twolane::cli::demo::lane::{InProcess, Lane as _};
use twolane::cli::demo::probe::Markers;
use twolane::cli::demo::scene::{Load, Scene};
use twolane::cli::demo::screen::Screen;
use twolane::cli::demo::settle::Settle;
use twolane::cli::demo::stack::Stack;
use twolane::cli::demo::stores::Stores;

use super::super::case::Start;
use super::super::table::Row;

/// Row changes before the fault, through it, and after it.
const CHANGES: u64 = 800;
const ROWS: usize = 500;

pub async fn killed(start: &Start<'_>) -> Row {
    let running = Stack::running(start.stack.get("INSTANCE")).await;
    let scene = Scene::of(&running.expect("the stack")).expect("the specs");
    let load = Load {
        rows: ROWS,
        rate: 1,
        seed: start.seed,
        length: None,
    };
    let mut stage = scene
        .set(load, &mut Screen::silent())
        .await
        .expect("a scene");
    let settings = Arc::new(scene.settings.clone());
    let lane = InProcess::start(&settings, &Arc::new(scene.pipeline.clone())).await;
    let lane = lane.expect("a lane");
    let mut made = Made::default();
    for part in 1..=3 {
        while made.rows() < part * CHANGES * u64::from(start.scale) {
            made += stage.changes.transaction(100).await.expect("a change");
        }
        match part {
            1 => start.stack.kill("connect").await,
            2 => start.stack.start("connect").await,
            _ => {}
        }
    }
    let lifted = Instant::now();
    // It takes the connector up again where Connect has not yet.
    scene.capture.start(&scene.connect).await.expect("capture");
    let stores = Stores::open(&scene.settings, &scene.pipeline).await;
    let stores = stores.expect("the sinks");
    let mut markers = Markers::open(&scene.database, stage.rev.clone(), MARKERS).await;
    let markers = markers.as_mut().expect("markers");
    let settle = Settle::new(&scene.kafka, &scene.pipeline, &stores).expect("clients");
    settle
        .wait(markers, |_| {})
        .await
        .expect("everything arrives");
    let recovered = lifted.elapsed();
    let failure = lane.failure();
    Box::new(lane).stop().await;
    let verdict = scene.verdict(&stores, Duration::ZERO).await;
    let verdict = verdict.expect("a verdict");
    let mut row = Row {
        fault: format!("{} Kafka Connect killed", start.name),
        events: made.rows(),
        recovered: Some(recovered),
        lost: verdict.report.different,
        ..Row::default()
    };
    row.violations.extend(failure);
    if !verdict.is_good() {
        row.violations.push(format!("L: {verdict:?}"));
    }
    row
}
