//! The live lane's streams.

use std::time::Duration;

use async_nats::jetstream::{self, Context};

use super::item::{Item, Mode, Verdict};
use crate::config::{LiveSpec, NatsSettings};
use crate::live::connect;
use crate::live::streams::{self, Change, Difference, Plan, StreamsError};

/// A server that has answered a plan, and then not this, is away.
const APPLY: Duration = Duration::from_secs(30);
const WHAT: &str = "the live lane's streams";

/// Each stream and consumer.
pub(super) async fn of(settings: &NatsSettings, spec: &LiveSpec, mode: Mode) -> Vec<Item> {
    let client = match connect::once(settings).await {
        Ok(client) => client,
        Err(why) => {
            return vec![Item::failed(
                WHAT,
                format!("NATS at {} is not reached: {why}", settings.url),
            )];
        }
    };
    let mut js = jetstream::new(client);
    js.set_timeout(settings.timeout);
    match plan(&js, spec).await {
        Ok(items) if mode == Mode::Apply && !items.iter().any(refused) => apply(&js, spec).await,
        Ok(items) if mode == Mode::Apply => {
            // All or nothing: a lane with some of its streams takes comments that nobody hears.
            let mut all: Vec<Item> = items.into_iter().filter(refused).collect();
            all.push(Item::failed(
                WHAT,
                "since one of them is refused, none was touched",
            ));
            all
        }
        Ok(items) => items,
        Err(why) => vec![Item::failed(WHAT, why)],
    }
}

fn refused(item: &Item) -> bool {
    matches!(item.verdict, Verdict::Refuse(_))
}

async fn plan(js: &Context, spec: &LiveSpec) -> Result<Vec<Item>, StreamsError> {
    let plans = streams::plan(js, spec).await?;
    let items = plans.into_iter().map(|(what, plan)| {
        let verdict = match plan {
            Plan::Create => Verdict::Create(Vec::new()),
            Plan::Alter(differences) => Verdict::Alter(lines(&differences)),
            Plan::Keep => Verdict::Keep,
            Plan::Refuse(differences) => {
                let why = StreamsError::Differs {
                    what: what.clone(),
                    differences,
                };
                Verdict::Refuse(vec![why.to_string()])
            }
        };
        Item::new(what, verdict)
    });
    Ok(items.collect())
}

async fn apply(js: &Context, spec: &LiveSpec) -> Vec<Item> {
    let applied = match tokio::time::timeout(APPLY, streams::apply(js, spec)).await {
        Ok(Ok(applied)) => applied,
        Ok(Err(why)) => return vec![Item::failed(WHAT, why)],
        Err(_) => return vec![Item::failed(WHAT, "the server does not answer any more")],
    };
    let items = applied.0.into_iter().map(|(what, change)| {
        let verdict = match change {
            Change::Created => Verdict::Create(Vec::new()),
            Change::Altered(differences) => Verdict::Alter(lines(&differences)),
            Change::Unchanged => Verdict::Keep,
        };
        Item::new(what, verdict)
    });
    items.collect()
}

fn lines(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(Difference::to_string).collect()
}
