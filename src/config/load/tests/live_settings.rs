use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const ACCOUNT_SEED: &str = "SAANDLKMXL6CUS3CP52WIXBEDN6YJ545GDKC65U5JZPPV6WH6ESWUA6YAI";
const USER_SEED: &str = "SUAP277QP7U4JMFFPVZHLJYEQJ2UHOTYVEIZJYAWRJXQLP4FRSEHYZJJOU";

/// A public key for Ed25519, RFC 8410's example.
const ED_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
/// A key that signs, the same document's.
const ED_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";

fn folder(text: &str) -> Folder {
    Folder::with(&[
        ("ed.pem", ED_PUBLIC),
        ("private.pem", ED_PRIVATE),
        ("twolane.toml", text),
    ])
}

fn good(text: &str) -> Settings {
    load_settings(&folder(text).options(&[])).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn a_process_without_live_settings_checks_no_token_and_answers_no_question() {
    let settings = good("");
    assert_eq!(settings.nats.url, "nats://127.0.0.1:4222");
    assert!(settings.live.auth.is_none() && settings.live.callout.is_none());
}

#[test]
fn the_callout_logs_in_as_the_user_that_is_asked_else_as_the_worker() {
    let tokens = format!("[live.auth]\nalgorithm = \"HS256\"\nkey = \"{KEY}\"\nissuer = \"i\"\n");
    let nats =
        "[nats]\nurl = \"nats://a:1, nats://b:2\"\nusername = \"worker\"\npassword = \"w\"\n";
    let callout = format!("[live.callout]\nissuer_seed = \"{ACCOUNT_SEED}\"\n");
    let settings = good(&format!("{nats}{tokens}{callout}"));
    let auth = settings.live.auth.unwrap();
    assert_eq!(
        (auth.algorithm.name(), auth.audience.as_str()),
        ("HS256", "twolane")
    );
    let callout_settings = settings.live.callout.unwrap();
    assert_eq!(callout_settings.account, "USERS");
    let connection = callout_settings.connection(&settings.nats);
    assert_eq!(connection.url, "nats://a:1,nats://b:2");
    assert_eq!(connection.username.as_deref(), Some("worker"));

    let settings = good(&format!(
        "{nats}{tokens}{callout}username = \"callout\"\npassword = \"c\"\n"
    ));
    let connection = settings.live.callout.unwrap().connection(&settings.nats);
    assert_eq!(connection.username.as_deref(), Some("callout"));
    assert_eq!(connection.password.unwrap().expose(), "c");
}

#[test]
fn a_public_key_comes_from_its_file() {
    let settings = good(
        "[live.auth]\nalgorithm = \"EdDSA\"\nkey_file = \"ed.pem\"\nissuer = \"i\"\naudience = \"a\"\n",
    );
    assert_eq!(settings.live.auth.unwrap().key.expose(), ED_PUBLIC);
}

#[test]
fn live_settings_are_refused_at_the_line_that_is_wrong() {
    let cases: [(String, &[&str]); 12] = [
        (
            "[nats]\nurl = \"http://a\"\n".to_owned(),
            &[
                "twolane.toml:2:7: nats.url holds \"http://a\": write it as \"nats://host:port\", or \"tls://host:port\" for TLS",
            ],
        ),
        (
            "[nats]\nusername = \"u\"\n".to_owned(),
            &["twolane.toml:2:12: nats.username needs nats.password or nats.password_file"],
        ),
        (
            "[live.auth]\naudience = \"x\"\n".to_owned(),
            &[
                "twolane.toml:2:12: live.auth.audience needs live.auth.algorithm and live.auth.key_file (or live.auth.key) and live.auth.issuer",
            ],
        ),
        (
            "[live.auth]\nalgorithm = \"none\"\nkey_file = \"ed.pem\"\nissuer = \"i\"\n".to_owned(),
            &[
                "twolane.toml:2:13: live.auth.algorithm must be \"HS256\", \"RS256\", \"ES256\" or \"EdDSA\", not \"none\"",
            ],
        ),
        (
            "[live.auth]\nalgorithm = \"HS256\"\nkey = \"short\"\nissuer = \"i\"\n".to_owned(),
            &[
                "twolane.toml:3:7: live.auth.key has fewer than 32 bytes, so it can be guessed: make one with `openssl rand -hex 32`",
            ],
        ),
        (
            format!("[live.auth]\nalgorithm = \"EdDSA\"\nkey = \"{KEY}\"\nissuer = \"i\"\n"),
            &[
                "twolane.toml:3:7: live.auth.key goes with HS256: with EdDSA name the public key's PEM file in live.auth.key_file",
            ],
        ),
        (
            "[live.auth]\nalgorithm = \"RS256\"\nkey_file = \"ed.pem\"\nissuer = \"i\"\n".to_owned(),
            &[
                "twolane.toml:3:12: live.auth.key_file: ed.pem holds no public key for RS256 in PEM (-----BEGIN PUBLIC KEY-----)",
            ],
        ),
        (
            "[live.auth]\nalgorithm = \"EdDSA\"\nkey_file = \"private.pem\"\nissuer = \"i\"\n"
                .to_owned(),
            &[
                "twolane.toml:3:12: live.auth.key_file: private.pem holds a private key, which belongs to whoever signs tokens: give the public one (`openssl pkey -in FILE -pubout`)",
            ],
        ),
        (
            format!("[live.callout]\nissuer_seed = \"{ACCOUNT_SEED}\"\n"),
            &[
                "twolane.toml:2:15: live.callout.issuer_seed needs [live.auth]: without it no token can be checked; write algorithm, issuer and key_file there",
            ],
        ),
        (
            format!(
                "[live.auth]\nalgorithm = \"EdDSA\"\nkey_file = \"ed.pem\"\nissuer = \"i\"\n[live.callout]\nissuer_seed = \"{USER_SEED}\"\n"
            ),
            &[
                "twolane.toml:6:15: live.callout.issuer_seed is not the seed of an account key, which begins with \"SA\": `nk -gen account` makes one",
            ],
        ),
        (
            format!(
                "[live.auth]\nalgorithm = \"EdDSA\"\nkey_file = \"ed.pem\"\nissuer = \"i\"\n[live.callout]\nissuer_seed = \"{ACCOUNT_SEED}\"\nxkey_seed = \"{USER_SEED}\"\n"
            ),
            &[
                "twolane.toml:7:13: live.callout.xkey_seed is not the seed of a curve key, which begins with \"SX\": `nk -gen curve` makes one",
            ],
        ),
        (
            "[live.auth]\nalgorithm = \"EdDSA\"\nkey_file = \"ed.pem\"\nissuer = \"i\"\n[live.callout]\naccount = \"USERS\"\n"
                .to_owned(),
            &[
                "twolane.toml:6:11: live.callout.account needs live.callout.issuer_seed_file (or issuer_seed)",
            ],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(folder(&text).problems(&[]), expected, "{text}");
    }
}
