//! What a token allows: the table of subjects, as the server's permissions.

use serde::Serialize;

use super::Claims;
use crate::live::names::{self, Inbound, all, own};

/// The most bytes of a message of a user's: a moderator's request with a room's 500 keywords. (Of a comment
/// LIVE_IN takes less.) The server of 2.15 does not hold callout users to it: its configuration must say so too,
/// as the account's limit.
pub const LONGEST_PAYLOAD: i64 = 64 << 10;

/// The most subscriptions of one connection: three of the user's own, and two a room for thirty rooms. It is
/// the account's limit too, for the same reason.
pub const SUBSCRIPTIONS: i64 = 64;

/// Subjects that a connection may publish and subscribe to; every other is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Permissions {
    /// Subjects to publish.
    #[serde(rename = "pub")]
    pub publish: Allow,
    /// Subjects to subscribe to.
    #[serde(rename = "sub")]
    pub subscribe: Allow,
}

/// A list of subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allow {
    /// The subjects.
    pub allow: Vec<String>,
}

// === impl Permissions ===

impl Permissions {
    /// What these claims allow. None of the two lists is ever empty: the server takes an empty one for "all".
    pub fn of(claims: &Claims) -> Self {
        let user = &claims.user;
        let inbox = own::inbox(user);
        if claims.notify {
            return Self::new(vec![all::NOTIFY.to_owned()], vec![inbox]);
        }
        let mut publish = vec![
            own::inbound(Inbound::Comment, user),
            own::inbound(Inbound::Like, user),
            own::inbound(Inbound::Here, user),
            own::history(user),
        ];
        publish.extend(claims.moderates.iter().map(|room| names::ctl(room, user)));
        let subscribe = vec![
            all::FEED.to_owned(),
            all::TOTALS.to_owned(),
            names::refused(user),
            names::notify(user),
            inbox,
        ];
        Self::new(publish, subscribe)
    }

    fn new(publish: Vec<String>, subscribe: Vec<String>) -> Self {
        Self {
            publish: Allow { allow: publish },
            subscribe: Allow { allow: subscribe },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::names::{RoomId, UserId};

    #[test]
    fn a_user_gets_the_table_and_nothing_else() {
        let mut claims = Claims {
            user: UserId::new("u1").unwrap(),
            expires: 1,
            moderates: vec![],
            notify: false,
        };
        let plain = Permissions::of(&claims);
        assert_eq!(
            plain.publish.allow,
            [
                "live.*.in.comment.u1",
                "live.*.in.like.u1",
                "live.*.in.here.u1",
                "live.*.history.u1"
            ]
        );
        assert_eq!(
            plain.subscribe.allow,
            [
                "live.*.feed",
                "live.*.likes",
                "live.refused.u1",
                "notify.u1",
                "_INBOX.u1.>"
            ]
        );
        claims.moderates = vec![RoomId::new("r").unwrap()];
        let moderator = Permissions::of(&claims);
        assert_eq!(moderator.publish.allow.last().unwrap(), "live.r.ctl.u1");
        assert_eq!(moderator.subscribe, plain.subscribe);
    }

    #[test]
    fn a_service_notifies_and_is_no_user() {
        let claims = Claims {
            user: UserId::new("shop").unwrap(),
            expires: 1,
            moderates: vec![RoomId::new("r").unwrap()],
            notify: true,
        };
        let service = Permissions::of(&claims);
        assert_eq!(service.publish.allow, ["notify.*"]);
        assert_eq!(service.subscribe.allow, ["_INBOX.shop.>"]);
    }
}
