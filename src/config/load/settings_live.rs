//! The settings of the live lane: NATS, users' tokens, and the callout.

use jsonwebtoken::DecodingKey;
use nkeys::{KeyPair, KeyPairType, XKey};

use super::address;
use super::settings::{authority, pair, secret};
use crate::config::read::Values;
use crate::config::{
    CalloutSettings, LiveSettings, NatsSettings, Problems, Secret, TokenAlgorithm, TokenSettings,
};

/// RFC 7518, 3.2: a key of the hash's size or larger; a shorter one can be guessed from a single token.
const SHORTEST_KEY: usize = 32;

/// What a key that anyone may read never begins with.
const PRIVATE: &str = "PRIVATE KEY-----";

pub(super) fn nats(values: &Values, problems: &mut Problems) -> Option<NatsSettings> {
    let url = address::nats(&values.text("nats.url")?)
        .map_err(|message| problems.add(values.place("nats.url"), message))
        .ok();
    let password = secret(values, "nats.password", "nats.password_file", problems);
    let given = |paths: [&'static str; 2]| paths.into_iter().find(|path| values.given(path));
    let has_user = values.given("nats.username").then_some("nats.username");
    let has_password = given(["nats.password", "nats.password_file"]);
    pair(values, "nats", has_user, has_password, problems);
    let tls = url.as_ref().is_none_or(|(_, tls)| *tls);
    let ca_file = authority(values, "nats.ca_file", tls, "a tls:// address", problems);
    Some(NatsSettings {
        url: url?.0,
        username: values.text("nats.username"),
        password,
        ca_file,
        timeout: values.duration("nats.timeout")?,
    })
}

pub(super) fn live(values: &Values, problems: &mut Problems) -> Option<LiveSettings> {
    let tokens = [
        "live.auth.algorithm",
        "live.auth.key",
        "live.auth.key_file",
        "live.auth.issuer",
        "live.auth.audience",
    ];
    let callout = [
        "live.callout.issuer_seed",
        "live.callout.issuer_seed_file",
        "live.callout.account",
        "live.callout.services_account",
        "live.callout.xkey_seed",
        "live.callout.xkey_seed_file",
        "live.callout.username",
        "live.callout.password",
        "live.callout.password_file",
    ];
    let first = |paths: &[&'static str]| paths.iter().copied().find(|path| values.given(path));
    let auth = match first(&tokens) {
        Some(given) => Some(token_settings(values, given, problems)?),
        None => None,
    };
    let callout = match first(&callout) {
        Some(given) => {
            if auth.is_none() {
                let message = format!(
                    "{given} needs [live.auth]: without it no token can be checked; write algorithm, issuer and key_file there"
                );
                problems.add(values.place(given), message);
            }
            Some(callout_settings(values, given, problems)?)
        }
        None => None,
    };
    Some(LiveSettings { auth, callout })
}

fn token_settings(
    values: &Values,
    given: &'static str,
    problems: &mut Problems,
) -> Option<TokenSettings> {
    let has_key = values.given("live.auth.key") || values.given("live.auth.key_file");
    let missing: Vec<&str> = [
        ("live.auth.algorithm", values.given("live.auth.algorithm")),
        ("live.auth.key_file (or live.auth.key)", has_key),
        ("live.auth.issuer", values.given("live.auth.issuer")),
    ]
    .into_iter()
    .filter_map(|(path, given)| (!given).then_some(path))
    .collect();
    if !missing.is_empty() {
        let message = format!("{given} needs {}", missing.join(" and "));
        problems.add(values.place(given), message);
    }
    let algorithm = match values.text("live.auth.algorithm")?.as_str() {
        "HS256" => TokenAlgorithm::Hs256,
        "RS256" => TokenAlgorithm::Rs256,
        "ES256" => TokenAlgorithm::Es256,
        "EdDSA" => TokenAlgorithm::EdDsa,
        _ => return None,
    };
    let key = match algorithm {
        TokenAlgorithm::Hs256 => shared_key(values, problems),
        TokenAlgorithm::Rs256 | TokenAlgorithm::Es256 | TokenAlgorithm::EdDsa => {
            public_key(values, algorithm, problems)
        }
    };
    Some(TokenSettings {
        algorithm,
        key: key?,
        issuer: values.text("live.auth.issuer")?,
        audience: values.text("live.auth.audience")?,
    })
}

fn shared_key(values: &Values, problems: &mut Problems) -> Option<Secret> {
    let key = secret(values, "live.auth.key", "live.auth.key_file", problems)?;
    if key.expose().len() < SHORTEST_KEY {
        let place = if values.given("live.auth.key") {
            values.place("live.auth.key")
        } else {
            values.place("live.auth.key_file")
        };
        let message = format!(
            "live.auth.key has fewer than {SHORTEST_KEY} bytes, so it can be guessed: make one with `openssl rand -hex 32`"
        );
        problems.add(place, message);
        return None;
    }
    Some(key)
}

fn public_key(
    values: &Values,
    algorithm: TokenAlgorithm,
    problems: &mut Problems,
) -> Option<Secret> {
    let name = algorithm.name();
    if values.given("live.auth.key") {
        let message = format!(
            "live.auth.key goes with HS256: with {name} name the public key's PEM file in live.auth.key_file"
        );
        problems.add(values.place("live.auth.key"), message);
        return None;
    }
    let file = values.path("live.auth.key_file")?;
    let mut wrong = |what: String| {
        let message = format!("live.auth.key_file: {} {what}", file.display());
        problems.add(values.place("live.auth.key_file"), message);
    };
    let pem = match std::fs::read_to_string(&file) {
        Ok(pem) => pem,
        Err(error) => {
            wrong(format!("cannot be read: {error}"));
            return None;
        }
    };
    if pem.contains(PRIVATE) {
        wrong("holds a private key, which belongs to whoever signs tokens: give the public one (`openssl pkey -in FILE -pubout`)".to_owned());
        return None;
    }
    let parsed = match algorithm {
        TokenAlgorithm::Hs256 => return None,
        TokenAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem.as_bytes()),
        TokenAlgorithm::Es256 => DecodingKey::from_ec_pem(pem.as_bytes()),
        TokenAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem.as_bytes()),
    };
    if parsed.is_err() {
        wrong(format!(
            "holds no public key for {name} in PEM (-----BEGIN PUBLIC KEY-----)"
        ));
        return None;
    }
    Some(Secret::new(pem))
}

fn callout_settings(
    values: &Values,
    given: &'static str,
    problems: &mut Problems,
) -> Option<CalloutSettings> {
    let seed_paths = ["live.callout.issuer_seed", "live.callout.issuer_seed_file"];
    let xkey_paths = ["live.callout.xkey_seed", "live.callout.xkey_seed_file"];
    let first = |paths: [&'static str; 2]| paths.into_iter().find(|path| values.given(path));
    let issuer_seed = secret(values, seed_paths[0], seed_paths[1], problems);
    match (first(seed_paths), &issuer_seed) {
        (None, _) => {
            let message = format!("{given} needs live.callout.issuer_seed_file (or issuer_seed)");
            problems.add(values.place(given), message);
        }
        (Some(path), Some(seed)) if !is_account_seed(seed) => {
            let message = format!(
                "{} is not the seed of an account key, which begins with \"SA\": `nk -gen account` makes one",
                seed_paths[0]
            );
            problems.add(values.place(path), message);
        }
        (Some(_), _) => {}
    }
    let xkey_seed = secret(values, xkey_paths[0], xkey_paths[1], problems);
    if let (Some(path), Some(seed)) = (first(xkey_paths), &xkey_seed)
        && XKey::from_seed(seed.expose()).is_err()
    {
        let message = format!(
            "{} is not the seed of a curve key, which begins with \"SX\": `nk -gen curve` makes one",
            xkey_paths[0]
        );
        problems.add(values.place(path), message);
    }
    let password = secret(
        values,
        "live.callout.password",
        "live.callout.password_file",
        problems,
    );
    let has_user = values
        .given("live.callout.username")
        .then_some("live.callout.username");
    let has_password = first(["live.callout.password", "live.callout.password_file"]);
    pair(values, "live.callout", has_user, has_password, problems);
    Some(CalloutSettings {
        issuer_seed: issuer_seed?,
        account: values.text("live.callout.account")?,
        services_account: values.text("live.callout.services_account")?,
        xkey_seed,
        login: values.text("live.callout.username").zip(password),
    })
}

fn is_account_seed(seed: &Secret) -> bool {
    KeyPair::from_seed(seed.expose())
        .is_ok_and(|key| matches!(key.key_pair_type(), KeyPairType::Account))
}
