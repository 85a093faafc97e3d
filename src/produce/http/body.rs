//! A request's body, read within its bounds, and the events in it.

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt as _;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::answer::Turn;
use super::stats::Turned;

/// When to come again where there was no room: answers take milliseconds.
pub(super) const SOON: std::time::Duration = std::time::Duration::from_secs(1);

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One event.
    Json,
    /// An event a line.
    Lines,
}

/// What a request holds of the room: its body, and the records made of it, which are about as large.
pub(super) fn held(body: usize) -> usize {
    body.saturating_mul(2)
}

/// What the body is, by its content type.
pub(super) fn kind(request: &HttpRequest) -> Result<Kind, Turn> {
    let given = request.headers().get(header::CONTENT_TYPE);
    let given = given.map(|value| value.to_str().unwrap_or_default());
    let essence = given.map(|value| value.split(';').next().unwrap_or_default().trim());
    match essence.map(str::to_ascii_lowercase).as_deref() {
        Some("application/json") => Ok(Kind::Json),
        Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => {
            Ok(Kind::Lines)
        }
        Some(_) | None => Err(Turn::new(
            Turned::Type,
            "send one event as application/json, or an event a line as application/x-ndjson",
        )),
    }
}

/// Reads the body, once there is room for it.
pub(super) async fn read<'s>(
    shared: &'s Shared,
    request: &HttpRequest,
    mut payload: Payload,
    deadline: Instant,
) -> Result<(Bytes, SemaphorePermit<'s>), Turn> {
    let most = shared.settings.max_body;
    let too_large = || {
        Turn::new(
            Turned::Size,
            format!("the body has more than {most} bytes: send it in parts"),
        )
    };
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|said| said > most) {
        return Err(too_large());
    }
    // Who does not say how much comes may send the most.
    let bytes = u32::try_from(held(said.unwrap_or(most))).unwrap_or(u32::MAX);
    let room = shared.room.try_acquire_many(bytes).map_err(|_| {
        Turn::new(
            Turned::Busy,
            "as many requests are under way as may be: send it again",
        )
        .after(SOON)
    })?;
    let mut body = BytesMut::with_capacity(said.unwrap_or_default());
    loop {
        match timeout_at(deadline, payload.next()).await {
            Ok(Some(Ok(chunk))) if body.len() + chunk.len() > most => return Err(too_large()),
            Ok(Some(Ok(chunk))) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok((body.freeze(), room)),
            Ok(Some(Err(_))) => {
                return Err(Turn::new(
                    Turned::Slow,
                    "the body was cut off: send it again",
                ));
            }
            Err(_) => {
                return Err(Turn::new(
                    Turned::Slow,
                    "the body did not come in time: send less, or faster",
                ));
            }
        }
    }
}

/// The events with their lines.
pub(super) fn events(kind: Kind, body: &[u8], most: u32) -> Result<Vec<(usize, &[u8])>, Turn> {
    let events: Vec<(usize, &[u8])> = match kind {
        Kind::Json => vec![(1, body)],
        Kind::Lines => body
            .split(|byte| *byte == b'\n')
            .enumerate()
            .map(|(i, line)| (i + 1, line.trim_ascii()))
            .filter(|(_, line)| !line.is_empty())
            // One more than may be: enough to see that there are too many.
            .take(
                usize::try_from(most)
                    .unwrap_or(usize::MAX)
                    .saturating_add(1),
            )
            .collect(),
    };
    if u32::try_from(events.len()).is_ok_and(|n| n > most) {
        return Err(Turn::new(
            Turned::Size,
            format!("the request has more than {most} events: send them in several requests"),
        ));
    }
    if events.is_empty() || body.trim_ascii().is_empty() {
        return Err(Turn::new(Turned::Event, "the request holds no event"));
    }
    Ok(events)
}
