//! Passwords, API keys and TLS against a real Elasticsearch.

use std::path::PathBuf;

use elasticsearch::auth::Credentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::HeaderMap;
use elasticsearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
use elasticsearch::http::{Method, Url};
use serde_json::{Value, json};
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

/// An API key with `privileges` on every index of these tests, in the form that the setting takes.
async fn api_key(settings: &ElasticsearchSettings, privileges: &[&str]) -> Secret {
    let pem = std::fs::read(settings.ca_file.as_ref().unwrap()).unwrap();
    let url = Url::parse(&settings.url).unwrap();
    let transport = TransportBuilder::new(SingleNodeConnectionPool::new(url))
        .disable_proxy()
        .cert_validation(CertificateValidation::Full(
            Certificate::from_pem(&pem).unwrap(),
        ))
        .auth(Credentials::Basic(
            settings.username.clone().unwrap(),
            settings.password.as_ref().unwrap().expose().to_owned(),
        ))
        .build()
        .unwrap();
    let body = json!({"name": "it", "role_descriptors": {"it": {
        "cluster": ["monitor"], "indices": [{"names": ["it-*"], "privileges": privileges}]
    }}});
    let response = transport
        .send(
            Method::Post,
            "/_security/api_key",
            HeaderMap::new(),
            None::<&()>,
            Some(body.to_string()),
            None,
        )
        .await
        .unwrap();
    let made: Value = response.json().await.unwrap();
    Secret::new(made["encoded"].as_str().unwrap_or_else(|| panic!("{made}")))
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

#[tokio::test]
async fn an_api_key_opens_the_index_and_one_with_too_few_privileges_is_an_alarm() {
    let settings = secure();
    let mut lane = Lane::at("key", settings.clone());
    lane.settings.username = None;
    lane.settings.password = None;
    let full = ["create_index", "manage", "read", "write"];
    lane.settings.api_key = Some(api_key(&settings, &full).await);
    let (hub, sink) = lane.open().await;
    let outcomes = write(
        &sink,
        &[("a", version(1, 1), Some("{}")), ("b", version(1, 2), None)],
    )
    .await;
    assert_eq!(outcomes.unwrap(), [Outcome::Applied, Outcome::Applied]);
    assert_eq!(hub.purge().await.unwrap(), 0);
    assert_eq!(lane.reader().export(|_| ()).await.unwrap(), 2);

    lane.settings.api_key = Some(api_key(&settings, &["read"]).await);
    let (detail, alarm) = unavailable(lane.hub().check(&identity()).await);
    assert!(alarm && detail.contains("privileges"), "{detail}");
    let sink = lane.hub().connect().unwrap();
    let outcomes = write(&sink, &[("a", version(1, 3), Some("{}"))])
        .await
        .unwrap();
    assert!(
        matches!(&outcomes[0], Outcome::Retry(f) if f.alarm && &*f.kind == "security_exception"),
        "{outcomes:?}"
    );

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
