//! From a record as the client hands it out to its worker's chunk.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::Headers as _;

use super::super::group::{Group, lock};
use crate::event::{Headers, Position};
use crate::route::Incoming;

/// What stands for a header whose name is not UTF-8.
const UNREADABLE: &str = "unreadable-header-name";

/// Offers a message to the router; `false` without room for it, and while the branch is to take nothing.
pub(super) fn offer(
    group: &Group,
    message: &impl rdkafka::Message,
    packed: &mut Vec<u8>,
) -> Result<bool, String> {
    // At each record, since one may come after the loop has looked.
    if !group.branch.control.may_take() {
        return Ok(false);
    }
    packed.clear();
    if let Some(headers) = message.headers() {
        for i in 0..headers.count() {
            // The client panics on a name that is not UTF-8, which no client of Kafka's own writes.
            match catch_unwind(AssertUnwindSafe(|| headers.try_get(i))) {
                Ok(Some(h)) => Headers::push(packed, h.key, h.value),
                Ok(None) => break,
                Err(_) => Headers::push(packed, UNREADABLE, None),
            }
        }
    }
    let incoming = Incoming {
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key(),
        value: message.payload(),
        headers: packed,
    };
    let mut router = lock(&group.router);
    if !router.reserve(&incoming) {
        return Ok(false);
    }
    let position = Position {
        partition: message.partition(),
        offset: message.offset(),
    };
    group.steps.at("route").map_err(|e| e.to_string())?;
    let claim = group
        .lease
        .take(position)
        .map_err(|e| format!("{} {position}: {e}", group.branch.topic().name))?;
    match claim {
        Some(claim) => {
            router.push(claim, &incoming).map_err(|e| e.to_string())?;
            Ok(true)
        }
        // Not open: whoever opens it seeks to where it begins.
        None => Ok(true),
    }
}
