//! A client of NATS that writes the protocol's lines itself: it can do what no library lets anyone do, and it
//! sees every line of the server's.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Long enough for a busy machine; nobody waits so long but for something that does not come.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct User {
    stream: TcpStream,
    /// What has come and was not looked at.
    seen: String,
    next: u32,
}

// === impl User ===

impl User {
    /// Connects with this as `auth_token`.
    ///
    /// # Errors
    /// What the server said when it refused, or `closed`.
    pub async fn connect(port: u16, token: &str) -> Result<Self, String> {
        Self::connect_with(port, serde_json::json!({"auth_token": token})).await
    }

    /// Connects with these members of CONNECT.
    ///
    /// # Errors
    /// What the server said when it refused, or `closed`.
    pub async fn connect_with(port: u16, options: serde_json::Value) -> Result<Self, String> {
        let mut connect = serde_json::json!({
            "verbose": false, "headers": true, "no_responders": true, "lang": "test", "version": "0", "protocol": 1,
        });
        for (name, value) in options.as_object().expect("members") {
            connect[name] = value.clone();
        }
        let stream = TcpStream::connect(("127.0.0.1", port)).await;
        let mut user = Self {
            stream: stream.expect("the server listens"),
            seen: String::new(),
            next: 1,
        };
        user.write(&format!("CONNECT {connect}\r\nPING\r\n")).await;
        user.until_pong().await?;
        user.seen.clear();
        Ok(user)
    }

    async fn write(&mut self, text: &str) {
        // Where the server has closed already, the next read says so.
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// Reads up to the answer to a PING.
    async fn until_pong(&mut self) -> Result<(), String> {
        let from = self.seen.len();
        loop {
            if self.seen[from..].contains("PONG\r\n") {
                return Ok(());
            }
            if !self.read().await {
                return Err(errors(&self.seen[from..]).unwrap_or_else(|| "closed".to_owned()));
            }
        }
    }

    /// Reads what comes next; false where the server has closed.
    async fn read(&mut self) -> bool {
        let mut bytes = vec![0; 64 << 10];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut bytes)).await;
        match read.expect("the server says something") {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..n]));
                true
            }
        }
    }

    /// Publishes, and says what the server has against it.
    pub async fn publish(&mut self, subject: &str, payload: &str) -> Result<(), String> {
        self.publish_with(subject, "", "", payload).await
    }

    /// Publishes with a reply subject and header lines.
    ///
    /// # Errors
    /// What the server has against it.
    pub async fn publish_with(
        &mut self,
        subject: &str,
        reply: &str,
        headers: &str,
        payload: &str,
    ) -> Result<(), String> {
        let reply = if reply.is_empty() {
            String::new()
        } else {
            format!("{reply} ")
        };
        let line = if headers.is_empty() {
            format!("PUB {subject} {reply}{}\r\n{payload}\r\n", payload.len())
        } else {
            let headers = format!("NATS/1.0\r\n{headers}\r\n\r\n");
            let total = headers.len() + payload.len();
            format!(
                "HPUB {subject} {reply}{} {total}\r\n{headers}{payload}\r\n",
                headers.len()
            )
        };
        self.checked(&line).await
    }

    /// Subscribes, and says what the server has against it.
    pub async fn subscribe(&mut self, subject: &str) -> Result<(), String> {
        let id = self.next;
        self.next += 1;
        self.checked(&format!("SUB {subject} {id}\r\n")).await
    }

    async fn checked(&mut self, line: &str) -> Result<(), String> {
        let from = self.seen.len();
        self.write(&format!("{line}PING\r\n")).await;
        self.until_pong().await?;
        match errors(&self.seen[from..]) {
            Some(errors) => Err(errors),
            None => Ok(()),
        }
    }

    /// Everything that came since this was last called, up to now.
    pub async fn received(&mut self) -> String {
        self.write("PING\r\n").await;
        let _closed = self.until_pong().await;
        std::mem::take(&mut self.seen)
    }

    /// Waits until this text has come, and returns all that came.
    pub async fn wait_for(&mut self, text: &str) -> String {
        while !self.seen.contains(text) {
            assert!(self.read().await, "closed before {text:?}: {}", self.seen);
        }
        std::mem::take(&mut self.seen)
    }

    /// Waits until the server closes, and returns what it said last.
    pub async fn closed(&mut self) -> String {
        while self.read().await {}
        std::mem::take(&mut self.seen)
    }
}

/// The server's errors among these lines.
fn errors(lines: &str) -> Option<String> {
    let errors: Vec<&str> = lines
        .lines()
        .filter(|line| line.starts_with("-ERR"))
        .collect();
    (!errors.is_empty()).then(|| errors.join(" "))
}
