//! How fast the sink writes, beside the same rows sent ready-made by a client that does nothing else. Run it alone,
//! in a release build: `cargo test --release --test it redis_sink::bench -- --ignored --nocapture`.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use twolane::sink::SinkHub;

use super::lane::{Lane, Wish, mark, write};
use super::server::Server;

const CONNECTIONS: usize = 2;
const IN_FLIGHT: usize = 4;
const DOCUMENTS: i64 = 500;
const TOTAL: i64 = 400_000;
const KEYS: i64 = 100_000;
const FIELDS: [(&str, &str); 10] = [
    ("user_id", "1234567"),
    ("nickname", "小明 Ming"),
    ("email", "ming@example.com"),
    ("avatar_url", "https://cdn.example.com/a/1234567.png"),
    ("balance", "12345.67"),
    ("birthday", "1990-01-02"),
    ("created_at", "2026-11-23T02:16:00Z"),
    ("updated_at", "2026-11-23T02:16:00.123456Z"),
    ("status", "active"),
    ("bio", "hello world, I am here and I live"),
];
/// What a client without markers, deletes and error handling would use: one document a call.
const BARE: &str = "#!lua\nlocal v = redis.call('HGET', KEYS[1], '_v')\nif v and v >= ARGV[2] then return 0 end\n\
                    redis.call('DEL', KEYS[1])\nredis.call('HSET', KEYS[1], unpack(ARGV))\nreturn 1";

#[test]
#[ignore = "a measurement"]
fn compare_and_set_per_second_beside_a_bare_client() {
    let server = Server::start(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    for round in 0..3 {
        let bodies = bodies(&server);
        let (bare, bare_cpu) = timed(&server, || bare(&server, bodies));
        server.run::<()>(&["FLUSHALL"]);
        let (ours, ours_cpu) = timed(&server, || ours(&server));
        server.run::<()>(&["FLUSHALL"]);
        println!(
            "round {round}: sink {ours:.0}/s (server {ours_cpu:.1} µs a document), bare script {bare:.0}/s \
             ({bare_cpu:.1} µs), ratio {:.2}",
            ours / bare
        );
    }
}

/// Documents a second, and the server's CPU time for each in µs.
fn timed(server: &Server, work: impl FnOnce()) -> (f64, f64) {
    let total = f64::from(u32::try_from(TOTAL).unwrap());
    let (cpu, start) = (cpu(server), Instant::now());
    work();
    let took = start.elapsed().as_secs_f64();
    (total / took, (self::cpu(server) - cpu) * 1e6 / total)
}

fn cpu(server: &Server) -> f64 {
    let info: String = server.run(&["INFO", "cpu"]);
    info.lines()
        .filter_map(|line| line.split_once("_main_thread:"))
        .map(|(_, seconds)| seconds.trim().parse::<f64>().unwrap())
        .sum()
}

fn ours(server: &Server) {
    let next = Arc::new(AtomicI64::new(0));
    let wish = Wish::at(&server.url());
    let main = runtime();
    let lane = Arc::new(main.block_on(wish.lane()));
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (lane, next) = (Arc::clone(&lane), Arc::clone(&next));
            std::thread::spawn(move || runtime().block_on(worker(&lane, &next)))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn worker(lane: &Lane, next: &AtomicI64) {
    let sink = lane.hub.connect().unwrap();
    let flights = (0..IN_FLIGHT).map(|_| async {
        loop {
            let from = next.fetch_add(DOCUMENTS, Ordering::Relaxed);
            if from >= TOTAL {
                return;
            }
            let mut rows = lane.rows();
            for offset in from..from + DOCUMENTS {
                rows.upsert(&key(offset), 0, offset, &FIELDS);
            }
            let marks: Vec<_> = (0..8).map(|p| mark(p, from)).collect();
            while write(&*sink, &rows, &marks).await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    futures_util::future::join_all(flights).await;
}

/// Pipelines of ready-made bytes, for each connection.
fn bodies(server: &Server) -> Vec<Vec<Vec<u8>>> {
    let sha: String = server.run(&["SCRIPT", "LOAD", BARE]);
    let each = TOTAL / i64::try_from(CONNECTIONS).unwrap();
    (0..CONNECTIONS)
        .map(|c| {
            let from = each * i64::try_from(c).unwrap();
            (from..from + each)
                .step_by(usize::try_from(DOCUMENTS).unwrap())
                .map(|from| ready_made(&sha, from))
                .collect()
        })
        .collect()
}

fn bare(server: &Server, bodies: Vec<Vec<Vec<u8>>>) {
    let threads: Vec<_> = bodies
        .into_iter()
        .map(|bodies| {
            let port = server.port();
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                stream.set_nodelay(true).unwrap();
                let mut reader = stream.try_clone().unwrap();
                let (sent, room) = std::sync::mpsc::sync_channel(IN_FLIGHT);
                let answers = std::thread::spawn(move || {
                    let mut buffer = vec![0; 1 << 16];
                    let mut left = 0;
                    while room.recv().is_ok() {
                        // Each answer is `:1\r\n`.
                        left += usize::try_from(DOCUMENTS).unwrap() * 4;
                        while left > 0 {
                            let take = left.min(buffer.len());
                            left -= reader.read(&mut buffer[..take]).unwrap();
                        }
                    }
                });
                for body in bodies {
                    sent.send(()).unwrap();
                    stream.write_all(&body).unwrap();
                }
                drop(sent);
                answers.join().unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn ready_made(sha: &str, from: i64) -> Vec<u8> {
    let mut out = String::new();
    let bulk = |out: &mut String, s: &str| write!(out, "${}\r\n{s}\r\n", s.len()).unwrap();
    for offset in from..from + DOCUMENTS {
        write!(out, "*{}\r\n", 4 + 2 + 2 * FIELDS.len()).unwrap();
        for word in ["EVALSHA", sha, "1", &format!("bare:{}", key(offset)), "_v"] {
            bulk(&mut out, word);
        }
        bulk(&mut out, &format!("{:019}", (1_i64 << 48) + offset + 1));
        for (name, value) in FIELDS {
            bulk(&mut out, name);
            bulk(&mut out, value);
        }
    }
    out.into_bytes()
}

/// Scattered over the keys, so that each is written several times.
fn key(offset: i64) -> String {
    (offset * 7919 % KEYS).to_string()
}
