//! A live lane of a test's own: its server, its streams, workers in this process, authors and viewers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::{self, Context};
use futures_util::StreamExt as _;
use twolane::config::{
    self, CommentSpec, InboxSpec, KeptSpec, LikeSpec, LiveSpec, LoadOptions, OutSpec, RateSpec,
    RoomSpec, Settings,
};
use twolane::live::lane::LiveStatus;
use twolane::live::names::{self, Inbound, RoomId, UserId};
use twolane::live::start::Live;
use twolane::live::streams;
use twolane::live::tally::{Class, Snapshot};
use twolane::live::wire::{Entry, Shown};
use twolane::supervise::Tree;

use crate::nats::Nats;
use crate::stack;

pub use crate::lane::rig::system;

/// How long anything may take that is waited for; generous, since the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long a worker's end may take for what it has in hand.
pub const DRAIN: Duration = Duration::from_secs(10);

/// A server with the lane's streams.
pub struct Rig {
    pub server: Nats,
    pub spec: LiveSpec,
    pub client: Client,
    pub js: Context,
}

/// A worker in this process.
pub struct Worker {
    live: Live,
    tree: Arc<Tree>,
}

/// An entry as LIVE_OUT holds it.
#[derive(Debug, Clone)]
pub struct Kept {
    pub room: String,
    pub entry: Entry,
}

/// What the lane is like where a test does not say otherwise.
pub fn spec() -> LiveSpec {
    let day = Duration::from_secs(86_400);
    let kept = KeptSpec {
        max_bytes: 64 << 20,
        max_age: 30 * day,
    };
    let rate = RateSpec {
        count: 1_000_000,
        per: Duration::from_secs(1),
        burst: 1_000_000,
    };
    LiveSpec {
        inbox: InboxSpec {
            max_bytes: 256 << 20,
            max_age: day,
            ack_wait: Duration::from_secs(1),
            max_deliver: 10,
            max_ack_pending: 8_192,
            worker_pending: 512,
        },
        out: OutSpec {
            max_bytes: 512 << 20,
            max_age: day,
            max_per_room: 10_000,
            duplicate_window: Duration::from_secs(120),
        },
        dead: kept,
        audit: kept,
        notify: kept,
        comments: CommentSpec {
            max_chars: 10_000,
            user_rate: rate,
            room_rate: rate,
            keywords_file: None,
        },
        likes: LikeSpec {
            window: Duration::from_millis(100),
            max_per_message: 50,
            queue: 4_096,
        },
        rooms: RoomSpec {
            idle: Duration::from_secs(60),
            viewer_expiry: Duration::from_secs(30),
            max_rooms: 10_000,
        },
        file: "topics/live.toml".into(),
    }
}

/// Settings of a worker that reaches NATS at `url`, and the stack's Redis; totals and limits of all tests
/// lie side by side there, by room.
fn settings(url: &str) -> Settings {
    let redis = stack::plain(&["redis"]).get("REDIS").to_owned();
    let variables = [
        ("TWOLANE_NATS_URL", url.to_owned()),
        ("TWOLANE_REDIS_URL", redis),
        ("TWOLANE_SHUTDOWN", format!("{}s", DRAIN.as_secs())),
    ];
    let options = LoadOptions {
        variables: variables.map(|(k, v)| (k.to_owned(), v)).into(),
        ..LoadOptions::default()
    };
    config::load_settings(&options).unwrap_or_else(|problems| panic!("{problems}"))
}

pub fn room(n: usize) -> RoomId {
    RoomId::new(&format!("room-{n}")).expect("a name")
}

pub fn user(n: usize) -> UserId {
    UserId::new(&format!("user-{n}")).expect("a name")
}

/// Waits until `holds`, looking every 20 ms.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

// === impl Rig ===

impl Rig {
    pub async fn new(spec: LiveSpec) -> Self {
        let server = Nats::start();
        let client = async_nats::ConnectOptions::new()
            .reconnect_delay_callback(|_| Duration::from_millis(20))
            .connect(server.url())
            .await
            .expect("a connection");
        let rig = Self {
            js: jetstream::new(client.clone()),
            client,
            server,
            spec,
        };
        rig.make_streams().await;
        rig
    }

    async fn make_streams(&self) {
        let made = streams::apply(&self.js, &self.spec).await;
        made.expect("the streams are made");
    }

    /// LIVE_IN is made anew: its sequences begin again.
    pub async fn remake_inbox(&self) {
        self.js
            .delete_stream("LIVE_IN")
            .await
            .expect("it was there");
        self.make_streams().await;
    }

    pub fn worker(&self) -> Worker {
        Worker::start(&self.server.url(), &self.spec)
    }

    /// Publishes a comment as its author does, and waits for the acknowledgement.
    pub async fn comment(&self, room: &RoomId, user: &UserId, content: &str) -> u64 {
        let sent = self.try_comment(room, user, content).await;
        sent.expect("the server acknowledges it")
    }

    /// The same; `None` where it is not acknowledged.
    pub async fn try_comment(&self, room: &RoomId, user: &UserId, content: &str) -> Option<u64> {
        let subject = names::inbound(room, Inbound::Comment, user);
        let json = serde_json::json!({ "content": content }).to_string();
        let sent = self.js.publish(subject, json.into()).await.ok()?;
        Some(sent.await.ok()?.sequence)
    }

    /// Everything in LIVE_OUT, in order.
    pub async fn shown(&self) -> Vec<Kept> {
        let stream = self.js.get_stream("LIVE_OUT").await.expect("LIVE_OUT");
        let last = stream.cached_info().state.last_sequence;
        if stream.cached_info().state.messages == 0 {
            return Vec::new();
        }
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::All,
            ..pull::OrderedConfig::default()
        };
        let reader = stream.create_consumer(config).await.expect("a consumer");
        let mut messages = reader.messages().await.expect("messages");
        let mut kept = Vec::new();
        while let Some(message) = messages.next().await {
            let message = message.expect("a message");
            let seq = message.info().expect("its place").stream_sequence;
            let room = message.subject.split('.').nth(1).unwrap_or_default();
            kept.push(Kept {
                room: room.to_owned(),
                entry: serde_json::from_slice(&message.payload).expect("an entry"),
            });
            if seq == last {
                break;
            }
        }
        kept
    }

    /// How often each text is in LIVE_OUT.
    pub async fn times_shown(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for kept in self.shown().await {
            *times.entry(kept.comment().content.clone()).or_default() += 1;
        }
        times
    }

    /// Each of these texts is in LIVE_OUT, and nothing is there twice.
    pub async fn each_once(&self, contents: &[String]) {
        let times = self.times_shown().await;
        let twice: Vec<_> = times.iter().filter(|(_, n)| **n > 1).collect();
        assert!(twice.is_empty(), "shown more than once: {twice:?}");
        let lost: Vec<_> = contents
            .iter()
            .filter(|c| !times.contains_key(*c))
            .collect();
        assert!(lost.is_empty(), "{} are lost: {lost:?}", lost.len());
    }

    pub async fn messages(&self, stream: &str) -> u64 {
        let stream = self.js.get_stream(stream).await;
        stream.expect("a stream").cached_info().state.messages
    }

    /// Waits until nobody has anything left to do.
    pub async fn inbox_empty(&self) {
        until("LIVE_IN to be empty", || async {
            self.messages("LIVE_IN").await == 0
        })
        .await;
    }

    /// Takes comments off the consumer as a worker does that then dies over them.
    pub async fn take_and_die(&self, n: usize) -> Vec<jetstream::Message> {
        let stream = self.js.get_stream("LIVE_IN").await.expect("LIVE_IN");
        let workers = stream.get_consumer::<pull::Config>("workers").await;
        let batch = workers
            .expect("the consumer")
            .batch()
            .max_messages(n)
            .expires(Duration::from_secs(2))
            .messages()
            .await
            .expect("messages");
        batch.map(|m| m.expect("a message")).collect().await
    }
}

// === impl Kept ===

impl Kept {
    pub fn comment(&self) -> &Shown {
        match &self.entry {
            Entry::Comment(shown) => shown,
            Entry::Recall(recall) => panic!("a recall: {recall:?}"),
        }
    }
}

// === impl Worker ===

impl Worker {
    pub fn start(url: &str, spec: &LiveSpec) -> Self {
        Self::start_in(Tree::default(), url, spec)
    }

    /// One whose actors can be made to fail.
    pub fn with_chaos(url: &str, spec: &LiveSpec) -> Self {
        Self::start_in(Tree::with_chaos(), url, spec)
    }

    fn start_in(tree: Tree, url: &str, spec: &LiveSpec) -> Self {
        let tree = Arc::new(tree);
        let live = Live::start(&settings(url), &Arc::new(spec.clone()), &tree);
        Self {
            live: live.expect("a lane"),
            tree,
        }
    }

    pub fn status(&self) -> &LiveStatus {
        self.live.status()
    }

    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    pub fn count(&self, class: Class) -> Snapshot {
        self.status().tally.snapshot(class)
    }

    /// Ends it in order, and returns what it counted. Every class adds up.
    pub async fn stop(self) -> BTreeMap<&'static str, Snapshot> {
        // Those that there are before the stop: what begins again while it is to end is a failure as well.
        let parts = self.tree.children();
        let counts = self.stop_after_failures().await;
        let restarts: Vec<_> = parts.iter().map(|c| c.restarts()).collect();
        assert!(
            restarts.iter().all(|n| *n == 0),
            "a part failed: {restarts:?}"
        );
        counts
    }

    /// The same where parts were made to fail.
    pub async fn stop_after_failures(self) -> BTreeMap<&'static str, Snapshot> {
        let tally = Arc::clone(&self.status().tally);
        self.live.stop().await;
        let all = Class::ALL.map(|c| (c.name(), tally.snapshot(c)));
        for (class, counts) in &all {
            assert_eq!(counts.pending(), 0, "{class}: {counts:?}");
            assert_eq!(counts.received, counts.resolved(), "{class}: {counts:?}");
        }
        all.into()
    }
}
