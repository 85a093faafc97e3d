//! Who may open a socket: decided from the head of the request, before anything else is spent on it.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Query;
use serde::Deserialize;

use super::hub::Hub;
use super::places::{Full, Place};
use super::rooms::Start;
use super::tally::count;
use crate::live::auth::{Claims, TokenError};
use crate::live::names::RoomId;

/// What a client offers as its subprotocol, and is answered with.
pub(super) const PROTOCOL: &str = "twolane.v1";
/// A subprotocol that is the token: browsers let a page set no other header.
const TOKEN_PROTOCOL: &str = "token.";

/// A request's head, as far as it matters.
#[derive(Clone, Copy)]
pub(super) struct Head<'r> {
    pub path: &'r str,
    pub query: &'r str,
    pub headers: &'r HeaderMap,
    pub peer: Option<SocketAddr>,
}

/// Who may come in, where to, and from where on.
#[derive(Debug)]
pub(super) struct Admitted {
    pub room: RoomId,
    pub claims: Claims,
    pub start: Start,
    pub place: Place,
    /// Whether the client offered [`PROTOCOL`].
    pub protocol: bool,
}

/// Why somebody may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: StatusCode,
    /// For programs.
    pub code: &'static str,
    /// For people. It holds nothing of the token.
    pub detail: String,
}

#[derive(Deserialize)]
struct Asked {
    token: Option<String>,
    since: Option<u64>,
}

// === impl Refusal ===

impl Refusal {
    fn new(status: StatusCode, code: &'static str, detail: impl ToString) -> Self {
        Self {
            status,
            code,
            detail: detail.to_string(),
        }
    }

    /// The answer's body.
    pub(super) fn json(&self) -> String {
        serde_json::json!({ "code": self.code, "detail": self.detail }).to_string()
    }
}

impl From<TokenError> for Refusal {
    fn from(why: TokenError) -> Self {
        let status = match &why {
            TokenError::Unusable(_) => StatusCode::SERVICE_UNAVAILABLE,
            TokenError::Absent
            | TokenError::TooLong
            | TokenError::Malformed
            | TokenError::Algorithm
            | TokenError::Signature
            | TokenError::Expired
            | TokenError::NotYet
            | TokenError::Issuer
            | TokenError::Audience
            | TokenError::Missing(_)
            | TokenError::User(_)
            | TokenError::Room(_)
            | TokenError::TooManyRooms(_) => StatusCode::UNAUTHORIZED,
        };
        Self::new(status, why.word(), why)
    }
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Self {
        match full {
            Full::All => Self::new(StatusCode::SERVICE_UNAVAILABLE, "full", full),
            Full::User | Full::Address => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_sockets", full)
            }
        }
    }
}

/// Decides, and takes a place on a thread.
pub(super) fn admit(hub: &Hub, head: Head<'_>, thread: usize) -> Result<Admitted, Refusal> {
    let admitted = decide(hub, head, thread);
    if admitted.is_err() {
        count(&hub.tally.refused);
    }
    admitted
}

fn decide(hub: &Hub, head: Head<'_>, thread: usize) -> Result<Admitted, Refusal> {
    if *hub.draining.borrow() {
        let why = "this gateway is being stopped: come back in a moment";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "drain", why));
    }
    let room = head
        .path
        .strip_prefix("/v1/rooms/")
        .and_then(|rest| rest.strip_suffix("/ws"))
        .ok_or_else(|| {
            let why = "sockets are at /v1/rooms/{room}/ws";
            Refusal::new(StatusCode::NOT_FOUND, "not_found", why)
        })?;
    let room =
        RoomId::new(room).map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, "bad_name", why))?;
    origin(head.headers, &hub.settings.origins)?;
    let asked = Query::<Asked>::from_query(head.query).map_err(|_| {
        let why = "the query is ?since=SEQUENCE and perhaps &token=TOKEN";
        Refusal::new(StatusCode::BAD_REQUEST, "malformed", why)
    })?;
    let asked = asked.into_inner();
    let (token, protocol) = token(head.headers, asked.token);
    let claims = hub.tokens.verify(token.as_deref().unwrap_or_default())?;
    if claims.notify {
        let why = "this token is a service's, which notifies users and watches no room";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden", why));
    }
    let address = client(head.headers, head.peer, &hub.settings.proxies);
    let address = address.ok_or_else(|| {
        let why = "the connection does not say where it comes from";
        Refusal::new(StatusCode::BAD_REQUEST, "malformed", why)
    })?;
    let place = hub.places.take(&claims.user, address, thread)?;
    Ok(Admitted {
        start: match asked.since {
            Some(since) => Start::After(since),
            None => Start::Last(hub.settings.recent),
        },
        room,
        claims,
        place,
        protocol,
    })
}

/// A page may open a socket where it is the gateway's own, or of an origin on the list. What is no page sends no origin.
fn origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), Refusal> {
    let mut origins = headers.get_all(header::ORIGIN);
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return if headers.contains_key(header::ORIGIN) {
            Err(foreign())
        } else {
            Ok(())
        };
    };
    let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let host = host.unwrap_or_default().to_ascii_lowercase();
    let own = origin
        .split_once("://")
        .is_some_and(|(scheme, rest)| matches!(scheme, "http" | "https") && rest == host);
    if own && !host.is_empty() || allowed.contains(&origin) {
        Ok(())
    } else {
        Err(foreign())
    }
}

fn foreign() -> Refusal {
    let why = "pages of this origin may not open sockets here: see gateway.origins";
    Refusal::new(StatusCode::FORBIDDEN, "foreign_origin", why)
}

/// The token, and whether [`PROTOCOL`] was offered: from the subprotocols, the `Authorization` header, or the query.
fn token(headers: &HeaderMap, query: Option<String>) -> (Option<String>, bool) {
    let offered = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim));
    let (mut from_protocol, mut protocol) = (None, false);
    for one in offered {
        match one.strip_prefix(TOKEN_PROTOCOL) {
            Some(token) => from_protocol = Some(token.to_owned()),
            None => protocol |= one == PROTOCOL,
        }
    }
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::to_owned);
    (from_protocol.or(bearer).or(query), protocol)
}

/// The client's address: the peer's, or where that is a proxy of ours, the last one that the proxies name and that is none
/// of them.
fn client(headers: &HeaderMap, peer: Option<SocketAddr>, proxies: &[IpAddr]) -> Option<IpAddr> {
    let peer = peer?.ip().to_canonical();
    if !proxies.contains(&peer) {
        return Some(peer);
    }
    let named: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .collect();
    let mut far = peer;
    for one in named.into_iter().rev() {
        let Ok(address) = one.parse::<IpAddr>() else {
            break;
        };
        far = address.to_canonical();
        if !proxies.contains(&far) {
            break;
        }
    }
    Some(far)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn only_its_own_pages_and_those_of_the_list_open_sockets() {
        let allowed = ["https://live.example".to_owned()];
        let may = |all: &[(&str, &str)]| origin(&headers(all), &allowed).is_ok();
        assert!(may(&[("host", "a:1")]));
        assert!(may(&[("host", "a:1"), ("origin", "http://a:1")]));
        assert!(may(&[("host", "A:1"), ("origin", "HTTPS://a:1")]));
        assert!(may(&[("host", "a:1"), ("origin", "https://live.example")]));
        for foreign in [
            "http://a",
            "http://a:2",
            "http://b:1",
            "null",
            "",
            "https://live.example.evil",
            "ftp://a:1",
            "http://a:1/",
        ] {
            assert!(!may(&[("host", "a:1"), ("origin", foreign)]), "{foreign}");
        }
        assert!(!may(&[("origin", "http://")]));
        assert!(!may(&[
            ("host", "a:1"),
            ("origin", "http://a:1"),
            ("origin", "http://b")
        ]));
    }

    #[test]
    fn a_token_comes_as_a_subprotocol_a_header_or_in_the_query() {
        let query = || Some("q".to_owned());
        let offered = headers(&[("sec-websocket-protocol", "twolane.v1, token.a.b.c")]);
        assert_eq!(token(&offered, query()), (Some("a.b.c".to_owned()), true));
        let bearer = headers(&[("authorization", "Bearer x")]);
        assert_eq!(token(&bearer, query()), (Some("x".to_owned()), false));
        assert_eq!(token(&headers(&[]), query()), (query(), false));
        assert_eq!(token(&headers(&[]), None), (None, false));
    }

    #[test]
    fn only_a_proxy_of_ours_says_who_its_client_is() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let proxies = [at("10.0.0.7"), at("10.0.0.8")];
        let of = |peer: &str, named: &str| {
            let named = headers(&[("x-forwarded-for", named)]);
            client(&named, Some(SocketAddr::new(at(peer), 1)), &proxies).unwrap()
        };
        assert_eq!(of("9.9.9.9", "1.1.1.1"), at("9.9.9.9"));
        assert_eq!(of("10.0.0.7", "6.6.6.6, 1.1.1.1"), at("1.1.1.1"));
        assert_eq!(of("10.0.0.7", "1.1.1.1, 10.0.0.8"), at("1.1.1.1"));
        assert_eq!(of("10.0.0.7", "nonsense"), at("10.0.0.7"));
    }
}
