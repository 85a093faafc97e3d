//! What Redis' errors mean for the lane: whose turn it is to act, and what to do.
//!
//! No message carries credentials: the texts are the server's own, which never repeat them, and the client's
//! errors are described here by their kind.

use ::redis::{ErrorKind, RedisError, ServerError};

use crate::config::RedisSettings;
use crate::sink::SinkError;

/// The most bytes of the server's own words that are passed on.
const DETAIL_BYTES: usize = 1000;

/// What an error answer of the server calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cure {
    /// The scripts must be loaded again.
    Load,
    /// Memory is full: nothing of this call was executed.
    Memory,
    /// This server may not be the right one any more: connect anew.
    Reconnect,
    /// It passes by itself.
    Wait,
    /// An operator must act.
    Act,
}

/// What to do about an error code.
pub(crate) fn cure(code: &str) -> Cure {
    match code {
        "NOSCRIPT" => Cure::Load,
        "OOM" => Cure::Memory,
        // A replica, or one that is becoming one or has lost its primary: an address that follows the primary
        // leads elsewhere after the next connect.
        "READONLY" | "LOADING" | "MASTERDOWN" => Cure::Reconnect,
        "BUSY" | "CLUSTERDOWN" | "TRYAGAIN" => Cure::Wait,
        _ => Cure::Act,
    }
}

/// The sink's error for an error answer.
pub(crate) fn refused_by_server(
    error: &ServerError,
    doing: &str,
    settings: &RedisSettings,
) -> SinkError {
    answered(error.code(), error.details(), doing, settings)
}

fn answered(code: &str, detail: Option<&str>, doing: &str, settings: &RedisSettings) -> SinkError {
    let server = cut(&format!("{code} {}", detail.unwrap_or_default()));
    let (remedy, alarm) = match cure(code) {
        Cure::Load => ("the server lost its scripts; they are loaded again", false),
        Cure::Memory => (
            "its memory is full: raise maxmemory, or make room; nothing is evicted and nothing is lost meanwhile",
            true,
        ),
        Cure::Reconnect => (
            "it is starting, or a replica; if that does not pass, point redis.url at the primary",
            false,
        ),
        Cure::Wait => ("it is retried", false),
        Cure::Act => (act(code, settings), true),
    };
    SinkError::Unavailable {
        detail: format!("{doing}: Redis answered {server:?}: {remedy}"),
        alarm,
    }
}

fn act(code: &str, settings: &RedisSettings) -> &'static str {
    match code {
        "WRONGPASS" | "NOAUTH" => login(settings),
        "NOPERM" => {
            "let the user of redis.username run EVALSHA, SCRIPT LOAD, INFO and what the scripts call (GET SET DEL TYPE \
             INCR PTTL PEXPIRE HGET HSET HMGET HLEN; for the live lane TIME PEXPIREAT PFADD PFCOUNT) on the pipeline's keys and on \
             twolane:*"
        }
        "MISCONF" => {
            "it cannot write to its disk and so takes no writes: look at its log and its disk"
        }
        "NOREPLICAS" => "fewer replicas are connected than its min-replicas-to-write asks for",
        _ => "look at its log",
    }
}

fn login(settings: &RedisSettings) -> &'static str {
    match (&settings.username, &settings.password) {
        (_, None) => "it wants a password: set redis.password",
        (None, Some(_)) => {
            "the login was refused: redis.password is wrong, needs a redis.username, or is not wanted"
        }
        (Some(_), Some(_)) => "the login was refused: redis.username or redis.password is wrong",
    }
}

/// The sink's error for a failure to connect, to send or to be answered.
pub(crate) fn failed(error: &RedisError, doing: &str, settings: &RedisSettings) -> SinkError {
    let alarm_about = |detail: &str| SinkError::Unavailable {
        detail: format!("{doing}: {detail}"),
        alarm: true,
    };
    match error.kind() {
        // The client tells a wrong password in its own words, with the server's as detail.
        ErrorKind::AuthenticationFailed => alarm_about(login(settings)),
        ErrorKind::Server(_) | ErrorKind::Extension => answered(
            error.code().unwrap_or("ERR"),
            error.detail(),
            doing,
            settings,
        ),
        // TLS libraries tell this only in words.
        _ if error.to_string().contains("certificate") => alarm_about(&format!(
            "the server's certificate is not trusted: set redis.ca_file to the PEM file of the authority that signed it, \
             and redis.url to a name that it holds ({})",
            cut(&error.to_string())
        )),
        ErrorKind::Io if error.is_timeout() => SinkError::Late(format!(
            "{doing}: Redis did not answer within redis.timeout ({:?})",
            settings.timeout
        )),
        ErrorKind::Io => SinkError::Unavailable {
            detail: format!("{doing}: {}", cut(&error.to_string())),
            alarm: false,
        },
        ErrorKind::InvalidClientConfig => {
            alarm_about("the client cannot use redis.url as it is set")
        }
        // The server speaks something else than Redis' protocol, or the client failed inside.
        _ => alarm_about(&cut(&format!(
            "{error}; does redis.url point at Redis, with rediss:// where it speaks TLS?"
        ))),
    }
}

/// The first bytes of a text, whole characters.
pub(super) fn cut(text: &str) -> String {
    let text = text.trim();
    text.get(..text.floor_char_boundary(DETAIL_BYTES))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use std::time::Duration;

    fn settings(password: Option<&str>) -> RedisSettings {
        RedisSettings {
            url: "redis://127.0.0.1:1".into(),
            username: None,
            password: password.map(Secret::new),
            ca_file: None,
            timeout: Duration::from_secs(1),
        }
    }

    fn alarmed(code: &str) -> (bool, String) {
        match answered(code, Some("words"), "writing", &settings(Some("hunter2"))) {
            SinkError::Unavailable { detail, alarm } => (alarm, detail),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_passes_by_itself_raises_no_alarm_and_what_needs_a_hand_does() {
        for code in [
            "LOADING",
            "READONLY",
            "MASTERDOWN",
            "BUSY",
            "CLUSTERDOWN",
            "TRYAGAIN",
            "NOSCRIPT",
        ] {
            assert!(!alarmed(code).0, "{code}");
        }
        for code in [
            "OOM",
            "MISCONF",
            "NOAUTH",
            "WRONGPASS",
            "NOPERM",
            "NOREPLICAS",
            "ERR",
        ] {
            assert!(alarmed(code).0, "{code}");
        }
    }

    #[test]
    fn a_refused_login_names_the_setting_and_shows_no_secret() {
        let (_, detail) = alarmed("WRONGPASS");
        assert!(detail.contains("redis.password") && !detail.contains("hunter2"));
        let none = answered("NOAUTH", None, "writing", &settings(None)).to_string();
        assert!(none.contains("set redis.password"), "{none}");
    }
}
