//! What Debezium's producer writes. That the sinks equal the table though Connect was killed is shown in
//! `crate::capture`.

use std::path::{Path, PathBuf};
use std::process::Command;

use twolane::cli::demo::changes::MARKERS;
use twolane::cli::demo::probe::Markers;
use twolane::cli::demo::scene::{Load, Scene};
use twolane::cli::demo::screen::Screen;

use super::{alone, until};
use crate::lane::rig;

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
    let data = Path::new(stack.get("KAFKA_DIR"));
    let folders = std::fs::read_dir(data).expect("the broker's data");
    let segments: Vec<String> = folders
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|folder| is_partition(folder, &topic))
        .flat_map(|folder| std::fs::read_dir(folder).expect("a partition"))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|e| e == "log"))
        .map(|file: PathBuf| file.to_string_lossy().into_owned())
        .collect();
    let output = Command::new(stack.get("JAVA"))
        .args(["-cp", &format!("{}/*", stack.get("KAFKA_LIBS"))])
        .arg("org.apache.kafka.tools.DumpLogSegments")
        .args(["--files", &segments.join(",")])
        .output()
        .expect("java runs");
    let dump = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let batches: Vec<&str> = dump.lines().filter(|l| l.contains("baseOffset:")).collect();
    assert!(!batches.is_empty(), "{segments:?}: {dump}{complaint}");
    for batch in batches {
        let field = |name: &str| {
            let mut words = batch.split_whitespace();
            words.find(|word| *word == name)?;
            words.next()
        };
        assert_eq!(field("compresscodec:"), Some("lz4"), "{batch}");
        let producer = field("producerId:").and_then(|id| id.parse::<i64>().ok());
        assert!(producer.is_some_and(|id| id >= 0), "{batch}");
    }
}

/// The folder of one of the topic's partitions: its name, a dash and a number.
fn is_partition(folder: &Path, topic: &str) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let number = name.strip_prefix(topic).and_then(|n| n.strip_prefix('-'));
    number.is_some_and(|n| n.parse::<u32>().is_ok())
}
