//! What is said on a socket: JSON texts, as `deploy/gateway.md` has them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::queue::Missed;
use crate::live::wire::{Comment, Likes, Reason, Refused};

/// The most bytes of a client's own reference: as on NATS.
pub(super) const LONGEST_CID: usize = 64;

/// What a client says.
#[derive(Debug)]
pub(super) enum Said<'a> {
    /// A comment for the room.
    Comment(Comment),
    /// So many likes.
    Like(u32),
    /// A moderator's request, with the client's own reference.
    Ctl(Option<String>, &'a str),
    /// Notifications from here on: after this sequence, or after what was acknowledged.
    Notify(Option<u64>),
    /// Notifications up to this sequence were seen.
    Ack(u64),
}

/// What the gateway says, but for entries and notifications, which are put together from what came.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Says<'a> {
    /// The first message.
    Hello {
        room: &'a str,
        user: &'a str,
        /// The last entry before those that follow live; what is after it was not seen.
        seq: u64,
        moderates: bool,
        /// When the token ends, in seconds since 1970.
        expires: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        viewers: Option<u64>,
        /// The sequence that the client came with is none of this stream: it begins anew.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        reset: bool,
    },
    /// The total.
    Likes { total: u64, viewers: u64 },
    /// What was shed.
    Missed { comments: u32, likes: u32 },
    /// Between these two entries some may be that nobody can have any more.
    Gap {
        after: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
    },
    /// Sequences begin anew.
    Reset {},
    /// A comment is stored.
    Stored {
        id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        cid: Option<&'a str>,
    },
    /// Something was not taken.
    Refused(&'a Refused),
    /// The answer to a moderator's request.
    Ctl {
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a str>,
        answer: &'a RawValue,
    },
    /// The socket ends: why, when to come back, and with which sequence.
    Bye {
        code: &'a str,
        retry_ms: u64,
        seq: u64,
    },
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type")]
    kind: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct LikeFields {
    #[serde(default = "one")]
    n: u32,
}

#[derive(Deserialize)]
struct CtlFields<'a> {
    #[serde(rename = "ref")]
    reference: Option<String>,
    #[serde(borrow)]
    request: &'a RawValue,
}

#[derive(Deserialize)]
struct NotifyFields {
    after: Option<u64>,
}

#[derive(Deserialize)]
struct AckFields {
    seq: u64,
}

fn one() -> u32 {
    1
}

// === impl Said ===

impl<'a> Said<'a> {
    /// Reads a text.
    ///
    /// # Errors
    /// What was meant, as far as that is known, and one sentence for the client's author.
    pub(super) fn parse(text: &'a str) -> Result<Self, (&'static str, String)> {
        let kind: Kind = serde_json::from_str(text).map_err(|e| {
            let what = format!("a message is a JSON object with a `type`: {e}");
            ("message", what)
        })?;
        let wrong = |what: &'static str| move |e: serde_json::Error| (what, format!("{what}: {e}"));
        match &*kind.kind {
            "comment" => {
                let comment: Comment = serde_json::from_str(text).map_err(wrong("comment"))?;
                if comment.cid.as_ref().is_some_and(|c| {
                    c.len() > LONGEST_CID || !c.bytes().all(|b| b.is_ascii_graphic())
                }) {
                    let why = format!("cid is 1 to {LONGEST_CID} printable ASCII characters");
                    return Err(("comment", why));
                }
                Ok(Self::Comment(comment))
            }
            "like" => {
                let like: LikeFields = serde_json::from_str(text).map_err(wrong("like"))?;
                Ok(Self::Like(like.n))
            }
            "ctl" => {
                let ctl: CtlFields = serde_json::from_str(text).map_err(wrong("ctl"))?;
                if ctl
                    .reference
                    .as_ref()
                    .is_some_and(|r| r.len() > LONGEST_CID)
                {
                    return Err(("ctl", format!("ref is at most {LONGEST_CID} bytes")));
                }
                Ok(Self::Ctl(ctl.reference, ctl.request.get()))
            }
            "notify" => {
                let notify: NotifyFields = serde_json::from_str(text).map_err(wrong("notify"))?;
                Ok(Self::Notify(notify.after))
            }
            "ack" => {
                let ack: AckFields = serde_json::from_str(text).map_err(wrong("ack"))?;
                Ok(Self::Ack(ack.seq))
            }
            _ => Err((
                "message",
                "there is no such `type`: comment, like, ctl, notify or ack".to_owned(),
            )),
        }
    }
}

// === impl Says ===

impl Says<'_> {
    /// The text.
    pub(super) fn json(&self) -> Vec<u8> {
        // Nothing in these types fails to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

pub(super) fn missed(missed: Missed) -> Vec<u8> {
    let Missed { comments, likes } = missed;
    Says::Missed { comments, likes }.json()
}

pub(super) fn likes(likes: Likes) -> Vec<u8> {
    let Likes { total, viewers } = likes;
    Says::Likes { total, viewers }.json()
}

/// A refusal by the gateway itself.
pub(super) fn refusal(room: &str, what: &str, code: Reason, detail: String) -> Refused {
    Refused {
        room: room.to_owned(),
        what: what.to_owned(),
        code,
        detail,
        retry_after_ms: None,
        id: None,
        cid: None,
    }
}

/// `{"type":"notify","seq":…,"payload":…}` around a payload that is JSON; anything else goes as text.
pub(super) fn notification(seq: u64, payload: &[u8]) -> Vec<u8> {
    let raw: Result<&RawValue, _> = serde_json::from_slice(payload);
    let quoted;
    let payload = match &raw {
        Ok(raw) => raw.get(),
        Err(_) => {
            let text = String::from_utf8_lossy(payload);
            quoted = serde_json::Value::from(text).to_string();
            &quoted
        }
    };
    format!(r#"{{"type":"notify","seq":{seq},"payload":{payload}}}"#).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_may_say_is_one_of_five() {
        let comment = r#"{"type":"comment","content":"x","cid":"a"}"#;
        assert!(
            matches!(Said::parse(comment), Ok(Said::Comment(c)) if c.cid.as_deref() == Some("a"))
        );
        assert!(matches!(
            Said::parse(r#"{"type":"like"}"#),
            Ok(Said::Like(1))
        ));
        let ctl = r#"{"type":"ctl","ref":"r","request":{"op":"state"}}"#;
        assert!(matches!(
            Said::parse(ctl),
            Ok(Said::Ctl(Some(_), r#"{"op":"state"}"#))
        ));
        assert!(matches!(
            Said::parse(r#"{"type":"notify"}"#),
            Ok(Said::Notify(None))
        ));
        assert!(matches!(
            Said::parse(r#"{"type":"ack","seq":7}"#),
            Ok(Said::Ack(7))
        ));
        let long = format!(
            r#"{{"type":"comment","content":"x","cid":"{}"}}"#,
            "a".repeat(65)
        );
        for bad in [
            "",
            "x",
            "[]",
            "{}",
            r#"{"type":"x"}"#,
            r#"{"type":"comment"}"#,
            r#"{"type":"ack"}"#,
            r#"{"type":"comment","content":"x","mode":9}"#,
            r#"{"type":"like","n":-1}"#,
            long.as_str(),
            r#"{"type":"comment","content":"x","cid":"a\nb"}"#,
        ] {
            assert!(Said::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_notification_holds_what_its_service_wrote() {
        let text = |p: &[u8]| String::from_utf8(notification(7, p)).unwrap();
        assert_eq!(
            text(br#"{"a":1}"#),
            r#"{"type":"notify","seq":7,"payload":{"a":1}}"#
        );
        assert_eq!(
            text(b"a\"b"),
            r#"{"type":"notify","seq":7,"payload":"a\"b"}"#
        );
    }
}
