//! Notifications are kept while their user is away, come in order, and are acknowledged.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Ask, Client};
use super::rig::{KEY, Rig, new_room, system};

struct Service {
    http: reqwest::Client,
    url: String,
}

impl Service {
    fn new(addr: SocketAddr) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            url: format!("http://{addr}/v1/notifications"),
        }
    }

    async fn send(&self, key: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(&self.url).bearer_auth(key);
        let answer = request.body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    async fn notify(&self, user: &str, n: usize) {
        let body = json!({"user": user, "payload": {"n": n}});
        assert_eq!(self.send(KEY, &body).await.0, 201);
    }
}

async fn listening(rig: &Rig, addr: SocketAddr, user: &str) -> Client {
    let ask = Ask::page(addr, &new_room(), &rig.token(user, &[]));
    let mut client = ask.open().await.unwrap();
    client.say(json!({"type": "notify"})).await;
    client
}

/// The next so many, as what they say; acknowledged by their last.
async fn read(client: &mut Client, n: usize, acknowledge: bool) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut last = 0;
    while seen.len() < n {
        let next = client.until("notify").await;
        assert!(next["seq"].as_u64().unwrap() > last);
        last = next["seq"].as_u64().unwrap();
        seen.push(next["payload"]["n"].as_u64().unwrap());
    }
    if acknowledge {
        client.say(json!({"type": "ack", "seq": last})).await;
    }
    seen
}

#[test]
fn what_came_while_a_user_was_away_is_delivered_in_order_and_once_acknowledged_not_again() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let service = Service::new(gateway.addr());
        for n in 0..150 {
            service.notify("ann", n).await;
            service.notify("bob", 1_000 + n).await;
        }
        let mut ann = listening(&rig, gateway.addr(), "ann").await;
        let all: Vec<u64> = (0..100).collect();
        // No more are on their way than may be.
        assert_eq!(read(&mut ann, 100, false).await, all);
        assert!(ann.quiet("notify", Duration::from_millis(300)).await);
        drop(ann);
        let mut ann = listening(&rig, gateway.addr(), "ann").await;
        assert_eq!(read(&mut ann, 100, true).await, all);
        assert_eq!(
            read(&mut ann, 50, true).await,
            (100..150).collect::<Vec<u64>>()
        );
        service.notify("ann", 150).await;
        assert_eq!(read(&mut ann, 1, true).await, [150]);
        drop(ann);
        // Stored within a second, or when the socket ends.
        tokio::time::sleep(Duration::from_millis(500)).await;
        service.notify("ann", 151).await;
        let mut ann = listening(&rig, gateway.addr(), "ann").await;
        assert_eq!(read(&mut ann, 1, true).await, [151]);
        let mut bob = listening(&rig, gateway.addr(), "bob").await;
        assert_eq!(read(&mut bob, 1, false).await, [1_000]);
        rig.end(gateway).await;
    });
}

#[test]
fn live_notifications_come_in_order_also_after_nats_was_away() {
    system(async {
        let mut rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let service = Service::new(gateway.addr());
        let mut ann = listening(&rig, gateway.addr(), "ann").await;
        for n in 0..5 {
            service.notify("ann", n).await;
        }
        assert_eq!(read(&mut ann, 5, true).await, [0, 1, 2, 3, 4]);
        rig.server.crash();
        let body = json!({"user": "ann", "payload": {"n": 5}, "id": "five"});
        let (status, said) = service.send(KEY, &body).await;
        assert_eq!((status, &said["code"]), (503, &json!("unavailable")));
        rig.server.again();
        while service.send(KEY, &body).await.0 != 201 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (status, said) = service.send(KEY, &body).await;
        assert_eq!((status, &said["duplicate"]), (201, &json!(true)));
        service.notify("ann", 6).await;
        assert_eq!(read(&mut ann, 2, true).await, [5, 6]);
        rig.end(gateway).await;
    });
}

#[test]
fn only_a_service_with_a_key_may_notify() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let service = Service::new(gateway.addr());
        let good = json!({"user": "ann", "payload": 1});
        for key in ["", "x", &rig.token("ann", &[])] {
            let (status, said) = service.send(key, &good).await;
            assert_eq!((status, &said["code"]), (401, &json!("key")));
        }
        for (bad, code) in [
            (json!({"user": "a.b", "payload": 1}), "bad_name"),
            (json!({"user": "*", "payload": 1}), "bad_name"),
            (json!({"user": "ann"}), "malformed"),
            (json!({"user": "ann", "payload": 1, "id": ""}), "malformed"),
        ] {
            let (status, said) = service.send(KEY, &bad).await;
            assert_eq!((status, &said["code"]), (400, &json!(code)), "{bad}");
        }
        let vast = json!({"user": "ann", "payload": "x".repeat(17 << 10)});
        assert_eq!(service.send(KEY, &vast).await.0, 413);
        let mut ann = listening(&rig, gateway.addr(), "ann").await;
        ann.say(json!({"type": "ack", "seq": 7})).await;
        assert_eq!(ann.until("refused").await["what"], "ack");
        rig.end(gateway).await;
    });
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_and_a_strangers_is_not_read() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&["handshake_timeout = \"1s\""]);
        for (key, status) in [(KEY, "408"), ("stranger", "401")] {
            let mut stream = tokio::net::TcpStream::connect(gateway.addr())
                .await
                .unwrap();
            let head = format!(
                "POST /v1/notifications HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: 100\r\n\r\nx"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            let read = stream.read_exact(&mut answer);
            let read = tokio::time::timeout(Duration::from_secs(10), read).await;
            read.expect("an answer").unwrap();
            assert_eq!(&answer[9..], status.as_bytes(), "{key}");
        }
        rig.end(gateway).await;
    });
}
