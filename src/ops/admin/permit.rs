//! Who may change something.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::answers;
use crate::config::Secret;

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It comes out of a web page.
    Page,
    /// No token is configured.
    NoToken,
    /// It carries none, or another one.
    Wrong,
    /// This process is none whose actors may be made to fail.
    NoChaos,
}

/// Whether a request carries the token.
pub(super) fn token(request: &HttpRequest, token: Option<&Secret>) -> Result<(), Refused> {
    carries(request.headers(), token)
}

fn carries(headers: &HeaderMap, token: Option<&Secret>) -> Result<(), Refused> {
    if headers.contains_key(header::ORIGIN) && !own(headers) {
        return Err(Refused::Page);
    }
    let token = token.ok_or(Refused::NoToken)?;
    let given = headers.get(header::AUTHORIZATION);
    let given = given.and_then(|v| v.as_bytes().strip_prefix(b"Bearer "));
    if token.is(given.ok_or(Refused::Wrong)?) {
        Ok(())
    } else {
        Err(Refused::Wrong)
    }
}

/// Whether a browser says that the request comes out of the page that this address serves. Where another name leads here,
/// the token is still what counts: no browser adds it by itself.
fn own(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST)) else {
        return false;
    };
    let from = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    from.is_some_and(|from| from.eq_ignore_ascii_case(host))
}

/// Where a request comes from, for the log.
pub(super) fn peer(request: &HttpRequest) -> String {
    let peer = request.peer_addr();
    peer.map_or_else(|| "an unknown address".to_owned(), |p| p.ip().to_string())
}

// === impl Refused ===

impl Refused {
    /// In a few words, for the audit log.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Page => "another web page sent it",
            Self::NoToken => "no token is configured",
            Self::NoChaos => "not started with --chaos",
            Self::Wrong => "without the token, or with another one",
        }
    }

    pub(super) fn answer(self) -> HttpResponse {
        match self {
            Self::Page => answers::error(
                StatusCode::FORBIDDEN,
                "other web pages may not change anything: send the request without an Origin header",
            ),
            Self::NoToken => answers::error(
                StatusCode::FORBIDDEN,
                "no token is configured: set admin.token or admin.token_file, restart, and send the request with \
                 Authorization: Bearer <token>",
            ),
            Self::NoChaos => answers::error(
                StatusCode::FORBIDDEN,
                "this process was not started with --chaos",
            ),
            Self::Wrong => {
                let mut refused = answers::error(
                    StatusCode::UNAUTHORIZED,
                    "the request does not carry the token of admin.token: send Authorization: Bearer <token>",
                );
                refused.headers_mut().insert(
                    header::WWW_AUTHENTICATE,
                    header::HeaderValue::from_static("Bearer"),
                );
                refused
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_configured_token_is_right_and_no_page_may_send_it() {
        let token = Secret::new("0123456789abcdef");
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            headers
        };
        let right = with("Bearer 0123456789abcdef");
        assert_eq!(carries(&right, Some(&token)), Ok(()));
        assert_eq!(carries(&right, None), Err(Refused::NoToken));
        assert_eq!(
            carries(&HeaderMap::new(), Some(&token)),
            Err(Refused::Wrong)
        );
        for wrong in [
            "Bearer 0123456789abcdeg",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
            "Bearer ",
        ] {
            assert_eq!(
                carries(&with(wrong), Some(&token)),
                Err(Refused::Wrong),
                "{wrong}"
            );
        }
        let page = |origin: &str, token: &str| {
            let mut page = with(token);
            page.insert(header::HOST, "127.0.0.1:9464".parse().unwrap());
            page.insert(header::ORIGIN, origin.parse().unwrap());
            page
        };
        let right = "Bearer 0123456789abcdef";
        for other in [
            "http://example.com",
            "null",
            "http://127.0.0.1:9465",
            "http://127.0.0.1:9464.example.com",
        ] {
            assert_eq!(
                carries(&page(other, right), Some(&token)),
                Err(Refused::Page)
            );
        }
        let own = "http://127.0.0.1:9464";
        assert_eq!(carries(&page(own, right), Some(&token)), Ok(()));
        assert_eq!(
            carries(&page(own, "Bearer 1"), Some(&token)),
            Err(Refused::Wrong)
        );
    }
}
