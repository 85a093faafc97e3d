//! Redis forgets: whatever it loses of what it acknowledged is noticed before anything is built on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use twolane::event::Mark;
use twolane::sink::{Outcome, Resume, Sink, SinkError, SinkHub};

use super::lane::{Lane, Rows, Wish, mark, write};
use super::server::Server;

fn forgot(partition: i32, marker: impl Into<Option<i64>>) -> SinkError {
    SinkError::Forgot {
        partition,
        marker: marker.into(),
    }
}

/// Rows at these offsets of a partition, each with a key of its own.
fn rows(lane: &Lane, partition: i32, offsets: std::ops::Range<i64>) -> Rows {
    let mut rows = lane.rows();
    for offset in offsets {
        rows.upsert(&id(partition, offset), partition, offset, &[("x", "1")]);
    }
    rows
}

fn id(partition: i32, offset: i64) -> String {
    format!("{partition}-{offset}")
}

/// Writes until Redis is there again.
async fn write_patiently(sink: &dyn Sink, rows: &Rows, marks: &[Mark]) -> Result<(), SinkError> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match write(sink, rows, marks).await {
            Ok(_) => return Ok(()),
            Err(SinkError::Unavailable { detail, .. } | SinkError::Late(detail)) => {
                assert!(Instant::now() < deadline, "{detail}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(other) => return Err(other),
        }
    }
}

#[tokio::test]
async fn a_first_start_makes_its_markers_and_a_lost_one_means_the_start() {
    let lane = Wish::hash().lane().await;
    assert_eq!(lane.hub.resume(0, None).await.unwrap(), Resume::Committed);
    lane.hub.verify(&[0]).await.unwrap();
    lane.hub.checkpoint(&[mark(0, 40)]).await.unwrap();
    assert_eq!(
        lane.hub.resume(0, Some(40)).await.unwrap(),
        Resume::Committed
    );
    assert_eq!(lane.hub.resume(0, Some(41)).await.unwrap(), Resume::At(40));
    assert_eq!(
        lane.hub.resume(0, Some(39)).await.unwrap(),
        Resume::Committed
    );
    assert_eq!(lane.hub.resume(0, None).await.unwrap(), Resume::Committed);
    // A partition that was committed before there was a marker for it.
    assert_eq!(lane.hub.resume(1, Some(5)).await.unwrap(), Resume::Start);
    lane.hub.checkpoint(&[mark(1, 0)]).await.unwrap();
}

#[tokio::test]
async fn a_mark_below_the_stored_one_is_no_loss_and_changes_nothing() {
    let wish = Wish::hash();
    let (lane, former) = (wish.lane().await, wish.lane().await);
    for l in [&lane, &former] {
        l.hub.resume(0, None).await.unwrap();
    }
    former.hub.checkpoint(&[mark(0, 10)]).await.unwrap();
    lane.hub.checkpoint(&[mark(0, 90)]).await.unwrap();
    lane.hub.checkpoint(&[mark(0, 50)]).await.unwrap();
    // The former owner's marker is above what it knows of: no contradiction.
    former.hub.checkpoint(&[mark(0, 20)]).await.unwrap();
    former.hub.verify(&[0]).await.unwrap();
    assert_eq!(lane.hub.resume(0, Some(91)).await.unwrap(), Resume::At(90));
}

#[tokio::test]
async fn a_flushall_is_noticed_by_the_next_pipeline_checkpoint_and_look() {
    for notice in ["write", "checkpoint", "verify"] {
        let server = Server::start(&[]);
        let lane = Wish::at(&server.url()).lane().await;
        let sink = lane.hub.connect().unwrap();
        for partition in [0, 1] {
            lane.hub.resume(partition, None).await.unwrap();
        }
        let marks = [mark(0, 5), mark(1, 7)];
        lane.hub.checkpoint(&marks).await.unwrap();
        write(&*sink, &rows(&lane, 0, 5..9), &marks).await.unwrap();

        server.run::<()>(&["FLUSHALL"]);
        let noticed = match notice {
            "write" => write(&*sink, &rows(&lane, 0, 9..12), &marks)
                .await
                .map(drop),
            "checkpoint" => lane.hub.checkpoint(&marks).await,
            _ => lane.hub.verify(&[0, 1]).await,
        };
        assert_eq!(noticed, Err(forgot(0, None)), "{notice}");
        // Nothing is acknowledged until the partition was resumed, and that goes for each of them.
        let blocked = write(&*sink, &rows(&lane, 1, 7..9), &marks[1..]).await;
        assert_eq!(blocked, Err(forgot(1, None)));
        assert_eq!(lane.hub.resume(0, Some(5)).await.unwrap(), Resume::Start);
        assert_eq!(
            lane.hub.checkpoint(&marks[1..].to_vec()).await,
            Err(forgot(1, None))
        );
        write(&*sink, &rows(&lane, 0, 0..9), &[mark(0, 0)])
            .await
            .unwrap();
        lane.hub.checkpoint(&[mark(0, 9)]).await.unwrap();
        assert_eq!(lane.hub.resume(1, Some(7)).await.unwrap(), Resume::Start);
        assert_eq!(lane.hub.resume(0, Some(10)).await.unwrap(), Resume::At(9));
    }
}

#[tokio::test]
async fn a_lost_marker_is_noticed_for_its_partition_alone() {
    let lane = Wish::hash().lane().await;
    lane.hub
        .checkpoint(&[mark(0, 5), mark(1, 7)])
        .await
        .unwrap();
    let key = format!("twolane:marker:{}.redis", lane.wish.pipeline);
    lane.run::<()>(&["HDEL", &key, "p1"]);
    lane.hub.checkpoint(&[mark(0, 6)]).await.unwrap();
    assert_eq!(lane.hub.verify(&[0, 1]).await, Err(forgot(1, None)));
    lane.hub.checkpoint(&[mark(0, 7)]).await.unwrap();
}

/// The marker survives, and what was acknowledged after it does not: neither the marker nor anything else that
/// was written before the loss tells.
#[tokio::test]
async fn writes_lost_behind_a_surviving_marker_are_noticed() {
    let mut server = Server::start(&[]);
    let lane = Wish::at(&server.url()).lane().await;
    let sink = lane.hub.connect().unwrap();
    lane.hub.resume(0, None).await.unwrap();
    write(&*sink, &rows(&lane, 0, 0..100), &[mark(0, 0)])
        .await
        .unwrap();
    write(&*sink, &rows(&lane, 0, 100..150), &[mark(0, 100)])
        .await
        .unwrap();
    server.run::<()>(&["SAVE"]);
    write(&*sink, &rows(&lane, 0, 150..160), &[mark(0, 100)])
        .await
        .unwrap();
    server.crash();
    server.again();
    lane.mended().await;

    let next = rows(&lane, 0, 160..170);
    let noticed = write_patiently(&*sink, &next, &[mark(0, 160)]).await;
    assert_eq!(noticed, Err(forgot(0, 100)));
    assert_eq!(
        lane.hub.resume(0, Some(100)).await.unwrap(),
        Resume::Committed
    );
    write(&*sink, &rows(&lane, 0, 100..170), &[mark(0, 100)])
        .await
        .unwrap();
    lane.hub.checkpoint(&[mark(0, 170)]).await.unwrap();
    assert_eq!(present(&lane, 0, 170).await, 170);
}

#[tokio::test]
async fn a_restart_with_older_data_is_noticed_with_the_marker_that_survived() {
    let mut server = Server::start(&[]);
    let lane = Wish::at(&server.url()).lane().await;
    let sink = lane.hub.connect().unwrap();
    lane.hub.resume(0, None).await.unwrap();
    lane.hub.checkpoint(&[mark(0, 30)]).await.unwrap();
    server.run::<()>(&["SAVE"]);
    lane.hub.checkpoint(&[mark(0, 80)]).await.unwrap();
    server.crash();
    server.again();
    let deadline = Instant::now() + Duration::from_secs(10);
    let noticed = loop {
        match lane.hub.verify(&[0]).await {
            Err(SinkError::Unavailable { .. } | SinkError::Late(_))
                if Instant::now() < deadline => {}
            other => break other,
        }
    };
    assert_eq!(noticed, Err(forgot(0, 30)));
    let blocked = write_patiently(&*sink, &rows(&lane, 0, 80..90), &[mark(0, 80)]).await;
    assert_eq!(blocked, Err(forgot(0, 30)));
    assert_eq!(lane.hub.resume(0, Some(80)).await.unwrap(), Resume::At(30));
    write(&*sink, &rows(&lane, 0, 30..90), &[mark(0, 30)])
        .await
        .unwrap();
    // A process that starts after the loss finds the marker below its commit, too.
    let fresh = lane.wish.lane().await;
    assert_eq!(fresh.hub.resume(0, Some(80)).await.unwrap(), Resume::At(30));
}

#[tokio::test]
async fn a_restart_that_lost_nothing_is_no_loss() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let lane = Wish::at(&server.url()).lane().await;
    let sink = lane.hub.connect().unwrap();
    lane.hub.resume(0, None).await.unwrap();
    write(&*sink, &rows(&lane, 0, 0..20), &[mark(0, 0)])
        .await
        .unwrap();
    server.crash();
    server.again();
    lane.mended().await;
    write_patiently(&*sink, &rows(&lane, 0, 20..30), &[mark(0, 20)])
        .await
        .unwrap();
    assert_eq!(present(&lane, 0, 30).await, 30);
}

#[tokio::test]
async fn pipelines_in_flight_with_any_marks_never_see_a_loss_that_is_none() {
    let wish = Wish::hash();
    let (lane, other) = (Arc::new(wish.lane().await), Arc::new(wish.lane().await));
    for partition in 0..4 {
        lane.hub.resume(partition, None).await.unwrap();
        other.hub.resume(partition, None).await.unwrap();
    }
    let seed = std::process::id();
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..6_u32 {
        // The last two belong to another process that holds the same partitions.
        let lane = Arc::clone(if worker < 4 { &lane } else { &other });
        tasks.spawn(async move {
            let sink = lane.hub.connect().unwrap();
            let mut random = seed.wrapping_mul(31).wrapping_add(worker) | 1;
            let mut next = move |below: u32| {
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                random % below
            };
            for round in 0..150 {
                let flights: Vec<(Rows, Vec<Mark>)> = (0..3)
                    .map(|_| {
                        let count = i64::from(next(20));
                        let offset = i64::from(next(5000));
                        let partition = i32::try_from(next(4)).unwrap();
                        let marks = (0..4)
                            .filter(|p| *p == partition || p % 2 == 0)
                            .map(|p| mark(p, i64::from(next(5000))))
                            .collect();
                        (rows(&lane, partition, offset..offset + count), marks)
                    })
                    .collect();
                let sent = flights
                    .iter()
                    .map(|(rows, marks)| write(&*sink, rows, marks));
                for answer in futures_util::future::join_all(sent).await {
                    match answer {
                        Ok(_) => {}
                        // The first connection to each server makes the answers before it stale.
                        Err(SinkError::Unavailable {
                            detail,
                            alarm: false,
                        }) if round < 5 => {
                            assert!(detail.contains("proves nothing"), "{detail}");
                        }
                        Err(error) => panic!("worker {worker}: {error}"),
                    }
                }
                if round % 10 == 0 {
                    lane.hub.verify(&[0, 1, 2, 3]).await.unwrap();
                    lane.hub
                        .checkpoint(&[mark(1, i64::from(next(5000)))])
                        .await
                        .unwrap();
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_script_flush_at_any_moment_costs_nothing() {
    let server = Server::start(&[]);
    let lane = Arc::new(Wish::at(&server.url()).lane().await);
    lane.hub.resume(0, None).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let flushes = {
        let (url, done) = (server.url(), Arc::clone(&done));
        std::thread::spawn(move || {
            let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
            let mut flushes = 0;
            while !done.load(Ordering::Relaxed) {
                redis::cmd("SCRIPT")
                    .arg("FLUSH")
                    .exec(&mut connection)
                    .unwrap();
                flushes += 1;
                std::thread::sleep(Duration::from_millis(7));
            }
            flushes
        })
    };
    let sink = lane.hub.connect().unwrap();
    for round in 0..60 {
        let from = round * 500;
        let batch = rows(&lane, 0, from..from + 500);
        // Two flushes within one pipeline are the operator's own doing.
        match write(&*sink, &batch, &[mark(0, from)]).await {
            Ok(outcomes) => {
                assert!(
                    outcomes.iter().all(|o| matches!(o, Outcome::Applied)),
                    "{round}"
                );
            }
            Err(SinkError::Unavailable { alarm: false, .. }) => {
                write_patiently(&*sink, &batch, &[mark(0, from)])
                    .await
                    .unwrap();
            }
            Err(other) => panic!("{other}"),
        }
        if let Err(error) = lane.hub.verify(&[0]).await {
            assert!(
                matches!(error, SinkError::Unavailable { alarm: false, .. }),
                "{error}"
            );
        }
    }
    done.store(true, Ordering::Relaxed);
    assert!(flushes.join().unwrap() > 10);
    assert_eq!(present(&lane, 0, 30_000).await, 30_000);
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_load_leaves_every_write_below_the_marker_append_only_file() {
    crash_under_load(&["--appendonly", "yes", "--appendfsync", "no"], None).await;
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_load_leaves_every_write_below_the_marker_snapshots() {
    // Snapshots lose seconds of acknowledged writes, as a failover or a power cut does.
    crash_under_load(&[], Some(Duration::from_millis(150))).await;
}

/// A load on two connections with several pipelines in flight over four partitions; the server is killed in the
/// middle, and whatever marker survives, everything below it has survived. Then the lane goes on from the markers
/// and nothing is missing in the end.
async fn crash_under_load(options: &[&str], snapshots: Option<Duration>) {
    const PARTITIONS: i32 = 4;
    const EACH: i64 = 100;
    let mut server = Server::start(options);
    let lane = Arc::new(Wish::at(&server.url()).lane().await);
    let acknowledged: Arc<BTreeMap<i32, AtomicI64>> =
        Arc::new((0..PARTITIONS).map(|p| (p, AtomicI64::new(0))).collect());
    for partition in 0..PARTITIONS {
        lane.hub.resume(partition, None).await.unwrap();
    }
    let sinks: Vec<_> = (0..2).map(|_| lane.hub.connect().unwrap()).collect();
    let started = Instant::now();
    let mut snapshot = started;
    let mut load = tokio::task::JoinSet::new();
    for partition in 0..PARTITIONS {
        let sink = Arc::clone(&sinks[usize::try_from(partition).unwrap() % sinks.len()]);
        let (lane, acknowledged) = (Arc::clone(&lane), Arc::clone(&acknowledged));
        load.spawn(async move {
            let watermark = &acknowledged[&partition];
            let mut from = 0;
            loop {
                let mark = mark(partition, watermark.load(Ordering::Relaxed));
                match write(&*sink, &rows(&lane, partition, from..from + EACH), &[mark]).await {
                    Ok(_) => {
                        from += EACH;
                        watermark.store(from, Ordering::Relaxed);
                    }
                    Err(SinkError::Unavailable { detail, .. })
                        if detail.contains("proves nothing") => {}
                    // The end of this server.
                    Err(SinkError::Unavailable { .. } | SinkError::Late(_)) => return,
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    while started.elapsed() < Duration::from_millis(800) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if snapshots.is_some_and(|every| snapshot.elapsed() > every) {
            server.snapshot();
            snapshot = Instant::now();
        }
    }
    // The crash comes when more was acknowledged than the last snapshot can hold.
    while server
        .run::<String>(&["INFO", "persistence"])
        .contains("rdb_bgsave_in_progress:1")
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let sum = || -> i64 {
        acknowledged
            .values()
            .map(|a| a.load(Ordering::Relaxed))
            .sum()
    };
    let saved = sum();
    while sum() < saved + 10 * EACH {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the load stands still"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.crash();
    while let Some(done) = load.join_next().await {
        done.unwrap();
    }
    server.again();
    lane.mended().await;

    let mut lost = 0;
    for partition in 0..PARTITIONS {
        let acknowledged = acknowledged[&partition].load(Ordering::Relaxed);
        let key = format!("twolane:marker:{}.redis", lane.wish.pipeline);
        let marker: Option<i64> = server.run(&["HGET", &key, &format!("p{partition}")]);
        let marker = marker.unwrap_or(0);
        assert!(marker <= acknowledged, "{marker} was never acknowledged");
        assert_eq!(present(&lane, partition, marker).await, marker);
        let survived = present(&lane, partition, acknowledged).await;
        lost += acknowledged - survived;

        // The lane goes on; what was lost must be noticed before anything is acknowledged on top of it.
        let sink = lane.hub.connect().unwrap();
        let next = rows(&lane, partition, acknowledged..acknowledged + EACH);
        let mut from = acknowledged;
        match write_patiently(&*sink, &next, &[mark(partition, acknowledged)]).await {
            Ok(()) => assert_eq!(survived, acknowledged, "lost and not noticed"),
            Err(SinkError::Forgot {
                partition: p,
                marker: m,
            }) => {
                assert_eq!((p, m.unwrap_or(0)), (partition, marker));
                from = match lane.hub.resume(partition, Some(marker)).await.unwrap() {
                    Resume::Committed => marker,
                    Resume::At(at) => at,
                    Resume::Start => 0,
                };
            }
            Err(other) => panic!("{other}"),
        }
        let again = rows(&lane, partition, from..acknowledged + EACH);
        write_patiently(&*sink, &again, &[mark(partition, from)])
            .await
            .unwrap();
        let end = acknowledged + EACH;
        lane.hub.checkpoint(&[mark(partition, end)]).await.unwrap();
        assert_eq!(present(&lane, partition, end).await, end);
    }
    if snapshots.is_some() {
        assert!(
            lost > 0,
            "this test wants a server that loses what it acknowledged"
        );
    }
}

/// How many of the first rows of a partition are there, up to the first that is not.
async fn present(lane: &Lane, partition: i32, below: i64) -> i64 {
    let keys: Vec<String> = (0..below)
        .map(|offset| lane.key(&id(partition, offset)))
        .collect();
    let rows = lane.hub.rows(&keys).await.expect("Redis answers");
    let there = rows
        .iter()
        .enumerate()
        .take_while(|(offset, row)| {
            let offset = i64::try_from(*offset).unwrap();
            row.body.is_some() && row.version >= Some(lane.version(offset))
        })
        .count();
    i64::try_from(there).unwrap()
}
