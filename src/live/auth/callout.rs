//! One answer to the server's question who somebody is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_nats::{Client, Message};
use nkeys::{KeyPair, XKey};
use serde::Serialize;

use super::nkey_jwt::{self, ConnectOptions, Question};
use super::{LONGEST_PAYLOAD, Permissions, SUBJECT, SUBSCRIPTIONS, TokenError, Tokens};
use crate::config::CalloutSettings;
use crate::live::names::UserId;

/// The header with the key that the answer is encrypted for.
const XKEY_HEADER: &str = "Nats-Server-Xkey";

/// `aud` of every question.
const QUESTION_AUDIENCE: &str = "nats-authorization-request";

/// How clients of NATS may connect: neither MQTT nor another server.
const CONNECTIONS: [&str; 2] = ["STANDARD", "WEBSOCKET"];

/// Answers questions by one set of keys.
pub struct Callout {
    tokens: Tokens,
    issuer: KeyPair,
    issuer_key: String,
    account: String,
    services_account: String,
    xkey: Option<XKey>,
    counts: Counts,
}

/// What became of the questions, since the start.
#[derive(Debug, Default)]
pub struct Counts {
    accepted: AtomicU64,
    refused: AtomicU64,
    unanswered: AtomicU64,
}

/// Why there is no callout, or it ended.
#[derive(Debug, thiserror::Error)]
pub enum CalloutError {
    /// A key cannot be used.
    #[error("{0} is not a seed of the kind that is needed")]
    Seed(&'static str),
    /// Tokens cannot be checked.
    #[error("{0}")]
    Tokens(#[from] TokenError),
    /// Users would be placed where the streams are.
    #[error(
        "live.callout.account is {0:?}, which is the workers' own: a user could have the server's acknowledgements put into \
         the streams. Give users an account of their own, as deploy/local/services/nats.sh does"
    )]
    NotApart(String),
    /// The server does not say which account the worker is in.
    #[error("the server does not say which account the worker is in: {0}")]
    Unknown(String),
    /// The server takes no subscription.
    #[error("cannot answer on {SUBJECT}: {0}")]
    Subscribe(String),
    /// The connection is closed for good.
    #[error("the connection that {SUBJECT} is answered on was closed")]
    Closed,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Token(#[from] TokenError),
    #[error("the user name is not the token's sub: leave it out")]
    OtherUser,
}

/// Why a question gets no answer that lets somebody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unanswered {
    #[error("{0}")]
    Question(#[from] nkey_jwt::BadQuestion),
    #[error("it is no question about a user")]
    Kind,
    #[error(
        "it asks for the account key {asked}, and live.callout.issuer_seed is that of {ours}: make auth_callout.issuer the same"
    )]
    Issuer { asked: String, ours: String },
    #[error("{0}")]
    Encryption(&'static str),
    #[error("it cannot be signed: {0}")]
    Signing(String),
}

/// An answer that is encrypted where the question was.
struct Answer {
    payload: Vec<u8>,
    user: Result<UserId, Refusal>,
}

#[derive(Serialize)]
struct UserClaims<'a> {
    iat: u64,
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    name: &'a str,
    exp: u64,
    nats: User,
}

#[derive(Serialize)]
struct User {
    #[serde(flatten)]
    permissions: Permissions,
    subs: i64,
    data: i64,
    payload: i64,
    allowed_connection_types: [&'static str; 2],
    #[serde(rename = "type")]
    kind: &'static str,
    version: u8,
}

#[derive(Serialize)]
struct AnswerClaims<'a> {
    iat: u64,
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    nats: Verdict,
}

#[derive(Serialize)]
struct Verdict {
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    version: u8,
}

// === impl Callout ===

impl Callout {
    /// A callout by these settings.
    ///
    /// # Errors
    /// [`CalloutError::Seed`] where a seed is not one of the needed kind.
    pub fn new(settings: &CalloutSettings, tokens: Tokens) -> Result<Self, CalloutError> {
        let issuer = KeyPair::from_seed(settings.issuer_seed.expose())
            .map_err(|_| CalloutError::Seed("live.callout.issuer_seed"))?;
        let xkey = settings.xkey_seed.as_ref().map(|seed| {
            XKey::from_seed(seed.expose()).map_err(|_| CalloutError::Seed("live.callout.xkey_seed"))
        });
        Ok(Self {
            tokens,
            issuer_key: issuer.public_key(),
            issuer,
            account: settings.account.clone(),
            services_account: settings.services_account.clone(),
            xkey: xkey.transpose()?,
            counts: Counts::default(),
        })
    }

    /// What became of the questions so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The account that users are placed in.
    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// Answers one question. Without an answer the server waits for its `authorization.timeout`, and refuses.
    pub(super) async fn reply(&self, client: &Client, question: &Message) {
        let xkey = question
            .headers
            .as_ref()
            .and_then(|headers| headers.get(XKEY_HEADER))
            .map(|value| value.as_str());
        match self.answer(&question.payload, xkey) {
            Ok(answer) => {
                self.decided(&answer.user);
                if let Some(reply) = question.reply.clone()
                    && let Err(error) = client.publish(reply, answer.payload.into()).await
                {
                    tracing::warn!("an answer about a user could not be sent: {error}");
                }
            }
            Err(why) => {
                self.counts.unanswered.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    "a question of the server's on {SUBJECT} cannot be answered: {why}"
                );
            }
        }
    }

    /// Everything about one decision: counted, and told to whoever looks for it. Refusals are anyone's to
    /// cause, as many as he likes, so they are no line of a log by default.
    fn decided(&self, user: &Result<UserId, Refusal>) {
        match user {
            Ok(user) => {
                self.counts.accepted.fetch_add(1, Ordering::Relaxed);
                tracing::debug!("user {user} is let in");
            }
            Err(why) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                tracing::debug!("somebody is not let in: {why}");
            }
        }
    }

    fn answer(&self, payload: &[u8], server_xkey: Option<&str>) -> Result<Answer, Unanswered> {
        let sender = server_xkey
            .map(XKey::from_public_key)
            .transpose()
            .map_err(|_| Unanswered::Encryption("its header is no key"))?;
        let opened;
        let (text, seal) = match (&self.xkey, &sender) {
            (Some(own), Some(sender)) => {
                opened = own.open(payload, sender).map_err(|_| {
                    Unanswered::Encryption(
                        "it is encrypted for another key than that of live.callout.xkey_seed",
                    )
                })?;
                (opened.as_slice(), Some((own, sender)))
            }
            (None, None) => (payload, None),
            (Some(_), None) => {
                return Err(Unanswered::Encryption(
                    "it is not encrypted, though live.callout.xkey_seed is set: give auth_callout its xkey",
                ));
            }
            (None, Some(_)) => {
                return Err(Unanswered::Encryption(
                    "it is encrypted, since auth_callout has an xkey: set live.callout.xkey_seed",
                ));
            }
        };
        let text = std::str::from_utf8(text).map_err(|_| nkey_jwt::BadQuestion::Malformed)?;
        let question = nkey_jwt::question(text)?;
        let (user, claims) = self.decide(&question)?;
        let token = nkey_jwt::signed(&claims, &self.issuer).map_err(Unanswered::Signing)?;
        let payload = match seal {
            Some((own, sender)) => own
                .seal(token.as_bytes(), sender)
                .map_err(|_| Unanswered::Encryption("its answer cannot be encrypted"))?,
            None => token.into_bytes(),
        };
        Ok(Answer { payload, user })
    }

    fn decide<'q>(
        &'q self,
        question: &'q Question,
    ) -> Result<(Result<UserId, Refusal>, AnswerClaims<'q>), Unanswered> {
        if question.aud != QUESTION_AUDIENCE || question.nats.kind != "authorization_request" {
            return Err(Unanswered::Kind);
        }
        if question.sub != self.issuer_key {
            return Err(Unanswered::Issuer {
                asked: question.sub.clone(),
                ours: self.issuer_key.clone(),
            });
        }
        let iat = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        let asked = &question.nats;
        let (user, jwt, error) = match self.check(&asked.connect_opts) {
            Ok(claims) => {
                let signed = UserClaims {
                    iat,
                    iss: &self.issuer_key,
                    sub: &asked.user_nkey,
                    aud: if claims.notify {
                        &self.services_account
                    } else {
                        &self.account
                    },
                    // The server shows it in place of the token, which it otherwise keeps.
                    name: claims.user.as_str(),
                    exp: claims.expires,
                    nats: User {
                        permissions: Permissions::of(&claims),
                        subs: SUBSCRIPTIONS,
                        data: -1,
                        payload: LONGEST_PAYLOAD,
                        allowed_connection_types: CONNECTIONS,
                        kind: "user",
                        version: 2,
                    },
                };
                let jwt = nkey_jwt::signed(&signed, &self.issuer).map_err(Unanswered::Signing)?;
                (Ok(claims.user), Some(jwt), None)
            }
            Err(why) => {
                let error = why.to_string();
                (Err(why), None, Some(error))
            }
        };
        let claims = AnswerClaims {
            iat,
            iss: &self.issuer_key,
            sub: &asked.user_nkey,
            aud: &asked.server_id.id,
            nats: Verdict {
                jwt,
                error,
                kind: "authorization_response",
                version: 2,
            },
        };
        Ok((user, claims))
    }

    fn check(&self, sent: &ConnectOptions) -> Result<super::Claims, Refusal> {
        let claims = self.tokens.verify(sent.token())?;
        if !sent.user.is_empty() && sent.user != claims.user.as_str() {
            return Err(Refusal::OtherUser);
        }
        Ok(claims)
    }
}

/// Keys are secrets: none is printed.
impl std::fmt::Debug for Callout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callout")
            .field("issuer", &self.issuer_key)
            .field("account", &self.account)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

// === impl Counts ===

impl Counts {
    /// Users that were let in.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Users that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Questions that this process could not answer: keys of the server and of the settings differ.
    pub fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
