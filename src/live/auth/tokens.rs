//! Users' tokens: JWTs that an identity service signs, checked here and by the browsers' gateway alike.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::config::{TokenAlgorithm, TokenSettings};
use crate::live::names::{BadName, RoomId, UserId};

/// The longest token that is looked at, in bytes: NATS takes no longer line from a client, and checking one
/// costs its length.
const LONGEST: usize = 4_096;

/// The most rooms that one token may moderate: with ids of full length they just fit into a token.
pub const MOST_ROOMS: usize = 32;

/// How far the issuer's clock may be ahead of this one for `nbf`. `exp` is taken to the second.
const AHEAD: u64 = 5;

/// 9999-12-31: what lies beyond is no date.
const LAST_DATE: f64 = 253_402_300_799.0;

/// What a token says, after it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: whose it is.
    pub user: UserId,
    /// `exp`, in seconds since 1970.
    pub expires: u64,
    /// `moderates`: the rooms in which the user is a moderator, at most [`MOST_ROOMS`].
    pub moderates: Vec<RoomId>,
    /// `notify`: whether this is a service that writes notifications to users, and nothing else.
    pub notify: bool,
}

/// Why a token is not taken. It holds nothing of the token but the length of a bad name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is none.
    #[error("there is no token")]
    Absent,
    /// Over 4,096 bytes.
    #[error("the token is longer than 4096 bytes")]
    TooLong,
    /// Not three parts of base64 that hold JSON, or a claim has another type.
    #[error("this is no JWT, or one of its claims is of the wrong type")]
    Malformed,
    /// Another algorithm than the one that the settings name.
    #[error("the token names another algorithm than live.auth.algorithm")]
    Algorithm,
    /// Not signed with the key.
    #[error("the token's signature is wrong")]
    Signature,
    /// Past its `exp`.
    #[error("the token has expired: get a new one")]
    Expired,
    /// Before its `nbf`.
    #[error("the token is not valid yet")]
    NotYet,
    /// Another `iss`.
    #[error("the token is of another issuer than live.auth.issuer")]
    Issuer,
    /// Another `aud`.
    #[error("the token is for another audience than live.auth.audience")]
    Audience,
    /// One of `exp`, `aud`, `iss` and `sub` is missing.
    #[error("the token lacks {0}, or it is of the wrong type")]
    Missing(String),
    /// `sub` is no user's id.
    #[error("the token's sub is no user id: {0}")]
    User(BadName),
    /// `moderates` holds what is no room's id.
    #[error("the token's moderates holds what is no room id: {0}")]
    Room(BadName),
    /// `moderates` holds more than [`MOST_ROOMS`].
    #[error("the token's moderates holds {0} rooms, and 32 are the most")]
    TooManyRooms(usize),
    /// The key cannot be used, or this machine's clock is before 1970.
    #[error("tokens cannot be checked here: {0}")]
    Unusable(String),
}

/// Checks tokens.
pub struct Tokens {
    key: DecodingKey,
    validation: Validation,
}

/// Why no token is minted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// Only the public key is here.
    #[error(
        "tokens are signed with {0} by {1}, whose private key is not here: ask it for one. For development set live.auth.algorithm = \"HS256\" and live.auth.key (`openssl rand -hex 32`)"
    )]
    NotHere(&'static str, String),
    /// It would not be taken.
    #[error("{0}")]
    Refused(#[from] TokenError),
}

/// The claims of a token that came; those that the library checks by itself are not here again.
#[derive(Deserialize)]
struct Raw {
    sub: String,
    /// RFC 7519 allows fractions.
    exp: f64,
    #[serde(default)]
    moderates: Vec<String>,
    #[serde(default)]
    notify: bool,
}

/// The claims of a token that is minted.
#[derive(Serialize)]
struct Minted<'m> {
    sub: &'m str,
    iss: &'m str,
    aud: &'m str,
    exp: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    moderates: Vec<&'m str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    notify: bool,
}

/// Signs a token for `user`, valid for `lifetime` from now, for development.
///
/// # Errors
/// [`MintError::NotHere`] where the settings hold no key that signs, [`MintError::Refused`] where the token
/// would not be taken.
pub fn mint(
    settings: &TokenSettings,
    user: &UserId,
    moderates: &[RoomId],
    notify: bool,
    lifetime: Duration,
) -> Result<String, MintError> {
    if settings.algorithm != TokenAlgorithm::Hs256 {
        return Err(MintError::NotHere(
            settings.algorithm.name(),
            settings.issuer.clone(),
        ));
    }
    // To the whole second above, so that a lifetime below one second is not none.
    let expires = now()?.saturating_add(lifetime).as_secs() + 1;
    let claims = Minted {
        sub: user.as_str(),
        iss: &settings.issuer,
        aud: &settings.audience,
        exp: expires,
        moderates: moderates.iter().map(RoomId::as_str).collect(),
        notify,
    };
    let key = EncodingKey::from_secret(settings.key.expose().as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
        .map_err(|error| TokenError::Unusable(error.to_string()))?;
    Tokens::new(settings)?.verify(&token)?;
    Ok(token)
}

fn now() -> Result<Duration, TokenError> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| TokenError::Unusable("this machine's clock is before 1970".to_owned()))
}

// === impl Tokens ===

impl Tokens {
    /// A check by these settings.
    ///
    /// # Errors
    /// [`TokenError::Unusable`] where the key is none for the algorithm.
    pub fn new(settings: &TokenSettings) -> Result<Self, TokenError> {
        let bytes = settings.key.expose().as_bytes();
        let (algorithm, key) = match settings.algorithm {
            TokenAlgorithm::Hs256 => (Algorithm::HS256, Ok(DecodingKey::from_secret(bytes))),
            TokenAlgorithm::Rs256 => (Algorithm::RS256, DecodingKey::from_rsa_pem(bytes)),
            TokenAlgorithm::Es256 => (Algorithm::ES256, DecodingKey::from_ec_pem(bytes)),
            TokenAlgorithm::EdDsa => (Algorithm::EdDSA, DecodingKey::from_ed_pem(bytes)),
        };
        let key = key.map_err(|_| {
            let name = settings.algorithm.name();
            TokenError::Unusable(format!("live.auth.key_file holds no public key for {name}"))
        })?;
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.validate_nbf = true;
        validation.leeway = AHEAD;
        Ok(Self { key, validation })
    }

    /// Checks a token and says what it holds.
    ///
    /// # Errors
    /// [`TokenError`]; nobody is let in on any of them.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Absent);
        }
        if token.len() > LONGEST {
            return Err(TokenError::TooLong);
        }
        let data = jsonwebtoken::decode::<Raw>(token, &self.key, &self.validation)
            .map_err(|error| TokenError::of(error.kind()))?;
        // RFC 7515, 4.1.11: what must be understood, and is not, makes the token invalid.
        if data.header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let raw = data.claims;
        if !(0.0..=LAST_DATE).contains(&raw.exp) {
            return Err(TokenError::Malformed);
        }
        let expires = raw.exp as u64;
        if expires <= now()?.as_secs() {
            return Err(TokenError::Expired);
        }
        if raw.moderates.len() > MOST_ROOMS {
            return Err(TokenError::TooManyRooms(raw.moderates.len()));
        }
        let rooms = raw.moderates.iter().map(|room| RoomId::new(room));
        Ok(Claims {
            user: UserId::new(&raw.sub).map_err(TokenError::User)?,
            expires,
            moderates: rooms.collect::<Result<_, _>>().map_err(TokenError::Room)?,
            notify: raw.notify,
        })
    }
}

// === impl TokenError ===

impl TokenError {
    fn of(kind: &ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::InvalidAlgorithm
            | ErrorKind::InvalidAlgorithmName
            | ErrorKind::UnsupportedAlgorithm
            | ErrorKind::MissingAlgorithm => Self::Algorithm,
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::NotYet,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::MissingRequiredClaim(claim) => Self::Missing(claim.clone()),
            // The rest is a text that is no token; a header that names an unheard-of algorithm is among it.
            _ => Self::Malformed,
        }
    }

    /// A short word for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Missing(_) => "missing",
            Self::User(_) => "user",
            Self::Room(_) => "room",
            Self::TooManyRooms(_) => "too_many_rooms",
            Self::Unusable(_) => "unusable",
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
