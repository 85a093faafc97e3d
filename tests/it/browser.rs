//! A real Chromium, driven over its own debugging protocol.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::process::Process;

/// How long anything may take that is waited for; generous, since the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser; it ends with this value.
pub struct Browser {
    ws: WebSocketStream<TcpStream>,
    next: u64,
    _process: Process,
    _profile: tempfile::TempDir,
}

/// A tab.
pub struct Tab(String);

/// The browser of this machine; without one it is said so.
pub fn chromium() -> Option<PathBuf> {
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
    pub async fn start(program: &Path) -> Self {
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

    pub async fn call(&mut self, tab: Option<&Tab>, method: &str, params: Value) -> Value {
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

    pub async fn open(&mut self, url: &str) -> Tab {
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
    pub async fn ask(&mut self, tab: &Tab, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call(Some(tab), "Runtime.evaluate", params).await;
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Waits until an expression of the page holds.
    pub async fn until(&mut self, tab: &Tab, expression: &str) {
        let began = Instant::now();
        // What it looks at may not have been made yet.
        let holds =
            format!("(() => {{ try {{ return {expression} }} catch {{ return false }} }})()");
        while self.ask(tab, &holds).await != json!(true) {
            assert!(began.elapsed() < PATIENCE, "in vain: {expression}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Shows the tab at this size in logical pixels, and in the dark or not.
    pub async fn look(&mut self, tab: &Tab, width: u32, height: u32, dark: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call(Some(tab), "Emulation.setDeviceMetricsOverride", size)
            .await;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call(Some(tab), "Emulation.setEmulatedMedia", media)
            .await;
    }

    /// What the tab looks like, as a PNG.
    pub async fn picture(&mut self, tab: &Tab) -> Vec<u8> {
        let taken = json!({"format": "png", "captureBeyondViewport": true});
        let taken = self.call(Some(tab), "Page.captureScreenshot", taken).await;
        let png = taken["data"].as_str().expect("a picture");
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, png).expect("base64")
    }
}
