//! Runs the rows, one after the other, and prints the table.
//!
//! `TWOLANE_FAULT_ROWS` names the rows to run (`1,4,8a`; a number means all of its cases), `TWOLANE_FAULT_SEED` repeats
//! a run's changes: it is printed at the beginning. The faults themselves strike where the load happens to be.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Instant, UNIX_EPOCH};

use super::alone;
use super::case::Start;
use super::rows::{Entry, ROWS, every_step, fails};
use super::table::{Row, Table, say};
use crate::lane::rig;
use crate::stack;

/// The seed to run with.
fn seed() -> u64 {
    match std::env::var("TWOLANE_FAULT_SEED") {
        Ok(seed) => seed.parse().expect("TWOLANE_FAULT_SEED is a number"),
        Err(_) => UNIX_EPOCH
            .elapsed()
            .map_or(1, |since| u64::from(since.subsec_nanos())),
    }
}

/// The rows to run.
fn chosen() -> Vec<&'static Entry> {
    let wanted = std::env::var("TWOLANE_FAULT_ROWS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').filter(|w| !w.is_empty()).collect();
    let number = |name: &'static str| name.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let is_wanted = |entry: &&Entry| {
        wanted.is_empty() || wanted.contains(&entry.name) || wanted.contains(&number(entry.name))
    };
    let rows: Vec<_> = ROWS.iter().filter(is_wanted).collect();
    assert!(!rows.is_empty(), "TWOLANE_FAULT_ROWS names no row");
    rows
}

/// One case, whatever becomes of it.
fn run(name: &str, case: impl FnOnce() -> Row) -> Row {
    let began = Instant::now();
    let mut row = catch_unwind(AssertUnwindSafe(case)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned()));
        Row::failed(name, text.unwrap_or_else(|| String::from("it panicked")))
    });
    row.notes
        .push(format!("{:.0} s", began.elapsed().as_secs_f64()));
    row
}

fn run_rows(
    rows: impl IntoIterator<Item = &'static Entry>,
    seed: u64,
    scale: u32,
    table: &mut Table,
) {
    for entry in rows {
        let stack = stack::faults(entry.services);
        let start = Start {
            name: entry.name,
            stack: &stack,
            seed,
            scale,
        };
        table.add(run(entry.name, || rig::system((entry.run)(&start))));
    }
}

fn judge(table: &Table) {
    say(format_args!("\n{table}"));
    let bad = table.bad();
    assert!(bad.is_empty(), "not survived:\n{}", bad.join("\n"));
}

#[test]
fn matrix() {
    let (_turn, _) = alone(&["kafka", "elasticsearch", "redis"]);
    let seed = seed();
    say(format_args!("TWOLANE_FAULT_SEED={seed}"));
    let mut table = Table::default();
    run_rows(chosen(), seed, 1, &mut table);
    judge(&table);
}

/// Each seed with a tenth of the rows, so that each row runs with two of them: all rows with each seed would take four
/// hours. Rows that are named run with every seed.
#[test]
#[ignore = "takes 25 minutes"]
fn matrix_with_20_seeds_of_larger_loads() {
    let (_turn, _) = alone(&["kafka", "elasticsearch", "redis"]);
    let first = seed();
    let shares = if std::env::var_os("TWOLANE_FAULT_ROWS").is_some() {
        1
    } else {
        10
    };
    let mut table = Table::default();
    for n in 0..20_usize {
        let seed = first + n as u64;
        say(format_args!("TWOLANE_FAULT_SEED={seed}"));
        let rows = chosen().into_iter().skip(n % shares).step_by(shares);
        run_rows(rows, seed, 10, &mut table);
    }
    judge(&table);
}

#[test]
#[ignore = "takes five minutes"]
fn matrix_of_every_step_of_every_actor() {
    let (_turn, stack) = alone(&["kafka", "elasticsearch", "redis"]);
    let seed = seed();
    say(format_args!("TWOLANE_FAULT_SEED={seed}"));
    let mut table = Table::default();
    for (actor, step, fault) in every_step() {
        let start = Start {
            name: "10",
            stack: &stack,
            seed,
            scale: 1,
        };
        let name = format!("10 {actor} {step} {fault:?}");
        let case = || rig::system(fails(&start, actor, step, fault));
        table.add(run(&name, case));
    }
    judge(&table);
}
