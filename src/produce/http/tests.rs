use std::time::Duration;

use actix_web::http::StatusCode;

use super::Door;
use super::answer::{Line, Turn};
use super::body::{Kind, events};
use super::clients::Clients;
use super::stats::{Stats, Turned};
use crate::config::{IngestClient, IngestSettings, RateSpec, Secret};
use crate::produce::{Reason, Refused};

fn settings() -> IngestSettings {
    let client = |name: &str, key: &str, topics: &[&str]| IngestClient {
        name: name.into(),
        key: Secret::new(key),
        topics: topics.iter().map(|t| (*t).to_owned()).collect(),
    };
    IngestSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        clients: vec![
            client("app", "first-key", &[]),
            client("web", "second-key", &["a", "b"]),
        ],
        max_body: 1_024,
        max_events: 3,
        timeout: Duration::from_secs(1),
        rate: RateSpec {
            count: 10,
            per: Duration::from_secs(1),
            burst: 20,
        },
    }
}

#[test]
fn a_key_is_one_clients_and_a_client_writes_where_it_may() {
    let clients = Clients::new(&settings());
    let app = clients.of(b"first-key").unwrap();
    let web = clients.of(b"second-key").unwrap();
    assert_ne!(app, web);
    for other in [&b""[..], b"first-ke", b"first-key ", b"First-key"] {
        assert_eq!(clients.of(other), None);
    }
    assert!(clients.may_write(app, "anything"));
    assert!(clients.may_write(web, "b") && !clients.may_write(web, "c"));
}

#[test]
fn clients_that_follow_have_other_keys_and_who_stays_stays_charged() {
    let door = Door::new(Clients::new(&settings()));
    let before = door.now();
    let app = before.of(b"first-key").unwrap();
    assert_eq!(before.charge_at(app, 20, 0), Ok(()));
    let mut next = settings();
    next.clients.reverse();
    next.clients[1].key = Secret::new("third-key");
    next.rate.burst = 40;
    door.take_over(&next);
    let after = door.now();
    assert_eq!(after.of(b"first-key"), None);
    let app = after.of(b"third-key").unwrap();
    assert!(after.may_write(app, "anything"));
    assert_eq!(after.charge_at(app, 20, 0), Ok(()));
    assert!(after.charge_at(app, 1, 0).is_err());
    // A request under way goes on with those that it began with.
    assert!(before.of(b"first-key").is_some());
}

#[test]
fn each_client_has_a_rate_of_its_own_and_a_refusal_costs_nothing() {
    let clients = Clients::new(&settings());
    let app = clients.of(b"first-key").unwrap();
    let web = clients.of(b"second-key").unwrap();
    assert_eq!(clients.charge_at(app, 20, 0), Ok(()));
    assert_eq!(
        clients.charge_at(app, 5, 0),
        Err(Duration::from_millis(500))
    );
    assert_eq!(clients.charge_at(web, 20, 0), Ok(()));
    assert_eq!(clients.charge_at(app, 5, 500_000), Ok(()));
}

#[test]
fn lines_keep_their_numbers_and_too_many_are_refused() {
    let lines = events(Kind::Lines, b"\n{}\r\n\n  {\"a\":1}\n", 3).unwrap();
    assert_eq!(lines, [(2, &b"{}"[..]), (4, b"{\"a\":1}")]);
    assert_eq!(events(Kind::Json, b"{\n}", 1).unwrap(), [(1, &b"{\n}"[..])]);
    let many = events(Kind::Lines, b"1\n2\n3\n4", 3).unwrap_err();
    assert_eq!(many.why, Turned::Size);
    for nothing in [&b""[..], b" \n\n"] {
        for kind in [Kind::Json, Kind::Lines] {
            assert_eq!(events(kind, nothing, 3).unwrap_err().why, Turned::Event);
        }
    }
}

#[test]
fn an_answer_says_when_to_come_again_and_which_lines_are_at_fault() {
    let turn = Turn::new(Turned::Rate, "x").after(Duration::from_millis(1_001));
    let answer = turn.answer();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers().get("retry-after").unwrap(), "2");
    let refused = Refused {
        reason: Reason::Schema,
        field: "user_id".into(),
        what: "is missing".into(),
        remedy: "add it".into(),
    };
    let lines = (1..=300).map(|line| Line::of(line, &refused)).collect();
    let turn = Turn::events(lines);
    assert_eq!(turn.problem.refused_count, Some(300));
    assert_eq!(turn.problem.refused.len(), 100);
    assert_eq!(turn.problem.refused[2].line, 3);
    assert_eq!(turn.problem.refused[2].field.as_deref(), Some("user_id"));
    assert_eq!(turn.answer().status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[test]
fn what_is_turned_away_is_counted_by_why() {
    let stats = Stats::default();
    for why in Turned::ALL {
        stats.turned(why);
    }
    stats.turned(Turned::Busy);
    let counted = stats.snapshot().turned;
    assert_eq!(counted.len(), Turned::ALL.len());
    for (reason, n) in counted {
        assert_eq!(n, if reason == "busy" { 2 } else { 1 }, "{reason}");
    }
}

/// What a client reads is what the handler does: every status that there is an answer for, and every field.
#[test]
fn the_document_has_the_path_its_bodies_and_every_status() {
    let text = super::document().unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let post = &document["paths"]["/v1/events/{topic}"]["post"];
    let content = post["requestBody"]["content"].as_object().unwrap();
    let types: Vec<&String> = content.keys().collect();
    assert_eq!(types, ["application/json", "application/x-ndjson"]);
    let described = post["responses"].as_object().unwrap();
    assert!(described.contains_key("202"));
    for why in Turned::ALL {
        let status = Turn::new(why, "x").answer().status();
        assert!(described.contains_key(status.as_str()), "{status}: {why:?}");
    }
    let problem = &document["components"]["schemas"]["Problem"]["properties"];
    for field in ["reason", "error", "refused", "accepted", "unacknowledged"] {
        assert!(problem.get(field).is_some(), "{field}: {text}");
    }
    assert_eq!(
        document["components"]["securitySchemes"]["key"]["scheme"],
        "bearer"
    );
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}
