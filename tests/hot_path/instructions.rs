//! Instructions per event, counted by callgrind: the difference of two runs of different length, so that whatever
//! happens once does not count. The budget is for the profile that tests are built by, without optimization: what
//! is counted there is many times what a release build takes, but a change that does more work shows in either.

use std::process::Command;

use super::work::Work;

/// What an event may take: 148,445 when this was last lowered (Rust 1.95, x86-64), and a tenth for other compilers.
const BUDGET: u64 = 163_000;
/// Events of the two runs.
const RUNS: [usize; 2] = [1_000, 3_000];
/// Tells the counted process how many events it is to take.
const EVENTS: &str = "TWOLANE_TEST_COUNTED_EVENTS";

/// The counted process's part; by itself it takes a few events to their bodies.
#[test]
fn events_become_bodies() {
    let events = std::env::var(EVENTS).ok().and_then(|n| n.parse().ok());
    let events = events.unwrap_or(10);
    assert!(Work::new().run(events) > events * 400);
}

#[test]
fn an_event_takes_no_more_instructions_than_its_budget() {
    let version = Command::new("valgrind").arg("--version").output();
    if !version.is_ok_and(|v| v.status.success()) {
        // .ci/run installs it where it may.
        println!(
            "SKIPPED: valgrind is not installed (apt-get install valgrind), so no instructions are counted"
        );
        return;
    }
    let [short, long] = RUNS.map(counted);
    let events = RUNS[1] - RUNS[0];
    let each = (long - short) / u64::try_from(events).expect("some events");
    if !cfg!(debug_assertions) {
        println!("{each} instructions an event in a release build, which has no budget");
        return;
    }
    println!("{each} instructions an event, of {BUDGET} at the most");
    assert!(
        each <= BUDGET,
        "an event takes {each} instructions from its record to its place in a body, and may take {BUDGET}: find what \
         grew (valgrind --tool=callgrind, callgrind_annotate), or raise the budget and say why"
    );
    // A budget far above what is needed finds nothing.
    assert!(
        each >= BUDGET / 2,
        "an event takes {each} instructions only: lower the budget of {BUDGET}"
    );
}

/// Instructions of a process that takes so many events to their bodies.
fn counted(events: usize) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let out = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!(
            "--callgrind-out-file={}",
            folder.path().join("out").display()
        ))
        .arg(std::env::current_exe().expect("this test's own file"))
        .args([
            "--exact",
            "instructions::events_become_bodies",
            "--test-threads=1",
        ])
        .env(EVENTS, events.to_string())
        .output()
        .expect("valgrind runs");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    let count = said
        .lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.unwrap_or_else(|| panic!("callgrind says no count: {said}"))
}
