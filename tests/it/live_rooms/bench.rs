//! How fast likes are folded in one process. Run it alone, in a release build:
//! `cargo test --release --test it live_rooms::bench -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use super::rig::{Rig, room, spec, system};

const FOR: Duration = Duration::from_secs(5);
const THREADS: usize = 2;
const ROOMS: usize = 50;

#[test]
#[ignore = "a measurement"]
fn likes_folded_per_second() {
    for n in [1, 10, 50] {
        system(async {
            let mut spec = spec();
            spec.likes.window = Duration::from_millis(100);
            let rig = Rig::new(spec).await;
            let worker = rig.worker().await;
            let rooms: Vec<_> = (0..ROOMS).map(|r| room(&format!("r{r}"))).collect();
            let start = Instant::now();
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    let (worker, rooms) = (worker.clone(), rooms.clone());
                    std::thread::spawn(move || {
                        let (mut sent, mut shed) = (0_u64, 0_u64);
                        while start.elapsed() < FOR {
                            for room in rooms.iter().cycle().take(1_000) {
                                sent += 1;
                                shed += u64::from(!worker.rooms.like(room, n));
                            }
                        }
                        (sent, shed)
                    })
                })
                .collect();
            let (mut sent, mut shed) = (0, 0);
            for thread in threads {
                let (s, d) = tokio::task::spawn_blocking(move || thread.join().unwrap())
                    .await
                    .unwrap();
                (sent, shed) = (sent + s, shed + d);
            }
            let took = start.elapsed().as_secs_f64();
            worker.rooms.stop().await;
            let stats = worker.rooms.stats();
            assert_eq!(
                stats.likes_added.get() + stats.likes_lost.get(),
                stats.likes_taken.get()
            );
            println!(
                "{n} a message: {:.0} messages/s, {:.0} likes/s taken and added, {shed} of {sent} messages shed, {} windows",
                sent as f64 / took,
                stats.likes_added.get() as f64 / took,
                stats.windows.get()
            );
        });
    }
}
