//! A rebalance storm: members join and leave every second.

use std::collections::VecDeque;
use std::time::Duration;

use twolane::config::GroupProtocol;

use super::super::case::{Case, Count, Start, options};
use super::super::proxy::{Mode, Proxy, host_and_port};
use super::super::table::Row;
use super::super::until;

/// Members that join, one a second, and leave again.
const MEMBERS: usize = 6;
/// Seconds that each stays: a member has partitions after two or three.
const STAY: usize = 4;

async fn storm(start: &Start<'_>, fault: &str, protocol: GroupProtocol) -> Row {
    let mut case = Case::new(start, fault, options()).await;
    case.rig.config.settings.kafka.group_protocol = protocol;
    // The sinks are so slow that something is in flight whenever partitions go.
    let elasticsearch = Proxy::before(&host_and_port(&case.rig.elasticsearch)).await;
    let redis = Proxy::before(&host_and_port(&case.rig.redis)).await;
    let settings = &mut case.rig.config.settings;
    settings.elasticsearch.url = format!("http://{}", elasticsearch.address());
    settings.redis.url = format!("redis://{}/0", redis.address());
    let first = case.begin(start).await;
    // A larger load begins with more than sinks so slow take in the time that a member has to give its partitions up.
    until("the first changes to be written", || async {
        let branches = first.branches();
        let counts = branches.iter().map(|branch| Count::of(branch).resolved());
        counts.min() >= Some(case.model.sent())
    })
    .await;
    for proxy in [&elasticsearch, &redis] {
        proxy.set(Mode::Delay(Duration::from_millis(150)));
    }
    let mut branches = first.branches();
    case.while_loaded(async {
        // The classic protocol takes no commit of a member that joins again, so what it does meanwhile may come again
        // although it gives its partitions up in order.
        case.strikes().await;
        let mut members = VecDeque::new();
        let mut leaving = Vec::new();
        for joined in 0..MEMBERS + STAY {
            if joined < MEMBERS {
                let member = case.rig.start().await;
                branches.extend(member.branches());
                members.push_back(member);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            if joined >= STAY
                && let Some(member) = members.pop_front()
            {
                leaving.push(actix::spawn(member.stop()));
            }
        }
        for left in leaving {
            left.await.expect("it leaves");
        }
        for proxy in [&elasticsearch, &redis] {
            proxy.set(Mode::Pass);
        }
        case.lifted();
    })
    .await;
    case.settles().await;
    case.count_twice(&branches);
    case.rest(vec![first]).await;
    let mut taken = 0;
    for branch in &branches {
        let count = Count::of(branch);
        case.adds_up(&branch.name, count);
        taken += u64::from(count.consumed > 0);
        if count.abandoned > 0 {
            case.violation(format!(
                "D: {} gave up {} records undrained",
                branch.name, count.abandoned
            ));
        }
    }
    case.note(format!(
        "{taken} of {} branches took records",
        branches.len()
    ));
    case.verdict().await
}

pub async fn storm_classic(start: &Start<'_>) -> Row {
    let fault = "members join and leave every second (classic)";
    storm(start, fault, GroupProtocol::Classic).await
}

pub async fn storm_kip_848(start: &Start<'_>) -> Row {
    let fault = "members join and leave every second (KIP-848)";
    storm(start, fault, GroupProtocol::Consumer).await
}
