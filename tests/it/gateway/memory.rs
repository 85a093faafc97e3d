//! What clients cost the gateway in memory is bounded: those that do nothing, and those that do what they should not.

use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::rig::{Outside, PATIENCE, Rig, new_room, system, until};

const IDLE: usize = 10_000;
/// The most that a socket that does nothing may take; the kernel's own buffers are not in it.
const EACH: usize = 14 << 10;
/// Clients of each kind that misbehave at the same time, and how often they come.
const BAD: usize = 300;
const TIMES: usize = 4;
/// What all of them may leave behind: 300 begun messages of 40 KiB and reads beside them, which the allocator keeps.
const LEFT: usize = 32 << 20;
/// Within this time it has noticed that they went: much less than its pings take.
const NOTICED: Duration = Duration::from_secs(8);
/// Handshakes at the same time.
const AT_ONCE: usize = 64;

/// Lets this process, and the gateway that it starts, have as many files open as are needed, where the machine lets it.
fn open_files(needed: usize) {
    let pid = std::process::id().to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={needed}:")])
        .status();
    assert!(
        raised.is_ok_and(|status| status.success()),
        "this needs {needed} open files: raise the hard limit (nofile in /etc/security/limits.conf)"
    );
}

/// A socket that was greeted, as a client without a library has it.
async fn enter(gateway: &Outside, room: &str, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.addr).await.expect("it listens");
    let head = format!(
        "GET /v1/rooms/{room}/ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {token}\r\n\r\n",
        gateway.addr
    );
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let mut answer = Vec::new();
    let greeted = async {
        while !String::from_utf8_lossy(&answer).contains("\"hello\"") {
            let read = stream.read_buf(&mut answer).await;
            assert!(
                read.is_ok_and(|n| n > 0),
                "{}",
                String::from_utf8_lossy(&answer)
            );
        }
    };
    tokio::time::timeout(PATIENCE, greeted)
        .await
        .expect("it is greeted");
    stream
}

async fn crowd(gateway: &Outside, room: &str, token: &str, n: usize) -> Vec<TcpStream> {
    let all = (0..n).map(|_| enter(gateway, room, token));
    stream::iter(all).buffer_unordered(AT_ONCE).collect().await
}

#[test]
fn ten_thousand_idle_sockets_and_hundreds_that_misbehave_leave_memory_bounded() {
    open_files(16_000);
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.outside_with(
            rig.a_port(),
            &["max_per_user = 20000", "max_per_address = 20000"],
        );
        let (room, token) = (new_room(), rig.token("many", &[]));
        // Threads, buffers and the room are there before it is looked at.
        drop(crowd(&gateway, &room, &token, 200).await);
        let before = gateway.resident();
        let idle = crowd(&gateway, &room, &token, IDLE).await;
        let each = gateway.resident().saturating_sub(before) / IDLE;
        println!("{each} bytes a socket");
        assert!(each <= EACH, "{each} bytes a socket");

        let (before, files) = (gateway.resident(), gateway.open_files());
        // A frame of the largest message that is begun, and never ends.
        let mut endless = vec![0x81, 0xFE, 0xFF, 0xFF, 0, 0, 0, 0];
        endless.resize(40 << 10, b'x');
        // A message in fragments without end; pings without end.
        let mut fragments = vec![0x01, 0x80 | 1, 0, 0, 0, 0, b'x'];
        fragments.extend([0x00, 0x80 | 1, 0, 0, 0, 0, b'x'].repeat(5_000));
        let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(5_000);
        for _ in 0..TIMES {
            let mut held = Vec::new();
            for bytes in [&endless, &fragments, &pings] {
                for mut stream in crowd(&gateway, &room, &token, BAD).await {
                    // It may be cut off before it has said all of it.
                    let _ = stream.write_all(bytes).await;
                    held.push(stream);
                }
            }
            drop(held);
            let began = Instant::now();
            // In a room where nothing is shown, too, whoever goes is forgotten at once.
            until("their sockets to be closed", || {
                gateway.open_files() <= files
            })
            .await;
            let noticed = began.elapsed();
            println!("{noticed:?} to notice");
            assert!(noticed < NOTICED, "{noticed:?}");
            let mut left = gateway.resident().saturating_sub(before);
            while left > LEFT && began.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(100)).await;
                left = gateway.resident().saturating_sub(before);
            }
            println!("{left} bytes are left of {} that misbehaved", 3 * BAD);
            assert!(left <= LEFT, "{left} bytes are left");
        }
        // The idle ones have noticed nothing.
        for mut stream in idle.into_iter().step_by(997) {
            stream
                .write_all(&[0x89, 0x80, 0, 0, 0, 0])
                .await
                .expect("it is open");
            let mut heard = Vec::new();
            let answered = async {
                while !heard.ends_with(&[0x8A, 0]) {
                    assert!(stream.read_buf(&mut heard).await.is_ok_and(|n| n > 0));
                }
            };
            tokio::time::timeout(PATIENCE, answered)
                .await
                .expect("a ping is answered");
        }
    });
}
