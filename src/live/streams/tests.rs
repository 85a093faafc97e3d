//! What is compared, and what is left alone.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::stream::{RetentionPolicy, StorageType};

use super::*;
use crate::config::{LoadOptions, load};

pub(super) fn spec() -> LiveSpec {
    let options = LoadOptions {
        directory: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        ..LoadOptions::default()
    };
    LiveSpec::clone(&load(&options).unwrap().live.unwrap())
}

fn wanted(name: &str) -> Wanted {
    let mut all = wanted::all(&spec()).into_iter();
    all.find(|wanted| wanted.name() == name).unwrap()
}

#[test]
fn what_the_operator_decides_is_kept() {
    let wanted = wanted(LIVE_OUT);
    let mut found = wanted.stream.clone();
    found.num_replicas = 3;
    found.metadata = [("a".to_owned(), "b".to_owned())].into();
    // As the server writes it: no limit is -1, and subjects come in any order.
    found.max_messages = 0;
    assert_eq!(compare::streams(&found, &wanted.stream), []);
    found.max_age = Duration::from_secs(60);
    let differences = compare::streams(&found, &wanted.stream);
    assert_eq!(
        differences
            .iter()
            .map(Difference::to_string)
            .collect::<Vec<_>>(),
        ["max_age is \"1m\", and should be \"1d\""]
    );
    let altered = compare::overlaid(found, &wanted.stream);
    assert_eq!(altered.num_replicas, 3);
    assert_eq!(altered.metadata.len(), 1);
    assert_eq!(compare::streams(&altered, &wanted.stream), []);
}

#[test]
fn what_a_stream_is_for_is_fixed() {
    let wanted = wanted(LIVE_IN);
    for alter in [
        |found: &mut stream::Config| found.retention = RetentionPolicy::Limits,
        |found: &mut stream::Config| found.storage = StorageType::Memory,
        |found: &mut stream::Config| found.subjects = vec!["live.>".to_owned()],
        |found: &mut stream::Config| found.sealed = true,
    ] {
        let mut found = wanted.stream.clone();
        alter(&mut found);
        let differences = compare::streams(&found, &wanted.stream);
        assert!(
            matches!(differences.as_slice(), [only] if only.fixed),
            "{differences:?}"
        );
        let why = StreamsError::differs(wanted.label(), differences).to_string();
        assert!(
            why.contains("stream LIVE_IN") && why.contains("nats stream rm"),
            "{why}"
        );
    }
}

#[test]
fn a_window_that_is_not_asked_for_is_the_servers() {
    let wanted = wanted(LIVE_AUDIT);
    let mut found = wanted.stream.clone();
    found.duplicate_window = Duration::from_secs(120);
    assert_eq!(compare::streams(&found, &wanted.stream), []);
    assert_eq!(
        compare::overlaid(found, &wanted.stream).duplicate_window,
        Duration::from_secs(120)
    );
}

#[test]
fn a_consumer_follows_the_spec() {
    let wanted = wanted(LIVE_IN).consumer.unwrap();
    let mut found = wanted.config.clone();
    found.max_waiting = 512;
    assert_eq!(compare::consumers(&found, &wanted.config), []);
    found.ack_wait = Duration::from_secs(30);
    found.max_expires = Duration::ZERO;
    let differences = compare::consumers(&found, &wanted.config);
    assert_eq!(differences.len(), 2);
    assert!(differences.iter().all(|difference| !difference.fixed));
}
