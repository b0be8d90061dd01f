//! Statements that others can check without this platform: signed (Ed25519) with a key that serves nothing else.
use crate::{keys::Error, secret_file};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use std::path::Path;

/// Signs statements.
pub struct Attestor(SigningKey);

impl std::fmt::Debug for Attestor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attestor(…)")
    }
}

impl Attestor {
    /// With the key of `<data-dir>/keys/statements.key`, which is made once and readable by its owner only.
    pub fn load(data_dir: &Path) -> Result<Self, Error> {
        let seed = secret_file::read_or_make(&data_dir.join("keys").join("statements.key"))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The key that others check with, hexadecimal.
    pub fn public_key(&self) -> String {
        hex::encode(self.0.verifying_key().as_bytes())
    }

    /// The signature of a text, hexadecimal.
    pub fn sign(&self, text: &str) -> String {
        hex::encode(self.0.sign(text.as_bytes()).to_bytes())
    }
}

/// Whether a text was signed with the key that belongs to `public_key`.
pub fn is_signed(public_key: &str, text: &str, signature: &str) -> bool {
    let (mut key, mut bytes) = ([0_u8; 32], [0_u8; 64]);
    if hex::decode_to_slice(public_key, &mut key).is_err() || hex::decode_to_slice(signature, &mut bytes).is_err() {
        return false;
    }
    let Ok(key) = VerifyingKey::from_bytes(&key) else { return false };
    key.verify_strict(text.as_bytes(), &Signature::from_bytes(&bytes)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_checked_with_the_public_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let attestor = Attestor::load(folder.path()).unwrap();
        let signature = Attestor::load(folder.path()).unwrap().sign("so it is");
        assert!(is_signed(&attestor.public_key(), "so it is", &signature));
        assert!(!is_signed(&attestor.public_key(), "so it was", &signature));
        let other = tempfile::tempdir().unwrap();
        assert!(!is_signed(&Attestor::load(other.path()).unwrap().public_key(), "so it is", &signature));
        assert!(!is_signed("no key", "so it is", &signature));
    }
}
