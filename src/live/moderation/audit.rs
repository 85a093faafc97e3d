//! The audit: one record of every act in the stream LIVE_AUDIT, under `live.<room>.audit`.

use async_nats::jetstream;
use serde_json::{Value, json};

use super::request::{Failure, Request};
use crate::live::names::{self, RoomId, UserId};

/// Appends what was asked, by whom, when, and what became of it, and waits until it is stored.
///
/// # Errors
/// One sentence; the record may be there nevertheless.
pub(super) async fn record(
    js: &jetstream::Context,
    room: &RoomId,
    by: &UserId,
    request: &Request,
    at: i64,
    outcome: &Result<Value, Failure>,
) -> Result<(), String> {
    let mut record = request.record();
    if let Value::Object(fields) = &mut record {
        fields.insert("room".into(), json!(room.as_str()));
        fields.insert("by".into(), json!(by.as_str()));
        fields.insert("at".into(), json!(at));
        match outcome {
            Ok(done) => {
                fields.insert("outcome".into(), json!("done"));
                fields.insert("done".into(), done.clone());
            }
            Err(failure) => {
                fields.insert("outcome".into(), json!("failed"));
                fields.insert("failure".into(), failure.reply());
            }
        }
    }
    let stored = js
        .publish(names::audit(room), record.to_string().into())
        .await
        .map_err(|e| e.to_string())?;
    stored.await.map_err(|e| e.to_string())?;
    Ok(())
}
