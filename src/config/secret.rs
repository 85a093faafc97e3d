//! A value that no print shows.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A password, token or key. `Debug` and `Display` print `[redacted]`; [`Secret::expose`] is the only way
/// to the text and is called only where it is sent.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

// === impl Secret ===

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to be sent and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is what was given. The comparison takes a time that says nothing of where, or by how much, the
    /// two differ: their digests are of one length, and all of both is looked at.
    pub fn is(&self, given: &[u8]) -> bool {
        let (given, right) = (Sha256::digest(given), Sha256::digest(self.0.as_bytes()));
        let differ = given.iter().zip(right.iter());
        std::hint::black_box(differ.fold(0, |all, (a, b)| all | (a ^ b))) == 0
    }

    /// Tells two secrets apart in a log: the first 32 bits of the SHA-256. It is for those who may know the secret, since
    /// it confirms a guess.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.0.as_bytes());
        digest.iter().take(4).map(|b| format!("{b:02x}")).collect()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_itself_alone_and_prints_nothing() {
        let secret = Secret::new("hunter2");
        assert!(secret.is(b"hunter2"));
        for other in ["", "hunter", "hunter22", "Hunter2"] {
            assert!(!secret.is(other.as_bytes()), "{other}");
        }
        assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
    }
}
