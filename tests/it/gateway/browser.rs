//! The room page in a real Chromium, driven over its own debugging protocol. Without one it is said so, and skipped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::rig::{PATIENCE, Rig, new_room, system};
use crate::process::Process;

/// A browser; it ends with this value.
struct Browser {
    ws: WebSocketStream<TcpStream>,
    next: u64,
    _process: Process,
    _profile: tempfile::TempDir,
}

/// A tab.
struct Tab(String);

fn chromium() -> Option<PathBuf> {
    let found = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let found = found.into_iter().map(Path::new).find(|p| p.exists());
    if found.is_none() {
        eprintln!("skipped: there is no Chromium on this machine");
    }
    found.map(Path::to_owned)
}

// === impl Browser ===

impl Browser {
    async fn start(program: &Path) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(program);
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            // A tab that is not in front is to draw and to run its timers as well.
            .args([
                "--disable-background-timer-throttling",
                "--disable-backgrounding-occluded-windows",
            ])
            .args([
                "--disable-renderer-backgrounding",
                "--remote-debugging-port=0",
                "--no-proxy-server",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank");
        let said = profile.path().join("DevToolsActivePort");
        let log = profile.path().join("log");
        let process = Process::start(&mut command, &log, || {
            std::fs::read_to_string(&said).is_ok_and(|text| text.lines().count() >= 2)
        });
        let said = std::fs::read_to_string(&said).expect("where it listens");
        let (port, path) = said.trim().split_once('\n').expect("a port and a path");
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).await;
        let url = format!("ws://127.0.0.1:{port}{path}");
        let opened = tokio_tungstenite::client_async(url, stream.expect("it listens")).await;
        Self {
            ws: opened.expect("a socket").0,
            next: 0,
            _process: process,
            _profile: profile,
        }
    }

    async fn call(&mut self, tab: Option<&Tab>, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut call = json!({"id": id, "method": method, "params": params});
        if let Some(Tab(session)) = tab {
            call["sessionId"] = json!(session);
        }
        let sent = self.ws.send(Message::text(call.to_string())).await;
        sent.expect("it takes calls");
        let answer = async {
            loop {
                let message = self.ws.next().await.expect("it lives").expect("a message");
                let Message::Text(text) = message else {
                    continue;
                };
                let answer: Value = serde_json::from_str(&text).expect("JSON");
                if answer["id"] == id {
                    return answer;
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("{method} is not answered"));
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    async fn open(&mut self, url: &str) -> Tab {
        let made = self
            .call(None, "Target.createTarget", json!({"url": url}))
            .await;
        let attach = json!({"targetId": made["targetId"], "flatten": true});
        let attached = self.call(None, "Target.attachToTarget", attach).await;
        Tab(attached["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned())
    }

    /// What an expression of the page is.
    async fn ask(&mut self, tab: &Tab, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call(Some(tab), "Runtime.evaluate", params).await;
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Waits until an expression of the page holds.
    async fn until(&mut self, tab: &Tab, expression: &str) {
        let began = Instant::now();
        while self.ask(tab, expression).await != json!(true) {
            assert!(began.elapsed() < PATIENCE, "in vain: {expression}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn room(&mut self, addr: std::net::SocketAddr, room: &str, token: &str) -> Tab {
        let tab = self
            .open(&format!("http://{addr}/rooms/{room}#token={token}"))
            .await;
        self.until(&tab, GREETED).await;
        tab
    }
}

const GREETED: &str =
    "document.querySelector('#status')?.textContent.startsWith('You are') ?? false";
/// Comments of the list, in their order.
const LIST: &str = "[...document.querySelectorAll('#log li[data-id]')].map((l) => l.querySelector('span:nth-of-type(2)').textContent)";
/// Notes when a comment comes into the list.
const NOTE: &str = "window.came = {}; new MutationObserver((all) => { for (const one of all) for (const li of one.addedNodes) \
    window.came[li.querySelector('span:nth-of-type(2)').textContent] = performance.timeOrigin + performance.now(); })\
    .observe(document.querySelector('#log'), { childList: true }); true";

fn write(text: &str) -> String {
    format!(
        "document.querySelector('#text').value = {text:?}; document.querySelector('#box').requestSubmit(); \
         performance.timeOrigin + performance.now()"
    )
}

#[test]
fn what_one_page_sends_another_shows_at_once_and_both_outlive_the_gateway() {
    let Some(program) = chromium() else {
        return;
    };
    system(async {
        let rig = Rig::start().await;
        let (port, room) = (rig.a_port(), new_room());
        let gateway = rig.outside(port);
        let mut browser = Browser::start(&program).await;
        let a = browser
            .room(gateway.addr, &room, &rig.token("a", &[]))
            .await;
        let b = browser
            .room(gateway.addr, &room, &rig.token("b", &[&room]))
            .await;
        browser.ask(&b, NOTE).await;
        let mut best = f64::MAX;
        for n in 0..10 {
            let text = format!("number {n}");
            let sent = browser
                .ask(&a, &write(&text))
                .await
                .as_f64()
                .expect("a time");
            let came = format!("window.came[{text:?}] !== undefined");
            browser.until(&b, &came).await;
            let came = browser.ask(&b, &format!("window.came[{text:?}]")).await;
            best = best.min(came.as_f64().expect("a time") - sent);
        }
        // The machine may be busy with other tests, but not always.
        assert!(best < 100.0, "{best} ms");

        drop(gateway);
        let lost = "!document.querySelector('#status').textContent.startsWith('You are')";
        browser.until(&a, lost).await;
        browser.until(&b, lost).await;
        let author = async_nats::jetstream::new(rig.server.worker().await);
        for n in 0..5 {
            let subject = format!("live.{room}.in.comment.author");
            let json = json!({"content": format!("meanwhile {n}")}).to_string();
            author
                .publish(subject, json.into())
                .await
                .unwrap()
                .await
                .unwrap();
        }
        let _again = rig.outside(port);
        browser.until(&a, GREETED).await;
        browser.until(&b, GREETED).await;
        browser.ask(&a, &write("we are back")).await;
        let wanted: Vec<String> = (0..10)
            .map(|n| format!("number {n}"))
            .chain((0..5).map(|n| format!("meanwhile {n}")))
            .chain(["we are back".to_owned()])
            .collect();
        for tab in [&a, &b] {
            browser
                .until(tab, &format!("{LIST}.includes('we are back')"))
                .await;
            assert_eq!(browser.ask(tab, LIST).await, json!(wanted));
        }

        let recall = "[...document.querySelectorAll('#log li')].at(-1).querySelector('button').click(); true";
        browser.ask(&b, recall).await;
        browser
            .until(&a, &format!("!{LIST}.includes('we are back')"))
            .await;
        browser
            .until(&b, &format!("!{LIST}.includes('we are back')"))
            .await;
    });
}
