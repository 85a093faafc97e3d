//! Finds who wrote a comment: its entry in LIVE_OUT shows the author's mark.

use async_nats::jetstream;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures_util::StreamExt as _;

use super::Mark;
use crate::live::names::{self, RoomId};
use crate::live::streams::LIVE_OUT;
use crate::live::wire::Entry;

/// The author of a comment of this room, as long as LIVE_OUT keeps it. It reads the room's entries from the
/// first: there is no index, an act is rare, and a room's entries are bounded by the stream.
///
/// # Errors
/// One sentence where it cannot be said.
pub(super) async fn author(
    js: &jetstream::Context,
    room: &RoomId,
    id: &str,
) -> Result<Option<Mark>, String> {
    let stream = js.get_stream(LIVE_OUT).await.map_err(|e| e.to_string())?;
    let consumer = stream
        .create_consumer(pull::OrderedConfig {
            filter_subject: names::out(room),
            deliver_policy: DeliverPolicy::All,
            ..pull::OrderedConfig::default()
        })
        .await
        .map_err(|e| e.to_string())?;
    if consumer.cached_info().num_pending == 0 {
        return Ok(None);
    }
    let mut messages = consumer.messages().await.map_err(|e| e.to_string())?;
    while let Some(message) = messages.next().await {
        let message = message.map_err(|e| e.to_string())?;
        match serde_json::from_slice::<Entry>(&message.payload) {
            Ok(Entry::Comment(shown)) if shown.id == id => {
                return Ok(Mark::parse(&shown.mid_hash));
            }
            // A recall, another comment, or an entry of a later version.
            Ok(Entry::Comment(_) | Entry::Recall(_)) | Err(_) => {}
        }
        if message.info().map_err(|e| e.to_string())?.pending == 0 {
            return Ok(None);
        }
    }
    Err("the reading of LIVE_OUT has ended early".to_owned())
}
