//! From the database through Debezium, with Connect killed on the way.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use twolane::cli::demo::capture::Capture;
use twolane::cli::demo::changes::{Changes, MARKERS, Made, Rev};
use twolane::cli::demo::http::Http;
use twolane::cli::demo::kafka::{Kafka, dead_topic};
use twolane::cli::demo::probe::Markers;
use twolane::cli::demo::settle::Settle;
use twolane::cli::demo::stores::Stores;
use twolane::cli::demo::survey;
use twolane::cli::demo::table::Database;
use twolane::config::{PipelineSpec, Secret, Settings};
use twolane::lane::Lane;

use super::{adds_up, alone, until};
use crate::lane::rig;
use crate::stack::Stack;

/// Rows around which the table stays.
const ROWS: usize = 5_000;
/// Rows changed by the load.
const CHANGES: u64 = 100_000;
const SERVICES: [&str; 5] = ["kafka", "elasticsearch", "redis", "mariadb", "connect"];

/// The captured table, its topic and its pipeline.
struct Scene {
    settings: Settings,
    pipeline: PipelineSpec,
    database: Database,
    kafka: Kafka,
    connect: Http,
    capture: Capture,
    rev: Rev,
}

// === impl Scene ===

impl Scene {
    /// The repository's own pipeline on these servers, its table filled and captured.
    async fn set(stack: &Stack) -> (Self, Changes) {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = |value: &Path| toml::Value::from(value.to_string_lossy().as_ref()).to_string();
        let settings = format!(
            "topics_dir = {}\npipelines_dir = {}\n[kafka]\nbrokers = \"{}\"\n[elasticsearch]\nurl = \"{}\"\n[redis]\nurl = \"{}\"\n",
            text(&repository.join("topics")),
            text(&repository.join("pipelines")),
            stack.get("KAFKA"),
            stack.get("ELASTICSEARCH"),
            stack.get("REDIS")
        );
        std::fs::write(folder.path().join("twolane.toml"), settings).expect("a file");
        let config = rig::load(folder.path().to_owned());
        let pipeline = config.pipelines.into_iter();
        let pipeline = pipeline.into_iter().find(|p| p.name == "user_profile");
        let get = |name: &str| stack.get(name).to_owned();
        let scene = Self {
            settings: config.settings,
            pipeline: pipeline.expect("pipelines/user_profile.toml"),
            database: Database::new(
                stack.get("MARIADB"),
                stack.get("MARIADB_USER"),
                stack.get("MARIADB_PASSWORD"),
            )
            .expect("an address"),
            kafka: Kafka::new(stack.get("KAFKA")),
            connect: Http::open(stack.get("CONNECT")).expect("a client"),
            capture: Capture {
                name: String::from("app"),
                database: get("MARIADB"),
                user: get("MARIADB_CDC_USER"),
                password: Secret::new(stack.get("MARIADB_CDC_PASSWORD")),
                server_id: 5_402,
                prefix: String::from("app"),
                kafka: get("KAFKA"),
            },
            rev: Rev::default(),
        };
        let topic = &scene.pipeline.topic;
        scene.kafka.create_topics(topic).await.expect("topics");
        scene.database.create_table().await.expect("a table");
        let changes = Changes::open(&scene.database, 1, ROWS, scene.rev.clone()).await;
        let mut changes = changes.expect("the table can be changed");
        changes.fill().await.expect("it is filled");
        let mut markers = scene.markers().await;
        markers.fill().await.expect("it has marker rows");
        scene.capture.start(&scene.connect).await.expect("capture");
        (scene, changes)
    }

    async fn markers(&self) -> Markers {
        Markers::open(&self.database, self.rev.clone(), MARKERS)
            .await
            .expect("a connection")
    }

    /// Records in the captured topic.
    async fn captured(&self) -> u64 {
        let reader = self.kafka.reader(None).expect("a client");
        reader
            .count(&self.pipeline.topic.name)
            .await
            .expect("the broker answers")
    }
}

#[test]
fn the_sinks_equal_the_table_after_random_changes_though_connect_was_killed() {
    let (_turn, stack) = alone(&SERVICES);
    rig::system(async {
        let (scene, mut changes) = Scene::set(&stack).await;
        let settings = Arc::new(scene.settings.clone());
        let pipelines = [Arc::new(scene.pipeline.clone())];
        let lane = Lane::start(&settings, &pipelines, Arc::default()).await;
        let lane = lane.expect("the lane starts");

        let mut made = Made::default();
        let killed = async {
            let before = scene.captured().await;
            until("the capture to be in the midst of it", || async {
                scene.captured().await > before + CHANGES / 4
            })
            .await;
            stack.kill("connect").await;
            stack.start("connect").await;
        };
        let load = async {
            while made.rows() < CHANGES {
                made += changes
                    .transaction(300)
                    .await
                    .expect("the database changes");
            }
        };
        futures_util::future::join(load, killed).await;

        let stores = Stores::open(&scene.settings, &scene.pipeline).await;
        let stores = stores.expect("both sinks");
        let settle = Settle::new(&scene.kafka, &scene.pipeline, &stores).expect("clients");
        let mut markers = scene.markers().await;
        let settled = settle.wait(&mut markers, |_| ()).await;
        settled.unwrap_or_else(|why| {
            let branches = lane.branches();
            let states = branches.iter().map(|b| (&b.name, b.control.state()));
            panic!("{why:#}; {:?}", states.collect::<Vec<_>>())
        });
        let report = survey::compare(&scene.database, &stores, &scene.pipeline.document).await;
        let report = report.expect("a comparison");
        assert!(made.rows() >= CHANGES && report.rows > 1_000, "{made:?}");
        assert_eq!(report.different, 0, "{made:?}: {:#?}", report.first);
        assert_eq!(report.equal, report.rows);
        let dead = scene.kafka.reader(None).expect("a client");
        let dead = dead.count(&dead_topic(&scene.pipeline.topic.name)).await;
        assert_eq!(dead.expect("the broker answers"), 0, "dead letters");
        adds_up(&lane).await;
        lane.stop().await;
    });
}

#[test]
fn what_connect_writes_is_compressed_with_lz4_by_an_idempotent_producer() {
    let (_turn, stack) = alone(&SERVICES);
    let topic = rig::system(async {
        let (scene, mut changes) = Scene::set(&stack).await;
        let before = scene.captured().await;
        changes.transaction(10).await.expect("a change");
        scene.markers().await.touch_all().await.expect("a change");
        until("a change to be captured", || async {
            scene.captured().await > before
        })
        .await;
        scene.pipeline.topic.name.clone()
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
