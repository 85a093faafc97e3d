//! Rooms come and go.

use std::time::Duration;

use super::rig::{Rig, eventually, room, spec, system};

#[test]
fn an_idle_room_is_stopped_and_opens_again_with_its_total() {
    system(async {
        let mut spec = spec();
        spec.rooms.idle = Duration::from_millis(200);
        let rig = Rig::new(spec).await;
        let worker = rig.worker().await;
        let room = room("r");
        for round in 1..=3 {
            assert!(worker.rooms.like(&room, 5));
            assert_eq!(worker.rooms.stats().open.get(), 1);
            eventually("the room is stopped", async || {
                worker.rooms.stats().open.get() == 0
            })
            .await;
            assert_eq!(rig.totals(&room).0, 5 * round);
        }
        eventually("nothing is kept of them", async || {
            worker.rooms.actors().is_empty()
        })
        .await;
        worker.rooms.stop().await;
    });
}

#[test]
fn with_as_many_rooms_as_may_be_idle_ones_make_way_and_none_that_has_work() {
    system(async {
        let mut spec = spec();
        spec.rooms.max_rooms = 8;
        let mut rig = Rig::new(spec).await;
        let worker = rig.worker().await;
        for n in 0..100 {
            let room = room(&format!("r{n}"));
            assert_eq!(worker.say(&room, "u", "hello").await, None, "{n}");
            assert!(worker.rooms.stats().open.get() <= 8);
        }
        // Without Redis likes wait in their rooms, which so must stay.
        rig.redis.crash();
        let taken = (0..20)
            .filter(|n| worker.rooms.like(&room(&format!("l{n}")), 1))
            .count();
        assert_eq!(taken, 8);
        assert!(worker.rooms.stats().crowded.get() >= 12);
        rig.redis.again();
        eventually("they are added", async || {
            worker.rooms.stats().likes_added.get() == 8
        })
        .await;
        worker.rooms.stop().await;
        let stats = worker.rooms.stats();
        assert_eq!(
            (stats.open.get(), stats.opened.get()),
            (0, stats.stopped.get())
        );
    });
}

#[test]
fn what_was_liked_before_a_stop_is_added_and_nothing_is_taken_after_it() {
    system(async {
        let mut spec = spec();
        spec.likes.window = Duration::from_secs(60);
        let rig = Rig::new(spec).await;
        let worker = rig.worker().await;
        let room = room("r");
        for _ in 0..1_000 {
            assert!(worker.rooms.like(&room, 3));
        }
        worker.rooms.stop().await;
        assert_eq!(rig.totals(&room).0, 3_000);
        assert!(!worker.rooms.like(&room, 3));
        assert!(worker.say_as(&room, "u", 1, "hello").await.is_err());
        let stats = worker.rooms.stats();
        assert_eq!(stats.likes_taken.get(), stats.likes_added.get());
    });
}
