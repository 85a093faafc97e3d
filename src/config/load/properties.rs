//! Which librdkafka properties an operator may not set, and why: each would undo a promise of the lane or
//! say a second time what a setting says.

use crate::config::read::Entry;
use crate::config::{GroupProtocol, Problems};

/// Properties that are refused, with the reason and what to do instead.
const REFUSED: [(&str, &str); 38] = [
    (
        "enable.auto.commit",
        "the lane commits a partition's watermark itself, once everything below it is resolved",
    ),
    (
        "auto.commit.enable",
        "the lane commits a partition's watermark itself, once everything below it is resolved",
    ),
    (
        "auto.commit.interval.ms",
        "the lane commits a partition's watermark itself, once everything below it is resolved",
    ),
    (
        "enable.auto.offset.store",
        "the lane stores an offset only once everything below it is resolved",
    ),
    (
        "auto.offset.reset",
        "a lost offset must stop a branch, and not skip or repeat the log silently",
    ),
    ("offset.store.method", "offsets are kept in the group"),
    (
        "isolation.level",
        "records of aborted transactions are not changes",
    ),
    (
        "enable.idempotence",
        "a dead letter must be written once and in order",
    ),
    (
        "acks",
        "a dead letter counts only when every in-sync replica has it",
    ),
    (
        "request.required.acks",
        "a dead letter counts only when every in-sync replica has it",
    ),
    (
        "transactional.id",
        "the lane's producer is idempotent, and not transactional",
    ),
    (
        "partitioner",
        "a key is placed as Java's producer places it, and the lane checks every record against that",
    ),
    ("queue.buffering.max.messages", "set produce.queue_records"),
    ("queue.buffering.max.kbytes", "set produce.queue_bytes"),
    (
        "message.timeout.ms",
        "set produce.timeout or ingest.timeout",
    ),
    (
        "delivery.timeout.ms",
        "set produce.timeout or ingest.timeout",
    ),
    (
        "message.max.bytes",
        "the topic's own max.message.bytes is the limit",
    ),
    (
        "enable.gapless.guarantee",
        "a record that was given up must not end the producer",
    ),
    (
        "enable.partition.eof",
        "the lane asks for the end of a partition where it needs it",
    ),
    (
        "allow.auto.create.topics",
        "a topic is made from its spec, with its partitions and epoch",
    ),
    ("group.id", "each branch has the group <pipeline>.<sink>"),
    ("group.protocol", "set kafka.group_protocol"),
    (
        "group.protocol.type",
        "the lane's groups are consumer groups",
    ),
    (
        "partition.assignment.strategy",
        "\"classic\" is always cooperative-sticky, and with \"consumer\" the broker assigns",
    ),
    ("bootstrap.servers", "set kafka.brokers"),
    ("metadata.broker.list", "set kafka.brokers"),
    ("security.protocol", "set kafka.security_protocol"),
    ("sasl.mechanism", "set kafka.sasl_mechanism"),
    ("sasl.mechanisms", "set kafka.sasl_mechanism"),
    ("sasl.username", "set kafka.username"),
    ("sasl.password", "set kafka.password or kafka.password_file"),
    ("ssl.ca.location", "set kafka.ca_file"),
    ("session.timeout.ms", "set kafka.session_timeout"),
    ("queued.max.messages.kbytes", "set kafka.queue_bytes"),
    (
        "max.poll.interval.ms",
        "the lane polls all the time, and pauses what it cannot take",
    ),
    (
        "enable.ssl.certificate.verification",
        "give the authority in kafka.ca_file instead of trusting everyone",
    ),
    (
        "plugin.library.paths",
        "no other code is loaded into this process",
    ),
    (
        "statistics.interval.ms",
        "the lane reads its own figures: see /metrics",
    ),
];

/// Refused with KIP-848 alone: librdkafka makes no client with them.
const REFUSED_WITH_CONSUMER: [(&str, &str); 3] = [
    (
        "session.timeout.ms",
        "with group_protocol = \"consumer\" it is the broker's group.consumer.session.timeout.ms",
    ),
    (
        "heartbeat.interval.ms",
        "with group_protocol = \"consumer\" it is the broker's group.consumer.heartbeat.interval.ms",
    ),
    (
        "partition.assignment.strategy",
        "with group_protocol = \"consumer\" the broker assigns",
    ),
];

/// Refused with KIP-848 by another reason than without, or only with it.
pub(super) fn check(properties: &[Entry], protocol: GroupProtocol, problems: &mut Problems) {
    for Entry { name, .. } in properties {
        let with_protocol = match protocol {
            GroupProtocol::Consumer => &REFUSED_WITH_CONSUMER[..],
            GroupProtocol::Classic => &[],
        };
        let refused = with_protocol
            .iter()
            .chain(&REFUSED)
            .find(|(refused, _)| *refused == name.value);
        if let Some((_, reason)) = refused {
            let message = format!("{:?} in kafka.properties is refused: {reason}", name.value);
            problems.add(name.place.clone(), message);
        }
    }
}
