//! The settings file and `TWOLANE_…` variables: where the servers are and how to talk to them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::{RateSpec, Secret};

/// Everything that is not a topic or a pipeline.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Kafka.
    pub kafka: KafkaSettings,
    /// Elasticsearch.
    pub elasticsearch: ElasticsearchSettings,
    /// Redis.
    pub redis: RedisSettings,
    /// NATS.
    pub nats: NatsSettings,
    /// Who may use the live lane.
    pub live: LiveSettings,
    /// The browsers' gateway, where this process runs one.
    pub gateway: Option<GatewaySettings>,
    /// The schema registry, where there is one.
    pub schema_registry: Option<SchemaRegistrySettings>,
    /// What a producer of events may hold, and for how long.
    pub produce: ProduceSettings,
    /// The HTTP ingest, where this process may serve it.
    pub ingest: Option<IngestSettings>,
    /// The admin address.
    pub admin: AdminSettings,
    /// Logs.
    pub log: LogSettings,
    /// Where the topic specs are.
    pub topics_dir: PathBuf,
    /// Where the pipeline specs are.
    pub pipelines_dir: PathBuf,
    /// How long a stop may take to drain.
    pub shutdown: Duration,
    /// How long a running branch that has records to resolve may resolve none before that is an alarm.
    pub stuck_after: Duration,
}

/// How to reach Kafka.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// The rebalance protocol.
    pub group_protocol: GroupProtocol,
    /// The classic protocol's session timeout; KIP-848's is the broker's setting.
    pub session_timeout: Duration,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security_protocol: String,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl_mechanism: Option<String>,
    /// User for SASL.
    pub username: Option<String>,
    /// Password for SASL.
    pub password: Option<Secret>,
    /// A PEM file with the authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// The most memory for records fetched ahead, in bytes, for each branch.
    pub queue_bytes: usize,
    /// Further librdkafka properties, for what is not named here.
    pub properties: Properties,
}

/// librdkafka properties by name. Any of them may be a secret (`ssl.key.password`), so `Debug` prints the
/// names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

/// Kafka's rebalance protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupProtocol {
    /// `classic`: cooperative-sticky.
    Classic,
    /// `consumer`: KIP-848.
    Consumer,
}

/// How to reach Elasticsearch.
#[derive(Debug, Clone)]
pub struct ElasticsearchSettings {
    /// Base address.
    pub url: String,
    /// User.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// An API key, as `id:key` in base64; instead of user and password.
    pub api_key: Option<Secret>,
    /// A PEM file with the authority to trust.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a search looks for one acknowledged document of a branch; zero is never.
    pub search_probe: Duration,
}

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `redis://host:port/db`, or `rediss://` for TLS, without credentials.
    pub url: String,
    /// User, where ACLs are used.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// A PEM file with the authority to trust.
    pub ca_file: Option<PathBuf>,
    /// How long one pipeline may take.
    pub timeout: Duration,
}

/// How to reach a schema registry.
#[derive(Debug, Clone)]
pub struct SchemaRegistrySettings {
    /// Base address, without credentials and without a slash at its end.
    pub url: String,
    /// User.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// A PEM file with the authority to trust.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
}

/// What a producer of events may hold, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProduceSettings {
    /// The most memory for records that Kafka has not acknowledged, in bytes.
    pub queue_bytes: usize,
    /// The most of such records.
    pub queue_records: u32,
    /// How long a record may wait for its acknowledgement before it is given up.
    pub timeout: Duration,
}

/// How events are taken over HTTP.
#[derive(Debug, Clone)]
pub struct IngestSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may send.
    pub clients: Vec<IngestClient>,
    /// The most bytes of a request's body.
    pub max_body: usize,
    /// The most events of a request.
    pub max_events: u32,
    /// How long a request may take until its records are sent, and each of them until it is acknowledged.
    pub timeout: Duration,
    /// How many events one client may send.
    pub rate: RateSpec,
}

/// Someone who may send events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestClient {
    /// As it is named in logs.
    pub name: String,
    /// What its requests carry.
    pub key: Secret,
    /// The topics that it may write to; all where there are none.
    pub topics: Vec<String>,
}

/// How to reach NATS, as a worker.
#[derive(Debug, Clone)]
pub struct NatsSettings {
    /// `nats://host:port`, or `tls://`, several separated by commas; without credentials.
    pub url: String,
    /// The worker's user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// A PEM file with the authority to trust.
    pub ca_file: Option<PathBuf>,
    /// How long a request to the server may take.
    pub timeout: Duration,
}

/// Who may use the live lane.
#[derive(Debug, Clone)]
pub struct LiveSettings {
    /// How users' tokens are checked; absent where nothing is said of them.
    pub auth: Option<TokenSettings>,
    /// How the server's questions about users are answered; absent where this process does not answer them.
    /// There is none without [`LiveSettings::auth`].
    pub callout: Option<CalloutSettings>,
}

/// How users' tokens are checked.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// The one algorithm.
    pub algorithm: TokenAlgorithm,
    /// The shared key with [`TokenAlgorithm::Hs256`], else the public key in PEM.
    pub key: Secret,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must hold.
    pub audience: String,
}

/// What tokens may be signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256: whoever checks could also sign.
    Hs256,
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// How the server's questions about users are answered.
#[derive(Debug, Clone)]
pub struct CalloutSettings {
    /// The seed of the account key that signs the answers.
    pub issuer_seed: Secret,
    /// The account that users are placed in.
    pub account: String,
    /// The account that services are placed in, whose tokens say `notify`.
    pub services_account: String,
    /// The seed of the curve key, where the server encrypts.
    pub xkey_seed: Option<Secret>,
    /// The user that is asked and its password, where it is not the worker's own.
    pub login: Option<(String, Secret)>,
}

/// The browsers' gateway.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Threads that serve sockets.
    pub workers: usize,
    /// Origins whose pages may open sockets, beside its own; in lower case, without a slash at the end.
    pub origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpAddr>,
    /// Comments that a newcomer is shown.
    pub recent: usize,
    /// The largest message of a client, in bytes.
    pub frame_bytes: usize,
    /// The most bytes that wait for one viewer.
    pub queue_bytes: usize,
    /// The most bytes that wait for all of them.
    pub queued_bytes: usize,
    /// How long the head of a request may take.
    pub handshake_timeout: Duration,
    /// How often a client is pinged.
    pub ping_interval: Duration,
    /// How long a client may say nothing; longer than [`GatewaySettings::ping_interval`].
    pub idle_timeout: Duration,
    /// Messages of a client a second, pings included.
    pub message_rate: u32,
    /// Messages of a client at once.
    pub message_burst: u32,
    /// Fragments of one message of a client.
    pub fragments: usize,
    /// Comments and requests of one client that may wait for their answers.
    pub in_flight: u8,
    /// Likes in one message.
    pub max_likes: u32,
    /// Notifications on their way to a client without its acknowledgement.
    pub unacknowledged: usize,
    /// The largest payload of a notification, in bytes.
    pub notification_bytes: usize,
    /// Kernel memory for what a socket has not taken, in bytes; Linux takes twice that.
    pub send_buffer: u32,
    /// Requests of one thread under way.
    pub requests: usize,
    /// Sockets of this process.
    pub max_connections: usize,
    /// Sockets of one user.
    pub max_per_user: usize,
    /// Sockets of one address.
    pub max_per_address: usize,
    /// Over how long a stop spreads its farewells; shorter than [`Settings::shutdown`].
    pub drain: Duration,
    /// The keys of services that may notify users.
    pub api_keys: Vec<Secret>,
    /// The gateway's user of NATS and its password, where it has one of its own.
    pub login: Option<(String, Secret)>,
}

/// The admin address.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// Where it listens; loopback unless configured.
    pub listen: SocketAddr,
    /// What requests that change something must carry; without it they are refused.
    pub token: Option<Secret>,
    /// Where each of them is noted, one JSON object a line; in the logs alone where absent.
    pub audit_file: Option<PathBuf>,
}

/// Logs.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// For people or for machines.
    pub format: LogFormat,
    /// A `tracing` filter, such as `info` or `twolane=debug,info`.
    pub filter: String,
}

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

// === impl TokenAlgorithm ===

impl TokenAlgorithm {
    /// Its name in a token's `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

// === impl NatsSettings ===

impl NatsSettings {
    /// The same server, and this login where there is one.
    fn as_user(&self, login: Option<&(String, Secret)>) -> Self {
        let mut settings = self.clone();
        if let Some((username, password)) = login {
            settings.username = Some(username.clone());
            settings.password = Some(password.clone());
        }
        settings
    }
}

// === impl CalloutSettings ===

impl CalloutSettings {
    /// How the callout's own connection logs in: as the user that is asked.
    pub fn connection(&self, worker: &NatsSettings) -> NatsSettings {
        worker.as_user(self.login.as_ref())
    }
}

// === impl GatewaySettings ===

impl GatewaySettings {
    /// How the gateway's connection logs in.
    pub fn connection(&self, worker: &NatsSettings) -> NatsSettings {
        worker.as_user(self.login.as_ref())
    }
}

// === impl Settings ===

impl Settings {
    /// The settings whose addresses do not all lie on this machine, each as `name = "address"`.
    pub fn beyond_this_machine(&self) -> Vec<String> {
        let mut beyond = Vec::new();
        for (name, addresses) in [
            ("kafka.brokers", &self.kafka.brokers),
            ("elasticsearch.url", &self.elasticsearch.url),
            ("redis.url", &self.redis.url),
            ("nats.url", &self.nats.url),
        ] {
            if !addresses.split(',').map(host).all(is_loopback) {
                beyond.push(format!("{name} = {addresses:?}"));
            }
        }
        let ingest = self.ingest.as_ref().map(|ingest| ingest.listen);
        let gateway = self.gateway.as_ref().map(|gateway| gateway.listen);
        for (name, listen) in [
            ("gateway.listen", gateway),
            ("admin.listen", Some(self.admin.listen)),
            ("ingest.listen", ingest),
        ] {
            if let Some(listen) = listen.filter(|listen| !listen.ip().is_loopback()) {
                beyond.push(format!("{name} = \"{listen}\""));
            }
        }
        beyond
    }
}

/// The host of `[scheme://]host[:port][/path]`.
fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default().trim();
    if let Some(v6) = authority.strip_prefix('[') {
        return v6.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

// === impl Properties ===

impl Properties {
    /// Properties by name; of two with one name the later holds.
    pub fn new(properties: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(properties.into_iter().collect())
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redacted = |name| (name, format_args!("[redacted]"));
        f.debug_map().entries(self.0.keys().map(redacted)).finish()
    }
}

impl<'p> IntoIterator for &'p Properties {
    type Item = (&'p String, &'p String);
    type IntoIter = std::collections::btree_map::Iter<'p, String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_this_machine() {
        for here in [
            "127.0.0.1:9092",
            "localhost:9092",
            "http://[::1]:9200/es",
            "redis://127.8.8.8/0",
        ] {
            assert!(is_loopback(host(here)), "{here}");
        }
        for beyond in [
            "kafka:9092",
            "10.0.0.1:9092",
            "https://127.0.0.1.example.com",
            "redis://[::2]:6379",
            "http://localhost.example.com:9200",
            "",
        ] {
            assert!(!is_loopback(host(beyond)), "{beyond}");
        }
    }
}
