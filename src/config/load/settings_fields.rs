//! Every setting, declared once: the parser, the variables and the reference page come from this table.

use crate::config::read::{Field, Kind};

/// Every setting.
pub(crate) static SETTINGS: [Field; 101] = [
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
    // Longer than a rebalance, a restart of a server and the longest pause between two attempts.
    Field::new(
        "stuck_after",
        Kind::millis(1_000, 3_600_000),
        "How long a running branch that has records to resolve may resolve none before that is an alarm: in the log, in `/pipelines` and as `twolane_not_progressing`.",
    )
    .default("60s"),
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
    // It is counted compressed, so that what lies unpacked is some four times as much: 20,000 records of 750 bytes, half a
    // second at full speed. With 16 MiB no sink was quicker, and a branch larger by 30 MiB (`bench sync`).
    Field::new(
        "kafka.queue_bytes",
        Kind::size(1 << 20, 1 << 30),
        "The most memory for records fetched ahead, for each branch, counted as they are fetched: compressed.",
    )
    .default("4MiB"),
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
    // Once a second is the most that a branch ever searches.
    Field::new(
        "elasticsearch.search_probe",
        Kind::millis(0, 3_600_000),
        "How often a branch looks by a search for one document that was acknowledged, to measure when it can be found; `0s` is never. An index that nobody else searches is refreshed for it: choose `0s` or minutes for a load that only writes.",
    )
    .default("10s"),
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
    // There is none unless somebody says where: it is the one address that strangers reach.
    Field::new(
        "gateway.listen",
        Kind::Address,
        "Where browsers reach the live rooms: WebSockets, the room page and notifications. Without it this process runs no gateway. It speaks plain HTTP: put a proxy with TLS in front.",
    )
    .example("\"127.0.0.1:9466\""),
    // One core holds 300,000 deliveries a second; a second thread keeps a busy room from its neighbours.
    Field::new("gateway.workers", Kind::integer(1, 64), "Threads that serve sockets.").default("2"),
    Field::new(
        "gateway.origins",
        Kind::List,
        "Origins whose pages may open sockets, beside the gateway's own; a request without `Origin` comes from no page.",
    )
    .example("[\"https://live.example\"]"),
    Field::new(
        "gateway.proxies",
        Kind::List,
        "Addresses of proxies in front: what they say in `X-Forwarded-For` counts as the client's address.",
    )
    .example("[\"10.0.0.7\"]"),
    // A screen holds some thirty comments.
    Field::new("gateway.recent", Kind::integer(1, 200), "Comments that a newcomer is shown.").default("50"),
    // A moderator's request with 500 keywords takes 64 KiB, and nothing else comes near.
    Field::new(
        "gateway.frame_bytes",
        Kind::size(1 << 10, 64 << 10),
        "The largest message that a client may send; a longer one ends its connection.",
    )
    .default("64KiB"),
    // Some three hundred comments: a phone that was away for a few seconds misses nothing.
    Field::new(
        "gateway.queue_bytes",
        Kind::size(64 << 10, 4 << 20),
        "The most that waits for one viewer who reads slowly. Past it the oldest likes, then the oldest comments, are shed and counted.",
    )
    .default("96KiB"),
    // 2,700 viewers with full queues; no more memory than that goes to those who do not read.
    Field::new(
        "gateway.queued_bytes",
        Kind::size(1 << 20, 16 << 30),
        "The most that waits for all viewers of this process together.",
    )
    .default("256MiB"),
    // A handshake is one packet; a phone on a bad line needs a second or two.
    Field::new(
        "gateway.handshake_timeout",
        Kind::millis(1_000, 60_000),
        "How long the head of a request may take to come.",
    )
    .default("5s"),
    // Proxies close what is silent for a minute.
    Field::new(
        "gateway.ping_interval",
        Kind::millis(1_000, 300_000),
        "How often a client is pinged.",
    )
    .default("20s"),
    // Three pings.
    Field::new(
        "gateway.idle_timeout",
        Kind::millis(2_000, 900_000),
        "A client from which nothing came for so long, not even a pong, is gone.",
    )
    .default("60s"),
    // A person who writes, taps and acknowledges sends four.
    Field::new(
        "gateway.message_rate",
        Kind::integer(1, 1_000),
        "Messages that a client may send a second, pings included; more of them end its connection.",
    )
    .default("20"),
    // What waited while its connection was away.
    Field::new("gateway.message_burst", Kind::integer(1, 10_000), "Messages that a client may send at once.").default("60"),
    // Browsers send none; libraries that stream send a few.
    Field::new(
        "gateway.fragments",
        Kind::integer(1, 1_000),
        "Fragments of one message of a client; more of them end its connection.",
    )
    .default("64"),
    // A person has one; a script of a moderator's a few.
    Field::new(
        "gateway.in_flight",
        Kind::integer(1, 255),
        "Comments and requests of one client that may wait for their answers; the next ones are refused.",
    )
    .default("16"),
    // Twenty times what workers take by default: theirs decides, and this one keeps nonsense off the wire.
    Field::new(
        "gateway.max_likes",
        Kind::integer(1, 10_000),
        "The most likes in one message of a client. `likes.max_per_message` in `topics/live.toml` is the workers' own limit.",
    )
    .default("1000"),
    // A client acknowledges what was seen with one message, when it likes; a page shows fewer.
    Field::new(
        "gateway.unacknowledged",
        Kind::integer(1, 10_000),
        "Notifications that are on their way to a client without its acknowledgement.",
    )
    .default("100"),
    // A phone's push message has 4 KiB, and four times that is a page of text. More than 64 KiB fits into no queue.
    Field::new(
        "gateway.notification_bytes",
        Kind::size(1 << 10, 64 << 10),
        "The largest payload of a notification.",
    )
    .default("16KiB"),
    // Left to itself it grows to megabytes a socket, and a viewer is known to be slow only when it is full.
    Field::new(
        "gateway.send_buffer",
        Kind::size(4 << 10, 4 << 20),
        "Kernel memory for what a socket has not taken; Linux takes twice that.",
    )
    .default("32KiB"),
    // Each may hold 128 KiB of head, which is actix-http's own limit: 64 MiB a thread at the worst.
    Field::new(
        "gateway.requests",
        Kind::integer(16, 100_000),
        "Requests of one thread under way, sockets that are open not among them; more wait in the listener's queue.",
    )
    .default("512"),
    Field::new(
        "gateway.max_connections",
        Kind::integer(1, 1_000_000),
        "Sockets of this process; the process needs as many open files.",
    )
    .default("20000"),
    // A desk, a laptop and a phone, with a few tabs each.
    Field::new("gateway.max_per_user", Kind::integer(1, 100_000), "Sockets of one user.").default("10"),
    // A school or an office behind one address.
    Field::new(
        "gateway.max_per_address",
        Kind::integer(1, 1_000_000),
        "Sockets of one address; of IPv6 one /64 counts as an address.",
    )
    .default("1000"),
    // Ten thousand clients that come back at once are a flood; over five seconds they are 2,000 a second.
    Field::new(
        "gateway.drain",
        Kind::millis(0, 300_000),
        "Over how long a stop spreads the farewells to its clients; shorter than `shutdown`.",
    )
    .default("5s"),
    Field::new(
        "gateway.api_keys",
        Kind::Secret,
        "The keys of services that may notify users (`POST /v1/notifications`), separated by commas; each at least 32 characters. Without one nobody may.",
    ),
    Field::new("gateway.api_keys_file", Kind::Path, "A file that holds the keys in one line, instead of them."),
    Field::new(
        "gateway.nats_username",
        Kind::Text,
        "The gateway's own user of NATS, with the permissions of deploy/live.md and no more; the worker's where absent.",
    ),
    Field::new("gateway.nats_password", Kind::Secret, "Its password."),
    Field::new("gateway.nats_password_file", Kind::Path, "A file that holds the password, instead of it."),
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
        "What a request must carry as `Authorization: Bearer …` that changes something (pause, resume, restart, replay) or shows what a dead letter holds; at least 16 characters. Without it such requests are refused.",
    ),
    Field::new("admin.token_file", Kind::Path, "A file that holds the token, instead of it."),
    Field::new(
        "admin.audit_file",
        Kind::Path,
        "The audit log: what was asked of the admin address and by `twolane dead replay`, by whom, and what became of it, one JSON object a line. It is opened anew for each line, so that logrotate may move it. While it cannot be written, nothing is done. Without it such lines are in the logs alone (target `twolane::audit`).",
    )
    .example("\"/var/log/twolane/audit.ndjson\""),
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
