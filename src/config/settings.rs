//! The settings file and `TWOLANE_…` variables: where the servers are and how to talk to them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Secret;

/// Everything that is not a topic or a pipeline.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Kafka.
    pub kafka: KafkaSettings,
    /// Elasticsearch.
    pub elasticsearch: ElasticsearchSettings,
    /// Redis.
    pub redis: RedisSettings,
    /// The schema registry, where there is one.
    pub schema_registry: Option<SchemaRegistrySettings>,
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

/// The admin address.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// Where it listens; loopback unless configured.
    pub listen: SocketAddr,
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
