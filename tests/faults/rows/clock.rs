//! The wall clock goes an hour forth and back under the process.

use std::path::PathBuf;

use super::super::case::{Case, Start, options};
use super::super::process::Process;
use super::super::table::Row;
use super::super::until;

/// Where Debian's package `faketime` has its library, below the folder of the machine's kind.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let mut paths = folders.filter_map(|folder| Some(folder.ok()?.path().join(LIBRARY)));
    paths.find(|path| path.exists())
}

pub async fn an_hour_forth_and_back(start: &Start<'_>) -> Row {
    let case = Case::new(start, "wall clock an hour forth and back", options()).await;
    let Some(library) = library() else {
        case.note(String::from(
            "NOT RUN: the package faketime is not installed",
        ));
        let lane = case.begin(start).await;
        case.settles().await;
        case.rest(vec![lane]).await;
        return case.verdict().await;
    };
    let clock = case.rig.directory().join("clock");
    let set = |shift: &str| std::fs::write(&clock, shift).expect("the clock's file");
    set("+0");
    let variables = [
        ("LD_PRELOAD", library.to_string_lossy().into_owned()),
        (
            "FAKETIME_TIMESTAMP_FILE",
            clock.to_string_lossy().into_owned(),
        ),
        ("FAKETIME_NO_CACHE", String::from("1")),
        // Deadlines and backoff go by the monotonic clock, which no operator sets.
        ("FAKETIME_DONT_FAKE_MONOTONIC", String::from("1")),
        ("DONT_FAKE_MONOTONIC", String::from("1")),
    ];
    let process = Process::start_with(case.rig.directory(), &variables);
    case.warm(start).await;
    case.while_loaded(async {
        case.strikes().await;
        for (shift, is_seen) in [
            ("+3600", (|age| age > 3_000.0) as fn(f64) -> bool),
            ("+0", |age| age < 3_000.0),
        ] {
            set(shift);
            let rev = case.model.rev();
            // The process sees it: what it shows as its records' age follows.
            until("the clock to be seen", async || {
                let pipelines = process.pipelines().await.unwrap_or_default();
                let age = &pipelines[0]["branches"][0]["last_freshness_seconds"];
                age.as_f64().is_some_and(is_seen)
            })
            .await;
            case.shows(rev).await;
            tokio::time::sleep(super::LASTS).await;
        }
        case.lifted();
    })
    .await;
    case.settles().await;
    case.rest_process(process).await;
    case.verdict().await
}
