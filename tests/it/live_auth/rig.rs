//! A NATS server of a test's own with the stack's accounts, and everyone who connects to it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use twolane::config::{
    CalloutSettings, LiveSpec, LoadOptions, Secret, TokenAlgorithm, TokenSettings, load,
};
use twolane::live::auth::{self, Callout, CalloutError, Tokens};
use twolane::live::names::{RoomId, UserId};
use twolane::live::streams;

use super::user::User;
use crate::process::{Process, free_port, listens};
use crate::stack::{self, Stack};

/// A running nats-server; it ends with this value.
pub struct Server {
    stack: Stack,
    port: u16,
    monitor: u16,
    folder: tempfile::TempDir,
    process: Option<Process>,
}

/// A callout that answers in the background.
pub struct Answering {
    pub callout: Arc<Callout>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), CalloutError>>,
}

/// The live lane's spec of the repository.
pub fn spec() -> LiveSpec {
    let options = LoadOptions {
        directory: Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(),
        ..LoadOptions::default()
    };
    let config = load(&options).unwrap_or_else(|problems| panic!("{problems}"));
    LiveSpec::clone(&config.live.expect("topics/live.toml"))
}

pub fn user_id(text: &str) -> UserId {
    UserId::new(text).expect("a user's id")
}

// === impl Server ===

impl Server {
    pub fn start() -> Self {
        let stack = stack::plain(&["nats"]);
        let mut server = Self {
            stack,
            port: free_port(),
            monitor: free_port(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            process: None,
        };
        server.configure();
        server.again();
        server
    }

    /// One that is not started yet.
    pub fn absent() -> Self {
        let mut server = Self::start();
        server.crash();
        server
    }

    /// The stack's configuration with ports and a folder of its own.
    fn configure(&self) {
        let text = std::fs::read_to_string(self.stack.get("NATS_CONF")).expect("nats.conf");
        let address = |name: &str| {
            let (_, address) = self.stack.get(name).split_once("://").expect("an address");
            address.to_owned()
        };
        let mut own = text;
        for (from, to) in [
            (address("NATS"), format!("127.0.0.1:{}", self.port)),
            (
                address("NATS_MONITOR"),
                format!("127.0.0.1:{}", self.monitor),
            ),
            (
                self.stack.get("NATS_DIR").to_owned(),
                self.folder.path().join("data").display().to_string(),
            ),
        ] {
            assert_eq!(own.matches(&from).count(), 1, "{from}");
            own = own.replace(&from, &to);
        }
        std::fs::write(self.folder.path().join("nats.conf"), own).expect("nats.conf");
    }

    /// Starts it on its data, and waits until it answers.
    pub fn again(&mut self) {
        let mut command = Command::new(self.stack.get("NATS_SERVER"));
        command
            .arg("--config")
            .arg(self.folder.path().join("nats.conf"));
        let log = self.folder.path().join("log");
        self.process = Some(Process::start(&mut command, &log, || listens(self.port)));
    }

    /// Ends it as a crash would.
    pub fn crash(&mut self) {
        self.process = None;
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What its monitor says at this path.
    pub async fn monitor(&self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.monitor);
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let answer = client.get(url).send().await.expect("the monitor answers");
        answer.text().await.expect("text")
    }

    async fn connect(&self, user: &str, password: &str) -> Client {
        ConnectOptions::with_user_and_password(
            self.stack.get(user).to_owned(),
            self.stack.get(password).to_owned(),
        )
        .custom_inbox_prefix("_WORKER")
        .retry_on_initial_connect()
        .connect(format!("127.0.0.1:{}", self.port))
        .await
        .expect("a static user")
    }

    pub async fn worker(&self) -> Client {
        self.connect("NATS_USER", "NATS_PASSWORD").await
    }

    /// The worker's JetStream, with the streams made.
    pub async fn streams(&self) -> jetstream::Context {
        let jetstream = jetstream::new(self.worker().await);
        streams::apply(&jetstream, &spec())
            .await
            .expect("the streams");
        jetstream
    }

    pub fn tokens(&self) -> TokenSettings {
        TokenSettings {
            algorithm: TokenAlgorithm::Hs256,
            key: Secret::new(self.stack.get("TOKEN_KEY")),
            issuer: self.stack.get("TOKEN_ISSUER").to_owned(),
            audience: self.stack.get("TOKEN_AUDIENCE").to_owned(),
        }
    }

    pub fn callout_settings(&self) -> CalloutSettings {
        CalloutSettings {
            issuer_seed: Secret::new(self.stack.get("NATS_ISSUER_SEED")),
            account: self.stack.get("NATS_ACCOUNT").to_owned(),
            services_account: "LIVE".to_owned(),
            xkey_seed: None,
            login: None,
        }
    }

    /// Answers the server's questions from now on.
    pub async fn answering(&self) -> Answering {
        let tokens = Tokens::new(&self.tokens()).expect("tokens");
        let callout = Callout::new(&self.callout_settings(), tokens).expect("a callout");
        let callout = Arc::new(callout);
        let client = self
            .connect("NATS_CALLOUT_USER", "NATS_CALLOUT_PASSWORD")
            .await;
        let (stop, stopped) = oneshot::channel();
        let worker = self.worker().await;
        let serving = {
            let callout = Arc::clone(&callout);
            async move {
                let stop = async {
                    let _ = stopped.await;
                };
                auth::serve(&worker, client, callout, stop).await
            }
        };
        let answering = Answering {
            callout,
            stop,
            task: tokio::spawn(serving),
        };
        // The server knows the subscription once somebody is let in, or refused with a reason.
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let before = answering.callout.counts().refused();
            let _refused = User::connect(self.port, "no token").await;
            if answering.callout.counts().refused() > before {
                return answering;
            }
            assert!(Instant::now() < end, "nobody answers:\n{}", self.log());
        }
    }

    /// A user's token.
    pub fn token(&self, user: &str, moderates: &[&str], lifetime: Duration) -> String {
        let rooms: Vec<RoomId> = moderates
            .iter()
            .map(|room| RoomId::new(room).expect("a room"))
            .collect();
        auth::mint(&self.tokens(), &user_id(user), &rooms, false, lifetime).expect("a token")
    }

    /// A user who is let in.
    pub async fn user(&self, user: &str) -> User {
        self.moderator(user, &[]).await
    }

    /// A moderator who is let in.
    pub async fn moderator(&self, user: &str, rooms: &[&str]) -> User {
        let token = self.token(user, rooms, Duration::from_secs(600));
        User::connect(self.port, &token)
            .await
            .unwrap_or_else(|why| panic!("{why}\n{}", self.log()))
    }

    /// A service that may notify users.
    pub async fn service(&self, name: &str) -> User {
        let lifetime = Duration::from_secs(600);
        let token = auth::mint(&self.tokens(), &user_id(name), &[], true, lifetime);
        User::connect(self.port, &token.expect("a token"))
            .await
            .expect("a service is let in")
    }
}

// === impl Answering ===

impl Answering {
    /// Stops answering, in order.
    pub async fn stop(self) -> Result<(), CalloutError> {
        self.stop.send(()).expect("it answers");
        self.task.await.expect("it does not panic")
    }
}

/// Messages that a stream holds.
pub async fn messages(jetstream: &jetstream::Context, name: &str) -> u64 {
    let stream: stream::Stream = jetstream.get_stream(name).await.expect("the stream");
    stream.cached_info().state.messages
}
