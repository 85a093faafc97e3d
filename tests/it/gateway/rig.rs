//! A gateway of a test's own, with a worker, on a NATS server with accounts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use twolane::config::{self, LoadOptions, Settings};
use twolane::gateway::start::{Gateway, GatewayStatus};
use twolane::gateway::tally::{Class, Snapshot};
use twolane::live::auth;
use twolane::live::names::{RoomId, UserId};
use twolane::live::start::Live;
use twolane::supervise::Tree;

use super::client::{Ask, Client};
use crate::live::rig::spec;
use crate::live_auth::rig::Server;
use crate::process::{Process, free_port, listens};
use crate::stack;

pub use crate::lane::rig::system;

/// How long anything may take that is waited for; generous, since the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// A service's key.
pub const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Servers and a worker.
pub struct Rig {
    pub server: Server,
    pub folder: tempfile::TempDir,
    live: Option<Live>,
    tree: Arc<Tree>,
}

/// A gateway as a process of its own.
pub struct Outside {
    pub addr: SocketAddr,
    process: Process,
}

/// Rooms lie side by side in one Redis.
pub fn new_room() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let time = std::time::UNIX_EPOCH
        .elapsed()
        .expect("a clock")
        .as_millis();
    format!("gw-{time}-{n}")
}

/// Waits until `holds`, looking every 10 ms.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Every class adds up, and nothing waits.
pub fn adds_up(status: &GatewayStatus) {
    for class in Class::ALL {
        let now: Snapshot = status.tally().snapshot(class);
        assert_eq!(now.sent, now.delivered + now.shed, "{class:?}: {now:?}");
    }
    assert_eq!(status.tally().queued.load(Ordering::Relaxed), 0);
}

// === impl Outside ===

impl Outside {
    /// Its open files and sockets.
    pub fn open_files(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.process.id());
        std::fs::read_dir(folder).expect("it lives").count()
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> usize {
        let file = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(file).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.trim().parse::<usize>().ok())
            .expect("a number of kB")
            << 10
    }
}

// === impl Rig ===

impl Rig {
    pub async fn start() -> Self {
        let server = Server::start();
        server.streams().await;
        let mut rig = Self {
            server,
            folder: tempfile::tempdir().expect("a folder"),
            live: None,
            tree: Arc::new(Tree::default()),
        };
        let settings = rig.settings(&[]);
        let live = Live::start(&settings, &Arc::new(spec()), &rig.tree);
        rig.live = Some(live.expect("a worker"));
        rig
    }

    /// A settings file; `more` are lines of `[gateway]`.
    pub fn file(&self, listen: SocketAddr, more: &[&str]) -> PathBuf {
        let stack = stack::plain(&["nats", "redis"]);
        let text = format!(
            "shutdown = \"10s\"\ntopics_dir = \"{topics}\"\npipelines_dir = \"{pipelines}\"\n\
             [nats]\nurl = \"nats://127.0.0.1:{nats}\"\nusername = \"{user}\"\npassword = \"{password}\"\n\
             [redis]\nurl = \"{redis}\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n\
             [live.auth]\nalgorithm = \"HS256\"\nkey = \"{key}\"\nissuer = \"{issuer}\"\naudience = \"{audience}\"\n\
             [gateway]\nlisten = \"{listen}\"\nnats_username = \"{gateway}\"\nnats_password = \"{gateway_password}\"\n\
             api_keys = \"{KEY}\"\n{more}\n",
            topics = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("topics")
                .display(),
            pipelines = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("pipelines")
                .display(),
            nats = self.server.port(),
            user = stack.get("NATS_USER"),
            password = stack.get("NATS_PASSWORD"),
            redis = stack.get("REDIS"),
            key = stack.get("TOKEN_KEY"),
            issuer = stack.get("TOKEN_ISSUER"),
            audience = stack.get("TOKEN_AUDIENCE"),
            gateway = stack.get("NATS_GATEWAY_USER"),
            gateway_password = stack.get("NATS_GATEWAY_PASSWORD"),
            more = more.join("\n"),
        );
        let file = self.folder.path().join(format!("{}.toml", listen.port()));
        std::fs::write(&file, text).expect("a file");
        file
    }

    pub fn settings(&self, more: &[&str]) -> Settings {
        let options = LoadOptions {
            settings: Some(self.file(SocketAddr::from(([127, 0, 0, 1], 0)), more)),
            ..LoadOptions::default()
        };
        config::load_settings(&options).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// A gateway in this process.
    pub fn gateway(&self, more: &[&str]) -> Gateway {
        let gateway = Gateway::start(&self.settings(more), &self.tree);
        gateway.unwrap_or_else(|why| panic!("{why}"))
    }

    /// A gateway as a process of its own, at this address.
    pub fn outside(&self, port: u16) -> Outside {
        self.outside_with(port, &[])
    }

    /// The same with further lines of `[gateway]`.
    pub fn outside_with(&self, port: u16, more: &[&str]) -> Outside {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let file = self.file(addr, more);
        let mut command = Command::new(env!("CARGO_BIN_EXE_twolane"));
        command.args(["run", "gateway", "--settings"]).arg(&file);
        let log = self.folder.path().join("gateway.log");
        let process = Process::start(&mut command, &log, || listens(port));
        Outside { addr, process }
    }

    pub fn a_port(&self) -> u16 {
        free_port()
    }

    pub fn token(&self, user: &str, moderates: &[&str]) -> String {
        self.server.token(user, moderates, Duration::from_secs(600))
    }

    /// A token that lasts so long.
    pub fn short_token(&self, user: &str, lifetime: Duration) -> String {
        let user = UserId::new(user).expect("a user");
        let none: [RoomId; 0] = [];
        auth::mint(&self.server.tokens(), &user, &none, false, lifetime).expect("a token")
    }

    /// A user's socket, greeted.
    pub async fn join(&self, addr: SocketAddr, room: &str, user: &str) -> Client {
        let ask = Ask::page(addr, room, &self.token(user, &[]));
        let mut client = ask.open().await.unwrap_or_else(|why| panic!("{why:?}"));
        client.until("hello").await;
        client
    }

    /// Ends the worker, and the gateway before it. Everything adds up.
    pub async fn end(mut self, gateway: Gateway) {
        let status = gateway.status();
        gateway.stop().await;
        adds_up(&status);
        if let Some(live) = self.live.take() {
            live.stop().await;
        }
        let failed = self.tree.children();
        let failed: Vec<_> = failed.iter().filter(|c| c.restarts() > 0).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }
}
