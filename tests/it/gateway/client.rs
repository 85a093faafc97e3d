//! A client of the gateway.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::rig::PATIENCE;

/// One socket.
pub struct Client {
    pub ws: WebSocketStream<TcpStream>,
}

/// How to ask for a socket.
#[derive(Clone)]
pub struct Ask {
    pub addr: SocketAddr,
    pub room: String,
    pub query: String,
    pub headers: Vec<(&'static str, String)>,
}

// === impl Ask ===

impl Ask {
    /// With a token as a subprotocol, as the room page does.
    pub fn page(addr: SocketAddr, room: &str, token: &str) -> Self {
        Self {
            addr,
            room: room.to_owned(),
            query: String::new(),
            headers: vec![
                (
                    "sec-websocket-protocol",
                    format!("twolane.v1, token.{token}"),
                ),
                ("origin", format!("http://{addr}")),
            ],
        }
    }

    /// After this sequence.
    pub fn since(mut self, seq: u64) -> Self {
        self.query = format!("?since={seq}");
        self
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(n, _)| *n != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| *n != name);
        self
    }

    /// Opens it; where it is refused, the status and what is said.
    pub async fn open(&self) -> Result<Client, (u16, Value)> {
        let url = format!("ws://{}/v1/rooms/{}/ws{}", self.addr, self.room, self.query);
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in &self.headers {
            let value = value.parse().expect("a header");
            request.headers_mut().insert(*name, value);
        }
        let stream = TcpStream::connect(self.addr).await.expect("it listens");
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((ws, _)) => Ok(Client { ws }),
            Err(Error::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                let said = serde_json::from_slice(&body).unwrap_or(Value::Null);
                Err((answer.status().as_u16(), said))
            }
            Err(other) => panic!("{other}"),
        }
    }
}

// === impl Client ===

impl Client {
    pub async fn say(&mut self, what: Value) {
        let sent = self.ws.send(Message::text(what.to_string())).await;
        sent.expect("it is sent");
    }

    /// The next text; `None` where the socket has ended.
    pub async fn next(&mut self) -> Option<Value> {
        let next = async {
            loop {
                match self.ws.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Some(serde_json::from_str(&text).expect("JSON"));
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, next)
            .await
            .expect("nothing comes")
    }

    /// The next text of this type; others are passed over.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let next = self.next().await;
            let next = next.unwrap_or_else(|| panic!("it ended before {kind:?}"));
            if next["type"] == kind {
                return next;
            }
        }
    }

    /// Entries until this many have come, as their sequences and the entries.
    pub async fn entries(&mut self, n: usize) -> Vec<(u64, Value)> {
        let mut entries = Vec::new();
        while entries.len() < n {
            let next = self.until("entries").await;
            for one in next["entries"].as_array().expect("entries") {
                entries.push((one["seq"].as_u64().expect("seq"), one["entry"].clone()));
            }
        }
        entries
    }

    /// How the socket ends: the farewell.
    pub async fn farewell(&mut self) -> Value {
        let bye = self.until("bye").await;
        assert_eq!(self.next().await, None);
        bye
    }

    /// Whether nothing of this type comes for so long.
    pub async fn quiet(&mut self, kind: &str, time: Duration) -> bool {
        tokio::time::timeout(time, self.until(kind)).await.is_err()
    }
}

/// What the entries say.
pub fn contents(entries: &[(u64, Value)]) -> Vec<String> {
    let text = |e: &Value| e["content"].as_str().unwrap_or("(none)").to_owned();
    entries.iter().map(|(_, e)| text(e)).collect()
}
