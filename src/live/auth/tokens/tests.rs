//! Every way in which a token can be wrong.

use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;
use crate::config::Secret;

const KEY: &str = "0123456789abcdef0123456789abcdef";

pub(in crate::live::auth) fn settings() -> TokenSettings {
    TokenSettings {
        algorithm: TokenAlgorithm::Hs256,
        key: Secret::new(KEY),
        issuer: "https://id.example".to_owned(),
        audience: "twolane".to_owned(),
    }
}

fn good() -> serde_json::Value {
    let exp = now().unwrap().as_secs() + 60;
    json!({"sub": "u1", "iss": "https://id.example", "aud": "twolane", "exp": exp})
}

fn with(claim: &str, value: serde_json::Value) -> serde_json::Value {
    let mut claims = good();
    claims[claim] = value;
    claims
}

fn without(claim: &str) -> serde_json::Value {
    let mut claims = good();
    claims.as_object_mut().unwrap().remove(claim);
    claims
}

fn hs256(claims: &serde_json::Value) -> String {
    signed(&Header::new(Algorithm::HS256), claims, KEY.as_bytes())
}

fn signed(header: &Header, claims: &serde_json::Value, key: &[u8]) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(key)).unwrap()
}

fn verify(token: &str) -> Result<Claims, TokenError> {
    Tokens::new(&settings()).unwrap().verify(token)
}

/// A private and a public key in PEM.
fn keys(algorithm: &[&str]) -> (String, String) {
    let private = openssl(&[&["genpkey"], algorithm].concat(), "");
    let public = openssl(&["pkey", "-pubout"], &private);
    (private, public)
}

fn openssl(arguments: &[&str], input: &str) -> String {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_the_issuer_signed_is_taken() {
    let claims = verify(&hs256(&good())).unwrap();
    assert_eq!(claims.user.as_str(), "u1");
    assert!(claims.moderates.is_empty() && !claims.notify);
    let mut all = good();
    all["moderates"] = json!(["a", "b"]);
    all["notify"] = json!(true);
    all["aud"] = json!(["other", "twolane"]);
    all["nbf"] = json!(now().unwrap().as_secs() + AHEAD - 1);
    all["exp"] = json!(now().unwrap().as_secs() as f64 + 60.5);
    all["name"] = json!("ignored");
    let claims = verify(&hs256(&all)).unwrap();
    assert_eq!(claims.moderates.len(), 2);
    assert!(claims.notify);
}

#[test]
fn a_claim_that_is_missing_or_wrong_is_refused() {
    let seconds = now().unwrap().as_secs();
    for (claims, expected) in [
        (without("sub"), TokenError::Malformed),
        (without("exp"), TokenError::Malformed),
        (without("iss"), TokenError::Missing("iss".to_owned())),
        (without("aud"), TokenError::Missing("aud".to_owned())),
        (
            with("iss", json!("https://evil.example")),
            TokenError::Issuer,
        ),
        (with("aud", json!("other")), TokenError::Audience),
        (with("aud", json!([])), TokenError::Audience),
        (with("exp", json!(seconds)), TokenError::Expired),
        (with("exp", json!(seconds - 1)), TokenError::Expired),
        (with("exp", json!(0)), TokenError::Expired),
        (
            with("exp", json!(-1)),
            TokenError::Missing("exp".to_owned()),
        ),
        (
            with("exp", json!(1e300)),
            TokenError::Missing("exp".to_owned()),
        ),
        (with("exp", json!(1e15)), TokenError::Malformed),
        (with("exp", json!("9999999999")), TokenError::Malformed),
        (with("nbf", json!(seconds + 60)), TokenError::NotYet),
        (with("sub", json!(7)), TokenError::Malformed),
        (with("notify", json!("yes")), TokenError::Malformed),
        (with("moderates", json!("r")), TokenError::Malformed),
        (
            with("moderates", json!(["r", "*"])),
            TokenError::Room(BadName::Character(0)),
        ),
        (
            with("moderates", json!(vec!["r"; MOST_ROOMS + 1])),
            TokenError::TooManyRooms(MOST_ROOMS + 1),
        ),
    ] {
        assert_eq!(verify(&hs256(&claims)), Err(expected), "{claims}");
    }
}

#[test]
fn a_sub_that_is_no_user_id_is_refused() {
    for sub in [
        "*",
        ">",
        "a.b",
        "a b",
        "",
        "a\r\nSUB > 1\r\n",
        "é",
        "feed",
        "a\u{0}",
    ] {
        let refused = verify(&hs256(&with("sub", json!(sub))));
        assert!(
            matches!(refused, Err(TokenError::User(_))),
            "{sub:?} {refused:?}"
        );
    }
    let long = "a".repeat(10_240);
    assert_eq!(
        verify(&hs256(&with("sub", json!(long)))),
        Err(TokenError::TooLong)
    );
    assert_eq!(
        verify(&hs256(&with("sub", json!("a".repeat(65))))),
        Err(TokenError::User(BadName::TooLong(65)))
    );
}

#[test]
fn a_text_that_is_no_token_is_refused() {
    assert_eq!(verify(""), Err(TokenError::Absent));
    assert_eq!(verify(&"a".repeat(LONGEST + 1)), Err(TokenError::TooLong));
    for text in ["a", "a.b", "a.b.c", "a.b.c.d", "..", "\u{0}", "SA.SA.SA"] {
        assert_eq!(verify(text), Err(TokenError::Malformed), "{text:?}");
    }
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    for alg in ["none", "None", "NONE", "nOnE"] {
        let header = part(json!({"alg": alg, "typ": "JWT"}));
        for signature in ["", "AA"] {
            let token = format!("{header}.{}.{signature}", part(good()));
            let refused = verify(&token);
            assert!(
                matches!(refused, Err(TokenError::Malformed | TokenError::Algorithm)),
                "{refused:?}"
            );
        }
    }
}

#[test]
fn a_token_that_was_altered_is_refused() {
    let token = hs256(&good());
    let [header, claims, signature]: [&str; 3] =
        token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let altered = URL_SAFE_NO_PAD.encode(with("sub", json!("admin")).to_string());
    assert_eq!(
        verify(&format!("{header}.{altered}.{signature}")),
        Err(TokenError::Signature)
    );
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'Q' } else { b'A' };
        let text = String::from_utf8(bytes).unwrap();
        assert!(verify(&text).is_err(), "byte {at}");
    }
    assert!(verify(&format!("{header}.{claims}.")).is_err());
    let other = signed(&Header::new(Algorithm::HS256), &good(), &[b'x'; 32]);
    assert_eq!(verify(&other), Err(TokenError::Signature));
}

#[test]
fn no_other_algorithm_is_taken_though_the_signature_is_right() {
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let token = signed(&Header::new(algorithm), &good(), KEY.as_bytes());
        assert_eq!(verify(&token), Err(TokenError::Algorithm));
    }
}

#[test]
fn a_header_that_demands_to_be_understood_is_refused() {
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["b64".to_owned()]);
    let token = signed(&header, &good(), KEY.as_bytes());
    assert_eq!(verify(&token), Err(TokenError::Malformed));
}

#[test]
fn public_keys_are_no_shared_secrets() {
    for (algorithm, name, arguments) in [
        (
            TokenAlgorithm::Rs256,
            Algorithm::RS256,
            &["-algorithm", "RSA"][..],
        ),
        (
            TokenAlgorithm::Es256,
            Algorithm::ES256,
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..],
        ),
        (
            TokenAlgorithm::EdDsa,
            Algorithm::EdDSA,
            &["-algorithm", "ED25519"][..],
        ),
    ] {
        let (private, public) = keys(arguments);
        let settings = TokenSettings {
            algorithm,
            key: Secret::new(public.clone()),
            ..settings()
        };
        let tokens = Tokens::new(&settings).unwrap();
        let key = match name {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(private.as_bytes()),
            Algorithm::ES256 => EncodingKey::from_ec_pem(private.as_bytes()),
            _ => EncodingKey::from_ed_pem(private.as_bytes()),
        };
        let token = jsonwebtoken::encode(&Header::new(name), &good(), &key.unwrap()).unwrap();
        assert_eq!(tokens.verify(&token).unwrap().user.as_str(), "u1");

        // The classic: the public key, which everyone has, as the key of an HMAC.
        let swapped = signed(&Header::new(Algorithm::HS256), &good(), public.as_bytes());
        assert_eq!(tokens.verify(&swapped), Err(TokenError::Algorithm));
        // And the other way round.
        assert_eq!(verify(&token), Err(TokenError::Algorithm));

        let minted = mint(
            &settings,
            &UserId::new("u").unwrap(),
            &[],
            false,
            Duration::from_secs(1),
        );
        assert!(matches!(minted, Err(MintError::NotHere(..))));
    }
}

#[test]
fn what_is_minted_is_taken_and_fits_into_a_line_of_the_protocol() {
    let user = UserId::new(&"u".repeat(64)).unwrap();
    let rooms: Vec<RoomId> = (0..MOST_ROOMS)
        .map(|i| RoomId::new(&format!("{i:064}")).unwrap())
        .collect();
    let token = mint(&settings(), &user, &rooms, true, Duration::from_secs(3600)).unwrap();
    let claims = verify(&token).unwrap();
    assert_eq!((claims.user, claims.moderates), (user, rooms));
    assert!(token.len() < LONGEST - 512, "{}", token.len());
    let too_many = vec![RoomId::new("r").unwrap(); MOST_ROOMS + 1];
    let refused = mint(
        &settings(),
        &UserId::new("u").unwrap(),
        &too_many,
        false,
        Duration::from_secs(1),
    );
    assert_eq!(
        refused,
        Err(MintError::Refused(TokenError::TooManyRooms(MOST_ROOMS + 1)))
    );
}

#[test]
fn no_error_repeats_the_token() {
    for token in [
        "s3cret.s3cret.s3cret".to_owned(),
        hs256(&with("sub", json!("s3cret.x"))),
    ] {
        let shown = verify(&token).unwrap_err();
        assert!(!format!("{shown} {shown:?}").contains("s3cret"));
    }
}
