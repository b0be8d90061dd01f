//! Encryption at rest: a master key wraps a key per user, and destroying a user's key erases what it sealed.
use crate::{entropy, problem::Problem, secret_file};
use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use sha2::{Digest as _, Sha256};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::{Zeroize as _, Zeroizing};

const NONCE: usize = 12;
const WRAP: &[u8] = b"moneta user key v1";

/// What can go wrong with keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file cannot be read or made.
    #[error("cannot read or make the key file {path}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key is not one.
    #[error("{what} is not a key: 64 hexadecimal digits are")]
    Malformed {
        /// Where it came from.
        what: String,
    },
    /// The user's keys were destroyed, and he gets no others.
    #[error("the keys of user {user} were destroyed when his personal data were erased")]
    Erased {
        /// Whose.
        user: moneta_types::UserId,
    },
    /// The bytes were not sealed with this key for this purpose, or were changed.
    #[error("sealed data cannot be opened: wrong key, wrong purpose, or changed bytes")]
    Sealed,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Erased { .. } => Self::precondition("user_erased", error.to_string()),
            error => Self::internal(error),
        }
    }
}

/// A user's key, in the clear only in memory and wiped afterwards.
#[derive(Clone)]
pub struct UserKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for UserKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserKey(…)")
    }
}

/// Seals and opens data with AES-256-GCM; the nonce is random and stands before the ciphertext.
#[derive(Clone)]
pub struct KeyRing {
    master: Arc<Zeroizing<[u8; 32]>>,
    /// Where users' keys are, each in a file of its own.
    pub(crate) users: Arc<Path>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyRing(…)")
    }
}

impl KeyRing {
    /// The ring under the master key of the configuration (64 hexadecimal digits), or else of
    /// `<data-dir>/keys/master.key`, which is made once and readable by its owner only.
    pub fn load(data_dir: &Path, configured: Option<&str>) -> Result<Self, Error> {
        let master = match configured {
            Some(text) => {
                secret_file::parse(text).ok_or_else(|| Error::Malformed { what: "keys.master".to_owned() })?
            }
            None => secret_file::read_or_make(&data_dir.join("keys").join("master.key"))?,
        };
        Ok(Self { master: Arc::new(master), users: data_dir.join("keys").join("users").into() })
    }

    /// What tells this master key from another without telling anything of it.
    pub fn fingerprint(&self) -> String {
        use sha2::{Digest as _, Sha256};
        let digest =
            Sha256::new().chain_update(b"moneta master key fingerprint v1").chain_update(self.master.as_slice());
        format!("sha256:{}", hex::encode(&digest.finalize()[..16]))
    }

    /// A new key for a user, wrapped under the master key; store it with the user.
    pub fn new_user_key(&self) -> Result<Vec<u8>, Error> {
        let mut key: [u8; 32] = entropy::random_bytes();
        let wrapped = encrypt(&self.master, &key, WRAP);
        key.zeroize();
        wrapped
    }

    /// A user's key from its wrapped bytes.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<UserKey, Error> {
        let mut plain = decrypt(&self.master, wrapped, WRAP)?;
        let key = <[u8; 32]>::try_from(plain.as_slice()).map_err(|_| Error::Sealed)?;
        plain.zeroize();
        Ok(UserKey(Zeroizing::new(key)))
    }

    /// Tells for one purpose ("knowledge") what this platform wrote from what somebody else did.
    pub fn authenticator(&self, purpose: &str) -> Authenticator {
        // The master key has 32 random bytes and one block is wanted, so HKDF's expansion is a single HMAC (RFC 5869).
        let info = [b"moneta authenticator v1\0", purpose.as_bytes(), &[1]].concat();
        Authenticator(Arc::new(Zeroizing::new(hmac(&self.master, &info))))
    }

    /// A key for one purpose ("staff notes"), which every process of the platform has.
    pub fn purpose(&self, purpose: &str) -> UserKey {
        let info = [b"moneta key v1\0", purpose.as_bytes(), &[1]].concat();
        UserKey(Zeroizing::new(hmac(&self.master, &info)))
    }

    /// Seals data of a user; `aad` names what it is ("users.email"), so that sealed fields cannot change places.
    pub fn seal(&self, key: &UserKey, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>, Error> {
        encrypt(&key.0, plaintext, aad)
    }

    /// Opens what was sealed with the same key and the same `aad`.
    pub fn open(&self, key: &UserKey, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, Error> {
        decrypt(&key.0, sealed, aad)
    }
}

/// Marks data so that a change of it is noticed by everybody who has the key.
#[derive(Clone)]
pub struct Authenticator(Arc<Zeroizing<[u8; 32]>>);

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticator(…)")
    }
}

impl Authenticator {
    /// The tag of these parts. Each counts with its length, so that nothing can move from one part to the next.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut message = Vec::new();
        for part in parts {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part);
        }
        hmac(&self.0, &message)
    }

    /// Whether this is the tag of these parts.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        let expected = self.tag(parts);
        // Every byte is looked at, so that the time tells nothing of where a guess went wrong.
        tag.len() == expected.len()
            && expected.iter().zip(tag).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
    }
}

/// HMAC-SHA-256 (RFC 2104) under a key of 32 bytes.
fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| {
        let mut block = Zeroizing::new([byte; 64]);
        block.iter_mut().zip(key).for_each(|(block, key)| *block ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36).as_slice()).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c).as_slice()).chain_update(inner).finalize().into()
}

pub(crate) fn encrypt(key: &[u8; 32], plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>, Error> {
    let nonce: [u8; NONCE] = entropy::random_bytes();
    let cipher = Aes256Gcm::new(key.into());
    let sealed = cipher.encrypt(&nonce.into(), Payload { msg: plaintext, aad }).map_err(|_| Error::Sealed)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

pub(crate) fn decrypt(key: &[u8; 32], sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, Error> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>().ok_or(Error::Sealed)?;
    let cipher = Aes256Gcm::new(key.into());
    cipher.decrypt(nonce.into(), Payload { msg: ciphertext, aad }).map_err(|_| Error::Sealed)
}

/// A token that lets a client in from outside, as 64 hexadecimal digits, and the file where it stands for who runs the
/// platform to read: `<data-dir>/keys/<name>.token`, made once and readable by its owner only.
pub fn token(data_dir: &Path, name: &str) -> Result<(Zeroizing<String>, PathBuf), Error> {
    let path = data_dir.join("keys").join(format!("{name}.token"));
    let key = secret_file::read_or_make(&path)?;
    Ok((Zeroizing::new(hex::encode(key.as_slice())), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> (tempfile::TempDir, KeyRing) {
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::load(folder.path(), None).unwrap();
        (folder, ring)
    }

    #[test]
    fn what_is_sealed_opens_only_with_its_key_and_purpose() {
        let (folder, ring) = ring();
        let wrapped = ring.new_user_key().unwrap();
        let key = ring.unwrap(&wrapped).unwrap();
        let sealed = ring.seal(&key, b"anna@example.com", b"users.email").unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"anna"));
        let again = KeyRing::load(folder.path(), None).unwrap();
        let same = again.unwrap(&wrapped).unwrap();
        assert_eq!(again.open(&same, &sealed, b"users.email").unwrap(), b"anna@example.com");
        assert!(again.open(&same, &sealed, b"users.name").is_err());
        let other = ring.unwrap(&ring.new_user_key().unwrap()).unwrap();
        assert!(ring.open(&other, &sealed, b"users.email").is_err());
    }

    /// RFC 4231, test case 2 with its key filled up with zeros, which HMAC does itself.
    #[test]
    fn messages_are_authenticated_as_the_standard_says() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let tag = hmac(&key, b"what do ya want for nothing?");
        assert_eq!(hex::encode(tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_tag_holds_for_its_ring_purpose_and_parts_only() {
        let (_folder, own) = ring();
        let (_other, other) = ring();
        let tag = own.authenticator("a").tag(&[b"ab", b"c"]);
        assert!(own.authenticator("a").verify(&[b"ab", b"c"], &tag));
        assert!(!own.authenticator("a").verify(&[b"a", b"bc"], &tag));
        assert!(!own.authenticator("b").verify(&[b"ab", b"c"], &tag));
        assert!(!other.authenticator("a").verify(&[b"ab", b"c"], &tag));
        assert!(!own.authenticator("a").verify(&[b"ab", b"c"], &tag[..31]));
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let (_folder, ring) = ring();
        let key = ring.unwrap(&ring.new_user_key().unwrap()).unwrap();
        let mut sealed = ring.seal(&key, b"text", b"field").unwrap();
        for at in 0..sealed.len() {
            sealed[at] ^= 1;
            assert!(ring.open(&key, &sealed, b"field").is_err());
            sealed[at] ^= 1;
        }
        assert!(ring.open(&key, b"short", b"field").is_err());
    }

    #[test]
    fn a_configured_master_key_must_be_64_hexadecimal_digits() {
        let folder = tempfile::tempdir().unwrap();
        assert!(KeyRing::load(folder.path(), Some("secret")).is_err());
        let master = "0f".repeat(32);
        assert!(KeyRing::load(folder.path(), Some(&master)).is_ok());
        assert!(!folder.path().join("keys").exists());
    }
}
