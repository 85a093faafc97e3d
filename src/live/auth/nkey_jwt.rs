//! The server's own JWTs, signed with nkeys: the question that it asks the callout, and the answer.
//!
//! The format is github.com/nats-io/jwt's, version 2 (`authorization_claims.go`, `user_claims.go`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};

/// `alg` of the header.
const ALGORITHM: &str = "ed25519-nkey";

/// What the server asks.
#[derive(Debug, Deserialize)]
pub(super) struct Question {
    /// The server's key, which signed it.
    pub iss: String,
    /// `nats-authorization-request`.
    #[serde(default)]
    pub aud: String,
    /// The account key that is to sign the answer.
    #[serde(default)]
    pub sub: String,
    /// What it is about.
    pub nats: Asked,
}

/// Who wants in.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// `authorization_request`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Which server asks.
    pub server_id: ServerId,
    /// The key that the answer must be about, made for this question.
    pub user_nkey: String,
    /// What the client sent.
    #[serde(default)]
    pub connect_opts: ConnectOptions,
}

/// Which server asks.
#[derive(Debug, Deserialize)]
pub(super) struct ServerId {
    /// Its public key, which the answer is for.
    pub id: String,
}

/// What a client sent to log in. It has no `Debug` that shows a token.
#[derive(Default, Deserialize)]
pub(super) struct ConnectOptions {
    #[serde(default)]
    pub auth_token: String,
    #[serde(default)]
    pub user: String,
    #[serde(default)]
    pub pass: String,
}

/// Why a question is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadQuestion {
    #[error("it is not a JWT of the server's kind")]
    Malformed,
    #[error("it is not signed by the server that it names")]
    Signature,
}

#[derive(Serialize, Deserialize)]
struct Header<'h> {
    typ: &'h str,
    alg: &'h str,
}

/// Takes a question apart, and checks that the key that it names has signed it and is a server's.
///
/// # Errors
/// [`BadQuestion`].
pub(super) fn question(token: &str) -> Result<Question, BadQuestion> {
    let (signed, signature) = token.rsplit_once('.').ok_or(BadQuestion::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(BadQuestion::Malformed)?;
    let header = decoded(header)?;
    let header: Header<'_> = parsed(&header)?;
    if header.typ != "JWT" || header.alg != ALGORITHM {
        return Err(BadQuestion::Malformed);
    }
    let question: Question = parsed(&decoded(payload)?)?;
    let key = KeyPair::from_public_key(&question.iss).map_err(|_| BadQuestion::Signature)?;
    let server = matches!(key.key_pair_type(), KeyPairType::Server);
    if !server || question.iss != question.nats.server_id.id {
        return Err(BadQuestion::Signature);
    }
    key.verify(signed.as_bytes(), &decoded(signature)?)
        .map_err(|_| BadQuestion::Signature)?;
    Ok(question)
}

/// Signs claims.
///
/// # Errors
/// In words, where the key cannot sign.
pub(super) fn signed(claims: &impl Serialize, key: &KeyPair) -> Result<String, String> {
    let header = Header {
        typ: "JWT",
        alg: ALGORITHM,
    };
    let encode = |json: Result<Vec<u8>, serde_json::Error>| {
        json.map(|json| URL_SAFE_NO_PAD.encode(json))
            .map_err(|error| error.to_string())
    };
    let mut token = encode(serde_json::to_vec(&header))?;
    token.push('.');
    token.push_str(&encode(serde_json::to_vec(claims))?);
    let signature = key
        .sign(token.as_bytes())
        .map_err(|error| error.to_string())?;
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Ok(token)
}

fn decoded(part: &str) -> Result<Vec<u8>, BadQuestion> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| BadQuestion::Malformed)
}

fn parsed<'b, T: Deserialize<'b>>(json: &'b [u8]) -> Result<T, BadQuestion> {
    serde_json::from_slice(json).map_err(|_| BadQuestion::Malformed)
}

// === impl ConnectOptions ===

impl std::fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnectOptions([redacted])")
    }
}

impl ConnectOptions {
    /// The token: what a client's library calls a token, or else the password. (What it calls a JWT is another
    /// thing, a user's of the server's own, and the server passes none on in this mode.)
    pub fn token(&self) -> &str {
        if self.auth_token.is_empty() {
            &self.pass
        } else {
            &self.auth_token
        }
    }
}
