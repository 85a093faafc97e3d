//! The network between the lane and both sinks.

use std::time::Duration;

use super::super::case::{Case, Start, options};
use super::super::proxy::{Mode, Proxy, host_and_port};
use super::super::table::Row;

/// What a request may take, so that what vanishes is noticed within the fault.
const TIMEOUT: Duration = Duration::from_secs(1);

async fn bad(start: &Start<'_>, fault: &str, mode: Mode) -> Row {
    let mut case = Case::new(start, fault, options()).await;
    let elasticsearch = Proxy::before(&host_and_port(&case.rig.elasticsearch)).await;
    let redis = Proxy::before(&host_and_port(&case.rig.redis)).await;
    let settings = &mut case.rig.config.settings;
    settings.elasticsearch.url = format!("http://{}", elasticsearch.address());
    settings.elasticsearch.timeout = TIMEOUT;
    settings.redis.url = format!("redis://{}/0", redis.address());
    settings.redis.timeout = TIMEOUT;
    let lane = case.begin(start).await;
    case.while_loaded(async {
        case.strikes().await;
        for proxy in [&elasticsearch, &redis] {
            proxy.set(mode);
        }
        tokio::time::sleep(super::LASTS).await;
        for proxy in [&elasticsearch, &redis] {
            proxy.set(Mode::Pass);
        }
        case.lifted();
    })
    .await;
    case.settles().await;
    case.rest(vec![lane]).await;
    case.verdict().await
}

pub async fn delays(start: &Start<'_>) -> Row {
    let mode = Mode::Delay(Duration::from_millis(300));
    bad(start, "both sinks' answers are late", mode).await
}

pub async fn resets(start: &Start<'_>) -> Row {
    bad(start, "both sinks' connections are reset", Mode::Reset).await
}

pub async fn blackhole(start: &Start<'_>) -> Row {
    bad(start, "both sinks' packets vanish", Mode::Blackhole).await
}

pub async fn drops_replies(start: &Start<'_>) -> Row {
    let fault = "both sinks' replies are lost after the request was applied";
    bad(start, fault, Mode::DropReply).await
}
