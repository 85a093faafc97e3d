//! The settings of the HTTP ingest.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::read::Values;
use crate::config::{IngestClient, IngestSettings, Place, Problems, RateSpec, Secret};

/// Whoever reaches the address may try as often as the network lets them.
const SHORTEST_KEY: usize = 24;

/// What `twolane run` calls it, and a name that no pipeline may have.
pub(super) const NAME: &str = "ingest";

/// `Some(None)` where no address is set.
pub(super) fn read(values: &Values, problems: &mut Problems) -> Option<Option<IngestSettings>> {
    if !values.given("ingest.listen") {
        for path in [
            "ingest.keys_file",
            "ingest.max_body",
            "ingest.max_events",
            "ingest.timeout",
            "ingest.rate",
            "ingest.burst",
        ] {
            if values.given(path) {
                problems.add(
                    values.place(path),
                    format!("{path} needs ingest.listen: without it there is no ingest"),
                );
            }
        }
        return Some(None);
    }
    let clients = match values.path("ingest.keys_file") {
        Some(file) => clients(&file, values.place("ingest.keys_file"), problems),
        None => {
            problems.add(
                values.place("ingest.listen"),
                "ingest.listen needs ingest.keys_file: without keys anybody could write into the topics",
            );
            Vec::new()
        }
    };
    let count = |path| u32::try_from(values.integer(path)).ok();
    let (max_events, burst) = (count("ingest.max_events")?, count("ingest.burst")?);
    if burst < max_events {
        let place = if values.given("ingest.burst") {
            values.place("ingest.burst")
        } else {
            values.place("ingest.max_events")
        };
        problems.add(
            place,
            format!(
                "ingest.burst is {burst}, below ingest.max_events of {max_events}: the largest batch would never be taken"
            ),
        );
    }
    Some(Some(IngestSettings {
        listen: values.address("ingest.listen")?,
        clients,
        max_body: values.size("ingest.max_body"),
        max_events,
        timeout: values.duration("ingest.timeout")?,
        rate: RateSpec {
            count: count("ingest.rate")?,
            per: std::time::Duration::from_secs(1),
            burst,
        },
    }))
}

/// One client a line: `name key`, or `name key topic,topic`. No message quotes a line, since it may hold a key.
fn clients(file: &Path, place: Place, problems: &mut Problems) -> Vec<IngestClient> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let message = format!(
                "ingest.keys_file: {} cannot be read: {error}",
                file.display()
            );
            problems.add(place, message);
            return Vec::new();
        }
    };
    let mut clients: Vec<IngestClient> = Vec::new();
    let mut names = BTreeSet::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut refuse = |message: &str| {
            problems.add(
                Place::Character {
                    file: file.to_owned(),
                    line: i + 1,
                    column: 1,
                },
                message,
            );
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, key, topics) = match words.as_slice() {
            [name, key] => (*name, *key, ""),
            [name, key, topics] => (*name, *key, *topics),
            _ => {
                refuse(
                    "must be a client's name, its key, and perhaps its topics with commas between",
                );
                continue;
            }
        };
        if key.len() < SHORTEST_KEY || !key.bytes().all(|b| b.is_ascii_graphic()) {
            refuse(
                "the key has fewer than 24 characters, or some that no header can hold: make one with `openssl rand -hex 24`",
            );
            continue;
        }
        if !names.insert(name.to_owned()) {
            refuse("the client has a line already: keep one");
            continue;
        }
        if clients.iter().any(|other| other.key.expose() == key) {
            refuse("another client has this key: give each its own");
            continue;
        }
        let topics = topics.split(',').filter(|topic| !topic.is_empty());
        clients.push(IngestClient {
            name: name.to_owned(),
            key: Secret::new(key),
            topics: topics.map(str::to_owned).collect(),
        });
    }
    if clients.is_empty() && problems.is_empty() {
        problems.add(
            place,
            format!("ingest.keys_file: {} names no client", file.display()),
        );
    }
    clients
}
