//! `POST /v1/notifications`: a service notifies a user.
//!
//! Promises: a 201 means that NATS has stored it, and it will be delivered to that user's clients in order, also to those
//! that come later, as long as `topics/live.toml` keeps it. Any other answer, or none: it may be stored or not; with an
//! `id` it is there once, however often it is sent within two minutes.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use async_nats::jetstream::message::PublishMessage;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::admit::Refusal;
use super::http::refused;
use super::hub::Hub;
use super::tally::count;
use crate::config::Secret;
use crate::live::names::{self, UserId};

/// The most bytes of a body around a payload.
const AROUND: usize = 4_096;
/// The longest id.
const LONGEST_ID: usize = 64;

#[derive(Deserialize)]
struct Notification<'a> {
    user: String,
    #[serde(borrow)]
    payload: &'a RawValue,
    id: Option<String>,
}

/// The handler.
pub(super) async fn post(
    hub: web::Data<Hub>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    match take(&hub, &request, body).await {
        Ok((seq, duplicate)) => {
            count(&hub.tally.notifications);
            HttpResponse::Created().json(serde_json::json!({ "seq": seq, "duplicate": duplicate }))
        }
        Err(refusal) => {
            let mut answer = refused(&refusal);
            if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
                let after = header::HeaderValue::from_static("1");
                answer.headers_mut().insert(header::RETRY_AFTER, after);
            }
            answer
        }
    }
}

async fn take(
    hub: &Hub,
    request: &HttpRequest,
    body: web::Payload,
) -> Result<(u64, bool), Refusal> {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|v| v.as_bytes().strip_prefix(b"Bearer "));
    if !is_known(given.unwrap_or_default(), &hub.settings.api_keys) {
        return Err(wrong(
            StatusCode::UNAUTHORIZED,
            "key",
            "send a key of gateway.api_keys as Authorization: Bearer KEY",
        ));
    }
    let malformed = |why: String| wrong(StatusCode::BAD_REQUEST, "malformed", &why);
    // Only a service with a key is listened to, and not for longer than a head may take.
    let time = hub.settings.handshake_timeout;
    let largest = hub.settings.notification_bytes;
    let most = largest + AROUND;
    let body = match tokio::time::timeout(time, body.to_bytes_limited(most)).await {
        Ok(Ok(Ok(body))) => body,
        Ok(Ok(Err(why))) => return Err(malformed(why.to_string())),
        Ok(Err(_)) => return Err(too_large(most)),
        Err(_) => {
            let why = format!("the body did not come within {time:?}");
            return Err(wrong(StatusCode::REQUEST_TIMEOUT, "late", &why));
        }
    };
    let notification: Notification = serde_json::from_slice(&body).map_err(|e| {
        malformed(format!(
            r#"a notification is {{"user": "…", "payload": …, "id": "…"}}: {e}"#
        ))
    })?;
    let user = UserId::new(&notification.user)
        .map_err(|why| wrong(StatusCode::BAD_REQUEST, "bad_name", &why.to_string()))?;
    let payload = notification.payload.get();
    if payload.len() > largest {
        return Err(too_large(largest));
    }
    let mut message = PublishMessage::build().payload(payload.to_owned().into());
    if let Some(id) = &notification.id {
        if !(1..=LONGEST_ID).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_graphic()) {
            let why = format!("id is 1 to {LONGEST_ID} printable ASCII characters");
            return Err(malformed(why));
        }
        message = message.message_id(format!("{user}:{id}"));
    }
    store(hub, &user, message).await
}

async fn store(hub: &Hub, user: &UserId, message: PublishMessage) -> Result<(u64, bool), Refusal> {
    let away = |why: String| {
        tracing::debug!(%user, "a notification is not acknowledged: {why}");
        wrong(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "it may be stored or not: send it again with the same id",
        )
    };
    // What cannot be stored now is told so, and not kept here.
    let nats = hub
        .link
        .now()
        .ok_or_else(|| away("NATS is away".to_owned()))?;
    let stored = async {
        let sent = nats.js.send_publish(names::notify(user), message).await;
        sent.map_err(|e| e.to_string())?
            .await
            .map_err(|e| e.to_string())
    };
    match tokio::time::timeout(hub.timeout, stored).await {
        Ok(Ok(ack)) => Ok((ack.sequence, ack.duplicate)),
        Ok(Err(why)) => Err(away(why)),
        Err(_) => Err(away("no answer in time".to_owned())),
    }
}

fn too_large(most: usize) -> Refusal {
    let why = format!("{most} bytes are the most");
    wrong(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &why)
}

fn wrong(status: StatusCode, code: &'static str, detail: &str) -> Refusal {
    Refusal {
        status,
        code,
        detail: detail.to_owned(),
    }
}

/// Compares in a time that says nothing of where a wrong key differs: of each pair the digests are looked at in full.
fn is_known(given: &[u8], keys: &[Secret]) -> bool {
    let given = Sha256::digest(given);
    keys.iter().fold(false, |known, key| {
        let key = Sha256::digest(key.expose().as_bytes());
        let differ = given.iter().zip(key.iter());
        known | (std::hint::black_box(differ.fold(0, |all, (a, b)| all | (a ^ b))) == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_of_those_that_are_configured() {
        let keys = [Secret::new("a".repeat(32)), Secret::new("b".repeat(32))];
        assert!(is_known("a".repeat(32).as_bytes(), &keys));
        assert!(is_known("b".repeat(32).as_bytes(), &keys));
        for wrong in ["", "a", &"a".repeat(31), &"c".repeat(32)] {
            assert!(!is_known(wrong.as_bytes(), &keys), "{wrong}");
        }
        assert!(!is_known(b"", &[]));
    }
}
