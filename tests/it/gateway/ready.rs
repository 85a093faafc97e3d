//! A gateway that is started serves within eight seconds, whatever it was ended by before.

use std::time::{Duration, Instant};

use super::rig::{Rig, new_room, system};

const READY: Duration = Duration::from_secs(8);

#[test]
fn a_gateway_greets_its_first_client_within_eight_seconds_of_its_start_and_of_a_restart() {
    system(async {
        let rig = Rig::start().await;
        let port = rig.a_port();
        for start in ["first", "after a kill"] {
            let began = Instant::now();
            let gateway = rig.outside(port);
            // It listens, knows the token, has its connection to NATS, and has found the room's place.
            let client = rig.join(gateway.addr, &new_room(), "first").await;
            let took = began.elapsed();
            println!("ready: {took:.2?} ({start})");
            assert!(took <= READY, "{took:?} ({start})");
            drop((client, gateway));
        }
    });
}
