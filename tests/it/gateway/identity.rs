//! The gateway's own user of NATS can do what its clients may, and nothing that only workers may.

use serde_json::json;

use crate::live_auth::rig::{Server, user_id};
use crate::live_auth::user::User;
use crate::stack;

#[tokio::test]
async fn the_gateways_user_is_less_than_a_worker() {
    let server = Server::start();
    server.streams().await;
    let stack = stack::plain(&["nats"]);
    let login =
        json!({"user": stack.get("NATS_GATEWAY_USER"), "pass": stack.get("NATS_GATEWAY_PASSWORD")});
    let mut gateway = User::connect_with(server.port(), login).await.unwrap();
    let user = user_id("u1");
    for subject in [
        format!("live.r.in.comment.{user}"),
        format!("live.r.in.like.{user}"),
        format!("live.r.history.{user}"),
        format!("live.r.ctl.{user}"),
        format!("notify.{user}"),
        format!("notified.{user}"),
        "$JS.API.DIRECT.GET.NOTIFY".to_owned(),
    ] {
        gateway.publish(&subject, "{}").await.unwrap();
    }
    for subject in [
        "live.r.out",
        "live.r.feed",
        "live.r.likes",
        "live.r.audit",
        "live.refused.u1",
        "notify.u1.feed",
        "_INBOX.u1.x",
        "$KV.live_moderation.r",
        "$JS.API.STREAM.PURGE.NOTIFY",
        "$JS.API.STREAM.INFO.LIVE_IN",
        "$JS.API.DIRECT.GET.LIVE_OUT",
        "$JS.API.CONSUMER.CREATE.LIVE_IN",
    ] {
        assert!(gateway.publish(subject, "{}").await.is_err(), "{subject}");
    }
    for subject in [
        "live.r.feed",
        "live.r.likes",
        "live.refused.*",
        "notify.*.feed",
        "_INBOX.*.gateway.abc.*",
        "_GATEWAY.>",
    ] {
        gateway.subscribe(subject).await.unwrap();
    }
    for subject in [
        ">",
        "live.>",
        "live.*.in.comment.*",
        "live.*.out",
        "_INBOX.>",
        "_INBOX.u1.*",
        "_WORKER.>",
        "notify.*",
    ] {
        assert!(gateway.subscribe(subject).await.is_err(), "{subject}");
    }
}
