//! Every permission of the table, and a violation of each. A worker listens to everything in its account: what
//! the server refused must not have reached it.

use futures_util::{FutureExt as _, StreamExt as _};

use super::rig::Server;

/// Subjects of what arrived at a worker until now.
async fn arrived(worker: &async_nats::Client, all: &mut async_nats::Subscriber) -> Vec<String> {
    // What was published before this is in front of it.
    worker.publish("mark", "".into()).await.unwrap();
    let mut subjects = Vec::new();
    loop {
        let subject = all.next().await.unwrap().subject.to_string();
        if subject == "mark" {
            return subjects;
        }
        if subject.starts_with("live.") || subject.starts_with("notify.") {
            subjects.push(subject);
        }
    }
}

#[tokio::test]
async fn a_user_may_publish_what_is_his_and_it_arrives() {
    let server = Server::start();
    let _answering = server.answering().await;
    let worker = server.worker().await;
    let mut all = worker.subscribe(">").await.unwrap();
    worker.flush().await.unwrap();
    let mut user = server.moderator("u1", &["r"]).await;
    // Comments have a stream that takes them from LIVE only; the others are heard as they are.
    for subject in [
        "live.r.in.like.u1",
        "live.other.in.like.u1",
        "live.r.in.here.u1",
        "live.r.history.u1",
        "live.r.ctl.u1",
        "live.r.in.comment.u1",
    ] {
        user.publish(subject, "{}").await.unwrap();
        assert_eq!(arrived(&worker, &mut all).await, [subject]);
    }
}

#[tokio::test]
async fn nobody_but_a_worker_can_publish_what_others_see_and_nobody_as_another() {
    let server = Server::start();
    let _answering = server.answering().await;
    let worker = server.worker().await;
    let mut all = worker.subscribe(">").await.unwrap();
    worker.flush().await.unwrap();
    let mut user = server.moderator("u1", &["r"]).await;
    let mut victim = server.user("u2").await;
    for subject in [
        "live.*.feed",
        "live.*.likes",
        "live.refused.u2",
        "notify.u2",
        "_INBOX.u2.>",
    ] {
        victim.subscribe(subject).await.unwrap();
    }
    for subject in [
        // As another user.
        "live.r.in.comment.u2",
        "live.r.in.like.u2",
        "live.r.in.here.u2",
        "live.r.history.u2",
        "live.r.ctl.u2",
        "live.r.in.comment.u11",
        "live.r.in.comment.U1",
        "live.r.in.comment.*",
        "live.r.in.comment.>",
        "live.r.in.comment.u1.u2",
        "live.r.in.comment",
        // A moderator of another room.
        "live.r2.ctl.u1",
        "live.*.ctl.u1",
        "live.r.ctl",
        // What workers, services and the server publish.
        "live.r.out",
        "live.r.feed",
        "live.r.likes",
        "live.r.dead",
        "live.r.audit",
        "live.refused.u1",
        "live.refused.u2",
        "notify.u1",
        "notify.u2",
        "_INBOX.u1.x",
        "_INBOX.u2.x",
        "_WORKER.x",
        // The server's own.
        "$KV.live_moderation.r",
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.LIVE_OUT",
        "$JS.API.STREAM.PURGE.LIVE_OUT",
        "$JS.API.STREAM.MSG.GET.LIVE_IN",
        "$JS.API.DIRECT.GET.LIVE_OUT",
        "$JS.API.CONSUMER.MSG.NEXT.LIVE_IN.workers",
        "$JS.ACK.LIVE_IN.workers.1.1.1.1.0",
        "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.LIVE_IN.workers",
        "$SYS.REQ.USER.AUTH",
        "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.ACCOUNT.PING.CONNZ",
        "anything",
    ] {
        let refused = user.publish(subject, "{}").await;
        let why = refused.expect_err(subject);
        assert!(
            why.contains("Permissions Violation for Publish"),
            "{subject}: {why}"
        );
    }
    assert_eq!(arrived(&worker, &mut all).await, Vec::<String>::new());
    assert!(!victim.received().await.contains("MSG"));
    assert!(all.next().now_or_never().is_none());
}

#[tokio::test]
async fn who_is_no_moderator_cannot_moderate() {
    let server = Server::start();
    let _answering = server.answering().await;
    let mut user = server.user("u1").await;
    for subject in ["live.r.ctl.u1", "live.r.ctl.u2", "live.r.ctl"] {
        assert!(user.publish(subject, "{}").await.is_err(), "{subject}");
    }
}

#[tokio::test]
async fn a_user_reads_what_is_his_and_nothing_else() {
    let server = Server::start();
    let _answering = server.answering().await;
    let worker = server.worker().await;
    let mut user = server.moderator("u1", &["r"]).await;
    for subject in [
        "live.r.feed",
        "live.r.likes",
        "live.refused.u1",
        "notify.u1",
        "_INBOX.u1.>",
        "_INBOX.u1.x.*",
    ] {
        user.subscribe(subject).await.unwrap();
    }
    for (subject, payload) in [
        ("live.r.feed", "1"),
        ("live.r.likes", "2"),
        ("live.refused.u1", "3"),
        ("notify.u1", "4"),
        ("_INBOX.u1.a", "5"),
        // Another's.
        ("live.refused.u2", "6"),
        ("notify.u2", "7"),
        ("_INBOX.u2.a", "8"),
    ] {
        worker.publish(subject, payload.into()).await.unwrap();
    }
    worker.publish("_INBOX.u1.end", "end".into()).await.unwrap();
    let received = user.wait_for("end\r\n").await;
    for subject in [
        "live.r.feed",
        "live.r.likes",
        "live.refused.u1",
        "notify.u1",
        "_INBOX.u1.a",
    ] {
        assert!(
            received.contains(&format!("MSG {subject} ")),
            "{subject}: {received}"
        );
    }
    assert!(!received.contains("u2"), "{received}");
    for subject in [
        ">",
        "*",
        "live.>",
        "live.*.>",
        "live.*.*",
        "live.r.*",
        "live.r.out",
        "live.r.in.comment.u1",
        "live.r.in.*.*",
        "live.r.in.like.u1",
        "live.r.history.u1",
        "live.r.ctl.u1",
        "live.r.dead",
        "live.r.audit",
        "live.refused.u2",
        "live.refused.*",
        "live.refused.>",
        "notify.u2",
        "notify.*",
        "notify.>",
        "_INBOX.>",
        "_INBOX.*.>",
        "_INBOX.u1",
        "_INBOX.u2.>",
        "_INBOX.u11.>",
        "_WORKER.>",
        "$KV.>",
        "$JS.>",
        "$JS.EVENT.>",
        "$SYS.>",
        "$SYS.REQ.USER.AUTH",
        "live.refused.u2 group",
    ] {
        let refused = user.subscribe(subject).await;
        let why = refused.expect_err(subject);
        assert!(
            why.contains("Permissions Violation for Subscription"),
            "{subject}: {why}"
        );
    }
}

#[tokio::test]
async fn a_service_notifies_and_does_nothing_else() {
    let server = Server::start();
    let _answering = server.answering().await;
    let jetstream = server.streams().await;
    let mut user = server.user("u1").await;
    user.subscribe("notify.u1").await.unwrap();
    let mut service = server.service("shop").await;
    service.subscribe("_INBOX.shop.>").await.unwrap();
    service
        .publish_with("notify.u1", "_INBOX.shop.1", "", r#"{"text":"hi"}"#)
        .await
        .unwrap();
    service.wait_for(r#"{"stream":"NOTIFY","seq":1}"#).await;
    user.wait_for(r#"{"text":"hi"}"#).await;
    assert_eq!(super::rig::messages(&jetstream, "NOTIFY").await, 1);
    for subject in [
        "live.r.out",
        "live.r.in.comment.shop",
        "live.r.ctl.shop",
        "$JS.API.STREAM.PURGE.NOTIFY",
        "$KV.live_moderation.r",
        "_INBOX.u1.x",
    ] {
        assert!(service.publish(subject, "{}").await.is_err(), "{subject}");
    }
    for subject in [">", "notify.*", "notify.u1", "live.r.feed", "_INBOX.>"] {
        assert!(service.subscribe(subject).await.is_err(), "{subject}");
    }
}

#[tokio::test]
async fn a_users_messages_and_subscriptions_are_bounded() {
    let server = Server::start();
    let _answering = server.answering().await;
    let mut user = server.user("u1").await;
    for room in 0..64 {
        user.subscribe(&format!("live.r{room}.feed")).await.unwrap();
    }
    let why = user.subscribe("live.r64.feed").await.unwrap_err();
    assert!(why.contains("maximum subscriptions exceeded"), "{why}");
    user.publish("live.r.in.like.u1", &"x".repeat(64 << 10))
        .await
        .unwrap();
    let why = user
        .publish("live.r.in.like.u1", &"x".repeat((64 << 10) + 1))
        .await
        .unwrap_err();
    assert!(
        why.contains("Maximum Payload Violation") || why == "closed",
        "{why}"
    );
}
