//! Limits hold over all workers, and a comment is charged once.

use std::time::{Duration, Instant};

use twolane::live::room::Verdict;
use twolane::live::wire::Reason;

use super::rig::{Rig, Worker, eventually, rate, room, spec, system, tally};

#[test]
fn a_users_rate_holds_over_two_workers() {
    system(async {
        let mut spec = spec();
        spec.comments.user_rate = rate(5, 600, 5);
        let rig = Rig::new(spec).await;
        let (a, b) = (rig.worker().await, rig.worker().await);
        let room = room("r");
        let mut said = Vec::new();
        for _ in 0..10 {
            said.push(a.say(&room, "u1", "hello").await);
            said.push(b.say(&room, "u1", "hello").await);
        }
        let tally = tally(said);
        assert_eq!(
            (tally["accepted"], tally["RateLimited"]),
            (5, 15),
            "{tally:?}"
        );
        // Neither another user nor another room pays for it.
        assert_eq!(b.say(&room, "u2", "hello").await, None);
        assert_eq!(b.say(&super::rig::room("r2"), "u1", "hello").await, None);
        a.rooms.stop().await;
        b.rooms.stop().await;
    });
}

#[test]
fn a_rooms_rate_holds_over_two_workers_and_all_users() {
    system(async {
        let mut spec = spec();
        spec.comments.room_rate = rate(7, 600, 7);
        let rig = Rig::new(spec).await;
        let (a, b) = (rig.worker().await, rig.worker().await);
        let room = room("r");
        let mut said = Vec::new();
        for n in 0..10 {
            said.push(a.say(&room, &format!("a{n}"), "hello").await);
            said.push(b.say(&room, &format!("b{n}"), "hello").await);
        }
        let tally = tally(said);
        assert_eq!((tally["accepted"], tally["RoomBusy"]), (7, 13), "{tally:?}");
        a.rooms.stop().await;
        b.rooms.stop().await;
    });
}

#[test]
fn a_comment_that_is_delivered_again_is_not_charged_again() {
    system(async {
        let mut spec = spec();
        spec.comments.user_rate = rate(3, 600, 3);
        let rig = Rig::new(spec).await;
        let (a, b) = (rig.worker().await, rig.worker().await);
        let room = room("r");
        let first = a.say_as(&room, "u1", 1, "hello").await.unwrap();
        assert!(matches!(first, Verdict::Accepted(_)));
        for worker in [&a, &b, &a, &b] {
            assert_eq!(worker.say_as(&room, "u1", 1, "hello").await.unwrap(), first);
        }
        for (seq, accepted) in [(2, true), (3, true), (4, false), (5, false)] {
            let verdict = b.say_as(&room, "u1", seq, "hello").await.unwrap();
            assert_eq!(matches!(verdict, Verdict::Accepted(_)), accepted, "{seq}");
            // Refused once is refused for good, however late it comes again.
            assert_eq!(a.say_as(&room, "u1", seq, "hello").await.unwrap(), verdict);
        }
        // The sequence of a stream that was made anew is another comment.
        let other = a.say_as(&room, "u2", 4, "hello").await.unwrap();
        assert!(matches!(other, Verdict::Accepted(_)));
        a.rooms.stop().await;
        b.rooms.stop().await;
    });
}

#[test]
fn the_script_lets_as_many_through_as_the_rate_says() {
    system(async {
        let mut spec = spec();
        spec.comments.user_rate = rate(50, 1, 10);
        let rig = Rig::new(spec).await;
        let (a, b) = (rig.worker().await, rig.worker().await);
        let room = room("r");
        let start = Instant::now();
        let mut accepted = 0;
        while start.elapsed() < Duration::from_secs(2) {
            for worker in [&a, &b] {
                accepted += u32::from(worker.say(&room, "u1", "hello").await.is_none());
            }
        }
        let most = 10.0 + 50.0 * start.elapsed().as_secs_f64();
        let share = f64::from(accepted) / most;
        // Below by what the rate gives between the last two questions.
        assert!((0.9..=1.01).contains(&share), "{accepted} of {most}");
        a.rooms.stop().await;
        b.rooms.stop().await;
    });
}

#[test]
fn slow_mode_holds_over_two_workers() {
    system(async {
        let rig = Rig::new(spec()).await;
        let (a, b) = (rig.worker().await, rig.worker().await);
        let room = room("r");
        a.done(&room, r#"{"op":"slow","seconds":600}"#).await;
        eventually("the other worker is slow too", async || {
            b.say(&room, "probe", "x").await;
            b.say(&room, "probe", "x").await == Some(Reason::SlowMode)
        })
        .await;
        assert_eq!(a.say(&room, "u1", "hello").await, None);
        assert_eq!(b.say(&room, "u1", "hello").await, Some(Reason::SlowMode));
        assert_eq!(b.say(&room, "u2", "hello").await, None);
        b.done(&room, r#"{"op":"slow","seconds":0}"#).await;
        assert_eq!(b.say(&room, "u1", "hello").await, None);
        a.rooms.stop().await;
        b.rooms.stop().await;
    });
}

#[test]
fn without_redis_comments_go_on_and_each_worker_counts_alone() {
    system(async {
        let mut spec = spec();
        spec.comments.user_rate = rate(3, 600, 3);
        let mut rig = Rig::new(spec).await;
        let worker = rig.worker().await;
        let room = room("r");
        assert_eq!(worker.say(&room, "before", "hello").await, None);
        rig.redis.crash();
        let mut said = Vec::new();
        let mut slowest = Duration::ZERO;
        for _ in 0..10 {
            let start = Instant::now();
            said.push(worker.say(&room, "u1", "hello").await);
            slowest = slowest.max(start.elapsed());
        }
        let tally = tally(said);
        assert_eq!(
            (tally["accepted"], tally["RateLimited"]),
            (3, 7),
            "{tally:?}"
        );
        assert!(slowest < rig.spec.inbox.ack_wait / 2, "{slowest:?}");
        assert_eq!(worker.rooms.stats().limits_local.get(), 10);
        rig.redis.again();
        // Redis has forgotten everything: three pass once its accounts are used again.
        eventually("the accounts are shared again", async || {
            let before = worker.rooms.stats().limits_local.get();
            worker.say(&room, "probe", "hello").await;
            worker.rooms.stats().limits_local.get() == before
        })
        .await;
        assert_eq!(worker.say(&room, "u1", "hello").await, None);
        worker.rooms.stop().await;
    });
}

#[test]
fn a_redis_that_hangs_delays_few_comments_and_none_for_long() {
    system(async {
        let mut spec = spec();
        spec.inbox.ack_wait = Duration::from_secs(1);
        let rig = Rig::new(spec.clone()).await;
        // Another database than the first one is asked for, so that a connection is not made before it answers.
        let redis = rig.redis.url().replace("/0", "/1");
        let worker = Worker::start(spec, &redis, &rig.nats.url()).await;
        let room = room("r");
        assert_eq!(worker.say(&room, "u1", "hello").await, None);
        rig.redis.signal("STOP");
        // Likes try to reach it at the same time, and with more patience.
        assert!(worker.rooms.like(&room, 1));
        let start = Instant::now();
        let mut took = Vec::new();
        while start.elapsed() < Duration::from_secs(6) {
            let asked = Instant::now();
            assert_eq!(worker.say(&room, "u1", "hello").await, None);
            took.push(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        rig.redis.signal("CONT");
        took.sort_unstable();
        let slow = took
            .iter()
            .filter(|t| **t > Duration::from_millis(100))
            .count();
        let worst = took[took.len() - 1];
        // One for each attempt: they come after 50 ms, 100 ms and so on up to 5 s.
        assert!(slow <= 10 && took.len() > 100, "{slow} of {}", took.len());
        assert!(worst < Duration::from_millis(600), "{worst:?}");
        eventually("the like is added", async || {
            worker.rooms.stats().likes_added.get() == 1
        })
        .await;
        worker.rooms.stop().await;
    });
}
