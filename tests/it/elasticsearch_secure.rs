//! Passwords, API keys and TLS against a real Elasticsearch.

use std::path::PathBuf;

use tokio::io::AsyncReadExt as _;
use twolane::config::{ElasticsearchSettings, Secret};
use twolane::sink::{Outcome, SinkHub as _};

use crate::elasticsearch_support::{Lane, identity, settings, unavailable, version, write};
use crate::stack;

fn secure() -> ElasticsearchSettings {
    let stack = stack::secure(&["elasticsearch"]);
    let mut settings = settings(stack.get("ELASTICSEARCH"));
    settings.username = Some(stack.get("ELASTICSEARCH_USER").to_owned());
    settings.password = Some(Secret::new(stack.get("ELASTICSEARCH_PASSWORD")));
    settings.ca_file = Some(PathBuf::from(stack.get("CA_FILE")));
    settings
}

#[tokio::test]
async fn a_password_and_a_ca_file_open_the_index_and_a_wrong_password_is_an_alarm() {
    let lane = Lane::at("password", secure());
    let (_hub, sink) = lane.open().await;
    let outcomes = write(&sink, &[("a", version(1, 1), Some("{}"))]).await;
    assert_eq!(outcomes.unwrap(), [Outcome::Applied]);

    let mut wrong = Lane::at("password", secure());
    wrong.alias.clone_from(&lane.alias);
    wrong.settings.password = Some(Secret::new("hunter2"));
    let hub = wrong.hub();
    let sink = hub.connect().unwrap();
    for (detail, alarm) in [
        unavailable(hub.check(&identity()).await),
        unavailable(write(&sink, &[("a", version(1, 2), Some("{}"))]).await),
    ] {
        assert!(
            alarm && detail.contains("elasticsearch.password"),
            "{detail}"
        );
        assert!(!detail.contains("hunter2"), "{detail}");
    }

    wrong.settings.username = None;
    wrong.settings.password = None;
    let (detail, alarm) = unavailable(wrong.hub().check(&identity()).await);
    assert!(
        alarm && detail.contains("elasticsearch.api_key"),
        "{detail}"
    );
}

/// The local server makes no API keys (its index for them needs a module that it lacks), so a listener shows
/// that the key is sent, and the server that a wrong one is an alarm.
#[tokio::test]
async fn an_api_key_is_sent_as_it_is_set_and_a_wrong_one_is_an_alarm() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut lane = Lane::at("key", settings(&url));
    lane.settings.api_key = Some(Secret::new("bm90OmFrZXk="));
    let request = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let read = stream.read(&mut request).await.unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let sink = lane.hub().connect().unwrap();
    unavailable(write(&sink, &[("a", version(1, 1), Some("{}"))]).await);
    let request = request.await.unwrap();
    assert!(
        request.contains("authorization: ApiKey bm90OmFrZXk=\r\n"),
        "{request}"
    );
    assert!(
        request.contains("content-type: application/x-ndjson\r\n"),
        "{request}"
    );

    let mut lane = Lane::at("key", secure());
    lane.settings.username = None;
    lane.settings.password = None;
    lane.settings.api_key = Some(Secret::new("bm90OmFrZXk="));
    let (detail, alarm) = unavailable(lane.hub().check(&identity()).await);
    assert!(
        alarm && detail.contains("elasticsearch.api_key"),
        "{detail}"
    );
    assert!(!detail.contains("bm90OmFrZXk="), "{detail}");
}

#[tokio::test]
async fn a_server_that_no_authority_vouches_for_is_not_talked_to() {
    let mut lane = Lane::at("tls", secure());
    lane.settings.ca_file = None;
    let (detail, alarm) = unavailable(lane.hub().check(&identity()).await);
    assert!(
        alarm && detail.contains("elasticsearch.ca_file"),
        "{detail}"
    );
}
