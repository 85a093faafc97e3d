//! Likes add up, whatever dies meanwhile.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use twolane::live::names::{self, RoomId};
use twolane::live::wire::Likes;

use super::lossy::Lossy;
use super::rig::{Rig, Worker, eventually, room, spec, system};

const TOTAL: u64 = 1_000_000;
/// Likes that are given to a worker in one go, each from another user.
const BLOCK: u64 = 1_000;
const WINDOW: Duration = Duration::from_millis(100);

/// A worker in a process of its own, which can be killed. It takes likes from its standard input, a number of
/// them a line, and says after each how many it has taken.
struct Killable {
    process: Child,
    input: ChildStdin,
    /// What it had taken, and when that was heard.
    taken: Arc<Mutex<Vec<(Instant, u64)>>>,
}

// === impl Killable ===

impl Killable {
    fn start(rig: &Rig) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--exact",
                "live_rooms::likes::a_worker_of_its_own",
                "--ignored",
                "--nocapture",
            ])
            .env("LIVE_ROOMS_REDIS", rig.redis.url())
            .env("LIVE_ROOMS_NATS", rig.nats.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let input = process.stdin.take().expect("its input");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let taken = Arc::new(Mutex::new(Vec::new()));
        std::thread::spawn({
            let taken = Arc::clone(&taken);
            move || {
                for line in output.lines().map_while(Result::ok) {
                    if let Some(n) = line.strip_prefix("taken ") {
                        let n = n.parse().expect("a number");
                        taken
                            .lock()
                            .expect("nobody fails")
                            .push((Instant::now(), n));
                    }
                }
            }
        });
        Self {
            process,
            input,
            taken,
        }
    }

    fn like(&mut self, n: u64) {
        writeln!(self.input, "{n}").expect("it takes likes");
    }

    fn taken(&self) -> u64 {
        let taken = self.taken.lock().expect("nobody fails");
        taken.last().map_or(0, |(_, n)| *n)
    }

    /// What it had taken at a moment.
    fn taken_at(&self, at: Instant) -> u64 {
        let taken = self.taken.lock().expect("nobody fails");
        taken
            .iter()
            .rev()
            .find(|(t, _)| *t <= at)
            .map_or(0, |(_, n)| *n)
    }

    fn kill(&mut self) {
        self.process
            .kill()
            .expect("a process of our own can be killed");
        self.process.wait().expect("it ends");
    }
}

#[test]
#[ignore = "started by another test"]
fn a_worker_of_its_own() {
    let (Ok(redis), Ok(nats)) = (
        std::env::var("LIVE_ROOMS_REDIS"),
        std::env::var("LIVE_ROOMS_NATS"),
    ) else {
        return;
    };
    system(async {
        let worker = Worker::start(fast(), &redis, &nats).await;
        println!("taken 0");
        tokio::task::spawn_blocking(move || {
            let room = room("r");
            for line in std::io::stdin().lines().map_while(Result::ok) {
                like(&worker, &room, line.parse().expect("a number"));
                println!("taken {}", worker.rooms.stats().likes_taken.get());
            }
        })
        .await
        .unwrap();
    });
}

fn fast() -> twolane::config::LiveSpec {
    let mut spec = spec();
    spec.likes.window = WINDOW;
    spec
}

/// So many likes, each for itself; returns how many were shed.
fn like(worker: &Worker, room: &RoomId, n: u64) -> u64 {
    (0..n).filter(|_| !worker.rooms.like(room, 1)).count() as u64
}

#[test]
fn a_million_likes_through_three_workers_of_which_one_is_killed() {
    system(async {
        let rig = Rig::new(fast()).await;
        let room = room("r");
        let (a, b) = (rig.worker().await, rig.worker().await);
        let mut c = Killable::start(&rig);
        eventually("the third worker is ready", async || {
            !c.taken.lock().unwrap().is_empty()
        })
        .await;

        // The total as Redis has it never falls, and viewers see the highest of what was published.
        let stop = Arc::new(AtomicBool::new(false));
        let falls = std::thread::spawn({
            let (stop, url) = (Arc::clone(&stop), rig.redis.url());
            move || {
                let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
                let (mut last, mut looks) = (0, 0_u64);
                while !stop.load(Ordering::Relaxed) {
                    let mut get = redis::cmd("HGET");
                    get.arg("twolane:live:{r}:likes").arg("total");
                    let now = get
                        .query::<Option<u64>>(&mut connection)
                        .unwrap()
                        .unwrap_or(0);
                    assert!(now >= last, "the total fell from {last} to {now}");
                    (last, looks) = (now, looks + 1);
                }
                looks
            }
        });
        let highest = Arc::new(AtomicU64::new(0));
        let mut frames = rig
            .connect()
            .await
            .client()
            .subscribe(names::likes(&room))
            .await
            .unwrap();
        actix::spawn({
            let highest = Arc::clone(&highest);
            async move {
                while let Some(frame) = frames.next().await {
                    let likes: Likes = serde_json::from_slice(&frame.payload).unwrap();
                    highest.fetch_max(likes.total, Ordering::Relaxed);
                }
            }
        });

        let (mut shed, mut given, mut to_c, mut killed_at) = (0, 0, 0, None);
        let mut turn = 0;
        while given < TOTAL {
            match turn % 3 {
                2 if killed_at.is_none() => {
                    c.like(BLOCK);
                    to_c += BLOCK;
                }
                1 => shed += like(&b, &room, BLOCK),
                _ => shed += like(&a, &room, BLOCK),
            }
            given += BLOCK;
            turn += 1;
            // Over some seconds, so that there are windows before, at and after the kill.
            tokio::time::sleep(Duration::from_millis(3)).await;
            if given >= TOTAL / 2 && killed_at.is_none() {
                c.kill();
                killed_at = Some(Instant::now());
            }
        }
        let (taken_a, taken_b) = (
            a.rooms.stats().likes_taken.get(),
            b.rooms.stats().likes_taken.get(),
        );
        a.rooms.stop().await;
        b.rooms.stop().await;
        stop.store(true, Ordering::Relaxed);
        let looks = falls.join().unwrap();
        assert!(looks > 100, "{looks}");

        let (total, sums) = rig.totals(&room);
        assert_eq!(sums.len(), 3, "three workers have added");
        assert_eq!(
            total,
            sums.iter().sum::<u64>(),
            "exactly the windows that Redis accepted"
        );
        let added: u64 = [&a, &b]
            .iter()
            .map(|w| w.rooms.stats().likes_added.get())
            .sum();
        assert_eq!(
            added,
            taken_a + taken_b,
            "a worker that stops adds all that it took"
        );
        let from_c = total - added;
        // Short of what was received by no more than what the killed worker took within its open window and the
        // one that it was sending.
        let before = c.taken_at(killed_at.unwrap() - 4 * WINDOW);
        assert!(before > 0 && from_c >= before, "{from_c} of {before}");
        assert!(from_c <= to_c && c.taken() <= to_c);
        assert_eq!(taken_a + taken_b + shed + to_c, TOTAL);
        eventually("viewers have seen the total", async || {
            highest.load(Ordering::Relaxed) == total
        })
        .await;
    });
}

#[test]
fn an_outage_of_redis_delays_likes_and_loses_none() {
    system(async {
        let mut rig = Rig::new(fast()).await;
        let worker = rig.worker().await;
        let room = room("r");
        let mut given = 0;
        let mut shed = 0;
        let start = Instant::now();
        let (mut crashed, mut back) = (false, false);
        while start.elapsed() < Duration::from_secs(3) {
            shed += like(&worker, &room, 100);
            given += 100;
            tokio::time::sleep(Duration::from_millis(1)).await;
            if !crashed && start.elapsed() > Duration::from_millis(500) {
                rig.redis.run::<()>(&["SAVE"]);
                rig.redis.crash();
                crashed = true;
            }
            if !back && start.elapsed() > Duration::from_millis(1_500) {
                rig.redis.again();
                back = true;
            }
        }
        eventually("all are added", async || {
            let stats = worker.rooms.stats();
            stats.likes_added.get() == stats.likes_taken.get()
        })
        .await;
        let stats = worker.rooms.stats();
        assert!(stats.windows_retried.get() > 0);
        assert_eq!(stats.likes_taken.get() + shed, given);
        // What Redis lost between its snapshot and its crash, the next window told it again.
        assert_eq!(rig.totals(&room).0, given - shed);
        worker.rooms.stop().await;
    });
}

#[test]
fn a_window_whose_answer_is_lost_is_sent_again_and_added_once() {
    system(async {
        let rig = Rig::new(fast()).await;
        let lossy = Lossy::before(rig.redis.port());
        let worker = Worker::start(fast(), &lossy.url(), &rig.nats.url()).await;
        let room = room("r");
        assert!(worker.rooms.like(&room, 5));
        eventually("the connection is made", async || {
            worker.rooms.stats().likes_added.get() == 5
        })
        .await;
        lossy.losing.store(true, Ordering::SeqCst);
        assert!(worker.rooms.like(&room, 7));
        eventually("the answer is lost", async || {
            lossy.lost.load(Ordering::SeqCst) > 0
        })
        .await;
        assert_eq!(rig.totals(&room).0, 12, "it was executed");
        assert!(worker.rooms.like(&room, 1));
        lossy.losing.store(false, Ordering::SeqCst);
        eventually("all are added", async || {
            worker.rooms.stats().likes_added.get() == 13
        })
        .await;
        assert_eq!(rig.totals(&room).0, 13);
        assert!(worker.rooms.stats().windows_retried.get() > 0);
        worker.rooms.stop().await;
    });
}

#[test]
fn a_total_that_redis_lost_is_raised_to_what_was_told() {
    system(async {
        let rig = Rig::new(fast()).await;
        let (a, b) = (rig.worker().await, rig.worker().await);
        let room = room("r");
        for worker in [&a, &b] {
            assert!(worker.rooms.like(&room, 100));
            let added = worker.rooms.stats();
            eventually("they are added", async || added.likes_added.get() == 100).await;
        }
        rig.redis.run::<()>(&["FLUSHALL"]);
        assert!(b.rooms.like(&room, 1));
        eventually("it is added", async || {
            b.rooms.stats().likes_added.get() == 101
        })
        .await;
        assert_eq!(rig.totals(&room).0, 201);
        // One who had heard less does not lower it.
        assert!(a.rooms.like(&room, 1));
        eventually("it is added", async || {
            a.rooms.stats().likes_added.get() == 101
        })
        .await;
        assert_eq!(rig.totals(&room).0, 202);
        assert_eq!(b.rooms.stats().totals_raised.get(), 1);
        a.rooms.stop().await;
        b.rooms.stop().await;
    });
}

#[test]
fn messages_beyond_the_queue_are_shed_and_said_to_be() {
    system(async {
        let mut spec = fast();
        spec.likes.queue = 10;
        spec.likes.window = Duration::from_secs(1);
        let rig = Rig::new(spec).await;
        let worker = rig.worker().await;
        let room = room("r");
        assert_eq!(like(&worker, &room, 25), 15);
        eventually("the window is closed", async || {
            worker.rooms.stats().likes_added.get() == 10
        })
        .await;
        assert_eq!(like(&worker, &room, 5), 0);
        worker.rooms.stop().await;
        assert_eq!(rig.totals(&room).0, 15);
    });
}
