//! Servers that cannot be a sink, and those that cannot be one just now.

use std::time::Duration;

use twolane::config::Secret;
use twolane::sink::{Outcome, SinkError, SinkHub};

use super::lane::{Wish, identity, mark};
use super::server::Server;
use crate::stack;

fn unavailable(error: SinkError) -> (bool, String) {
    match error {
        SinkError::Unavailable { detail, alarm } => (alarm, detail),
        other => panic!("{other:?}"),
    }
}

async fn check(wish: &Wish) -> Result<(), SinkError> {
    let lane = wish.unchecked()?;
    lane.hub.check(&identity("id-1", 1)).await
}

#[tokio::test]
async fn a_server_that_evicts_is_refused_with_the_remedy() {
    let server = Server::start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let error = check(&Wish::at(&server.url())).await.unwrap_err();
    assert!(
        matches!(&error, SinkError::Refused(text) if text.contains("set maxmemory-policy noeviction")),
        "{error}"
    );
}

#[tokio::test]
async fn a_cluster_is_refused_and_takes_no_write() {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    let wish = Wish::at(&server.url());
    let error = check(&wish).await.unwrap_err();
    assert!(
        matches!(&error, SinkError::Refused(text) if text.contains("cluster-enabled no")),
        "{error}"
    );
    let lane = wish.unchecked().unwrap();
    let mut rows = lane.rows();
    rows.upsert("row", 0, 1, &[]);
    lane.write(&rows, &[]).await.unwrap_err();
}

#[tokio::test]
async fn a_replica_is_unavailable_with_an_alarm_until_it_is_promoted() {
    let primary = Server::start(&[]);
    let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {}", primary.port())]);
    let wish = Wish::at(&replica.url());
    let (alarm, detail) = unavailable(check(&wish).await.unwrap_err());
    assert!(alarm && detail.contains("replica"), "{detail}");
    let lane = wish.unchecked().unwrap();
    let mut rows = lane.rows();
    rows.upsert("row", 0, 1, &[]);
    unavailable(lane.write(&rows, &[]).await.unwrap_err());

    replica.run::<()>(&["REPLICAOF", "NO", "ONE"]);
    lane.hub.check(&identity("id-1", 1)).await.unwrap();
    assert_eq!(lane.write(&rows, &[]).await.unwrap(), [Outcome::Applied]);
}

#[tokio::test]
async fn a_full_server_is_waited_for_and_nothing_is_rejected() {
    let server = Server::start(&[]);
    let lane = Wish::at(&server.url()).lane().await;
    lane.upsert("old", 1, "x").await;
    server.run::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let mut rows = lane.rows();
    for i in 0..200 {
        rows.upsert(&i.to_string(), 0, 10 + i, &[("x", "1")]);
    }
    let (alarm, detail) = unavailable(lane.write(&rows, &[mark(0, 2)]).await.unwrap_err());
    assert!(alarm && detail.contains("maxmemory"), "{detail}");
    unavailable(lane.hub.checkpoint(&[mark(0, 2)]).await.unwrap_err());
    assert_eq!(lane.x("old").await.as_deref(), Some("x"));

    server.run::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    let outcomes = lane.write(&rows, &[mark(0, 2)]).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Applied; 200]);
}

#[tokio::test]
async fn an_unreachable_server_is_unavailable_and_found_again_without_a_new_connection_object() {
    // With everysec, even a SIGKILL was seen to lose what was acknowledged: the write waits for a running fsync.
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let lane = Wish::at(&server.url()).lane().await;
    let sink = lane.hub.connect().unwrap();
    let mut rows = lane.rows();
    rows.upsert("row", 0, 1, &[("x", "1")]);
    assert!(super::lane::write(&*sink, &rows, &[]).await.is_ok());
    server.crash();
    for _ in 0..3 {
        let (alarm, _) = unavailable(super::lane::write(&*sink, &rows, &[]).await.unwrap_err());
        assert!(!alarm);
    }
    server.again();
    assert_eq!(
        super::lane::write(&*sink, &rows, &[]).await.unwrap(),
        [lane.superseded(1)]
    );
}

#[tokio::test]
async fn a_server_that_hangs_is_late_after_the_timeout() {
    let server = Server::start(&[]);
    let mut wish = Wish::at(&server.url());
    wish.settings.timeout = Duration::from_secs(1);
    let lane = wish.lane().await;
    let sink = lane.hub.connect().unwrap();
    let mut rows = lane.rows();
    rows.upsert("row", 0, 1, &[("x", "1")]);
    super::lane::write(&*sink, &rows, &[]).await.unwrap();
    server.run::<()>(&["CLIENT", "PAUSE", "3000", "ALL"]);
    let late = super::lane::write(&*sink, &rows, &[]).await;
    assert!(
        matches!(&late, Err(SinkError::Late(detail)) if detail.contains("redis.timeout")),
        "{late:?}"
    );
    tokio::time::sleep(Duration::from_secs(3)).await;
    super::lane::write(&*sink, &rows, &[]).await.unwrap();
}

#[tokio::test]
async fn tls_and_password_work_and_their_faults_are_told_without_secrets() {
    let env = stack::secure(&["redis"]);
    let mut wish = Wish::at(env.get("REDIS"));
    assert!(wish.settings.url.starts_with("rediss://"));
    let password = env.get("REDIS_PASSWORD");
    wish.settings.ca_file = Some(env.get("CA_FILE").into());

    let (alarm, none) = unavailable(check(&wish).await.unwrap_err());
    assert!(alarm && none.contains("set redis.password"), "{none}");

    wish.settings.password = Some(Secret::new("hunter2-wrong"));
    let (alarm, wrong) = unavailable(check(&wish).await.unwrap_err());
    assert!(
        alarm && wrong.contains("redis.password is wrong"),
        "{wrong}"
    );
    assert!(!wrong.contains("hunter2"), "{wrong}");

    wish.settings.username = Some("nobody".into());
    let (alarm, wrong) = unavailable(check(&wish).await.unwrap_err());
    assert!(alarm && wrong.contains("redis.username"), "{wrong}");
    wish.settings.username = None;

    wish.settings.password = Some(Secret::new(password));
    let lane = wish.lane().await;
    assert_eq!(lane.upsert("row", 1, "x").await, Outcome::Applied);
    assert_eq!(lane.x("row").await.as_deref(), Some("x"));
    lane.hub.checkpoint(&[mark(0, 2)]).await.unwrap();

    wish.settings.ca_file = None;
    let (alarm, untrusted) = unavailable(check(&wish).await.unwrap_err());
    assert!(alarm && untrusted.contains("redis.ca_file"), "{untrusted}");
    assert!(!untrusted.contains(password), "{untrusted}");
}

#[tokio::test]
async fn a_user_without_permission_is_an_alarm_that_names_what_is_missing() {
    let server = Server::start(&[]);
    server.run::<()>(&[
        "ACL", "SETUSER", "lane", "on", ">hunter2", "~*", "+ping", "+info",
    ]);
    let mut wish = Wish::at(&server.url());
    wish.settings.username = Some("lane".into());
    wish.settings.password = Some(Secret::new("hunter2"));
    let (alarm, detail) = unavailable(check(&wish).await.unwrap_err());
    assert!(
        alarm && detail.contains("EVALSHA") && !detail.contains("hunter2"),
        "{detail}"
    );
    // What the message names is enough.
    let named = "evalsha script|load info get set del type incr pttl pexpire hget hset hmget hlen";
    let mut words = vec!["ACL", "SETUSER", "lane"];
    let allowed: Vec<String> = named.split(' ').map(|c| format!("+{c}")).collect();
    words.extend(allowed.iter().map(String::as_str));
    server.run::<()>(&words);
    for (row, wish) in [("hash", wish.clone()), ("string", wish.string())] {
        let lane = wish.lane().await;
        assert_eq!(lane.upsert(row, 1, "x").await, Outcome::Applied);
        assert_eq!(lane.delete(row, 2).await, Outcome::Applied);
        lane.hub.checkpoint(&[mark(0, 1)]).await.unwrap();
        lane.hub.verify(&[0]).await.unwrap();
        lane.hub.resume(0, Some(1)).await.unwrap();
    }
}

#[tokio::test]
async fn another_topic_under_the_same_epoch_is_refused_and_under_a_higher_one_starts_anew() {
    let wish = Wish::hash();
    let lane = wish.lane().await;
    lane.hub.checkpoint(&[mark(0, 700)]).await.unwrap();
    lane.hub.check(&identity("id-1", 1)).await.unwrap();

    let error = lane.hub.check(&identity("id-2", 1)).await.unwrap_err();
    assert!(
        matches!(&error, SinkError::Refused(text) if text.contains("set epoch = 2")),
        "{error}"
    );
    let error = lane.hub.check(&identity("id-1", 2)).await.unwrap_err();
    assert!(
        matches!(&error, SinkError::Refused(text) if text.contains("set epoch = 1")),
        "{error}"
    );
    let mut more = identity("id-1", 1);
    more.partitions = 12;
    let error = lane.hub.check(&more).await.unwrap_err();
    assert!(
        matches!(&error, SinkError::Refused(text) if text.contains("12 now")),
        "{error}"
    );

    let raised = wish.clone().epoch(2).lane().await;
    assert_eq!(
        raised.hub.resume(0, Some(700)).await.unwrap(),
        twolane::sink::Resume::Start
    );
    raised.hub.checkpoint(&[mark(0, 5)]).await.unwrap();
    // The process of the old epoch must not raise the new one's markers.
    for error in [
        lane.hub.checkpoint(&[mark(0, 800)]).await.unwrap_err(),
        lane.hub.verify(&[0]).await.unwrap_err(),
        lane.hub.check(&identity("id-1", 1)).await.unwrap_err(),
    ] {
        assert!(matches!(error, SinkError::Refused(_)), "{error}");
    }
    assert_eq!(
        raised.hub.resume(0, Some(9)).await.unwrap(),
        twolane::sink::Resume::At(5)
    );
}
