//! What Debezium's producer writes. That the sinks equal the table though Connect was killed is shown in
//! `crate::capture`.

use twolane::cli::demo::changes::MARKERS;
use twolane::cli::demo::probe::Markers;
use twolane::cli::demo::scene::{Load, Scene};
use twolane::cli::demo::screen::Screen;

use super::{alone, until};
use crate::lane::rig;
use crate::segments;

#[test]
fn what_connect_writes_is_compressed_with_lz4_by_an_idempotent_producer() {
    let (_turn, stack) = alone(&["kafka", "mariadb", "connect"]);
    let topic = rig::system(async {
        let running = twolane::cli::demo::stack::Stack::running(stack.get("INSTANCE")).await;
        let scene = Scene::of(&running.expect("the stack")).expect("the specs");
        let load = Load {
            rows: 300,
            rate: 1,
            seed: 1,
            length: None,
        };
        let stage = scene.set(load, &mut Screen::silent()).await;
        let stage = stage.expect("a scene");
        let topic = scene.pipeline.topic.name.clone();
        let reader = scene.kafka.reader(None).expect("a client");
        let captured = || async { reader.count(&topic).await.expect("the broker answers") };
        let before = captured().await;
        let markers = Markers::open(&scene.database, stage.rev, MARKERS).await;
        let touched = markers.expect("a connection").touch_all().await;
        touched.expect("a change");
        until("a change to be captured", async || {
            captured().await > before
        })
        .await;
        topic
    });
    segments::assert_lz4_and_idempotent(&stack, &topic, 1);
}
