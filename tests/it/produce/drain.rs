//! A process that is told to stop.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use super::desk::{Desk, ended, event};
use super::http::{KEY, keys};
use crate::lane::rig;
use crate::process::{free_port, listens};
use crate::stack;

#[test]
fn a_request_that_is_under_way_at_a_stop_is_answered_and_no_other_is_taken() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let desk = Desk::new(&stack, "drain", "json", 1).await;
        keys(&desk);
        let (port, admin) = (free_port(), free_port());
        desk.write(
            "twolane.toml",
            &format!(
                "[kafka]\nbrokers = \"{}\"\n[admin]\nlisten = \"127.0.0.1:{admin}\"\n[ingest]\nlisten = \"127.0.0.1:{port}\"\nkeys_file = \"keys\"\n",
                desk.brokers
            ),
        );
        let child = desk.start(&["run", "ingest"]);
        rig::until("the ingest to listen", || async { listens(port) }).await;
        let url = format!("http://127.0.0.1:{port}/v1/events/{}", desk.topic);
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let first = client
            .post(&url)
            .bearer_auth(KEY)
            .header("content-type", "application/json");
        let first = first.body(event(1)).send().await.expect("an answer");
        assert_eq!(first.status(), 202);
        let metrics = client
            .get(format!("http://127.0.0.1:{admin}/metrics"))
            .send()
            .await;
        let metrics = metrics.expect("an answer").text().await.expect("text");
        assert_eq!(sample(&metrics, "twolane_ingest_requests_total"), Some("1"));
        assert_eq!(sample(&metrics, "twolane_ingest_accepted_total"), Some("1"));
        let busy = "twolane_ingest_turned_away_total{reason=\"busy\"}";
        assert_eq!(sample(&metrics, busy), Some("0"));

        // Half of a body before the signal, the rest after it.
        let body = event(2);
        let (head, tail) = body.split_at(body.len() / 2);
        let mut slow = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        write!(
            slow,
            "POST /v1/events/{} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{head}",
            desk.topic,
            body.len()
        )
        .expect("sent");
        slow.flush().expect("sent");
        rig::until("the request to be under way", || async {
            let metrics = client
                .get(format!("http://127.0.0.1:{admin}/metrics"))
                .send()
                .await;
            let metrics = metrics.expect("an answer").text().await.expect("text");
            sample(&metrics, "twolane_ingest_requests_total") == Some("2")
        })
        .await;
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill runs").success());
        rig::until("no new connection to be taken", || async { !listens(port) }).await;
        slow.write_all(tail.as_bytes()).expect("sent");
        slow.set_read_timeout(Some(Duration::from_secs(30)))
            .expect("set");
        let mut answer = String::new();
        slow.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        let said = tokio::task::spawn_blocking(|| ended(child))
            .await
            .expect("it ends");
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(desk.records().await.len(), 2);
    });
}

/// The value of the first sample whose line begins so.
fn sample<'m>(metrics: &'m str, name: &str) -> Option<&'m str> {
    let line = metrics.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()
}
