//! From the database to both sinks: MariaDB, Debezium, Kafka, the lane, and the comparison of every row.
//!
//! It uses the demo's own parts on the repository's own specs, and goes on with what an earlier run left.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use twolane::cli::demo::changes::{MARKERS, Made};
use twolane::cli::demo::compare::{Report, Store};
use twolane::cli::demo::lane::{InProcess, Lane as _};
use twolane::cli::demo::probe::Markers;
use twolane::cli::demo::scene::{Load, Scene};
use twolane::cli::demo::screen::Screen;
use twolane::cli::demo::settle::Settle;
use twolane::cli::demo::stack::Stack;
use twolane::cli::demo::stores::Stores;
use twolane::cli::demo::survey;

use crate::{lane, stack};

/// Row changes made; `TWOLANE_TEST_CHANGES` makes it fewer or more.
const CHANGES: u64 = 100_000;
/// Rows around which the table stays.
const ROWS: usize = 5_000;

/// One test, since there is one table: the order of its parts matters.
#[test]
fn after_100_000_random_changes_with_connect_killed_on_the_way_both_sinks_equal_the_table() {
    stack::plain(&["kafka", "elasticsearch", "redis", "mariadb", "connect"]);
    lane::system(async {
        let stack = Stack::running(&stack::instance()).await.expect("the stack");
        let scene = Scene::of(&stack).expect("the specs");
        let changes = std::env::var("TWOLANE_TEST_CHANGES").map_or(CHANGES, |n| {
            n.parse().expect("TWOLANE_TEST_CHANGES is a number")
        });
        let seed = u64::from(std::process::id());
        println!("seed {seed}");
        let load = Load {
            rows: ROWS,
            rate: 1,
            seed,
            length: None,
        };
        let mut screen = Screen::silent();
        let mut stage = scene.set(load, &mut screen).await.expect("a scene");
        let settings = Arc::new(scene.settings.clone());
        let lane = InProcess::start(&settings, &Arc::new(scene.pipeline.clone()))
            .await
            .expect("a lane");
        let mut made = Made::default();
        while made.rows() < changes * 2 / 5 {
            made += stage.changes.transaction(300).await.expect("a change");
        }
        connect(&stack, "kill");
        while made.rows() < changes * 3 / 5 {
            made += stage.changes.transaction(300).await.expect("a change");
        }
        connect(&stack, "start");
        while made.rows() < changes {
            made += stage.changes.transaction(300).await.expect("a change");
        }
        // It takes the connector up again where Connect has not yet.
        scene.capture.start(&scene.connect).await.expect("capture");

        let stores = Stores::open(&scene.settings, &scene.pipeline)
            .await
            .expect("the sinks");
        let mut markers = Markers::open(&scene.database, stage.rev.clone(), MARKERS)
            .await
            .expect("markers");
        Settle::new(&scene.kafka, &scene.pipeline, &stores)
            .expect("clients")
            .wait(&mut markers, |_| {})
            .await
            .expect("everything arrives");
        assert_eq!(lane.failure(), None);
        Box::new(lane).stop().await;

        let verdict = scene
            .verdict(&stores, Duration::ZERO)
            .await
            .expect("a verdict");
        assert_eq!(verdict.report.first, []);
        assert!(verdict.is_good(), "{verdict:?}");
        assert!(verdict.report.rows > ROWS as u64 / 2, "{verdict:?}");
        assert!(verdict.tombstones > 0, "{verdict:?}");
        assert!(made.inserted > 0 && made.deleted > 0 && made.rekeyed > 0);

        damage_is_seen(&scene, &stores).await;
    });
}

/// The comparison would be worth nothing if it called everything equal.
async fn damage_is_seen(scene: &Scene, stores: &Stores) {
    let id = *MARKERS.start();
    let key = stores.hashes.key(&id.to_string());
    let redis = redis::Client::open(scene.settings.redis.url.as_str()).expect("an address");
    let mut redis = redis
        .get_multiplexed_async_connection()
        .await
        .expect("Redis");
    let set =
        async |redis: &mut redis::aio::MultiplexedConnection, key: &str, field, value: &str| {
            let cmd = redis::cmd("HSET").arg(key).arg(field).arg(value).to_owned();
            cmd.query_async::<()>(redis).await.expect("HSET");
        };
    let nickname: String = redis::cmd("HGET")
        .arg(&key)
        .arg("nickname")
        .query_async(&mut redis)
        .await
        .expect("HGET");

    set(&mut redis, &key, "nickname", "somebody else").await;
    let found = compare(scene, stores).await;
    assert_eq!(found.different, 1, "{found:?}");
    let first = &found.first[0];
    assert_eq!(
        (first.store, first.id.as_str(), first.field.as_deref()),
        (Store::Redis, id.to_string().as_str(), Some("nickname"))
    );
    set(&mut redis, &key, "nickname", &nickname).await;

    // No row has the id 0.
    let extra = stores.hashes.key("0");
    set(&mut redis, &extra, "nickname", "nobody").await;
    let found = compare(scene, stores).await;
    assert_eq!((found.different, found.first[0].id.as_str()), (1, "0"));
    redis::cmd("DEL")
        .arg(&extra)
        .query_async::<()>(&mut redis)
        .await
        .expect("DEL");

    assert_eq!(compare(scene, stores).await.different, 0);
}

async fn compare(scene: &Scene, stores: &Stores) -> Report {
    survey::compare(&scene.database, stores, &scene.pipeline.document)
        .await
        .expect("a comparison")
}

fn connect(stack: &Stack, what: &str) {
    let status = Command::new(stack.root.join(twolane::cli::demo::stack::SCRIPT))
        .args(["--instance", &stack.instance, what, "connect"])
        .status()
        .expect("the stack command runs");
    assert!(status.success(), "stack {what} connect failed");
}
