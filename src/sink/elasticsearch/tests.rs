use bytes::Bytes;

use super::testing::{pipeline, sink};
use super::*;
use crate::sink::Failure;

fn settings() -> ElasticsearchSettings {
    ElasticsearchSettings {
        url: String::from("http://127.0.0.1:9200"),
        username: None,
        password: None,
        api_key: None,
        ca_file: None,
        timeout: Duration::from_secs(30),
        search_probe: Duration::ZERO,
    }
}

fn spec() -> ElasticsearchSpec {
    ElasticsearchSpec {
        index: String::from("a/b"),
        mapping: None,
    }
}

fn answered(
    items: usize,
    aside: Vec<(usize, Outcome)>,
    status: u16,
    body: &'static str,
) -> Result<Vec<Outcome>, SinkError> {
    let selected = items + aside.len();
    let body = Bytes::from_static(body.as_bytes());
    ElasticsearchSink::new("a/b", &sink(&spec()), &settings())
        .unwrap()
        .outcomes(Encoded { items, aside }, selected, &Answer { status, body })
}

fn alone(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Retry(Failure { alone: true, .. }))
}

#[test]
fn each_item_has_its_own_outcome() {
    let body = r#"{"items":[{"index":{"status":201}},{"index":{"status":500,"error":{"type":"x","reason":"y"}}},{"index":{"status":503,"error":{"type":"unavailable_shards_exception","reason":"y"}}},{"delete":{"status":404}}]}"#;
    let outcomes = answered(4, Vec::new(), 200, body).unwrap();
    assert_eq!(outcomes[0], Outcome::Applied);
    assert!(alone(&outcomes[1]), "{:?}", outcomes[1]);
    assert!(matches!(&outcomes[2], Outcome::Retry(f) if !f.alone));
    assert_eq!(outcomes[3], Outcome::Applied);
}

#[test]
fn a_failure_that_hits_all_may_be_each_ones_own_and_that_of_a_shard_is_nobodys() {
    let body = r#"{"items":[{"index":{"status":500,"error":{"type":"x","reason":"y"}}},{"index":{"status":500,"error":{"type":"x","reason":"y"}}}]}"#;
    let outcomes = answered(2, Vec::new(), 200, body).unwrap();
    assert!(outcomes.iter().all(alone), "{outcomes:?}");
    let body = r#"{"items":[{"index":{"status":503,"error":{"type":"x","reason":"y"}}},{"index":{"status":503,"error":{"type":"x","reason":"y"}}}]}"#;
    let outcomes = answered(2, Vec::new(), 200, body).unwrap();
    assert!(!outcomes.iter().any(alone), "{outcomes:?}");
}

#[test]
fn another_number_of_items_says_nothing_of_any() {
    let body = r#"{"items":[{"index":{"status":201}}]}"#;
    for items in [0, 2] {
        let answer = answered(items, Vec::new(), 200, body);
        assert!(
            matches!(answer, Err(SinkError::Unavailable { .. })),
            "{answer:?}"
        );
    }
    let html = answered(1, Vec::new(), 200, "<html>");
    assert!(
        matches!(html, Err(SinkError::Unavailable { .. })),
        "{html:?}"
    );
}

#[test]
fn a_request_refused_as_a_whole_is_split_until_one_write_is_left() {
    let body =
        r#"{"error":{"type":"action_request_validation_exception","reason":"no"},"status":400}"#;
    let several = answered(2, Vec::new(), 400, body);
    assert!(
        matches!(several, Err(SinkError::TooLarge(_))),
        "{several:?}"
    );
    let one = answered(1, Vec::new(), 400, body).unwrap();
    assert!(
        matches!(&one[0], Outcome::Rejected(f) if &*f.kind == "action_request_validation_exception")
    );
    assert!(matches!(
        answered(1, Vec::new(), 413, ""),
        Err(SinkError::TooLarge(_))
    ));
    let proxy = answered(1, Vec::new(), 400, "<html>");
    assert!(
        matches!(proxy, Err(SinkError::Unavailable { .. })),
        "{proxy:?}"
    );
}

#[test]
fn what_was_not_sent_is_answered_in_its_place() {
    let rejected = || Outcome::Rejected(failure("invalid_id", "", false));
    let body = r#"{"items":[{"index":{"status":201}},{"index":{"status":201}}]}"#;
    let aside = vec![(0, rejected()), (2, rejected()), (4, rejected())];
    let outcomes = answered(2, aside, 200, body).unwrap();
    let applied: Vec<_> = outcomes.iter().map(|o| *o == Outcome::Applied).collect();
    assert_eq!(applied, [false, true, false, true, false]);
}

#[test]
fn only_the_process_that_made_the_index_reads_the_log_again_and_once() {
    let hub = ElasticsearchHub::new(
        &pipeline(&[], &sink(&spec())),
        &sink(&spec()),
        &spec(),
        &settings(),
    )
    .unwrap();
    let resume = |partition, committed| {
        let answer = hub.resume(partition, committed);
        futures_util::FutureExt::now_or_never(answer)
            .unwrap()
            .unwrap()
    };
    assert_eq!(resume(0, Some(5)), Resume::Committed);
    hub.state(|s| {
        s.made = Some(Instant::now());
        s.restarted.clear();
    });
    assert_eq!(resume(0, Some(5)), Resume::Start);
    assert_eq!(resume(0, Some(5)), Resume::Committed);
    assert_eq!(resume(1, None), Resume::Committed);
    assert_eq!(resume(1, Some(7)), Resume::Committed);
    hub.state(|s| s.made = Instant::now().checked_sub(NEW));
    assert_eq!(resume(2, Some(7)), Resume::Committed);
}

#[test]
fn the_path_asks_for_what_is_read_and_encodes_the_alias() {
    let sink = ElasticsearchSink::new("a/b", &sink(&spec()), &settings()).unwrap();
    assert!(
        sink.path
            .starts_with("a%2Fb/_bulk?require_alias=true&timeout=15000ms&")
    );
}
