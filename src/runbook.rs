//! What an operator may be told, and the section of `deploy/RUNBOOK.md` that says what to do.
//!
//! Promises: every refusal and every alarm that the code can print holds one of the fragments below, every fragment is
//! of some message, and every section here has its heading there (`tests/runbook.rs` reads the sources for all three).
//! A fragment is fixed text of a message, so that a message is known again once its values are in it.

/// A section of the runbook.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its heading, which is also its anchor.
    pub id: &'static str,
    /// What the messages that belong to it hold.
    pub says: &'static [&'static str],
}

/// The section that a message belongs to; the first of them where it is told within another message.
pub fn section(message: &str) -> Option<&'static str> {
    let holds = |s: &&Section| s.says.iter().any(|part| message.contains(part));
    SECTIONS.iter().find(holds).map(|s| s.id)
}

const fn on(id: &'static str, says: &'static [&'static str]) -> Section {
    Section { id, says }
}

/// Causes stand before the messages that tell of them (`an operator must act: …`).
pub const SECTIONS: &[Section] = &[
    // A branch halts: the topic.
    on(
        "topic-made-anew",
        &[
            "was made anew while it was read",
            "was made anew (id ",
            "so it was made anew, and its offsets mean other things",
            "the topic was made anew, so raise the epoch in",
            "below the committed offset",
            "the topic was made anew, and this is a letter of",
        ],
    ),
    on(
        "epoch-contradicts",
        &[
            "it is raised only when the topic is made anew",
            "its old records would get new versions: set epoch =",
            ": Redis is at epoch ",
        ],
    ),
    on(
        "version-from-nowhere",
        &["which no record of this topic has"],
    ),
    on(
        "partition-count",
        &[
            "keys would move between partitions and their versions",
            "so keys have moved",
            "keys would be placed otherwise than before",
        ],
    ),
    on(
        "wrong-partition",
        &[
            "its key belongs to partition ",
            "the producer places keys otherwise",
        ],
    ),
    on(
        "log-ran-away",
        &[
            "the log no longer holds the offset to read from",
            "or the sink lost more than the log still holds",
        ],
    ),
    on(
        "behind-retention",
        &["records behind, the last one acknowledged was"],
    ),
    on(
        "too-many-rejected",
        &[
            "That is a mapping or a spec that is wrong",
            "records could not be decoded; the last one",
        ],
    ),
    on(
        "topic-missing",
        &[
            "is not there: create it with",
            "make it with `twolane topics apply`",
        ],
    ),
    on(
        "schema-missing",
        &[
            "is in Avro with a schema registry: set schema_registry.url",
            "register it with `twolane topics apply`",
            "records wait for schema ",
        ],
    ),
    // A branch halts: its sink.
    on(
        "index-gone",
        &[
            "and the index behind it are gone, with every row in it",
            "and no index behind it: run the pipeline",
        ],
    ),
    on(
        "index-replaced",
        &["is another one (", "changed at each of "],
    ),
    on(
        "index-not-ours",
        &[
            "give this pipeline an index of its own",
            "was not made by twolane",
            "is an index, and this sink wants an alias",
            "is neither an alias nor free",
            "exists, but alias ",
        ],
    ),
    on(
        "alias-unclear",
        &[
            "points to several indices",
            "does not point to exactly one index",
            "has a filter of its own",
            "the alias lacked its filter or was not writable",
        ],
    ),
    on(
        "mapping-refused",
        &[
            "disagrees with the pipeline's",
            "with the pipeline's mapping (",
            "does not add the pipeline's fields",
            "the pipeline's mapping cannot be used",
            "a name that Elasticsearch keeps for itself",
            "is not brought up to the pipeline's spec yet",
            "updated the mapping; rows written before",
        ],
    ),
    on(
        "elasticsearch-away",
        &[
            "Elasticsearch at ",
            "no trusted connection to Elasticsearch",
            "which Elasticsearch does not: correct elasticsearch.url",
        ],
    ),
    on(
        "redis-unfit",
        &[
            "its scripts cannot say what they need before Redis 7.0",
            "leads to a Redis Cluster",
            "so it may throw away documents",
            "says what the server's maxmemory-policy is",
            "must begin with a text of its own",
            "is no address of Redis",
            "leads to a replica, which takes no writes",
            "that the script does not give",
        ],
    ),
    on(
        "redis-forgot",
        &[
            "the sink has forgotten acknowledged writes",
            "or has forgotten it: run the pipeline",
            "under epoch {epoch} still: run the pipeline",
        ],
    ),
    on(
        "redis-away",
        &[
            ": Redis answered ",
            "Redis did not answer within",
            "redis.password",
            "redis.ca_file",
        ],
    ),
    // A branch runs, and is not well.
    on(
        "not-progressing",
        &[
            "running but not progressing",
            "not progressing for ",
            "no longer stuck",
        ],
    ),
    on(
        "not-searchable",
        &["is not found by a search: see the index's refresh_interval"],
    ),
    on(
        "dead-letters",
        &[
            "dead letter: ",
            "the dead-letter topic does not take it",
            "dead letters cannot be looked at: ",
            "becomes a repair (not available yet)",
            "it is not in the topic any more",
        ],
    ),
    on(
        "truncated",
        &["the table was truncated, and no document was deleted"],
    ),
    on("tombstones-stay", &["tombstones not removed"]),
    on(
        "not-committed",
        &[
            "not drained in time",
            "not committed: ",
            "committing: ",
            "rewinding to the watermark",
            "others may have its partitions",
        ],
    ),
    on(
        "kafka-away",
        &[
            "Kafka at ",
            "kafka client: ",
            "consuming: ",
            "seeking: ",
            "pausing: ",
            "rebalancing: ",
            "giving up partitions: ",
            "former pollers block",
            "a former poller stays in the group",
            "Kafka's producer cannot go on and is made anew",
            "cannot begin yet: ",
        ],
    ),
    // Actors.
    on(
        "actor-restarts",
        &[
            "stalled: ",
            "gives up: ",
            "ended, and not to be made anew",
            "a supervisor gave up",
        ],
    ),
    on(
        "actor-left-behind",
        &[
            "left behind, since it blocks its thread",
            "no thread in its place",
            "no thread can be started",
        ],
    ),
    on("fault-in-twolane", &["this is a fault in twolane"]),
    on(
        "failures-on-demand",
        &[
            "a failure is planned",
            "no failure is planned any more",
            "frozen, as planned",
        ],
    ),
    // The live lane.
    on(
        "nats-away",
        &[
            "NATS could not be reached in",
            "the connection to NATS is lost",
            "NATS: ",
            "its thread has ended: it will never hold",
            "are tried again: ",
            "is tried again: ",
            "the server does not answer (",
            "comments wait, and are tried again",
            "the moderators' decisions are read again",
            "no history: ",
            "the settings under [nats] make no connection",
        ],
    ),
    on("stream-refused", &["the live lane: "]),
    on(
        "users-refused",
        &[
            "cannot be answered: ",
            "an answer about a user could not be sent",
        ],
    ),
    on(
        "live-overloaded",
        &[
            "too much to do: likes are shed",
            "messages come faster than they are taken",
        ],
    ),
    on(
        "live-dead-comments",
        &[
            "a comment is a dead letter",
            "the room failed over a comment",
            "LIVE_OUT keeps too little to say",
            "an advisory of another consumer",
            "an advisory that cannot be read",
        ],
    ),
    on(
        "live-without-redis",
        &[
            "the live lane goes on without Redis",
            "Redis has lost likes that it had acknowledged",
            "a window of likes is given up after hours",
            "likes could not be added before the end",
        ],
    ),
    on(
        "moderation-audit",
        &["is not in the audit: ", "is not heeded: "],
    ),
    on(
        "not-drained",
        &[
            "comments are still in hand, and will be delivered again",
            "the last acknowledgements may be lost",
            "is not done within ",
            "sockets are cut off after",
            "the ingest ends while Kafka has not acknowledged everything",
        ],
    ),
    // The gateway and the ingest.
    on(
        "gateway-rooms",
        &[
            "the rooms' thread has ended: nobody can join",
            "the room ended under ",
            "what the feed left out cannot be had",
            "the room opens without its history",
        ],
    ),
    on(
        "ingest-refused",
        &["ingest: ", "the broker refuses the event"],
    ),
    // What an operator asked for.
    on(
        "rewind-refused",
        &[
            "no partition is named",
            "has partitions 0 to ",
            "is not in the log, which holds ",
            ": plan again",
            "has members, and no process that was asked is one",
            "was turned back before that",
            "the group has committed nothing yet",
            "the log begins at ",
            "the log holds ",
            "is forward of the committed offset",
            "turned back by an operator",
            "not turned back: ",
        ],
    ),
    on(
        "reload-refused",
        &[
            "not reloaded: ",
            "differs from what this process runs with, and needs a restart",
        ],
    ),
    on("audit-unwritable", &["the audit log"]),
    // The process.
    on(
        "settings-wrong",
        &[
            "make no client: ",
            "make no producer: ",
            "there is no gateway: set gateway.listen",
            "there is no ingest: set ingest.listen",
            "there is no live lane: it is described by",
            "no file in ",
            "the settings say nothing of tokens",
            "the gateway: ",
        ],
    ),
    on(
        "admin-away",
        &[
            "the admin address is not served any more",
            "and is this its admin.listen?",
            "the ingest is not served any more",
        ],
    ),
    // Whatever the cause, and where it is none of these.
    on(
        "operator-must-act",
        &["an operator must act: ", "not ready: "],
    ),
    on("halted", &["halted: resume it with POST"]),
    on("sink-retries", &["; trying again"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_leads_to_the_section_of_its_cause() {
        for (message, id) in [
            (
                "an operator must act: topic t is not there: create it with 4 partitions",
                Some("topic-missing"),
            ),
            (
                "not ready, an operator must act: something new",
                Some("operator-must-act"),
            ),
            (
                "topic t was made anew (id a is now b): raise `epoch` in t.toml, then restart",
                Some("topic-made-anew"),
            ),
            ("nothing of the kind", None),
        ] {
            assert_eq!(section(message), id, "{message}");
        }
    }
}
