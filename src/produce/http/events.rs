//! `POST /v1/events/{topic}`.

use actix_web::http::header;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::answer::{self, Accepted, Line, Problem, Turn};
use super::body::{self, SOON};
use super::clients::{Client, Clients};
use super::stats::Turned;
use crate::produce::open::NotOpen;
use crate::produce::{EventTopic, Outgoing, Receipt, Refused};

/// An event's line and its record.
struct Encoded {
    line: usize,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Takes events for a topic. The answer is 202 only when Kafka has acknowledged every one of them.
///
/// One event as `application/json`, or several as `application/x-ndjson`, one a line. Where one of them is
/// refused, none is sent. An event that is sent again (after 503, or where no answer came) is written again:
/// give it the same key, and the later one takes the place of the earlier.
#[utoipa::path(
    post,
    path = "/v1/events/{topic}",
    tag = "events",
    params(("topic" = String, Path, description = "The topic, by its name in its spec", example = "app.behaviour")),
    request_body(
        content((serde_json::Value = "application/json"), (String = "application/x-ndjson")),
        description = "Events as the topic's schema has them"
    ),
    responses(
        (status = 202, description = "Kafka has acknowledged every event", body = Accepted),
        (status = 401, description = "No key, or none of a client", body = Problem),
        (status = 403, description = "The client may not write to this topic", body = Problem),
        (status = 404, description = "No such topic for events", body = Problem),
        (status = 408, description = "The body did not come in time", body = Problem),
        (status = 413, description = "Too many bytes or events", body = Problem),
        (status = 415, description = "Another content type", body = Problem),
        (status = 422, description = "Events are refused; each with its line, field and remedy. Nothing was sent", body = Problem),
        (status = 429, description = "The client's rate is used up; Retry-After says for how long", body = Problem),
        (status = 500, description = "The topic is not as its spec says: an operator has to act", body = Problem),
        (status = 503, description = "No room now, or Kafka did not acknowledge all of it in time; Retry-After", body = Problem)
    ),
    security(("key" = []))
)]
pub(super) async fn post_events(
    shared: Data<Shared>,
    topic: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    shared.stats.request();
    let deadline = Instant::now() + shared.settings.timeout;
    match take(&shared, &topic, &request, payload, deadline).await {
        Ok(events) => answer::accepted(events),
        Err(turn) => {
            shared.stats.turned(turn.why);
            turn.answer()
        }
    }
}

async fn take(
    shared: &Shared,
    name: &str,
    request: &HttpRequest,
    payload: Payload,
    deadline: Instant,
) -> Result<usize, Turn> {
    // The same to the end of the request: a client is its place among them.
    let clients = shared.clients.now();
    let client = client(&clients, request)?;
    if !clients.may_write(client, name) {
        return Err(Turn::new(
            Turned::Forbidden,
            "this client may not write to this topic",
        ));
    }
    if !shared.topics.has(name) {
        return Err(Turn::new(
            Turned::Topic,
            "there is no topic of this name that takes events",
        ));
    }
    let kind = body::kind(request)?;
    let (body, _room) = body::read(shared, request, payload, deadline).await?;
    let events = body::events(kind, &body, shared.settings.max_events)?;
    let number = u32::try_from(events.len()).unwrap_or(u32::MAX);
    clients.charge(client, number).map_err(|wait| {
        Turn::new(
            Turned::Rate,
            "this client sends more than its rate: send it again later",
        )
        .after(wait)
    })?;
    let topic = opened(shared, name, deadline).await?;
    let encoded = encode(topic, &events)?;
    send(shared, name, &encoded, deadline).await
}

fn client(clients: &Clients, request: &HttpRequest) -> Result<Client, Turn> {
    let given = request.headers().get(header::AUTHORIZATION);
    let key = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    key.and_then(|key| clients.of(key)).ok_or_else(|| {
        Turn::new(
            Turned::Key,
            "the request carries no client's key: send Authorization: Bearer <key>",
        )
    })
}

async fn opened<'s>(
    shared: &'s Shared,
    name: &str,
    deadline: Instant,
) -> Result<&'s EventTopic, Turn> {
    let away = || {
        Turn::new(
            Turned::Away,
            "Kafka, or the schema registry, does not answer: send it again",
        )
        .after(SOON)
    };
    match timeout_at(deadline, shared.topics.get(name)).await {
        Ok(Some(Ok(topic))) => Ok(topic),
        Ok(Some(Err(NotOpen::Away(why)))) => {
            tracing::warn!(topic = name, "ingest: {why}");
            Err(away())
        }
        Ok(Some(Err(NotOpen::Refused(why)))) => {
            tracing::error!(topic = name, "ingest: {why}");
            Err(Turn::new(
                Turned::Broken,
                "the topic is not as its spec says: the log of the ingest has the reason and the remedy",
            ))
        }
        Ok(None) => Err(Turn::new(
            Turned::Topic,
            "there is no topic of this name that takes events",
        )),
        Err(_) => Err(away()),
    }
}

/// All of them, or what is wrong with each.
fn encode(topic: &EventTopic, events: &[(usize, &[u8])]) -> Result<Vec<Encoded>, Turn> {
    let mut all = Vec::with_capacity(events.len());
    let mut refused = Vec::new();
    for (line, event) in events {
        let (mut key, mut value) = (Vec::new(), Vec::with_capacity(event.len()));
        match topic.encode(event, &mut key, &mut value) {
            Ok(()) => all.push(Encoded {
                line: *line,
                key,
                value,
            }),
            Err(why) => refused.push(Line::of(*line, &why)),
        }
    }
    if refused.is_empty() {
        Ok(all)
    } else {
        Err(Turn::events(refused))
    }
}

/// Sends them in their order, and waits for each.
async fn send(
    shared: &Shared,
    topic: &str,
    events: &[Encoded],
    deadline: Instant,
) -> Result<usize, Turn> {
    let mut receipts: Vec<(usize, Receipt)> = Vec::with_capacity(events.len());
    // What was not sent at all is not there; it is told with what may be, since the remedy is the same.
    let mut lost = Vec::new();
    for (i, event) in events.iter().enumerate() {
        let record = Outgoing {
            topic,
            key: Some(&event.key),
            value: Some(&event.value),
            headers: None,
        };
        match timeout_at(deadline, shared.producer.send(record)).await {
            Ok(Ok(receipt)) => receipts.push((event.line, receipt)),
            // No room until the time was up, or no client: the next ones fare no better.
            Ok(Err(_)) | Err(_) => {
                lost.extend(events.iter().skip(i).map(|event| event.line));
                break;
            }
        }
    }
    let full = receipts.is_empty();
    let waits = receipts.into_iter().map(|(line, receipt)| async move {
        // The client gives a record up within `ingest.timeout` of its being sent.
        (line, receipt.await)
    });
    let (mut accepted, mut refused) = (0, Vec::new());
    for (line, became) in join_all(waits).await {
        match became {
            Ok(_) => accepted += 1,
            Err(KafkaError::MessageProduction(
                RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::InvalidRecord,
            )) => refused.push(line),
            Err(_) => lost.push(line),
        }
    }
    let unacknowledged = lost.len() + refused.len();
    shared.stats.acknowledged(accepted, unacknowledged as u64);
    let accepted = usize::try_from(accepted).unwrap_or(usize::MAX);
    if unacknowledged == 0 {
        return Ok(accepted);
    }
    if !refused.is_empty() {
        let of_broker = Refused::broker();
        let lines = refused.iter().map(|line| Line::of(*line, &of_broker));
        let mut turn = Turn::events(lines.collect());
        turn.problem.error = "the broker refuses these lines; the others were sent".to_owned();
        return Err(told(turn, accepted, lost));
    }
    let (why, error) = if full {
        (
            Turned::Busy,
            "as many records wait for Kafka as may: send it again",
        )
    } else {
        (
            Turned::Away,
            "Kafka did not acknowledge these lines in time, and they may be there or not: send them again",
        )
    };
    Err(told(Turn::new(why, error).after(SOON), accepted, lost))
}

fn told(mut turn: Turn, accepted: usize, mut lost: Vec<usize>) -> Turn {
    lost.sort_unstable();
    turn.problem.accepted = Some(accepted);
    turn.problem.unacknowledged = lost;
    turn
}
