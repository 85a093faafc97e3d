//! Records that nobody can use, among good ones.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use twolane::cli::demo::rng::Rng;

use super::super::case::{Case, Count, Start, options};
use super::super::table::Row;
use super::super::until;
use crate::lane::rig::{self, Options};
use crate::lane::tools;

/// From the record's acknowledgement until its letter is in the dead-letter topic.
const BURIED: Duration = Duration::from_secs(5);
/// Bytes of the largest record's value: the topic takes 1,000,000 with what is around it.
const LARGEST: usize = 999_600;
/// What the dead-letter topic takes: the largest record's letter goes without its value.
const LETTER: &str = "200000";

pub async fn among_good_records(start: &Start<'_>) -> Row {
    let options = Options {
        topic_config: &[("max.message.bytes", "1000000")],
        ..options()
    };
    let case = Case::new(start, "poison among good records", options).await;
    let brokers = case.rig.config.settings.kafka.brokers.clone();
    let dead = format!("{}.dead", case.rig.topic);
    let kept = [("max.message.bytes", LETTER), ("retention.ms", "-1")];
    rig::create_topic(&brokers, &dead, 1, &kept).await;
    let lane = case.begin(start).await;
    let branches = lane.branches();
    let good = rig::event("u", 1, 1, "ada");
    let within = |what: &str| good.replace("\"ada\"", what).into_bytes();
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let invalid = [
        &br#"{"before":null,"op":"u","after":{"id":1,"name":""#[..],
        b"\xff\xfe\"}}",
    ]
    .concat();
    // Nothing that can be compressed: the topics' limits are on what is sent.
    let mut rng = Rng::new(start.seed);
    let large: Vec<u8> = (0..LARGEST).map(|_| rng.bits().to_le_bytes()[0]).collect();
    // The largest that the topic takes, and what no decoder takes.
    let surely: [(&str, Vec<u8>); 4] = [
        ("the largest", large),
        ("nested 100,000 deep", within(&deep)),
        ("invalid UTF-8", invalid),
        ("cut off", good.as_bytes()[..good.len() / 2].to_vec()),
    ];
    // What may be taken by one sink and not by the other: it must hold up nobody, and the row's next change wins.
    let perhaps: [Vec<u8>; 3] = [
        within(r#""\ud800""#),
        within(r#""\udc00 \ud83d""#),
        good.replace("\"rev\":1", "\"rev\":1,\"rev\":2")
            .into_bytes(),
    ];
    let mut expected = BTreeSet::new();
    let mut slowest = Duration::ZERO;
    case.strikes().await;
    let buried = |sinks: &[u64]| {
        let now = branches.iter().map(|b| Count::of(b).dead_lettered);
        now.zip(sinks).all(|(now, before)| now > *before)
    };
    case.while_loaded(async {
        for (id, (what, value)) in (0..).zip(&surely) {
            let before: Vec<u64> = branches
                .iter()
                .map(|b| Count::of(b).dead_lettered)
                .collect();
            let rev = case.model.rev();
            let at = case.model.poison_with(&case.rig, id, value).await;
            let sent = Instant::now();
            until(&format!("{what} to be buried"), || async {
                buried(&before)
            })
            .await;
            let took = sent.elapsed();
            slowest = slowest.max(took);
            if took > BURIED {
                case.violation(format!("{what} was a dead letter after {took:?}"));
            }
            // Other keys pass meanwhile.
            case.shows(rev).await;
            expected.insert(at);
        }
        case.lifted();
    })
    .await;
    for (id, value) in (0..).zip(&perhaps) {
        case.model.poison_with(&case.rig, id, value).await;
        case.model.upsert(&case.rig, id).await;
    }
    case.settles().await;
    case.note(format!("the slowest was a dead letter after {slowest:.1?}"));
    for branch in &branches {
        if branch.control.is_halted() {
            case.violation(format!("{}: {:?}", branch.name, branch.control.state()));
        }
    }
    case.rest(vec![lane]).await;
    let letters = tools::dead_letters(&case.rig).await;
    for sink in &case.watch.sinks {
        let found: BTreeSet<(i32, i64)> = letters
            .iter()
            .filter(|l| tools::header(l, "twolane.sink").as_deref() == Some(sink.name()))
            .filter_map(|letter| {
                let number = |name: &str| tools::header(letter, name);
                let partition = number("twolane.partition")?.parse().ok()?;
                Some((partition, number("twolane.offset")?.parse().ok()?))
            })
            .collect();
        let missing: Vec<_> = expected.difference(&found).collect();
        if !missing.is_empty() {
            case.violation(format!(
                "L: {sink:?} has no dead letters for the records at {missing:?}"
            ));
        }
    }
    case.verdict().await
}
