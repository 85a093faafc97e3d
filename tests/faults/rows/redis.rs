//! Redis is away, full, read-only, or has forgotten. The row has servers of its own, so that they can be
//! configured.
//!
//! Where Redis forgets, the lane follows it back, and only the end is judged.

use std::sync::atomic::Ordering;

use super::super::case::{Case, Start, options};
use super::super::proxy::{Mode, Proxy, host_and_port};
use super::super::table::Row;
use super::super::until;
use crate::lane::rig::Options;
use crate::redis_sink::Server;

/// Persistent as the stack's own: what was answered survives a crash of the process.
const PERSISTENT: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];

fn redis_alone() -> Options {
    Options {
        elasticsearch: None,
        ..options()
    }
}

/// A server's start is waited for on a thread of its own, so that the load goes on.
async fn server(options: &[&'static str]) -> Server {
    let options = options.to_vec();
    let started = tokio::task::spawn_blocking(move || Server::start(&options)).await;
    started.expect("it starts")
}

async fn again(mut server: Server) -> Server {
    let started = tokio::task::spawn_blocking(move || {
        server.crash();
        server.again();
        server
    });
    started.await.expect("it starts")
}

async fn case(start: &Start<'_>, fault: &str, server: &Server) -> Case {
    let stack = start.stack.with("REDIS", &server.url());
    Case::on(start, fault, stack, redis_alone()).await
}

/// A fault that Redis loses nothing by.
async fn outage(
    start: &Start<'_>,
    fault: &str,
    options: &[&'static str],
    strike: impl AsyncFnOnce(&Case, Server) -> Server,
) -> Row {
    let server = server(options).await;
    let case = case(start, fault, &server).await;
    let lane = case.begin(start).await;
    let _server = case
        .while_loaded(async {
            case.strikes().await;
            let server = strike(&case, server).await;
            case.lifted();
            server
        })
        .await;
    case.settles().await;
    let forgot = lane.branches()[0].stats.forgot.load(Ordering::Relaxed);
    if forgot > 0 {
        case.violation(format!("{forgot} partitions were thought forgotten"));
    }
    case.rest(vec![lane]).await;
    case.verdict().await
}

/// A fault by which Redis loses what it had answered.
async fn loss(
    start: &Start<'_>,
    fault: &str,
    server: Server,
    strike: impl AsyncFnOnce(&Case, Server) -> Server,
) -> Row {
    let case = case(start, fault, &server).await;
    case.watch.each.set(false);
    let lane = case.begin(start).await;
    let branch = lane.branches().remove(0);
    let forgot = || branch.stats.forgot.load(Ordering::Relaxed);
    let _server = case
        .while_loaded(async {
            case.strikes().await;
            let server = strike(&case, server).await;
            case.lifted();
            until("the loss to be noticed", || async { forgot() > 0 }).await;
            server
        })
        .await;
    case.may_read_all_again();
    case.settles().await;
    case.note(format!("{} partitions were read again", forgot()));
    case.rest(vec![lane]).await;
    case.verdict().await
}

pub async fn killed_with_persistence(start: &Start<'_>) -> Row {
    let strike = async |_: &Case, server: Server| again(server).await;
    outage(start, "Redis killed, with persistence", &PERSISTENT, strike).await
}

pub async fn killed_without_persistence(start: &Start<'_>) -> Row {
    let strike = async |_: &Case, server: Server| again(server).await;
    let server = server(&[]).await;
    loss(start, "Redis killed, without persistence", server, strike).await
}

pub async fn flushed(start: &Start<'_>) -> Row {
    let strike = async |_: &Case, server: Server| {
        let _: String = server.run(&["FLUSHALL"]);
        server
    };
    let server = server(&[]).await;
    loss(start, "Redis flushed (FLUSHALL)", server, strike).await
}

pub async fn out_of_memory(start: &Start<'_>) -> Row {
    let strike = async |_: &Case, server: Server| {
        let _: String = server.run(&["CONFIG", "SET", "maxmemory", "1mb"]);
        tokio::time::sleep(super::LASTS).await;
        let _: String = server.run(&["CONFIG", "SET", "maxmemory", "0"]);
        server
    };
    outage(start, "Redis out of memory (noeviction)", &[], strike).await
}

pub async fn read_only(start: &Start<'_>) -> Row {
    let strike = async |_: &Case, server: Server| {
        // A replica of nobody: it keeps what it has and takes no writes.
        let _: String = server.run(&["REPLICAOF", "127.0.0.1", "1"]);
        tokio::time::sleep(super::LASTS).await;
        let _: String = server.run(&["REPLICAOF", "NO", "ONE"]);
        server
    };
    outage(start, "Redis READONLY", &[], strike).await
}

pub async fn loading(start: &Start<'_>) -> Row {
    let strike = async |_: &Case, server: Server| {
        let _: String = server.run(&["BGREWRITEAOF"]);
        until("the file to be rewritten", || async {
            let info: String = server.run(&["INFO", "persistence"]);
            info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
        })
        .await;
        again(server).await
    };
    // Each key takes 5 ms to load, and commands are answered meanwhile.
    let slow = [
        &PERSISTENT[..],
        &["--key-load-delay", "5000"],
        &["--loading-process-events-interval-bytes", "1024"],
    ];
    outage(start, "Redis LOADING", &slow.concat(), strike).await
}

pub async fn scripts_flushed(start: &Start<'_>) -> Row {
    let strike = async |case: &Case, server: Server| {
        for _ in 0..5 {
            let _: String = server.run(&["SCRIPT", "FLUSH"]);
            let rev = case.model.rev();
            case.shows(rev).await;
        }
        server
    };
    outage(start, "Redis SCRIPT FLUSH, five times", &[], strike).await
}

pub async fn lagging_replica_promoted(start: &Start<'_>) -> Row {
    let primary = server(&[]).await;
    let replica = server(&[]).await;
    let link = Proxy::before(&host_and_port(&primary.url())).await;
    let address = link.address();
    let (host, port) = address.split_once(':').expect("an address");
    let _: String = replica.run(&["REPLICAOF", host, port]);
    let proxy = Proxy::before(&host_and_port(&primary.url())).await;
    let stack = start
        .stack
        .with("REDIS", &format!("redis://{}/0", proxy.address()));
    let case = Case::on(
        start,
        "lagging Redis replica promoted",
        stack,
        redis_alone(),
    )
    .await;
    case.watch.each.set(false);
    let lane = case.begin(start).await;
    let branch = lane.branches().remove(0);
    let forgot = || branch.stats.forgot.load(Ordering::Relaxed);
    until("the replica to follow", || async {
        let info: String = replica.run(&["INFO", "replication"]);
        info.contains("master_link_status:up")
    })
    .await;
    let _servers = case
        .while_loaded(async {
            case.strikes().await;
            let (mut primary, replica) = (primary, replica);
            // What is acknowledged from now on is on the primary alone.
            link.set(Mode::Blackhole);
            for _ in 0..2 {
                let rev = case.model.rev();
                case.shows(rev).await;
            }
            primary.crash();
            let _: String = replica.run(&["REPLICAOF", "NO", "ONE"]);
            proxy.lead_to(&host_and_port(&replica.url()));
            case.lifted();
            until("the loss to be noticed", || async { forgot() > 0 }).await;
            replica
        })
        .await;
    case.may_read_all_again();
    case.settles().await;
    case.note(format!("{} partitions were read again", forgot()));
    case.rest(vec![lane]).await;
    case.verdict().await
}
