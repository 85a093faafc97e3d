//! Questions as the server asks them, and everything that only looks like one.

use serde_json::{Value, json};

use super::*;
use crate::config::{Secret, TokenSettings};
use crate::live::auth::tokens::{mint, tests::settings as token_settings};

struct Server {
    key: KeyPair,
    xkey: Option<XKey>,
}

fn settings(issuer: &KeyPair, xkey: Option<&XKey>) -> CalloutSettings {
    CalloutSettings {
        issuer_seed: Secret::new(issuer.seed().unwrap()),
        account: "USERS".to_owned(),
        services_account: "LIVE".to_owned(),
        xkey_seed: xkey.map(|key| Secret::new(key.seed().unwrap())),
        login: None,
    }
}

fn callout(issuer: &KeyPair, xkey: Option<&XKey>) -> Callout {
    let tokens = Tokens::new(&token_settings()).unwrap();
    Callout::new(&settings(issuer, xkey), tokens).unwrap()
}

fn token(user: &str, notify: bool) -> String {
    let settings: TokenSettings = token_settings();
    let lifetime = std::time::Duration::from_secs(60);
    mint(
        &settings,
        &UserId::new(user).unwrap(),
        &[],
        notify,
        lifetime,
    )
    .unwrap()
}

impl Server {
    fn new() -> Self {
        Self {
            key: KeyPair::new_server(),
            xkey: None,
        }
    }

    fn claims(&self, issuer: &KeyPair, options: Value) -> Value {
        json!({
            "iss": self.key.public_key(), "aud": "nats-authorization-request",
            "sub": issuer.public_key(), "exp": 1,
            "nats": {
                "type": "authorization_request", "version": 2,
                "server_id": {"id": self.key.public_key(), "name": "n", "host": "h"},
                "user_nkey": "UBO2MQV67TQTVIRV3XFTEZOACM4WLOCMCDMAWN5QVN5PI2N6JHTVDRON",
                "client_info": {"host": "127.0.0.1"}, "connect_opts": options,
            },
        })
    }

    fn ask(&self, issuer: &KeyPair, options: Value) -> Vec<u8> {
        nkey_jwt::signed(&self.claims(issuer, options), &self.key)
            .unwrap()
            .into_bytes()
    }
}

/// The payload of a JWT of the server's kind, without a look at its signature.
fn payload(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

#[test]
fn a_user_with_a_token_is_placed_with_its_permissions_until_it_expires() {
    let (issuer, server) = (KeyPair::new_account(), Server::new());
    let callout = callout(&issuer, None);
    let token = token("u1", false);
    for options in [
        json!({"auth_token": token}),
        json!({"user": "u1", "pass": token}),
    ] {
        let answer = callout.answer(&server.ask(&issuer, options), None).unwrap();
        assert_eq!(answer.user.unwrap().as_str(), "u1");
        let answer = payload(std::str::from_utf8(&answer.payload).unwrap());
        assert_eq!(answer["aud"], server.key.public_key());
        assert_eq!(answer["iss"], issuer.public_key());
        assert_eq!(answer["nats"]["error"], Value::Null);
        let user = payload(answer["nats"]["jwt"].as_str().unwrap());
        assert_eq!(user["sub"], answer["sub"]);
        assert_eq!(
            (&user["aud"], &user["name"]),
            (&json!("USERS"), &json!("u1"))
        );
        assert_eq!(user["nats"]["pub"]["allow"][0], "live.*.in.comment.u1");
        assert_eq!(user["nats"]["sub"]["allow"][2], "live.refused.u1");
        assert_eq!(user["exp"], payload(&token)["exp"]);
    }
}

#[test]
fn a_service_is_placed_with_the_workers_and_may_only_notify() {
    let (issuer, server) = (KeyPair::new_account(), Server::new());
    let question = server.ask(&issuer, json!({"auth_token": token("shop", true)}));
    let answer = callout(&issuer, None).answer(&question, None).unwrap();
    let answer = payload(std::str::from_utf8(&answer.payload).unwrap());
    let user = payload(answer["nats"]["jwt"].as_str().unwrap());
    assert_eq!(user["aud"], "LIVE");
    assert_eq!(user["nats"]["pub"]["allow"], json!(["notify.*"]));
}

#[test]
fn nobody_is_let_in_without_a_token_or_under_another_name() {
    let (issuer, server) = (KeyPair::new_account(), Server::new());
    let callout = callout(&issuer, None);
    for options in [
        json!({}),
        json!({"user": "worker", "pass": "x"}),
        json!({"user": "u2", "auth_token": token("u1", false)}),
        json!({"auth_token": "worker"}),
    ] {
        let answer = callout.answer(&server.ask(&issuer, options), None).unwrap();
        assert!(answer.user.is_err());
        let answer = payload(std::str::from_utf8(&answer.payload).unwrap());
        assert_eq!(answer["nats"]["jwt"], Value::Null);
        assert!(answer["nats"]["error"].is_string());
    }
}

#[test]
fn what_is_no_question_of_a_server_gets_no_answer() {
    let (issuer, server) = (KeyPair::new_account(), Server::new());
    let callout = callout(&issuer, None);
    let claims = server.claims(&issuer, json!({"auth_token": token("u1", false)}));
    let changed = |path: &str, value: Value| {
        let mut claims = claims.clone();
        *claims.pointer_mut(path).unwrap() = value;
        claims
    };
    let user = KeyPair::new_user();
    let refused = [
        nkey_jwt::signed(&changed("/aud", json!("x")), &server.key),
        nkey_jwt::signed(&changed("/nats/type", json!("user")), &server.key),
        nkey_jwt::signed(
            &changed("/sub", json!(server.key.public_key())),
            &server.key,
        ),
        // Signed by a user, under its own name and under the server's.
        nkey_jwt::signed(&changed("/iss", json!(user.public_key())), &user),
        nkey_jwt::signed(&claims, &user),
        // Another server's name within.
        nkey_jwt::signed(
            &changed(
                "/nats/server_id/id",
                json!(KeyPair::new_server().public_key()),
            ),
            &server.key,
        ),
        Ok("a.b.c".to_owned()),
        Ok(String::new()),
    ];
    for question in refused {
        let question = question.unwrap();
        assert!(
            callout.answer(question.as_bytes(), None).is_err(),
            "{question}"
        );
    }
    let good = nkey_jwt::signed(&claims, &server.key).unwrap();
    assert!(callout.answer(good.as_bytes(), None).is_ok());
    let mut cut = good;
    cut.truncate(cut.len() - 2);
    assert!(callout.answer(cut.as_bytes(), None).is_err());
}

#[test]
fn questions_are_encrypted_exactly_where_both_sides_say_so() {
    let (issuer, own) = (KeyPair::new_account(), XKey::new());
    let mut server = Server::new();
    server.xkey = Some(XKey::new());
    let theirs = server.xkey.as_ref().unwrap();
    let plain = server.ask(&issuer, json!({"auth_token": token("u1", false)}));
    let sealed = theirs
        .seal(&plain, &XKey::from_public_key(&own.public_key()).unwrap())
        .unwrap();
    let sender = theirs.public_key();

    let encrypting = callout(&issuer, Some(&own));
    let answer = encrypting.answer(&sealed, Some(&sender)).unwrap();
    assert!(answer.user.is_ok());
    let opened = theirs
        .open(
            &answer.payload,
            &XKey::from_public_key(&own.public_key()).unwrap(),
        )
        .unwrap();
    assert!(opened.starts_with(b"eyJ"));

    assert!(encrypting.answer(&plain, None).is_err());
    assert!(encrypting.answer(&plain, Some(&sender)).is_err());
    assert!(encrypting.answer(&sealed, Some("nonsense")).is_err());
    let other = callout(&issuer, Some(&XKey::new()));
    assert!(other.answer(&sealed, Some(&sender)).is_err());
    let clear = callout(&issuer, None);
    let why = clear.answer(&sealed, Some(&sender)).err().unwrap();
    assert!(why.to_string().contains("live.callout.xkey_seed"), "{why}");
}

#[test]
fn no_print_shows_a_key() {
    let (issuer, own) = (KeyPair::new_account(), XKey::new());
    let callout = callout(&issuer, Some(&own));
    let shown = format!("{callout:?} {:?}", settings(&issuer, Some(&own)));
    for secret in [issuer.seed().unwrap(), own.seed().unwrap()] {
        assert!(!shown.contains(&secret));
    }
    assert!(shown.contains(&issuer.public_key()));
}
