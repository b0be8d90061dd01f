//! The secret of a repository and what is derived from it.
use super::{Error, Result};
use crate::secret_file;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::path::Path;
use zeroize::Zeroizing;

/// Memory and passes of argon2id (RFC 9106, second recommended option: 64 MiB, three passes).
const MEMORY_KIB: u32 = 65_536;
const PASSES: u32 = 3;
/// No repository may make this program take more than this.
const MOST_MEMORY_KIB: u32 = 1 << 20;
const MOST_PASSES: u32 = 16;
/// Characters of a passphrase, at least.
const SHORTEST: usize = 12;

/// What opens a repository.
#[derive(Clone)]
pub enum Secret {
    /// 64 hexadecimal digits in a file.
    Key(Zeroizing<[u8; 32]>),
    /// Words that a person knows.
    Passphrase(Zeroizing<String>),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The key in a file of 64 hexadecimal digits (`openssl rand -hex 32`).
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
        let key = secret_file::parse(&text).ok_or(Error::Secret {
            what: "the key file",
            allowed: "64 hexadecimal digits, as of `openssl rand -hex 32`",
        })?;
        Ok(Self::Key(key))
    }

    /// A passphrase.
    pub fn from_passphrase(text: String) -> Result<Self> {
        let text = Zeroizing::new(text);
        if text.chars().count() < SHORTEST {
            return Err(Error::Secret { what: "the passphrase", allowed: "12 characters or more" });
        }
        Ok(Self::Passphrase(text))
    }
}

/// How a key is made of a passphrase.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stretch {
    pub(super) salt: String,
    memory_kib: u32,
    passes: u32,
}

impl Stretch {
    pub(super) fn fresh() -> Self {
        let salt = hex::encode(crate::entropy::random_bytes::<16>());
        Self { salt, memory_kib: MEMORY_KIB, passes: PASSES }
    }
}

/// The keys of a repository.
pub(super) struct Keys {
    seal: Zeroizing<[u8; 32]>,
    name: Zeroizing<[u8; 32]>,
    check: String,
    /// Decides where pieces end; secret, so that their lengths do not give away a file that somebody knows.
    gear: Box<[u64; 256]>,
}

impl Keys {
    /// Derives the keys; `stretch` is for passphrases.
    pub(super) fn derive(secret: &Secret, stretch: &Stretch) -> Result<Self> {
        let root = match secret {
            Secret::Key(key) => key.clone(),
            Secret::Passphrase(text) => stretched(text, stretch)?,
        };
        let derived = |label: &str| Zeroizing::new(mac(&root, &[b"moneta backup ", label.as_bytes()]));
        let mut gear = Box::new([0_u64; 256]);
        for (byte, value) in (0_u8..=255).zip(gear.iter_mut()) {
            let random = mac(&root, &[b"moneta backup gear v1", &[byte]]);
            *value = random.iter().take(8).fold(0, |number, next| (number << 8) | u64::from(*next));
        }
        let check = hex::encode(*derived("check v1"));
        Ok(Self { seal: derived("seal v1"), name: derived("name v1"), check, gear })
    }

    pub(super) fn gear(&self) -> &[u64; 256] {
        &self.gear
    }

    /// Tells the right secret from a wrong one, and nothing else.
    pub(super) fn check(&self) -> &str {
        &self.check
    }

    /// The name of a piece: a digest that only who has the key can compute.
    pub(super) fn name_of(&self, bytes: &[u8]) -> String {
        hex::encode(mac(&self.name, &[bytes]))
    }

    pub(super) fn seal(&self, bytes: &[u8], name: &str) -> Option<Vec<u8>> {
        crate::keys::encrypt(&self.seal, bytes, name.as_bytes()).ok()
    }

    pub(super) fn open(&self, sealed: &[u8], name: &str) -> Option<Vec<u8>> {
        crate::keys::decrypt(&self.seal, sealed, name.as_bytes()).ok()
    }
}

fn stretched(text: &str, stretch: &Stretch) -> Result<Zeroizing<[u8; 32]>> {
    let wrong =
        || Error::Secret { what: "the repository's way from passphrase to key", allowed: "argon2id within bounds" };
    let salt = hex::decode(&stretch.salt).map_err(|_| wrong())?;
    if stretch.memory_kib > MOST_MEMORY_KIB || stretch.passes > MOST_PASSES {
        return Err(wrong());
    }
    let params = argon2::Params::new(stretch.memory_kib, stretch.passes, 1, Some(32)).map_err(|_| wrong())?;
    let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut key = Zeroizing::new([0_u8; 32]);
    argon.hash_password_into(text.as_bytes(), &salt, key.as_mut_slice()).map_err(|_| wrong())?;
    Ok(key)
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = <Hmac<Sha256> as hmac::Mac>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
