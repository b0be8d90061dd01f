//! Sessions: refresh tokens that can be used once, and the wait after failed logins. Both live in real time, also while
//! a replay moves the platform's clock.
mod commands;
mod places;

pub use places::{Counter, Place};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use moneta_kit::entropy::random_bytes;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// An opaque refresh token: 256 random bits. The store keeps its hash alone, so that a stolen database opens no session.
pub struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    /// A fresh token.
    pub fn generate() -> Self {
        let bytes = Zeroizing::new(random_bytes::<32>());
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_ref())))
    }

    /// The text that the client gets, once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the store keeps.
    pub fn hash(&self) -> String {
        hash(&self.0)
    }
}

/// The stored form of a token. A plain hash is enough: 256 random bits cannot be guessed.
pub fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_only_their_hash_is_stored() {
        let (first, second) = (RefreshToken::generate(), RefreshToken::generate());
        assert_ne!(first.expose(), second.expose());
        assert_eq!(first.expose().len(), 43);
        assert_eq!(first.hash(), hash(first.expose()));
        assert!(!first.hash().contains(first.expose()));
    }
}
