//! What a moderator may ask on `live.<room>.ctl.<user>`, and what is answered.
//!
//! `{"op":"mute","user":"u1","for_s":600}`, `unmute`, `ban`, `unban` (each of a `user`, a `midHash` or the author
//! of a `comment`), `{"op":"slow","seconds":10}` (0: off), `{"op":"silence","on":true}`,
//! `{"op":"keywords","add":["…"],"remove":["…"]}`, `{"op":"recall","id":"17"}`, `{"op":"state"}`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Mark;
use crate::live::keywords;
use crate::live::names::UserId;

/// The longest mute: what is to last longer is a ban.
const LONGEST_MUTE: u64 = 365 * 24 * 3600;
/// The slowest slow mode: what is to be slower is silence.
const SLOWEST: u32 = 3600;
/// The longest request. Twice what the keywords of a room may take.
const LONGEST: usize = 256 << 10;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Mute {
        whom: Target,
        for_s: u64,
    },
    Unmute {
        whom: Target,
    },
    Ban {
        whom: Target,
    },
    Unban {
        whom: Target,
    },
    Slow {
        seconds: u32,
    },
    Silence {
        on: bool,
    },
    Keywords {
        add: Vec<String>,
        remove: Vec<String>,
    },
    Recall {
        id: String,
    },
    State,
}

/// Whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    User(UserId),
    Mark(Mark),
    /// The author of the comment of this id.
    Comment(String),
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: Code,
    /// In words, with what to do.
    pub(super) detail: String,
}

/// The codes of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// Not JSON, or a field is missing, of the wrong type or beyond its bounds.
    Malformed,
    /// No comment of that id is in the room.
    NotFound,
    /// The room has as many of these as it may have.
    TooMany,
    /// NATS is away, or did not answer: it may have been done.
    Unavailable,
    /// It was done, but is not in the audit.
    Unaudited,
}

#[derive(Deserialize)]
struct Raw {
    op: String,
    user: Option<String>,
    #[serde(rename = "midHash")]
    mid_hash: Option<String>,
    comment: Option<String>,
    for_s: Option<u64>,
    seconds: Option<u32>,
    on: Option<bool>,
    #[serde(default)]
    add: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
    id: Option<String>,
}

// === impl Request ===

impl Request {
    /// Takes a payload that is a request.
    ///
    /// # Errors
    /// [`Code::Malformed`].
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Failure> {
        if payload.len() > LONGEST {
            return Err(malformed(format!(
                "{} bytes are too many: a request takes {LONGEST}",
                payload.len()
            )));
        }
        let raw: Raw = serde_json::from_slice(payload).map_err(|e| malformed(e.to_string()))?;
        match raw.op.as_str() {
            "mute" => {
                let for_s = needed(raw.for_s, "for_s: how many seconds")?;
                if !(1..=LONGEST_MUTE).contains(&for_s) {
                    return Err(malformed(format!(
                        "for_s is 1 to {LONGEST_MUTE}; use ban for longer"
                    )));
                }
                let whom = raw.target()?;
                Ok(Self::Mute { whom, for_s })
            }
            "unmute" => Ok(Self::Unmute {
                whom: raw.target()?,
            }),
            "ban" => Ok(Self::Ban {
                whom: raw.target()?,
            }),
            "unban" => Ok(Self::Unban {
                whom: raw.target()?,
            }),
            "slow" => {
                let seconds = needed(raw.seconds, "seconds: 0 is off")?;
                if seconds > SLOWEST {
                    return Err(malformed(format!(
                        "seconds is 0 to {SLOWEST}; use silence for slower"
                    )));
                }
                Ok(Self::Slow { seconds })
            }
            "silence" => {
                let on = needed(raw.on, "on: true or false")?;
                Ok(Self::Silence { on })
            }
            "keywords" => raw.keywords(),
            "recall" => {
                let id = needed(raw.id, "id: the comment's")?;
                Ok(Self::Recall { id: comment(id)? })
            }
            "state" => Ok(Self::State),
            other => Err(malformed(format!(
                "there is no op {other:?}: it is mute, unmute, ban, unban, slow, silence, keywords, recall or state"
            ))),
        }
    }

    /// As it stands in the audit.
    pub(super) fn record(&self) -> Value {
        match self {
            Self::Mute { whom, for_s } => {
                json!({"op": "mute", "target": whom.record(), "for_s": for_s})
            }
            Self::Unmute { whom } => json!({"op": "unmute", "target": whom.record()}),
            Self::Ban { whom } => json!({"op": "ban", "target": whom.record()}),
            Self::Unban { whom } => json!({"op": "unban", "target": whom.record()}),
            Self::Slow { seconds } => json!({"op": "slow", "seconds": seconds}),
            Self::Silence { on } => json!({"op": "silence", "on": on}),
            Self::Keywords { add, remove } => {
                json!({"op": "keywords", "add": add, "remove": remove})
            }
            Self::Recall { id } => json!({"op": "recall", "id": id}),
            Self::State => json!({"op": "state"}),
        }
    }
}

// === impl Raw ===

impl Raw {
    fn target(self) -> Result<Target, Failure> {
        match (self.user, self.mid_hash, self.comment) {
            (Some(user), None, None) => UserId::new(&user)
                .map(Target::User)
                .map_err(|e| malformed(format!("user: {e}"))),
            (None, Some(mark), None) => Mark::parse(&mark)
                .map(Target::Mark)
                .ok_or_else(|| malformed("midHash is 16 hex digits, as in an entry".into())),
            (None, None, Some(id)) => Ok(Target::Comment(comment(id)?)),
            (None, None, None) => Err(malformed(
                "whom? It takes user, midHash or comment (a comment's id)".into(),
            )),
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => Err(
                malformed("user, midHash and comment: it takes one of them alone".into()),
            ),
        }
    }

    fn keywords(self) -> Result<Request, Failure> {
        if self.add.is_empty() && self.remove.is_empty() {
            return Err(malformed(
                "add or remove: it takes a list of keywords".into(),
            ));
        }
        for word in &self.add {
            keywords::keyword(word).map_err(|e| malformed(e.to_string()))?;
        }
        Ok(Request::Keywords {
            add: self.add,
            remove: self.remove,
        })
    }
}

// === impl Target ===

impl Target {
    fn record(&self) -> Value {
        match self {
            Self::User(user) => json!({"user": user.as_str()}),
            Self::Mark(mark) => json!({"midHash": mark.to_string()}),
            Self::Comment(id) => json!({"comment": id}),
        }
    }
}

// === impl Failure ===

impl Failure {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }

    /// The answer.
    pub(super) fn reply(&self) -> Value {
        json!({"ok": false, "code": self.code.name(), "detail": self.detail})
    }
}

// === impl Code ===

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotFound => "not_found",
            Self::TooMany => "too_many",
            Self::Unavailable => "unavailable",
            Self::Unaudited => "unaudited",
        }
    }
}

fn malformed(detail: String) -> Failure {
    Failure::new(Code::Malformed, detail)
}

fn needed<T>(value: Option<T>, what: &str) -> Result<T, Failure> {
    value.ok_or_else(|| malformed(format!("it lacks {what}")))
}

fn comment(id: String) -> Result<String, Failure> {
    // As the entry shows it: the only form in which it can be found again.
    match id.parse::<u64>() {
        Ok(number) if number.to_string() == id => Ok(id),
        Ok(_) | Err(_) => Err(malformed(
            "a comment's id is the number, as text, that its entry shows".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Request, Failure> {
        Request::parse(text.as_bytes())
    }

    #[test]
    fn each_request_is_read() {
        let u1 = || Target::User(UserId::new("u1").unwrap());
        for (text, request) in [
            (
                r#"{"op":"mute","user":"u1","for_s":600}"#,
                Request::Mute {
                    whom: u1(),
                    for_s: 600,
                },
            ),
            (
                r#"{"op":"unban","midHash":"bb82030dbc2bcaba"}"#,
                Request::Unban {
                    whom: Target::Mark(Mark::parse("bb82030dbc2bcaba").unwrap()),
                },
            ),
            (
                r#"{"op":"ban","comment":"17"}"#,
                Request::Ban {
                    whom: Target::Comment("17".into()),
                },
            ),
            (r#"{"op":"slow","seconds":0}"#, Request::Slow { seconds: 0 }),
            (
                r#"{"op":"silence","on":true}"#,
                Request::Silence { on: true },
            ),
            (
                r#"{"op":"keywords","add":["a"]}"#,
                Request::Keywords {
                    add: vec!["a".into()],
                    remove: vec![],
                },
            ),
            (
                r#"{"op":"recall","id":"9"}"#,
                Request::Recall { id: "9".into() },
            ),
            (r#"{"op":"state","unknown":1}"#, Request::State),
        ] {
            assert_eq!(parse(text).unwrap(), request, "{text}");
        }
    }

    #[test]
    fn what_is_no_request_is_told_what_it_lacks() {
        for (text, word) in [
            ("", "EOF"),
            (r#"{"op":"mute","user":"u1"}"#, "for_s"),
            (r#"{"op":"mute","user":"u1","for_s":0}"#, "for_s"),
            (r#"{"op":"mute","for_s":1}"#, "midHash"),
            (r#"{"op":"ban","user":"a.b"}"#, "user"),
            (r#"{"op":"ban","user":"a","comment":"1"}"#, "alone"),
            (r#"{"op":"ban","midHash":"BB82030DBC2BCABA"}"#, "16 hex"),
            (r#"{"op":"slow","seconds":3601}"#, "silence"),
            (r#"{"op":"silence"}"#, "on"),
            (r#"{"op":"keywords"}"#, "add"),
            (
                r#"{"op":"keywords","add":["\u200b"]}"#,
                "nothing to look for",
            ),
            (r#"{"op":"recall","id":"0017"}"#, "id"),
            (r#"{"op":"promote"}"#, "promote"),
        ] {
            let failure = parse(text).unwrap_err();
            assert_eq!(failure.code, Code::Malformed);
            assert!(failure.detail.contains(word), "{text}: {}", failure.detail);
        }
    }
}
