//! Clients that misbehave are sent away, hold no memory, and nobody else notices.

use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::client::Ask;
use super::rig::{Rig, new_room, system};

#[test]
fn a_handshake_that_comes_byte_by_byte_is_not_waited_for() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&["handshake_timeout = \"1s\""]);
        let mut stream = TcpStream::connect(gateway.addr()).await.unwrap();
        let began = Instant::now();
        let head = b"GET /v1/rooms/r/ws HTTP/1.1\r\nHost: a\r\nX-Long: ";
        let mut answer = Vec::new();
        for byte in head.iter().chain(std::iter::repeat(&b'x')) {
            if stream.write_all(&[*byte]).await.is_err()
                || began.elapsed() > Duration::from_secs(10)
            {
                break;
            }
            let read = stream.read_buf(&mut answer);
            if let Ok(Ok(0)) = tokio::time::timeout(Duration::from_millis(50), read).await {
                break;
            }
        }
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "it is still open"
        );
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
        rig.end(gateway).await;
    });
}

#[test]
fn a_flood_of_pings_ends_its_socket() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let room = new_room();
        let mut other = rig.join(gateway.addr(), &room, "other").await;
        let mut flood = rig.join(gateway.addr(), &room, "flood").await;
        for _ in 0..500 {
            if flood.ws.send(Message::Ping("x".into())).await.is_err() {
                break;
            }
        }
        assert_eq!(flood.farewell().await["code"], "flood");
        other
            .say(json!({"type": "comment", "content": "calm"}))
            .await;
        other.until("stored").await;
        rig.end(gateway).await;
    });
}

#[test]
fn a_message_without_end_and_one_that_is_too_long_end_their_sockets() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&["frame_bytes = \"4KiB\""]);
        let room = new_room();
        let mut endless = rig.join(gateway.addr(), &room, "endless").await;
        let part = |code, last| Message::Frame(Frame::message("x", OpCode::Data(code), last));
        endless.ws.send(part(Data::Text, false)).await.unwrap();
        for n in 0..200 {
            if endless.ws.send(part(Data::Continue, false)).await.is_err() {
                break;
            }
            // Slowly enough for it not to be a flood.
            if n > 30 {
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
        }
        assert_eq!(endless.farewell().await["code"], "too_long");

        let mut long = rig.join(gateway.addr(), &room, "long").await;
        long.ws
            .send(Message::text("x".repeat(5_000)))
            .await
            .unwrap();
        assert_eq!(long.farewell().await["code"], "too_long");

        // One that only says how long it will be.
        let mut vast = rig.join(gateway.addr(), &room, "vast").await;
        let head = [0x81, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
        vast.ws.get_mut().write_all(&head).await.unwrap();
        assert_eq!(vast.farewell().await["code"], "too_long");

        // In as many parts as it may have, a message is one.
        let mut parts = rig.join(gateway.addr(), &room, "parts").await;
        let text = json!({"type": "comment", "content": "in parts"}).to_string();
        let (first, rest) = text.split_at(10);
        let frame = |text: &str, code, last| {
            Message::Frame(Frame::message(text.to_owned(), OpCode::Data(code), last))
        };
        parts
            .ws
            .send(frame(first, Data::Text, false))
            .await
            .unwrap();
        parts
            .ws
            .send(frame(rest, Data::Continue, true))
            .await
            .unwrap();
        parts.until("stored").await;
        rig.end(gateway).await;
    });
}

#[test]
fn who_says_nothing_is_pinged_and_who_does_not_answer_is_gone() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&["ping_interval = \"1s\"", "idle_timeout = \"3s\""]);
        let room = new_room();
        // It answers pings while it is read.
        let mut alive = rig.join(gateway.addr(), &room, "alive").await;
        let silent = Ask::page(gateway.addr(), &room, &rig.token("silent", &[]));
        let _silent = silent.open().await.unwrap();
        let status = gateway.status();
        let began = Instant::now();
        while status.sockets() > 1 {
            assert!(began.elapsed() < Duration::from_secs(20), "it stays");
            assert!(alive.quiet("bye", Duration::from_millis(200)).await);
        }
        assert!(began.elapsed() > Duration::from_secs(2));
        rig.end(gateway).await;
    });
}
