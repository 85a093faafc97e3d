//! A server that goes away and comes back meets no storm.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use twolane::retry::{BURST, RATE};

use crate::lane::rig::{self, Options, Rig};
use crate::lane::tools;
use crate::stack;

const WORKERS: usize = 6;
const IN_FLIGHT: usize = 8;
const ROWS: i64 = 20_000;

/// A TCP proxy that, while its server is away, hangs up on whoever connects, and notes when they did.
struct Proxy {
    addr: SocketAddr,
    away: Arc<AtomicBool>,
    met: Arc<Mutex<Vec<Instant>>>,
    open: Arc<AtomicUsize>,
}

impl Proxy {
    async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Self {
            addr: listener.local_addr().expect("its address"),
            away: Arc::default(),
            met: Arc::default(),
            open: Arc::default(),
        };
        let (away, met, open) = (
            Arc::clone(&proxy.away),
            Arc::clone(&proxy.met),
            Arc::clone(&proxy.open),
        );
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if away.load(Ordering::SeqCst) {
                    met.lock().expect("unpoisoned").push(Instant::now());
                    continue;
                }
                let (server, away, open) = (server.clone(), Arc::clone(&away), Arc::clone(&open));
                tokio::spawn(async move {
                    let mut to = TcpStream::connect(server).await.expect("the server");
                    open.fetch_add(1, Ordering::SeqCst);
                    let hung_up = async {
                        while !away.load(Ordering::SeqCst) {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    };
                    tokio::select! {
                        // However it ends, the client sees a closed connection.
                        _ = tokio::io::copy_bidirectional(&mut client, &mut to) => {}
                        () = hung_up => {}
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        proxy
    }
}

async fn outage(away: Duration) {
    let stack = stack::plain(&["kafka", "redis", "elasticsearch"]);
    let redis = Box::leak(
        format!(
            "shape = \"hash\"\nworkers = {WORKERS}\nin_flight = {IN_FLIGHT}\nbatch_documents = 20"
        )
        .into_boxed_str(),
    );
    let options = Options {
        elasticsearch: None,
        redis: Some(redis),
        ..Options::default()
    };
    let mut rig = Rig::new(&stack, "outage", options).await;
    let url = rig.config.settings.redis.url.clone();
    let server = url.trim_start_matches("redis://");
    let server = server.split('/').next().expect("host and port").to_owned();
    let proxy = Proxy::before(server).await;
    rig.config.settings.redis.url = format!("redis://{}", proxy.addr);
    let lane = rig.start().await;
    rig::until("the first connections", || async {
        proxy.open.load(Ordering::SeqCst) > 0
    })
    .await;
    proxy.away.store(true, Ordering::SeqCst);
    let records: Vec<_> = (0..ROWS)
        .map(|id| (rig::key(id), Some(rig::event("c", id, 1, "ada"))))
        .collect();
    let began = Instant::now();
    rig.send_all(&records).await;
    tokio::time::sleep(away.saturating_sub(began.elapsed())).await;
    proxy.away.store(false, Ordering::SeqCst);
    let lasted = began.elapsed();
    let back = Instant::now();
    rig::resolved(&lane.branches(), ROWS.unsigned_abs()).await;
    let cleared = back.elapsed();
    let met = proxy.met.lock().expect("unpoisoned").clone();
    // What was in flight, and the committer and the source, had their first attempts beside the bound. A worker
    // takes one connection for all that it has in flight, so those are fewer.
    let first = WORKERS * IN_FLIGHT + 2;
    let bound = first + BURST as usize + (lasted.as_secs() as usize + 1) * RATE as usize;
    println!(
        "{} attempts in {lasted:?}, at most {bound}; cleared in {cleared:?}",
        met.len()
    );
    assert!(met.len() <= bound, "{} attempts in {lasted:?}", met.len());
    // After the first second no second sees more than twice the rate.
    let seconds = lasted.as_secs();
    for second in 1..seconds {
        let within = |t: &&Instant| t.duration_since(began).as_secs() == second;
        let n = met.iter().filter(within).count();
        assert!(n <= 2 * RATE as usize, "{n} attempts in second {second}");
    }
    assert!(cleared <= 2 * lasted, "{cleared:?} after {lasted:?}");
    let branches = lane.branches();
    lane.stop().await;
    for branch in &branches {
        tools::assert_sum(branch);
    }
}

#[test]
fn a_server_that_is_away_meets_no_more_attempts_than_the_bound() {
    rig::system(outage(Duration::from_secs(12)));
}

#[test]
#[ignore = "takes more than a minute"]
fn the_same_through_an_outage_of_a_minute() {
    rig::system(outage(Duration::from_secs(60)));
}
