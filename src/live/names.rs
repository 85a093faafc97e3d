//! Rooms, users, and the subjects made of them: the only place where a subject is written or taken apart.
//!
//! Promises: an id that is no plain name never becomes part of a subject, so no client reaches past its own
//! room or user by wildcards, dots or line breaks in a name.

use std::fmt;
use std::sync::Arc;

/// The most characters in a room's or a user's id.
pub const LONGEST: usize = 64;

/// A room's id: 1 to 64 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(Arc<str>);

/// A user's id, of the same form as a room's, and none of [`RESERVED`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

/// What no user may be called: `live.refused.<user>` would be a subject of the room `refused`, so that everyone
/// could read what such a user was refused, or it would be stored as an entry.
pub const RESERVED: [&str; 5] = ["out", "feed", "likes", "dead", "audit"];

/// Why a text is no id. It does not repeat the text, which may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing there.
    #[error("an id is empty: it takes 1 to 64 of A-Z a-z 0-9 _ -")]
    Empty,
    /// Over [`LONGEST`].
    #[error("an id of {0} bytes is too long: it takes 1 to 64 of A-Z a-z 0-9 _ -")]
    TooLong(usize),
    /// The byte at this place is none of those allowed.
    #[error(
        "an id has a character at byte {0} that it may not have: it takes 1 to 64 of A-Z a-z 0-9 _ -"
    )]
    Character(usize),
    /// One of [`RESERVED`].
    #[error("no user may be called out, feed, likes, dead or audit: subjects end so")]
    Reserved,
}

fn check(text: &str) -> Result<Arc<str>, BadName> {
    if text.is_empty() {
        return Err(BadName::Empty);
    }
    if text.len() > LONGEST {
        return Err(BadName::TooLong(text.len()));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    match text.bytes().position(|b| !plain(b)) {
        Some(at) => Err(BadName::Character(at)),
        None => Ok(Arc::from(text)),
    }
}

fn check_user(text: &str) -> Result<Arc<str>, BadName> {
    if RESERVED.contains(&text) {
        return Err(BadName::Reserved);
    }
    check(text)
}

macro_rules! name {
    ($name:ident, $check:ident) => {
        impl $name {
            /// Takes a text that is an id.
            ///
            /// # Errors
            /// [`BadName`] where it is none.
            pub fn new(text: &str) -> Result<Self, BadName> {
                $check(text).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

name!(RoomId, check);
name!(UserId, check_user);

/// What a user sends into a room; each is a token of the subject `live.<room>.in.<kind>.<user>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Inbound {
    /// A comment, into the stream LIVE_IN.
    Comment,
    /// Likes, lossy by contract.
    Like,
    /// "I am watching": a viewer's heartbeat, lossy by contract.
    Here,
}

// === impl Inbound ===

impl Inbound {
    /// Its token in a subject.
    pub fn token(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Like => "like",
            Self::Here => "here",
        }
    }

    fn of(token: &str) -> Option<Self> {
        [Self::Comment, Self::Like, Self::Here]
            .into_iter()
            .find(|kind| kind.token() == token)
    }
}

/// The subjects that workers subscribe to, for all rooms.
pub mod all {
    /// Every comment: what LIVE_IN holds.
    pub const COMMENTS: &str = "live.*.in.comment.*";
    /// Every like.
    pub const LIKES: &str = "live.*.in.like.*";
    /// Every heartbeat.
    pub const HERE: &str = "live.*.in.here.*";
    /// Every accepted entry: what LIVE_OUT holds.
    pub const OUT: &str = "live.*.out";
    /// Every request for a room's history.
    pub const HISTORY: &str = "live.*.history.*";
    /// Every moderator's request.
    pub const CTL: &str = "live.*.ctl.*";
    /// Every room's feed.
    pub const FEED: &str = "live.*.feed";
    /// Every room's totals.
    pub const TOTALS: &str = "live.*.likes";
    /// Every user's notifications: what NOTIFY holds.
    pub const NOTIFY: &str = "notify.*";
    /// Every user's notifications with their places: what the server republishes of NOTIFY.
    pub const NOTICES: &str = "notify.*.feed";
    /// How far every user has read: what NOTIFY_READ holds.
    pub const NOTIFIED: &str = "notified.*";
    /// Every refusal.
    pub const REFUSED: &str = "live.refused.*";
    /// Every dead letter: what LIVE_DEAD holds. A root of its own, since a room may be called `dead`.
    pub const DEAD: &str = "dead.live.*";
    /// Everything that moderators did: what LIVE_AUDIT holds.
    pub const AUDIT: &str = "live.*.audit";
}

/// What is allowed to one user in every room.
pub mod own {
    use super::{Inbound, UserId};

    /// `live.*.in.<kind>.<user>`.
    pub fn inbound(kind: Inbound, user: &UserId) -> String {
        format!("live.*.in.{}.{user}", kind.token())
    }

    /// `live.*.history.<user>`.
    pub fn history(user: &UserId) -> String {
        format!("live.*.history.{user}")
    }

    /// `_INBOX.<user>.>`.
    pub fn inbox(user: &UserId) -> String {
        format!("{}>", super::inbox_prefix(user))
    }
}

/// `live.<room>.in.<kind>.<user>`.
pub fn inbound(room: &RoomId, kind: Inbound, user: &UserId) -> String {
    format!("live.{room}.in.{}.{user}", kind.token())
}

/// `live.<room>.out`: a room's entries in LIVE_OUT; only workers publish there.
pub fn out(room: &RoomId) -> String {
    format!("live.{room}.out")
}

/// `live.<room>.feed`: what viewers subscribe to; only the server publishes there.
pub fn feed(room: &RoomId) -> String {
    format!("live.{room}.feed")
}

/// `live.<room>.likes`: the absolute total and the number of viewers.
pub fn likes(room: &RoomId) -> String {
    format!("live.{room}.likes")
}

/// `live.<room>.history.<user>`: a user's request for entries of LIVE_OUT.
pub fn history(room: &RoomId, user: &UserId) -> String {
    format!("live.{room}.history.{user}")
}

/// `live.<room>.ctl.<user>`: a moderator's request. The server pins the user, so that what the audit says of
/// who did it is true.
pub fn ctl(room: &RoomId, user: &UserId) -> String {
    format!("live.{room}.ctl.{user}")
}

/// `live.<room>.audit`: what moderators did in a room, in LIVE_AUDIT; only workers publish there.
pub fn audit(room: &RoomId) -> String {
    format!("live.{room}.audit")
}

/// `live.refused.<user>`: what a user sent and is not shown.
pub fn refused(user: &UserId) -> String {
    format!("live.refused.{user}")
}

/// `dead.live.<letter>`: a comment that was delivered too often, in LIVE_DEAD. Each letter has a subject of its
/// own, so that it is there once, however often it is written.
pub fn dead(letter: &str) -> String {
    format!("dead.live.{letter}")
}

/// `notify.<user>`: a user's notifications.
pub fn notify(user: &UserId) -> String {
    format!("notify.{user}")
}

/// `notified.<user>`: how far a user has read his notifications.
pub fn notified(user: &UserId) -> String {
    format!("notified.{user}")
}

/// The user of a subject that begins with `head` and ends with `tail`, such as `notify.<user>.feed`.
pub fn parse_user(subject: &str, head: &str, tail: &str) -> Option<UserId> {
    let user = subject.strip_prefix(head)?.strip_suffix(tail)?;
    UserId::new(user).ok()
}

/// `_INBOX.<user>.`: where answers to a user may go, and nowhere else: the server lets a client name any
/// reply subject, one that everyone listens to included.
pub fn inbox_prefix(user: &UserId) -> String {
    format!("_INBOX.{user}.")
}

/// Whether a worker may answer `user` at this reply subject.
pub fn may_reply(user: &UserId, reply: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'*' && b != b'>';
    reply
        .strip_prefix(inbox_prefix(user).as_str())
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain))
}

/// Room, kind and user of a subject `live.<room>.in.<kind>.<user>`; `None` for any other.
pub fn parse_inbound(subject: &str) -> Option<(RoomId, Inbound, UserId)> {
    let mut tokens = subject.split('.');
    (tokens.next()? == "live").then_some(())?;
    let room = RoomId::new(tokens.next()?).ok()?;
    (tokens.next()? == "in").then_some(())?;
    let kind = Inbound::of(tokens.next()?)?;
    let user = UserId::new(tokens.next()?).ok()?;
    tokens.next().is_none().then_some((room, kind, user))
}

/// Room and user of a subject `live.<room>.<what>.<user>`, such as a request for history.
pub fn parse_request(subject: &str, what: &str) -> Option<(RoomId, UserId)> {
    let mut tokens = subject.split('.');
    (tokens.next()? == "live").then_some(())?;
    let room = RoomId::new(tokens.next()?).ok()?;
    (tokens.next()? == what).then_some(())?;
    let user = UserId::new(tokens.next()?).ok()?;
    tokens.next().is_none().then_some((room, user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_name_is_refused() {
        let long = "a".repeat(10_240);
        for bad in [
            "*",
            ">",
            "a.b",
            "a b",
            "a\r\nb",
            "",
            "é",
            "a\0",
            long.as_str(),
            &"a".repeat(65),
        ] {
            assert!(RoomId::new(bad).is_err(), "{:?}", bad.get(..8));
            assert!(UserId::new(bad).is_err());
        }
        for good in ["a", "room-1", "A_9", &"a".repeat(64)] {
            assert_eq!(RoomId::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn no_refusal_goes_to_a_subject_of_the_room_refused() {
        let room = RoomId::new("refused").unwrap();
        for subject in [out(&room), feed(&room), likes(&room), audit(&room)] {
            let user = subject.strip_prefix("live.refused.").unwrap();
            assert_eq!(UserId::new(user), Err(BadName::Reserved), "{user}");
        }
        assert!(UserId::new("Feed").is_ok());
    }

    #[test]
    fn a_subject_is_taken_apart_as_it_was_made() {
        let (room, user) = (RoomId::new("r-1").unwrap(), UserId::new("u_2").unwrap());
        for kind in [Inbound::Comment, Inbound::Like, Inbound::Here] {
            let subject = inbound(&room, kind, &user);
            assert_eq!(
                parse_inbound(&subject),
                Some((room.clone(), kind, user.clone()))
            );
        }
        assert_eq!(
            parse_request(&ctl(&room, &user), "ctl"),
            Some((room.clone(), user.clone()))
        );
        for bad in [
            "live.r.in.comment",
            "live.r.in.comment.u.v",
            "live.r.in.other.u",
            "x.r.in.like.u",
            "live..in.like.u",
        ] {
            assert_eq!(parse_inbound(bad), None, "{bad}");
        }
    }

    #[test]
    fn answers_go_to_the_users_own_inbox_only() {
        let user = UserId::new("u1").unwrap();
        assert!(may_reply(&user, "_INBOX.u1.abc.1"));
        for bad in [
            "_INBOX.u12.abc",
            "_INBOX.u1.",
            "_INBOX.u1",
            "live.r.feed",
            "_INBOX.u1.>",
            "_INBOX.u1.a b",
        ] {
            assert!(!may_reply(&user, bad), "{bad}");
        }
    }
}
