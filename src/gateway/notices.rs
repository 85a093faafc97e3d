//! What comes for users and not for rooms: refusals and notifications, handed to the threads that serve them.
//!
//! A process has one subscription for each of the two, whoever is connected; it costs a look at the user's name, and no
//! subscription a socket.

use std::sync::Arc;

use async_nats::Message;
use futures_util::StreamExt as _;
use tokio::sync::watch;

use super::hub::{Hub, ToThread};
use super::tally::count;
use super::wire::Says;
use crate::live::connect::Conn;
use crate::live::names::{self, all};
use crate::live::service::{Left, over_connections, turning};
use crate::live::streams::NOTIFY;
use crate::live::wire::Refused;
use crate::supervise::Progress;

/// Takes until it is told to stop.
pub(super) async fn run(
    hub: Arc<Hub>,
    turns: Progress,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let link = hub.link.clone();
    over_connections(
        &link,
        stop,
        "refusals and notifications",
        &turns,
        async |conn, stop| take(&hub, &turns, conn, stop).await,
    )
    .await
}

/// Over one connection. Returns whether it was told to stop.
async fn take(
    hub: &Arc<Hub>,
    turns: &Progress,
    conn: &Conn,
    stop: &mut watch::Receiver<bool>,
) -> Result<bool, Left> {
    let mut turning = turning();
    let mut refused = conn.client.subscribe(all::REFUSED).await?;
    let mut notices = conn.client.subscribe(all::NOTICES).await?;
    // What came while nobody listened is in the stream.
    hub.tell_all(&ToThread::Resync).await;
    loop {
        tokio::select! {
            message = refused.next() => match message {
                Some(message) => refusal(hub, &message).await,
                None => return Ok(false),
            },
            message = notices.next() => match message {
                Some(message) => notice(hub, &message).await,
                None => return Ok(false),
            },
            _ = turning.tick() => turns.did(0),
            () = hub.link.lost(conn.epoch) => return Ok(false),
            _ = stop.wait_for(|s| *s) => return Ok(true),
        }
    }
}

async fn refusal(hub: &Arc<Hub>, message: &Message) {
    let Some(user) = names::parse_user(&message.subject, "live.refused.", "") else {
        return;
    };
    // Anybody can have the server's acknowledgement of a comment delivered here: it has no code.
    let Ok(refused) = serde_json::from_slice::<Refused>(&message.payload) else {
        count(&hub.tally.forged);
        return;
    };
    let json = Says::Refused(&refused).json().into();
    let room = refused.room.as_str().into();
    hub.tell_user(&user, ToThread::Refused(user.clone(), room, json))
        .await;
}

async fn notice(hub: &Arc<Hub>, message: &Message) {
    let user = names::parse_user(&message.subject, "notify.", ".feed");
    let header = |name: &str| {
        let headers = message.headers.as_ref()?;
        headers.get_last(name).map(|v| v.as_str())
    };
    let number = |name| header(name).and_then(|n| n.parse::<u64>().ok());
    let ours = header("Nats-Stream") == Some(NOTIFY);
    let (Some(user), Some(seq), Some(before), true) = (
        user,
        number("Nats-Sequence"),
        number("Nats-Last-Sequence"),
        ours,
    ) else {
        count(&hub.tally.forged);
        return;
    };
    let told = ToThread::Notice(user.clone(), seq, before, message.payload.clone());
    hub.tell_user(&user, told).await;
}
