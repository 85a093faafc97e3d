//! Every key of a pipeline spec, declared once.

use crate::config::read::{Field, Kind};

/// The keys outside of `[[sink]]`.
pub(crate) static PIPELINE: [Field; 8] = [
    Field::new("topic", Kind::Text, "The topic that it reads, by its spec's `name`.").required("\"app.app.user_profile\""),
    Field::new(
        "sink",
        Kind::Sections,
        "Where the documents go; each is a branch with a consumer group of its own, `<pipeline>.<sink>`.",
    ),
    Field::new(
        "document.rename",
        Kind::Map { scalars: false },
        "Columns that have another name in the document.",
    )
    .example("{ due_at = \"dueDate\" }"),
    Field::new("document.omit", Kind::List, "Columns that no document holds.").example("[\"password_hash\"]"),
    Field::new(
        "document.mask",
        Kind::Map { scalars: false },
        "Columns whose values are hidden: `redact` (`***`), `last4` (`***` and the last four characters, where there are more than eight) or `sha256` (in hex: equal values stay equal). NULL stays NULL.",
    )
    .example("{ phone = \"last4\" }"),
    Field::new(
        "document.decimals",
        Kind::Choice(&["string", "number"]),
        "What a decimal is in the document: a string, which every reader keeps exactly, or a number of the same digits, which many readers round to 15 of them.",
    )
    .default("string"),
    // A crash loop of one restart every 12 s is not going to heal itself.
    Field::new(
        "supervise.max_restarts",
        Kind::integer(0, 1_000),
        "How often an actor may be restarted `within` the window before the failure escalates.",
    )
    .default("5"),
    Field::new("supervise.within", Kind::millis(1_000, 86_400_000), "The window.").default("60s"),
];

/// The keys of every `[[sink]]`.
pub(crate) static SINK: [Field; 8] = [
    Field::new("type", Kind::Choice(&["elasticsearch", "redis"]), "What it is.").required("\"elasticsearch\""),
    Field::new("name", Kind::Text, "The branch's name within the pipeline; the type where absent."),
    Field::new(
        "deletes",
        Kind::Choice(&["tombstone", "hard"]),
        "What a delete leaves: its version until `horizon` (`tombstone`; in Elasticsearch a document that the alias hides, in Redis a key beside), or nothing (`hard`), which lets an older write that comes late bring the row back.",
    )
    .default("tombstone"),
    // A repair or a replay must happen before what it would collide with is forgotten: a week has a weekend in it.
    Field::new(
        "horizon",
        Kind::millis(1_000, 31_536_000_000),
        "How long what was deleted keeps its version, so that no older change brings it back.",
    )
    .default("7d"),
    // One a core of a small machine, leaving the sink its share.
    Field::new("workers", Kind::integer(1, 64), "Worker actors, each on a thread of its own.").default("2"),
    // One is being written while the next is encoded.
    Field::new("in_flight", Kind::integer(1, 64), "Requests that one worker keeps in flight at the most; fewer while its server cannot keep up.").default("2"),
    // 16,000 records of 750 bytes, a third of a second at full speed: enough for all requests in flight and the next. With
    // 24 MiB neither sink was quicker (`bench sync`).
    Field::new(
        "buffer_bytes",
        Kind::size(1 << 20, 1 << 30),
        "The most bytes of records from poll to resolution.",
    )
    .default("12MiB"),
    Field::new(
        "alone_deadline",
        Kind::millis(1_000, 86_400_000),
        "How long a server error that hits one document alone is retried before that document is a dead letter.",
    )
    .default("10m"),
];

/// The further keys of `type = "elasticsearch"`.
pub(crate) static ELASTICSEARCH: [Field; 5] = [
    Field::new(
        "index",
        Kind::Text,
        "The alias that readers use; the index behind it is `<alias>-v1`.",
    )
    .required("\"user_profile\""),
    Field::new(
        "mapping",
        Kind::Path,
        "A JSON file with the index's mapping, from this folder; or the body of an index with `settings` and `mappings`; derived from the declared columns where absent. `_deleted` and `_deleted_at` are added to it.",
    )
    .example("\"user_profile.mapping.json\""),
    // Past 2,000 the server's throughput no longer grows, and a retry repeats more.
    Field::new("batch_documents", Kind::integer(1, 100_000), "The most documents in one request.").default("2000"),
    // 2,000 documents of 4 KiB; Elasticsearch itself takes 100 MB.
    Field::new(
        "batch_bytes",
        Kind::size(1 << 10, 64 << 20),
        "The most bytes in one request; no more than `buffer_bytes`.",
    )
    .default("8MiB"),
    // Loaded, batches fill in less; idle, it is the whole cost in freshness.
    Field::new(
        "linger",
        Kind::millis(0, 10_000),
        "How long a document may wait for others to share its request.",
    )
    .default("5ms"),
];

/// The further keys of `type = "redis"`.
pub(crate) static REDIS: [Field; 6] = [
    Field::new(
        "key",
        Kind::Text,
        "The key's template: a prefix of its own, then every column of the topic's key once, as in `profile:{id}`.",
    )
    .required("\"profile:{id}\""),
    Field::new(
        "shape",
        Kind::Choice(&["hash", "string"]),
        "What a row becomes: a `hash` of its columns, or a `string` with the document's JSON.",
    )
    .default("hash"),
    Field::new(
        "ttl",
        Kind::millis(1_000, 315_360_000_000),
        "How long a row's key lives after its last write; for ever where absent.",
    )
    .example("\"30d\""),
    // One pipeline of 500 scripts keeps the single-threaded server from others for about 2 ms.
    Field::new("batch_documents", Kind::integer(1, 100_000), "The most documents in one pipeline of commands.").default("500"),
    // 500 documents of 4 KiB.
    Field::new(
        "batch_bytes",
        Kind::size(1 << 10, 64 << 20),
        "The most bytes in one pipeline of commands; no more than `buffer_bytes`.",
    )
    .default("2MiB"),
    Field::new(
        "linger",
        Kind::millis(0, 10_000),
        "How long a document may wait for others to share its pipeline of commands.",
    )
    .default("1ms"),
];
