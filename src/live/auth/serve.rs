//! Answers the server's questions who somebody is: `auth_callout` of NATS.
//!
//! For everyone who connects and is no static user, the server asks on [`SUBJECT`]; any number of processes
//! share the questions. Where nobody answers, the server refuses the connection.

use std::sync::Arc;

use async_nats::Client;
use futures_util::StreamExt as _;
use serde::Deserialize;

use super::{Callout, CalloutError};

/// Where the server asks.
pub const SUBJECT: &str = "$SYS.REQ.USER.AUTH";

/// The queue group of those who answer.
pub const QUEUE: &str = "twolane";

/// Where the server says who its asker is.
const WHO_AM_I: &str = "$SYS.REQ.USER.INFO";

/// Makes sure that users are not placed in the account of `worker`, a connection as a worker's. The server
/// sends acknowledgements to any reply subject that a user names, so within one account a user could write
/// into LIVE_OUT and into the moderators' bucket.
///
/// # Errors
/// [`CalloutError::NotApart`], and [`CalloutError::Unknown`] where the server does not answer.
async fn check_apart(worker: &Client, account: &str) -> Result<(), CalloutError> {
    #[derive(Deserialize)]
    struct Info {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        account: String,
    }
    let answer = worker
        .request(WHO_AM_I, "".into())
        .await
        .map_err(|error| CalloutError::Unknown(error.to_string()))?;
    let info: Info = serde_json::from_slice(&answer.payload)
        .map_err(|error| CalloutError::Unknown(error.to_string()))?;
    if info.data.account == account {
        return Err(CalloutError::NotApart(info.data.account));
    }
    Ok(())
}

/// Answers until `stop` is ready; then takes no further question and answers those that have come. `client`
/// is connected as the user that the server asks ([`crate::config::CalloutSettings::connection`]), best on a
/// connection of its own: behind likes, questions would be late. `worker` is a connection as a worker's, in the
/// account of the streams.
///
/// # Errors
/// [`CalloutError::NotApart`] where users would be placed among the workers, [`CalloutError::Unknown`] where
/// the server does not say where those are, [`CalloutError::Subscribe`], and [`CalloutError::Closed`] where the
/// client is closed before `stop`.
pub async fn serve(
    worker: &Client,
    client: Client,
    callout: Arc<Callout>,
    stop: impl Future<Output = ()>,
) -> Result<(), CalloutError> {
    check_apart(worker, callout.account()).await?;
    let mut questions = client
        .queue_subscribe(SUBJECT, QUEUE.to_owned())
        .await
        .map_err(|error| CalloutError::Subscribe(error.to_string()))?;
    // A caller that has this back knows that the server asks here from now on.
    client
        .flush()
        .await
        .map_err(|error| CalloutError::Subscribe(error.to_string()))?;
    tracing::info!("the server's questions about users are answered here");
    let mut stop = std::pin::pin!(stop);
    let mut stopping = false;
    loop {
        tokio::select! {
            () = &mut stop, if !stopping => {
                stopping = true;
                if questions.drain().await.is_err() {
                    return Ok(());
                }
            }
            question = questions.next() => match question {
                Some(question) => callout.reply(&client, &question).await,
                None if stopping => return Ok(()),
                None => return Err(CalloutError::Closed),
            },
        }
    }
}
