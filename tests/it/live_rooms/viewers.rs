//! Viewers are counted over all workers.

use std::time::Duration;

use futures_util::StreamExt as _;
use twolane::live::names;
use twolane::live::wire::Likes;

use super::rig::{PATIENCE, Rig, room, spec, system, user};

#[test]
fn viewers_of_all_workers_are_counted_once_and_leave_when_they_fall_silent() {
    system(async {
        let mut spec = spec();
        spec.rooms.viewer_expiry = Duration::from_secs(4);
        let rig = Rig::new(spec).await;
        let (a, b) = (rig.worker().await, rig.worker().await);
        let room = room("r");
        let mut frames = rig
            .connect()
            .await
            .client()
            .subscribe(names::likes(&room))
            .await
            .unwrap();
        for n in 0..100 {
            a.rooms.here(&room, &user(&format!("u{n}")));
            a.rooms.here(&room, &user(&format!("u{n}")));
            b.rooms.here(&room, &user(&format!("u{}", n + 50)));
        }
        let mut seen = Vec::new();
        let counting = async {
            while let Some(frame) = frames.next().await {
                let likes: Likes = serde_json::from_slice(&frame.payload).unwrap();
                seen.push(likes.viewers);
                // An estimate, but of so few a good one.
                let counted = seen.iter().any(|n| (147..=153).contains(n));
                if counted && likes.viewers == 0 {
                    return;
                }
            }
        };
        let done = tokio::time::timeout(PATIENCE, counting).await;
        assert!(done.is_ok(), "{seen:?}");
        // One worker announces each count, not both: one frame a second at the most, here with some to spare.
        assert!(seen.len() <= 10, "{seen:?}");
        a.rooms.stop().await;
        b.rooms.stop().await;
    });
}
