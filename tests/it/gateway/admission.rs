//! Nobody gets in without a good token, from a foreign page, into a room that is none, or past the limits.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use twolane::config::{Secret, TokenSettings};
use twolane::live::auth;
use twolane::live::names::UserId;

use super::client::Ask;
use super::rig::{Rig, new_room, system, until};

/// The code of a refusal.
async fn refused(ask: &Ask) -> (u16, String) {
    match ask.open().await {
        Ok(_) => panic!("it was let in"),
        Err((status, said)) => (status, said["code"].as_str().unwrap_or_default().to_owned()),
    }
}

fn forged(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

#[test]
fn a_token_that_is_not_good_opens_nothing() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let room = new_room();
        let good = rig.server.tokens();
        let exp = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 600;
        let claims = json!({"sub": "a", "iss": good.issuer, "aud": good.audience, "exp": exp});
        let mint = |settings: &TokenSettings, lifetime| {
            let user = UserId::new("a").unwrap();
            auth::mint(settings, &user, &[], false, lifetime).unwrap()
        };
        let minute = Duration::from_secs(60);
        let other_audience = TokenSettings {
            audience: "another".to_owned(),
            ..good.clone()
        };
        let other_key = TokenSettings {
            key: Secret::new("k".repeat(64)),
            ..good.clone()
        };
        let service = auth::mint(&good, &UserId::new("s").unwrap(), &[], true, minute).unwrap();
        let rs = json!({"alg": "RS256", "typ": "JWT"});
        let none = json!({"alg": "none", "typ": "JWT"});
        let mut late = claims.clone();
        late["exp"] = json!(exp - 1_000);
        let cases = [
            (String::new(), 401, "absent"),
            ("nonsense".to_owned(), 401, "malformed"),
            (forged(&none, &claims, ""), 401, "malformed"),
            (forged(&rs, &claims, "c2lnbmVk"), 401, "algorithm"),
            (mint(&other_audience, minute), 401, "audience"),
            (mint(&other_key, minute), 401, "signature"),
            (service, 403, "forbidden"),
        ];
        for (token, status, code) in cases {
            let ask = Ask::page(gateway.addr(), &room, &token);
            assert_eq!(refused(&ask).await, (status, code.to_owned()));
        }
        let short = rig.short_token("a", Duration::from_millis(1));
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        let ask = Ask::page(gateway.addr(), &room, &short);
        assert_eq!(refused(&ask).await, (401, "expired".to_owned()));
        // In the query, and in the header of whoever is no browser.
        let token = rig.token("a", &[]);
        let mut ask = Ask::page(gateway.addr(), &room, "").without("sec-websocket-protocol");
        let header = ask
            .clone()
            .with("authorization", &format!("Bearer {token}"));
        assert!(header.open().await.is_ok());
        ask.query = format!("?token={token}");
        assert!(ask.open().await.is_ok());
        rig.end(gateway).await;
    });
}

#[test]
fn a_token_that_ends_ends_its_socket() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let room = new_room();
        let mut stays = rig.join(gateway.addr(), &room, "stays").await;
        let token = rig.short_token("goes", Duration::from_secs(2));
        let mut goes = Ask::page(gateway.addr(), &room, &token)
            .open()
            .await
            .unwrap();
        goes.until("hello").await;
        let bye = goes.farewell().await;
        assert_eq!(bye["code"], "expired");
        stays
            .say(json!({"type": "comment", "content": "still here"}))
            .await;
        stays.until("stored").await;
        rig.end(gateway).await;
    });
}

#[test]
fn a_foreign_page_and_a_room_that_is_none_are_refused() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&["origins = [\"https://live.example\"]"]);
        let ask = Ask::page(gateway.addr(), "r", &rig.token("a", &[]));
        for foreign in ["https://evil.example", "null", "http://127.0.0.1"] {
            let ask = ask.clone().with("origin", foreign);
            assert_eq!(
                refused(&ask).await,
                (403, "foreign_origin".to_owned()),
                "{foreign}"
            );
        }
        assert!(
            ask.clone()
                .with("origin", "https://live.example")
                .open()
                .await
                .is_ok()
        );
        assert!(ask.clone().without("origin").open().await.is_ok());
        for wild in ["*", "%3E", "a.b", "%2A", &"a".repeat(65)] {
            let mut ask = ask.clone();
            ask.room = wild.to_owned();
            let (status, _) = refused(&ask).await;
            assert_eq!(status, 400, "{wild}");
        }
        // A page cannot see why a handshake failed: it asks again without one.
        let url = format!("http://{}/v1/rooms/r/ws", gateway.addr());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        assert_eq!(http.get(&url).send().await.unwrap().status(), 401);
        let known = http.get(&url).bearer_auth(rig.token("a", &[]));
        assert_eq!(known.send().await.unwrap().status(), 426);
        rig.end(gateway).await;
    });
}

#[test]
fn a_user_and_an_address_have_so_many_sockets() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[
            "max_per_user = 2",
            "max_per_address = 3",
            "max_connections = 4",
        ]);
        let room = new_room();
        let one = rig.join(gateway.addr(), &room, "a").await;
        let _two = rig.join(gateway.addr(), &room, "a").await;
        let ask = |user: &str| Ask::page(gateway.addr(), &room, &rig.token(user, &[]));
        assert_eq!(
            refused(&ask("a")).await,
            (429, "too_many_sockets".to_owned())
        );
        let _three = rig.join(gateway.addr(), &room, "b").await;
        assert_eq!(
            refused(&ask("c")).await,
            (429, "too_many_sockets".to_owned())
        );
        drop(one);
        until("the place to be free", || gateway.status().sockets() == 2).await;
        let _again = rig.join(gateway.addr(), &room, "a").await;
        rig.end(gateway).await;
    });
}
