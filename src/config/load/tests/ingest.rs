//! `[ingest]` and its file of keys.

use super::*;

const LISTEN: &str = "[ingest]\nlisten = \"127.0.0.1:8088\"\nkeys_file = \"keys\"\n";
const KEY: &str = "0123456789abcdef01234567";

fn problems(settings: &str, keys: &str) -> Vec<String> {
    Folder::with(&[("twolane.toml", settings), ("keys", keys)]).problems(&[])
}

#[test]
fn clients_are_read_with_their_topics() {
    let keys = format!("# people\napp {KEY}\n\nweb  {KEY}x  a,b\n");
    let folder = Folder::with(&[("twolane.toml", LISTEN), ("keys", &keys)]);
    let ingest = folder.load().settings.ingest.unwrap();
    let names: Vec<_> = ingest.clients.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["app", "web"]);
    assert!(ingest.clients[0].topics.is_empty() && ingest.clients[0].key.is(KEY.as_bytes()));
    assert_eq!(ingest.clients[1].topics, ["a", "b"]);
    assert!(!format!("{ingest:?}").contains(KEY));
}

#[test]
fn what_is_wrong_with_a_key_names_its_line_and_never_shows_it() {
    let keys = format!("app short-secret\napp\nweb {KEY}\nweb {KEY}y\nother {KEY}\n");
    let problems = problems(LISTEN, &keys);
    let expected = [
        ("keys:1:1: ", "fewer than 24 characters"),
        ("keys:2:1: ", "must be a client's name"),
        ("keys:4:1: ", "has a line already"),
        ("keys:5:1: ", "another client has this key"),
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, (place, what)) in problems.iter().zip(expected) {
        assert!(
            problem.starts_with(place) && problem.contains(what),
            "{problem}"
        );
        assert!(!problem.contains("secret") && !problem.contains(KEY));
    }
    assert!(self::problems(LISTEN, "# nobody\n")[0].contains("names no client"));
}

#[test]
fn an_ingest_needs_its_address_its_keys_and_room_for_its_largest_batch() {
    let keys = format!("app {KEY}\n");
    let without = problems("[ingest]\nrate = 5\n", &keys);
    assert_eq!(
        without,
        ["twolane.toml:2:8: ingest.rate needs ingest.listen: without it there is no ingest"]
    );
    let open = problems("[ingest]\nlisten = \"127.0.0.1:1\"\n", &keys);
    assert!(open[0].contains("needs ingest.keys_file"), "{open:?}");
    let small = problems(&format!("{LISTEN}burst = 10\n"), &keys);
    assert!(small[0].contains("below ingest.max_events"), "{small:?}");
    assert!(problems(&format!("{LISTEN}burst = 10\nmax_events = 10\n"), &keys).is_empty());
}
