//! Rooms of a test's own, as many workers as it likes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;
use twolane::config::{
    CommentSpec, InboxSpec, KeptSpec, LikeSpec, LiveSpec, OutSpec, RateSpec, RedisSettings,
    RoomSpec,
};
use twolane::live::names::{self, RoomId, UserId};
use twolane::live::room::{Outlet, Parts, Rooms, RoomsError, Verdict};
use twolane::live::streams;
use twolane::live::wire::{Comment, Entry, Reason};
use twolane::supervise::Tree;

use crate::nats::Nats;
use crate::redis_sink::Server as RedisServer;

/// How long anything may take that is waited for; generous, since the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Redis and NATS, and what the rooms are to take.
pub struct Rig {
    pub redis: RedisServer,
    pub nats: Nats,
    pub spec: LiveSpec,
}

/// The way to NATS, as a worker has it.
pub struct Way {
    pub js: jetstream::Context,
    /// The next entry that is published kills whoever publishes it.
    pub deadly: AtomicBool,
}

/// One worker's rooms.
#[derive(Clone)]
pub struct Worker {
    pub rooms: Rooms,
    pub way: Arc<Way>,
}

/// The sequence of the next comment: one stream for all workers.
static SEQUENCE: AtomicU64 = AtomicU64::new(1_000_000);

/// Runs a future on an actix system of its own.
pub fn system<T>(future: impl Future<Output = T>) -> T {
    let _ = tracing_subscriber::fmt()
        .with_test_writer()
        .with_env_filter(std::env::var("TWOLANE_TEST_LOG").unwrap_or_else(|_| "error".into()))
        .try_init();
    actix::System::new().block_on(future)
}

/// Limits that nobody meets.
pub fn spec() -> LiveSpec {
    let kept = KeptSpec {
        max_bytes: 64 << 20,
        max_age: Duration::from_secs(3600),
    };
    let plenty = RateSpec {
        count: 1_000_000,
        per: Duration::from_secs(1),
        burst: 1_000_000,
    };
    LiveSpec {
        inbox: InboxSpec {
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(3600),
            ack_wait: Duration::from_secs(5),
            max_deliver: 5,
            max_ack_pending: 1_000,
            worker_pending: 256,
        },
        out: OutSpec {
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(3600),
            max_per_room: 1_000,
            duplicate_window: Duration::from_secs(120),
        },
        dead: kept,
        audit: kept,
        notify: kept,
        comments: CommentSpec {
            max_chars: 100,
            user_rate: plenty,
            room_rate: plenty,
            keywords_file: None,
        },
        likes: LikeSpec {
            window: Duration::from_millis(100),
            max_per_message: 1_000,
            queue: 1_000_000,
        },
        rooms: RoomSpec {
            idle: Duration::from_secs(60),
            viewer_expiry: Duration::from_secs(30),
            max_rooms: 100,
        },
        file: "live.toml".into(),
    }
}

pub fn rate(count: u32, seconds: u64, burst: u32) -> RateSpec {
    RateSpec {
        count,
        per: Duration::from_secs(seconds),
        burst,
    }
}

// === impl Rig ===

impl Rig {
    /// Both servers, with the streams that rooms write to.
    pub async fn new(spec: LiveSpec) -> Self {
        let rig = Self {
            redis: RedisServer::start(&[]),
            nats: Nats::start(),
            spec,
        };
        let js = rig.connect().await;
        let made = streams::apply(&js, &rig.spec).await;
        made.expect("the streams are made");
        rig
    }

    pub async fn connect(&self) -> jetstream::Context {
        connect(&self.nats.url()).await
    }

    pub async fn worker(&self) -> Worker {
        Worker::start(self.spec.clone(), &self.redis.url(), &self.nats.url()).await
    }

    /// What moderators did, by room.
    pub async fn audit(&self, room: &RoomId) -> Vec<Value> {
        self.stored("LIVE_AUDIT", &names::audit(room)).await
    }

    /// The entries of a room.
    pub async fn entries(&self, room: &RoomId) -> Vec<Value> {
        self.stored("LIVE_OUT", &names::out(room)).await
    }

    async fn stored(&self, stream: &str, subject: &str) -> Vec<Value> {
        let js = self.connect().await;
        let stream = js.get_stream(stream).await.expect("the stream");
        let config = jetstream::consumer::pull::OrderedConfig {
            filter_subject: subject.into(),
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.expect("a consumer");
        let n = usize::try_from(consumer.cached_info().num_pending).expect("few");
        let messages = consumer.messages().await.expect("its messages");
        messages
            .take(n)
            .map(|m| serde_json::from_slice(&m.expect("a message").payload).expect("JSON"))
            .collect()
            .await
    }

    /// A room's total, and what each worker incarnation has added to it.
    pub fn totals(&self, room: &RoomId) -> (u64, Vec<u64>) {
        let key = |what: &str| format!("twolane:live:{{{room}}}:{what}");
        let total: Option<u64> = self.redis.run(&["HGET", &key("likes"), "total"]);
        let senders: Vec<String> = self.redis.run(&["KEYS", &key("from:*")]);
        let sums = senders
            .iter()
            .map(|sender| self.redis.run(&["HGET", sender, "sum"]))
            .collect();
        (total.unwrap_or(0), sums)
    }
}

pub async fn connect(url: &str) -> jetstream::Context {
    let client = async_nats::ConnectOptions::new()
        .reconnect_delay_callback(|_| Duration::from_millis(50))
        .connect(url)
        .await
        .expect("NATS can be connected to");
    let mut js = jetstream::new(client);
    js.set_timeout(Duration::from_secs(2));
    js
}

// === impl Worker ===

impl Worker {
    pub async fn start(spec: LiveSpec, redis: &str, nats: &str) -> Self {
        let way = Arc::new(Way {
            js: connect(nats).await,
            deadly: AtomicBool::new(false),
        });
        let rooms = Rooms::start(Parts {
            spec: Arc::new(spec),
            redis: RedisSettings {
                url: redis.to_owned(),
                username: None,
                password: None,
                ca_file: None,
                timeout: Duration::from_secs(2),
            },
            outlet: Arc::clone(&way) as Arc<dyn Outlet>,
            tree: Arc::new(Tree::default()),
            shutdown: Duration::from_secs(10),
        })
        .expect("rooms");
        Self { rooms, way }
    }

    /// The verdict on a comment of this sequence.
    pub async fn say_as(
        &self,
        room: &RoomId,
        user: &str,
        seq: u64,
        text: &str,
    ) -> Result<Verdict, RoomsError> {
        let comment: Comment =
            serde_json::from_value(serde_json::json!({ "content": text })).expect("a comment");
        self.rooms
            .judge(room, &self::user(user), seq, 1_000, comment)
            .await
    }

    /// `None` where it is accepted, else why not.
    pub async fn say(&self, room: &RoomId, user: &str, text: &str) -> Option<Reason> {
        let seq = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        match self.say_as(room, user, seq, text).await.expect("a verdict") {
            Verdict::Accepted(_) => None,
            Verdict::Refused(refused) => Some(refused.code),
        }
    }

    /// A moderator's request, and the answer.
    pub async fn ask(&self, room: &RoomId, request: &str) -> Value {
        let answer = self
            .rooms
            .ctl(room, &user("mod1"), request.as_bytes())
            .await;
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// A moderator's request that is done.
    pub async fn done(&self, room: &RoomId, request: &str) -> Value {
        let answer = self.ask(room, request).await;
        assert_eq!(answer["ok"], true, "{request}: {answer}");
        answer
    }
}

impl Outlet for Way {
    fn publish<'a>(
        &'a self,
        room: &'a RoomId,
        entry: &'a Entry,
        msg_id: &'a str,
    ) -> BoxFuture<'a, Result<u64, String>> {
        Box::pin(async move {
            assert!(
                !self.deadly.swap(false, Ordering::Relaxed),
                "the test wants a panic"
            );
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Nats-Msg-Id", msg_id);
            let payload = serde_json::to_vec(entry).expect("JSON");
            let sent = self
                .js
                .publish_with_headers(names::out(room), headers, payload.into())
                .await
                .map_err(|e| e.to_string())?;
            Ok(sent.await.map_err(|e| e.to_string())?.sequence)
        })
    }

    fn connection(&self) -> BoxFuture<'_, jetstream::Context> {
        Box::pin(std::future::ready(self.js.clone()))
    }
}

pub fn room(name: &str) -> RoomId {
    RoomId::new(name).expect("a room")
}

pub fn user(name: &str) -> UserId {
    UserId::new(name).expect("a user")
}

/// Waits until something holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "it never came that {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How often each verdict came.
pub fn tally(verdicts: impl IntoIterator<Item = Option<Reason>>) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for verdict in verdicts {
        let name = verdict.map_or_else(|| "accepted".to_owned(), |reason| format!("{reason:?}"));
        *tally.entry(name).or_insert(0) += 1;
    }
    tally
}
