//! The broker is killed, or stopped and continued.

use super::super::case::{Case, Start, options};
use super::super::frozen::Frozen;
use super::super::table::Row;
use super::super::{all_committed, until};

pub async fn killed(start: &Start<'_>) -> Row {
    let case = Case::new(start, "Kafka killed", options()).await;
    let lane = case.begin(start).await;
    case.while_loaded(async {
        case.strikes().await;
        case.stack.kill("kafka").await;
        case.stack.start("kafka").await;
        case.lifted();
    })
    .await;
    case.settles().await;
    // A commit that met the outage is made good without another record to carry it.
    for branch in lane.branches() {
        until(&format!("{} to commit the ends", branch.name), || {
            all_committed(&branch)
        })
        .await;
    }
    case.rest(vec![lane]).await;
    case.verdict().await
}

pub async fn stopped_and_continued(start: &Start<'_>) -> Row {
    let case = Case::new(start, "Kafka stopped for 12 s, then continued", options()).await;
    let lane = case.begin(start).await;
    case.while_loaded(async {
        case.strikes().await;
        let frozen = Frozen::new(&case.stack, "kafka");
        // Past the session timeout.
        tokio::time::sleep(std::time::Duration::from_secs(12)).await;
        drop(frozen);
        case.lifted();
    })
    .await;
    case.settles().await;
    case.rest(vec![lane]).await;
    case.verdict().await
}
