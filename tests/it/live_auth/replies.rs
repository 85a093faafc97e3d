//! The server sends the acknowledgement of a comment to whatever reply subject its author names, and checks no
//! permission there. What keeps it from the streams is that users are in an account of their own.

use async_nats::jetstream::Context;

use super::rig::{Server, messages};

const STREAMS: [&str; 6] = [
    "LIVE_OUT",
    "KV_live_moderation",
    "NOTIFY",
    "LIVE_AUDIT",
    "LIVE_DEAD",
    "LIVE_ADVISORY",
];

async fn counts(jetstream: &Context) -> Vec<u64> {
    let mut counts = Vec::new();
    for name in STREAMS {
        counts.push(messages(jetstream, name).await);
    }
    counts
}

#[tokio::test]
async fn a_forged_reply_subject_reaches_no_stream_and_is_no_frame_of_a_feed() {
    let server = Server::start();
    let _answering = server.answering().await;
    let jetstream = server.streams().await;
    for subject in [
        "live.r.out",
        "$KV.live_moderation.r",
        "notify.u2",
        "live.r.audit",
    ] {
        jetstream
            .publish(subject, "{}".into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    let before = counts(&jetstream).await;
    let mut viewer = server.user("u2").await;
    for subject in [
        "live.*.feed",
        "live.*.likes",
        "live.refused.u2",
        "notify.u2",
    ] {
        viewer.subscribe(subject).await.unwrap();
    }
    let mut user = server.user("u1").await;
    user.subscribe("_INBOX.u1.>").await.unwrap();
    let replies = [
        "live.r.feed",
        "live.r.likes",
        "live.refused.u2",
        "notify.u2",
        "live.r.out",
        "live.r.in.comment.u2",
        "live.r.in.comment.u1",
        "live.r.in.like.u2",
        "live.r.ctl.u2",
        "live.r.audit",
        "live.r.dead",
        "$KV.live_moderation.r",
        "$JS.API.STREAM.PURGE.LIVE_OUT",
        "$JS.API.STREAM.DELETE.LIVE_OUT",
        "$JS.API.STREAM.MSG.DELETE.LIVE_OUT",
        "$JS.API.CONSUMER.PAUSE.LIVE_IN.workers",
        "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.LIVE_IN.workers",
        "$SYS.REQ.USER.AUTH",
    ];
    for reply in replies {
        let sent = user.publish_with("live.r.in.comment.u1", reply, "", r#"{"content":"x"}"#);
        sent.await.unwrap();
    }
    // Acknowledgements are sent in order: behind this one all others have arrived.
    user.publish_with(
        "live.r.in.comment.u1",
        "_INBOX.u1.end",
        "",
        r#"{"content":"x"}"#,
    )
    .await
    .unwrap();
    let acknowledged = user.wait_for("_INBOX.u1.end").await;
    assert!(!acknowledged.contains("-ERR"), "{acknowledged}");
    assert_eq!(counts(&jetstream).await, before);
    let expected = replies.len() as u64 + 1;
    assert_eq!(
        messages(&jetstream, "LIVE_IN").await,
        expected,
        "one a comment, and none for another user"
    );
    // What a viewer does get of it has no `Nats-Stream`, and is no JSON of the contract.
    let seen = viewer.received().await;
    assert_eq!(seen.matches("MSG ").count(), 4, "{seen}");
    assert!(
        !seen.contains("HMSG") && !seen.contains("Nats-Stream"),
        "{seen}"
    );
}

#[tokio::test]
async fn reply_subjects_of_the_servers_own_are_refused() {
    let server = Server::start();
    let _answering = server.answering().await;
    let _jetstream = server.streams().await;
    let mut user = server.user("u1").await;
    for reply in ["$JS.ACK.LIVE_IN.workers.1.1.1.1.0", "_R_.x.y"] {
        let refused = user
            .publish_with("live.r.in.comment.u1", reply, "", "{}")
            .await;
        assert!(refused.is_err(), "{reply}");
    }
}

#[tokio::test]
async fn a_header_cannot_make_the_server_publish_for_a_user() {
    let server = Server::start();
    let _answering = server.answering().await;
    let jetstream = server.streams().await;
    let before = counts(&jetstream).await;
    let mut user = server.user("u1").await;
    user.subscribe("_INBOX.u1.>").await.unwrap();
    for (headers, taken) in [
        ("Nats-Trace-Dest: live.r.out", false),
        ("Nats-Rollup: all", false),
        ("Nats-Rollup: sub", false),
        ("Nats-TTL: 1s", false),
        (
            "Nats-Schedule: @at 2026-01-01T00:00:00Z\r\nNats-Schedule-Target: live.r.out",
            false,
        ),
        ("Nats-Batch-Id: b\r\nNats-Batch-Sequence: 1", false),
        ("Nats-Incr: +1", false),
        ("Nats-Request-Info: {\"acc\":\"LIVE\"}", true),
        ("Nats-Msg-Id: 1", true),
    ] {
        let from = messages(&jetstream, "LIVE_IN").await;
        let sent = user
            .publish_with("live.r.in.comment.u1", "_INBOX.u1.x", headers, "{}")
            .await;
        if sent.is_ok() {
            user.wait_for("LIVE_IN").await;
        }
        let stored = messages(&jetstream, "LIVE_IN").await - from;
        assert_eq!(stored, u64::from(taken), "{headers}");
        assert_eq!(counts(&jetstream).await, before, "{headers}");
    }
}
