//! Every setting, declared once: the parser, the variables and the reference page come from this table.

use crate::config::read::{Field, Kind};

/// Every setting.
pub(crate) static SETTINGS: [Field; 69] = [
    Field::new(
        "topics_dir",
        Kind::Path,
        "The folder of the topic specs. A path in a file starts from that file's folder, one in a variable from the working directory.",
    )
    .default("topics"),
    Field::new("pipelines_dir", Kind::Path, "The folder of the pipeline specs.").default("pipelines"),
    // A worker's batch in flight is answered within the sinks' own deadlines; a stop that takes longer is cut
    // off, and what it left unresolved is read again.
    Field::new(
        "shutdown",
        Kind::millis(1_000, 600_000),
        "How long a stop may wait for what is in flight. What is cut off is read again at the next start.",
    )
    .default("20s"),
    Field::new("kafka.brokers", Kind::Text, "The brokers as `host:port`, separated by commas.")
        .default("127.0.0.1:9092"),
    // Every broker knows it; KIP-848 needs 4.0.
    Field::new(
        "kafka.group_protocol",
        Kind::Choice(&["classic", "consumer"]),
        "The rebalance protocol: `classic` (cooperative-sticky), which every broker knows, or `consumer` (KIP-848, brokers from 4.0 on).",
    )
    .default("classic"),
    // Below 6 s brokers refuse by default (`group.min.session.timeout.ms`), above 30 min as well; past 5 min a
    // killed process' partitions would stand still longer than anybody wants.
    Field::new(
        "kafka.session_timeout",
        Kind::millis(6_000, 300_000),
        "How soon the partitions of a killed process go to others. Only with `group_protocol = \"classic\"`: in the other protocol it is the broker's `group.consumer.session.timeout.ms`.",
    )
    .default("10s"),
    Field::new(
        "kafka.security_protocol",
        Kind::Choice(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]),
        "How the brokers are spoken to.",
    )
    .default("plaintext"),
    Field::new(
        "kafka.sasl_mechanism",
        Kind::Choice(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        "How the user proves itself, with a `sasl_…` protocol.",
    ),
    Field::new("kafka.username", Kind::Text, "The user, with a `sasl_…` protocol."),
    Field::new("kafka.password", Kind::Secret, "Its password."),
    Field::new("kafka.password_file", Kind::Path, "A file that holds the password, instead of it."),
    Field::new(
        "kafka.ca_file",
        Kind::Path,
        "A PEM file with the authorities to trust, with `ssl` or `sasl_ssl`; the system's where absent.",
    ),
    // Rule 13: what the client holds beside the 24 MiB of a branch.
    Field::new(
        "kafka.queue_bytes",
        Kind::size(1 << 20, 1 << 30),
        "The most memory for records fetched ahead, for each branch.",
    )
    .default("16MiB"),
    Field::new(
        "kafka.properties",
        Kind::Map { scalars: true },
        "Further librdkafka properties, such as `\"client.rack\" = \"a\"`; in a variable as `name=value;name=value`. Those that would break a promise are refused.",
    )
    .example("{ \"client.rack\" = \"a\" }"),
    Field::new("elasticsearch.url", Kind::Text, "The address, without credentials.").default("http://127.0.0.1:9200"),
    Field::new("elasticsearch.username", Kind::Text, "The user."),
    Field::new("elasticsearch.password", Kind::Secret, "Its password."),
    Field::new("elasticsearch.password_file", Kind::Path, "A file that holds the password, instead of it."),
    Field::new(
        "elasticsearch.api_key",
        Kind::Secret,
        "An API key in its encoded form (`id:key` in base64), instead of user and password.",
    ),
    Field::new("elasticsearch.api_key_file", Kind::Path, "A file that holds the API key, instead of it."),
    Field::new(
        "elasticsearch.ca_file",
        Kind::Path,
        "A PEM file with the authority to trust, with `https://`; the system's where absent.",
    ),
    // A bulk of 2,000 documents takes well under a second; a server that takes 30 s is not answering.
    Field::new(
        "elasticsearch.timeout",
        Kind::millis(1_000, 600_000),
        "How long one request may take before it is tried again.",
    )
    .default("30s"),
    Field::new(
        "redis.url",
        Kind::Text,
        "The address as `redis://host:port/db`, or `rediss://` for TLS, without credentials.",
    )
    .default("redis://127.0.0.1:6379/0"),
    Field::new("redis.username", Kind::Text, "The user, where ACLs are used."),
    Field::new("redis.password", Kind::Secret, "The password."),
    Field::new("redis.password_file", Kind::Path, "A file that holds the password, instead of it."),
    Field::new(
        "redis.ca_file",
        Kind::Path,
        "A PEM file with the authority to trust, with `rediss://`; the system's where absent.",
    ),
    // A pipeline of 500 scripts takes milliseconds; a save or a failover may stall it for seconds.
    Field::new(
        "redis.timeout",
        Kind::millis(100, 600_000),
        "How long one pipeline of commands may take before it is tried again.",
    )
    .default("5s"),
    Field::new(
        "nats.url",
        Kind::Text,
        "The servers as `nats://host:port`, or `tls://` for TLS, separated by commas, without credentials.",
    )
    .default("nats://127.0.0.1:4222"),
    Field::new("nats.username", Kind::Text, "The worker's user. Nobody else may be a static user of its account."),
    Field::new("nats.password", Kind::Secret, "Its password."),
    Field::new("nats.password_file", Kind::Path, "A file that holds the password, instead of it."),
    Field::new(
        "nats.ca_file",
        Kind::Path,
        "A PEM file with the authority to trust, with `tls://`; the system's where absent.",
    ),
    // A publish is acknowledged within milliseconds; a server that takes 5 s is away, or restarting.
    Field::new(
        "nats.timeout",
        Kind::millis(100, 600_000),
        "How long a request to the server may take before it is tried again.",
    )
    .default("5s"),
    // No default: a token that says itself how it is to be checked is how tokens are forged.
    Field::new(
        "live.auth.algorithm",
        Kind::Choice(&["HS256", "RS256", "ES256", "EdDSA"]),
        "The one algorithm that users' tokens (JWT) are signed with; a token that names another is refused.",
    ),
    Field::new(
        "live.auth.key",
        Kind::Secret,
        "The key that tokens are signed and checked with, with `HS256`: at least 32 bytes.",
    ),
    Field::new(
        "live.auth.key_file",
        Kind::Path,
        "A file that holds the key instead: its one line with `HS256`, else the public key in PEM.",
    ),
    Field::new("live.auth.issuer", Kind::Text, "What a token's `iss` must be: who signs them.").example("\"https://id.example\""),
    Field::new("live.auth.audience", Kind::Text, "What a token's `aud` must hold.").default("twolane"),
    // Without it no process answers, and the server refuses everyone but the static users.
    Field::new(
        "live.callout.issuer_seed",
        Kind::Secret,
        "The seed (`SA…`) of the account key that the server's `auth_callout.issuer` names. A process that has it answers the server's question who a user is and what he may do.",
    ),
    Field::new("live.callout.issuer_seed_file", Kind::Path, "A file that holds the seed, instead of it."),
    Field::new(
        "live.callout.account",
        Kind::Text,
        "The server's account that users are placed in. It is not the workers', and has no JetStream: what a user names as reply stays in it.",
    )
    .default("USERS"),
    Field::new(
        "live.callout.services_account",
        Kind::Text,
        "The server's account that services are placed in: whoever has a token with `notify`, and may notify users. It is the workers', since what they publish is stored there; such a token is for trusted programs.",
    )
    .default("LIVE"),
    Field::new(
        "live.callout.xkey_seed",
        Kind::Secret,
        "The seed (`SX…`) of the key that the server's `auth_callout.xkey` names, where it has one: questions and answers are encrypted then.",
    ),
    Field::new("live.callout.xkey_seed_file", Kind::Path, "A file that holds that seed, instead of it."),
    Field::new(
        "live.callout.username",
        Kind::Text,
        "The user of `auth_callout.account` that is asked; the worker's own user where absent.",
    ),
    Field::new("live.callout.password", Kind::Secret, "Its password."),
    Field::new("live.callout.password_file", Kind::Path, "A file that holds the password, instead of it."),
    Field::new(
        "schema_registry.url",
        Kind::Text,
        "The address of a schema registry (Confluent's API), without credentials; for topics in Avro.",
    )
    .example("\"http://127.0.0.1:8081\""),
    Field::new("schema_registry.username", Kind::Text, "The user."),
    Field::new("schema_registry.password", Kind::Secret, "Its password."),
    Field::new(
        "schema_registry.password_file",
        Kind::Path,
        "A file that holds the password, instead of it.",
    ),
    Field::new(
        "schema_registry.ca_file",
        Kind::Path,
        "A PEM file with the authority to trust, with `https://`; the system's where absent.",
    ),
    // A schema is a few kilobytes from a server's memory.
    Field::new(
        "schema_registry.timeout",
        Kind::millis(100, 600_000),
        "How long one request may take before it is tried again.",
    )
    .default("5s"),
    // Some 40,000 records of 750 bytes: enough for full batches to every broker, and little enough that whoever
    // waits for room waits for moments.
    Field::new(
        "produce.queue_bytes",
        Kind::size(1 << 20, 1 << 30),
        "The most memory for records that Kafka has not acknowledged yet (of `twolane produce`, and of the ingest). Full, it makes whoever sends wait.",
    )
    .default("32MiB"),
    // Below 100 nothing is left of batches; librdkafka itself takes at most 10,000,000.
    Field::new(
        "produce.queue_records",
        Kind::integer(100, 1_000_000),
        "The most records that Kafka has not acknowledged yet.",
    )
    .default("100000"),
    // A broker's restart takes some seconds, a leader's election up to ten.
    Field::new(
        "produce.timeout",
        Kind::millis(1_000, 600_000),
        "How long a record may wait for Kafka's acknowledgement before `twolane produce` gives it up; in the ingest it is `ingest.timeout`.",
    )
    .default("60s"),
    Field::new(
        "ingest.listen",
        Kind::Address,
        "Where events are taken over HTTP (`POST /v1/events/{topic}`). Without it they are not. It speaks no TLS: put a proxy before it that does.",
    ),
    Field::new(
        "ingest.keys_file",
        Kind::Path,
        "Who may send: a file with a line `name key` for each client, or `name key topic,topic` for one that may write to these topics alone. A key has at least 24 characters.",
    ),
    // A page view has a few hundred bytes; a batch of a thousand fits twice over.
    Field::new(
        "ingest.max_body",
        Kind::size(1 << 10, 16 << 20),
        "The most bytes of a request's body.",
    )
    .default("1MiB"),
    Field::new(
        "ingest.max_events",
        Kind::integer(1, 10_000),
        "The most events of a request.",
    )
    .default("1000"),
    // Less and a broker's election turns into refusals, more and whoever waits has given up himself.
    Field::new(
        "ingest.timeout",
        Kind::millis(1_000, 60_000),
        "How long a request's body may take to come and its records to find room, and after that each record to its acknowledgement.",
    )
    .default("10s"),
    // Of each process: see the ingest's own page.
    Field::new(
        "ingest.rate",
        Kind::integer(1, 1_000_000),
        "How many events a second one client may send to one process, evenly.",
    )
    .default("2000"),
    Field::new(
        "ingest.burst",
        Kind::integer(1, 10_000_000),
        "How many events at once; at least `ingest.max_events`.",
    )
    .default("4000"),
    // 9464 is the port that is customary for exporters. It stays on this machine unless someone decides otherwise.
    Field::new(
        "admin.listen",
        Kind::Address,
        "Where health, metrics and the admin API are served.",
    )
    .default("127.0.0.1:9464"),
    Field::new(
        "admin.token",
        Kind::Secret,
        "What a request that changes something (`POST /actors/{id}/restart`, `POST /chaos`) must carry as `Authorization: Bearer …`; at least 16 characters. Without it such requests are refused.",
    ),
    Field::new("admin.token_file", Kind::Path, "A file that holds the token, instead of it."),
    Field::new(
        "log.format",
        Kind::Choice(&["human", "json"]),
        "Log lines for people, or one JSON object a line.",
    )
    .default("human"),
    Field::new(
        "log.filter",
        Kind::Text,
        "Which log lines are written: a `tracing` filter such as `info` or `twolane=debug,info`.",
    )
    .default("info"),
];
