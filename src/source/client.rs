//! What every Kafka client of twolane has in common.

use std::sync::LazyLock;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::config::{GroupProtocol, KafkaSettings};
use crate::planted::{Bug, planted};

/// How long a member may go without polling, before it counts as gone.
const MAX_POLL: Duration = Duration::from_secs(30);

/// What a group knows this process by: the machine, or the pod, and the process. Nobody else has it at one time.
static CLIENT_ID: LazyLock<String> = LazyLock::new(|| {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.as_deref().map_or("", str::trim);
    format!("twolane-{host}-{}", std::process::id())
});

/// The `client.id` of this process's members of groups.
pub fn client_id(kafka: &KafkaSettings) -> &str {
    let given = (&kafka.properties).into_iter();
    let mut given = given.filter(|(name, _)| *name == "client.id");
    given
        .next()
        .map_or(CLIENT_ID.as_str(), |(_, id)| id.as_str())
}

/// Addresses, security, and the operator's further properties.
pub fn client_config(kafka: &KafkaSettings) -> ClientConfig {
    let mut c = ClientConfig::new();
    c.set("bootstrap.servers", &kafka.brokers)
        .set("client.id", "twolane")
        .set("allow.auto.create.topics", "false")
        .set("security.protocol", &kafka.security_protocol)
        // A broker that comes back is met within 2 s, not librdkafka's 10.
        .set("reconnect.backoff.max.ms", "2000")
        .set_log_level(RDKafkaLogLevel::Warning);
    let mut optional = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            c.set(key, value);
        }
    };
    optional("sasl.mechanism", kafka.sasl_mechanism.as_deref());
    optional("sasl.username", kafka.username.as_deref());
    optional("sasl.password", kafka.password.as_ref().map(|p| p.expose()));
    let ca = kafka.ca_file.as_ref().map(|p| p.to_string_lossy());
    optional("ssl.ca.location", ca.as_deref());
    operators(&mut c, kafka);
    c
}

/// The operator's properties win over ours; those that would break a rule were refused with the settings.
fn operators(c: &mut ClientConfig, kafka: &KafkaSettings) {
    for (key, value) in &kafka.properties {
        c.set(key, value);
    }
}

/// A member of `group`. Offsets are stored by hand, once they are resolved, and a partition without a
/// committed offset is an error: the first start commits one for every partition.
pub fn consumer_config(kafka: &KafkaSettings, group: &str) -> ClientConfig {
    let reset = if planted(Bug::ResetToLatest) {
        "latest"
    } else {
        "error"
    };
    let mut c = client_config(kafka);
    c.set("group.id", group)
        .set("client.id", client_id(kafka))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", reset)
        .set(
            "queued.max.messages.kbytes",
            (kafka.queue_bytes / 1024).max(1).to_string(),
        )
        // Fetch ahead as far as the bytes allow, whatever the number of records.
        .set("queued.min.messages", "200000")
        // One response is at most an eighth of that queue: the default of 50 MiB would pass it at once, and it is counted
        // as it comes, so that what is unpacked from it may be several times as much. A larger record still comes alone.
        .set(
            "fetch.max.bytes",
            (kafka.queue_bytes / 8).max(1 << 20).to_string(),
        )
        // Tells a log that is read from one whose last offset is a transaction's marker.
        .set("enable.partition.eof", "true")
        // Small when caught up, so that a change is fetched at once.
        .set("fetch.min.bytes", "1")
        // A poller that is blocked for good leaves its group by then, so that its successor gets the partitions. What
        // blocks it in order (a seek, a drain) takes at most half of it; it must not lie below the session timeout.
        .set(
            "max.poll.interval.ms",
            kafka.session_timeout.max(MAX_POLL).as_millis().to_string(),
        )
        // A full queue is looked at again soon: the default of 1 s caps a branch at its queue's bytes a second.
        .set("fetch.queue.backoff.ms", "10");
    match kafka.group_protocol {
        GroupProtocol::Classic => c
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set(
                "session.timeout.ms",
                kafka.session_timeout.as_millis().to_string(),
            )
            .set(
                "heartbeat.interval.ms",
                (kafka.session_timeout.as_millis() / 10).to_string(),
            ),
        GroupProtocol::Consumer => c.set("group.protocol", "consumer"),
    };
    operators(&mut c, kafka);
    c
}
