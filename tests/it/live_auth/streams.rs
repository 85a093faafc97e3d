//! The streams on the server are what `topics/live.toml` says, whoever else makes them at the same time.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, stream};
use futures_util::StreamExt as _;
use twolane::live::streams::{self, Change, Plan, StreamsError};

use super::rig::{Server, messages, spec};

async fn jetstream(server: &Server) -> jetstream::Context {
    jetstream::new(server.worker().await)
}

#[tokio::test]
async fn what_is_absent_is_made_and_a_second_time_changes_nothing() {
    let server = Server::start();
    let jetstream = jetstream(&server).await;
    let plans = streams::plan(&jetstream, &spec()).await.unwrap();
    assert!(
        plans.iter().all(|(_, plan)| *plan == Plan::Create),
        "{plans:?}"
    );
    let applied = streams::apply(&jetstream, &spec()).await.unwrap();
    assert_eq!(applied.0.len(), plans.len());
    assert!(
        applied
            .0
            .iter()
            .all(|(_, change)| *change == Change::Created),
        "{applied:?}"
    );
    let again = streams::apply(&jetstream, &spec()).await.unwrap();
    assert!(again.is_unchanged(), "{again:?}");
    let plans = streams::plan(&jetstream, &spec()).await.unwrap();
    assert!(
        plans.iter().all(|(_, plan)| *plan == Plan::Keep),
        "{plans:?}"
    );
    // Another client's bucket is this stream.
    let bucket = jetstream.get_key_value(streams::MODERATION).await.unwrap();
    bucket.put("r", "{}".into()).await.unwrap();
    assert!(bucket.get("r").await.unwrap().is_some());
}

#[tokio::test]
async fn processes_that_start_together_do_not_disturb_each_other() {
    let server = Server::start();
    let spec = spec();
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(jetstream(&server).await);
    }
    let applied = clients.iter().map(|client| streams::apply(client, &spec));
    for applied in futures_util::future::join_all(applied).await {
        let applied = applied.unwrap();
        let kept = |change: &Change| matches!(change, Change::Created | Change::Unchanged);
        assert!(
            applied.0.iter().all(|(_, change)| kept(change)),
            "{applied:?}"
        );
    }
}

#[tokio::test]
async fn a_change_of_the_spec_is_applied_and_keeps_what_is_there() {
    let server = Server::start();
    let jetstream = server.streams().await;
    jetstream
        .publish("live.r.out", "{}".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let mut spec = spec();
    spec.out.max_per_room = 77;
    spec.out.max_age = Duration::from_secs(3_600);
    spec.inbox.max_bytes = 8 << 20;
    spec.inbox.ack_wait = Duration::from_secs(3);
    let plans = streams::plan(&jetstream, &spec).await.unwrap();
    let altered = plans
        .iter()
        .filter(|(_, plan)| matches!(plan, Plan::Alter(_)));
    let altered: Vec<&str> = altered.map(|(what, _)| what.as_str()).collect();
    assert_eq!(
        altered,
        [
            "stream LIVE_OUT",
            "stream LIVE_IN",
            "consumer workers of stream LIVE_IN"
        ]
    );
    streams::apply(&jetstream, &spec).await.unwrap();
    assert!(
        streams::apply(&jetstream, &spec)
            .await
            .unwrap()
            .is_unchanged()
    );
    let out = jetstream.get_stream("LIVE_OUT").await.unwrap();
    assert_eq!(out.cached_info().config.max_messages_per_subject, 77);
    assert_eq!(out.cached_info().state.messages, 1);
}

#[tokio::test]
async fn a_stream_that_is_something_else_is_refused_with_the_remedy() {
    let server = Server::start();
    let jetstream = jetstream(&server).await;
    let other = stream::Config {
        name: "LIVE_IN".to_owned(),
        subjects: vec!["live.*.in.comment.*".to_owned()],
        ..stream::Config::default()
    };
    jetstream.create_stream(other).await.unwrap();
    let why = streams::apply(&jetstream, &spec()).await.unwrap_err();
    assert!(matches!(why, StreamsError::Differs { .. }), "{why}");
    let why = why.to_string();
    assert!(
        why.contains("stream LIVE_IN")
            && why.contains("retention is \"limits\", and should be \"workqueue\""),
        "{why}"
    );
    jetstream.delete_stream("LIVE_IN").await.unwrap();
    let other = stream::Config {
        name: "OTHER".to_owned(),
        subjects: vec!["live.>".to_owned()],
        ..stream::Config::default()
    };
    jetstream.delete_stream("LIVE_DEAD").await.unwrap();
    for name in ["LIVE_AUDIT", "LIVE_OUT"] {
        let _absent = jetstream.delete_stream(name).await;
    }
    jetstream.create_stream(other).await.unwrap();
    let why = streams::apply(&jetstream, &spec())
        .await
        .unwrap_err()
        .to_string();
    assert!(why.contains("Another stream of this account"), "{why}");
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let mut server = Server::absent();
    let jetstream = jetstream(&server).await;
    let applying = tokio::spawn(async move { streams::apply(&jetstream, &spec()).await });
    server.again();
    let applied = tokio::time::timeout(Duration::from_secs(60), applying).await;
    applied.expect("it goes on").unwrap().unwrap();
}

#[tokio::test]
async fn the_inbox_takes_a_comment_once_and_none_that_is_too_large() {
    let server = Server::start();
    let jetstream = server.streams().await;
    for _ in 0..2 {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", "a-random-id");
        let sent = jetstream.publish_with_headers("live.r.in.comment.u1", headers, "{}".into());
        sent.await.unwrap().await.unwrap();
    }
    assert_eq!(messages(&jetstream, "LIVE_IN").await, 1);
    let large = "x".repeat(streams::LARGEST_COMMENT + 1);
    let sent = jetstream
        .publish("live.r.in.comment.u1", large.into())
        .await
        .unwrap();
    assert!(
        sent.await
            .unwrap_err()
            .to_string()
            .contains("exceeds maximum")
    );
}

#[tokio::test]
async fn an_inbox_that_is_full_refuses() {
    let server = Server::start();
    let jetstream = jetstream(&server).await;
    let mut spec = spec();
    spec.inbox.max_bytes = 1 << 20;
    streams::apply(&jetstream, &spec).await.unwrap();
    let comment = "x".repeat(16_000);
    let mut taken = 0;
    let why = loop {
        let sent = jetstream.publish("live.r.in.comment.u1", comment.clone().into());
        match sent.await.unwrap().await {
            Ok(_) => taken += 1,
            Err(why) => break why,
        }
        assert!(taken < 100);
    };
    assert!(why.to_string().contains("maximum bytes exceeded"), "{why}");
    assert_eq!(messages(&jetstream, "LIVE_IN").await, taken);
}

#[tokio::test]
async fn what_is_accepted_goes_out_once_in_the_servers_order() {
    let server = Server::start();
    let jetstream = server.streams().await;
    let mut feed = jetstream.client().subscribe("live.*.feed").await.unwrap();
    for id in ["1", "2", "2", "3"] {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let sent = jetstream.publish_with_headers("live.r.out", headers, id.into());
        sent.await.unwrap().await.unwrap();
    }
    for (sequence, last) in [("1", "0"), ("2", "1"), ("3", "2")] {
        let frame = feed.next().await.unwrap();
        let headers = frame.headers.unwrap();
        let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        assert_eq!(frame.subject.as_str(), "live.r.feed");
        assert_eq!(header("Nats-Stream").as_deref(), Some("LIVE_OUT"));
        assert_eq!(header("Nats-Sequence").as_deref(), Some(sequence));
        assert_eq!(header("Nats-Last-Sequence").as_deref(), Some(last));
    }
    assert_eq!(messages(&jetstream, "LIVE_OUT").await, 3);
}

#[tokio::test]
async fn a_comment_that_was_delivered_too_often_leaves_an_advisory() {
    let server = Server::start();
    let jetstream = jetstream(&server).await;
    let mut spec = spec();
    spec.inbox.max_deliver = 2;
    spec.inbox.ack_wait = Duration::from_millis(500);
    streams::apply(&jetstream, &spec).await.unwrap();
    jetstream
        .publish("live.r.in.comment.u1", "{}".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let inbox = jetstream.get_stream(streams::LIVE_IN).await.unwrap();
    let workers: jetstream::consumer::PullConsumer =
        inbox.get_consumer(streams::WORKERS).await.unwrap();
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    let mut deliveries = 0;
    while messages(&jetstream, streams::LIVE_ADVISORY).await == 0 {
        assert!(tokio::time::Instant::now() < end, "no advisory");
        let batch = workers
            .batch()
            .max_messages(1)
            .expires(Duration::from_secs(1));
        deliveries += batch.messages().await.unwrap().count().await;
    }
    assert_eq!(deliveries, 2);
    assert_eq!(
        messages(&jetstream, streams::LIVE_IN).await,
        1,
        "it is still there to be copied"
    );
}

#[tokio::test]
async fn a_pull_that_would_hold_redeliveries_back_is_refused() {
    let server = Server::start();
    let jetstream = server.streams().await;
    let inbox = jetstream.get_stream(streams::LIVE_IN).await.unwrap();
    let workers = inbox
        .get_consumer::<pull::Config>(streams::WORKERS)
        .await
        .unwrap();
    let longest = Duration::from_secs(streams::LONGEST_PULL_SECONDS);
    let pull = |expires| workers.batch().max_messages(1).expires(expires).messages();
    let mut refused = pull(longest * 2).await.unwrap();
    assert!(refused.next().await.unwrap().is_err());
    let mut taken = pull(longest).await.unwrap();
    jetstream
        .publish("live.r.in.comment.u1", "{}".into())
        .await
        .unwrap()
        .await
        .unwrap();
    assert!(taken.next().await.unwrap().is_ok());
}
