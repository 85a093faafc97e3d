//! The matrix: each row one fault, or one kind of it.

mod actors;
mod clock;
mod connect;
mod elasticsearch;
mod group;
mod kafka;
mod network;
mod poison;
mod process;
mod redis;
mod reload;
mod replay;
mod scale;
mod topic;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use super::case::Start;
use super::table::Row;

/// A row's number, a letter where it has several cases, and the case.
pub struct Entry {
    pub name: &'static str,
    /// The services of the stack that it needs.
    pub services: &'static [&'static str],
    pub run: for<'a> fn(&'a Start<'a>) -> LocalBoxFuture<'a, Row>,
}

const LANE: &[&str] = &["kafka", "elasticsearch", "redis"];
const SOURCE: &[&str] = &["kafka", "elasticsearch", "redis", "mariadb", "connect"];

macro_rules! rows {
    ($($name:literal $services:ident $run:path,)*) => {
        &[$(Entry { name: $name, services: $services, run: |start| Box::pin($run(start)) },)*]
    };
}

/// All of them.
pub const ROWS: &[Entry] = rows![
    "1" LANE process::killed,
    "2" LANE process::stopped_and_continued,
    "3a" LANE kafka::killed,
    "3b" LANE kafka::stopped_and_continued,
    "4a" LANE elasticsearch::killed_and_back_with_a_tiny_queue,
    "4b" LANE elasticsearch::stopped_and_continued,
    "4c" LANE elasticsearch::rejections_and_conflicts,
    "4d" LANE elasticsearch::one_item_fails,
    "4e" LANE elasticsearch::slow,
    "5" LANE elasticsearch::flood_stage,
    "6" LANE replay::after_a_delete_and_a_shards_restart,
    "7a" LANE redis::killed_with_persistence,
    "7b" LANE redis::killed_without_persistence,
    "7c" LANE redis::out_of_memory,
    "7d" LANE redis::read_only,
    "7e" LANE redis::loading,
    "7f" LANE redis::scripts_flushed,
    "7g" LANE redis::lagging_replica_promoted,
    "7h" LANE redis::flushed,
    "8a" LANE network::delays,
    "8b" LANE network::resets,
    "8c" LANE network::blackhole,
    "8d" LANE network::drops_replies,
    "9a" LANE group::storm_classic,
    "9b" LANE group::storm_kip_848,
    "10a" LANE actors::worker,
    "10b" LANE actors::source,
    "10c" LANE actors::committer,
    "11" LANE poison::among_good_records,
    "12a" LANE topic::made_anew,
    "12b" LANE topic::partitions_added,
    "12c" LANE topic::cut_before_it_was_read,
    "13" LANE clock::an_hour_forth_and_back,
    "14" LANE process::terminated,
    "15" SOURCE connect::killed,
    "16" LANE reload::under_load,
    "17a" LANE scale::one_three_one_classic,
    "17b" LANE scale::one_three_one_kip_848,
];

/// For how long a fault lasts that has no end of its own: longer than every delay between two attempts.
const LASTS: Duration = Duration::from_secs(4);

pub use actors::{every_step, fails};
