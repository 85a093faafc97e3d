//! Every key of `topics/live.toml`, declared once.

use crate::config::read::{Field, Kind};

/// The keys of the live lane's spec. Sizes are reserved on the server's disk when a stream is made.
pub(crate) static LIVE: [Field; 30] = [
    // 1,000 comments a second of 250 bytes for 17 minutes without any worker.
    Field::new(
        "inbox.max_bytes",
        Kind::size(1 << 20, 1 << 40),
        "LIVE_IN: the most bytes of comments that wait for a worker; beyond them a publish is refused.",
    )
    .default("256MiB"),
    // Longer than any outage that nobody mends; a shorter one would forget acknowledged comments.
    Field::new(
        "inbox.max_age",
        Kind::millis(60_000, 2_592_000_000),
        "LIVE_IN: how long a comment waits for a worker; then it is forgotten.",
    )
    .default("24h"),
    // A worker answers in milliseconds and reports what takes longer; a killed one costs its comments this much.
    Field::new(
        "inbox.ack_wait",
        Kind::millis(500, 60_000),
        "When a comment that was not acknowledged is delivered again.",
    )
    .default("1s"),
    // Ten workers killed in a row, or ten seconds of a server that answers nothing, are no fault of the comment's.
    Field::new(
        "inbox.max_deliver",
        Kind::integer(2, 100),
        "Deliveries of one comment; then it is a dead letter.",
    )
    .default("10"),
    // A second of 8,000 comments, since those of a killed worker count until `ack_wait` has passed.
    Field::new(
        "inbox.max_ack_pending",
        Kind::integer(64, 1_000_000),
        "Comments that all workers together may hold unacknowledged; beyond them nothing more is delivered.",
    )
    .default("8192"),
    // At 2 ms a comment, 250,000 a second; as many are late by `ack_wait` when a worker is killed.
    Field::new(
        "inbox.worker_pending",
        Kind::integer(1, 65_536),
        "Comments that one worker holds at the most; no more than `max_ack_pending`.",
    )
    .default("512"),
    Field::new(
        "out.max_bytes",
        Kind::size(1 << 20, 1 << 40),
        "LIVE_OUT: the most bytes of accepted entries; the oldest go first.",
    )
    .default("512MiB"),
    // Who comes back on the next day starts anew.
    Field::new(
        "out.max_age",
        Kind::millis(60_000, 31_536_000_000),
        "LIVE_OUT: how long an entry is kept, so how far back a client can resume.",
    )
    .default("24h"),
    // Ten seconds of the default `comments.room_rate`, and more than a newcomer can read.
    Field::new(
        "out.max_per_room",
        Kind::integer(10, 10_000_000),
        "LIVE_OUT: entries kept of one room.",
    )
    .default("10000"),
    // Beyond it a redelivery is looked up in the stream itself, which costs a request.
    Field::new(
        "out.duplicate_window",
        Kind::millis(1_000, 3_600_000),
        "Within which the server itself knows a redelivered comment again: more than `max_deliver` times `ack_wait`, no more than `out.max_age`.",
    )
    .default("2m"),
    Field::new(
        "dead.max_bytes",
        Kind::size(1 << 20, 1 << 40),
        "LIVE_DEAD: the most bytes of comments that were delivered too often.",
    )
    .default("64MiB"),
    Field::new("dead.max_age", Kind::millis(60_000, 31_536_000_000), "LIVE_DEAD: how long they are kept.").default("30d"),
    Field::new(
        "audit.max_bytes",
        Kind::size(1 << 20, 1 << 40),
        "LIVE_AUDIT: the most bytes of what moderators did.",
    )
    .default("64MiB"),
    Field::new("audit.max_age", Kind::millis(60_000, 31_536_000_000), "LIVE_AUDIT: how long that is kept.").default("90d"),
    Field::new(
        "notify.max_bytes",
        Kind::size(1 << 20, 1 << 40),
        "NOTIFY: the most bytes of notifications.",
    )
    .default("256MiB"),
    // A user who was away for a week has other news.
    Field::new("notify.max_age", Kind::millis(60_000, 31_536_000_000), "NOTIFY: how long a notification is kept.").default("7d"),
    // What flies over a picture is read in seconds.
    Field::new(
        "comments.max_chars",
        Kind::integer(1, 1_000),
        "The most characters (Unicode scalar values after NFC) of a comment.",
    )
    .default("100"),
    // A person's fastest typing; a burst is a few short cheers.
    Field::new("comments.user_rate.count", Kind::integer(1, 1_000_000), "Comments of one user in one room within `per`.").default("5"),
    Field::new("comments.user_rate.per", Kind::millis(100, 3_600_000), "The period.").default("5s"),
    Field::new("comments.user_rate.burst", Kind::integer(1, 1_000_000), "How many of them at once.").default("5"),
    // More than any screen shows: each goes to every viewer of the room.
    Field::new("comments.room_rate.count", Kind::integer(1, 1_000_000), "Comments of all users in one room within `per`.").default("1000"),
    Field::new("comments.room_rate.per", Kind::millis(100, 3_600_000), "The period.").default("1s"),
    Field::new("comments.room_rate.burst", Kind::integer(1, 1_000_000), "How many of them at once.").default("2000"),
    Field::new(
        "comments.keywords_file",
        Kind::Path,
        "A file of words that no room takes, one a line, from this folder. Width, case and invisible characters do not hide them.",
    )
    .example("\"live.keywords.txt\""),
    // Below what people see as delay; 20 additions to Redis in two seconds for each room and worker.
    Field::new(
        "likes.window",
        Kind::millis(10, 1_000),
        "How long likes are folded before they are added to the total.",
    )
    .default("100ms"),
    // A finger taps ten times a second at the most: five seconds in one message.
    Field::new("likes.max_per_message", Kind::integer(1, 10_000), "The most likes in one message.").default("50"),
    // A worker folds a million a second: 4 ms of work.
    Field::new(
        "likes.queue",
        Kind::integer(16, 1_000_000),
        "Messages with likes that wait for their room in one worker; beyond them they are shed, and counted.",
    )
    .default("4096"),
    Field::new("rooms.idle", Kind::millis(1_000, 86_400_000), "A room without traffic for this long is stopped.").default("60s"),
    // Three heartbeats of 10 s, of which two may get lost.
    Field::new(
        "rooms.viewer_expiry",
        Kind::millis(1_000, 3_600_000),
        "A viewer without a heartbeat for this long is gone.",
    )
    .default("30s"),
    // A room that is held takes kilobytes; more rooms than this on one worker are asked for by mistake or ill will.
    Field::new("rooms.max_rooms", Kind::integer(1, 1_000_000), "Rooms that one process holds at the most.").default("10000"),
];
