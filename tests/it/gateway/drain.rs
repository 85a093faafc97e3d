//! A gateway that is stopped sends its clients away over time, with where they were.

use std::time::{Duration, Instant};

use serde_json::json;

use super::client::Ask;
use super::rig::{Rig, new_room, system};

#[test]
fn a_stop_spreads_its_farewells_and_says_where_each_was() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&["drain = \"2s\""]);
        let (addr, room) = (gateway.addr(), new_room());
        let mut clients = Vec::new();
        for n in 0..8 {
            clients.push(rig.join(addr, &room, &format!("user-{n}")).await);
        }
        clients[0]
            .say(json!({"type": "comment", "content": "last words"}))
            .await;
        let mut seq = 0;
        for client in &mut clients {
            seq = client.entries(1).await[0].0;
        }
        let began = Instant::now();
        let ends = clients.into_iter().map(|mut client| async move {
            let bye = client.farewell().await;
            assert_eq!((&bye["code"], &bye["seq"]), (&json!("drain"), &json!(seq)));
            assert!(bye["retry_ms"].as_u64().unwrap() < 3_000);
            began.elapsed()
        });
        let late = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let ask = Ask::page(addr, &room, &rig.token("late", &[]));
            ask.open().await.err().map(|(status, _)| status)
        };
        let (times, late, ()) = tokio::join!(futures_util::future::join_all(ends), late, async {
            gateway.stop().await
        });
        assert_eq!(late, Some(503));
        let first = times.iter().min().unwrap();
        let last = times.iter().max().unwrap();
        assert!(*last - *first > Duration::from_millis(1_000), "{times:?}");
    });
}
