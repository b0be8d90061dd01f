//! Personal fields at rest: sealed with a key per user, and found without being read.
use crate::{Error, Result, account::Email};
use hmac::{Hmac, Mac};
use moneta_kit::keys::{KeyRing, UserKey};
use moneta_types::UserId;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Seals and opens one user's fields. A sealed field is bound to its user and its name, so that it cannot be moved.
pub struct Vault {
    keys: KeyRing,
    user: UserId,
    key: UserKey,
}

impl Vault {
    /// A vault for a new user, and the wrapped key to store with the account.
    pub fn create(keys: &KeyRing, user: UserId) -> Result<(Self, Vec<u8>)> {
        let wrapped = keys.new_user_key()?;
        Ok((Self::open_with(keys, user, &wrapped)?, wrapped))
    }

    /// The vault of a stored user; nothing when the key was destroyed.
    pub fn open(keys: &KeyRing, user: UserId, wrapped: Option<&[u8]>) -> Result<Option<Self>> {
        wrapped.map(|wrapped| Self::open_with(keys, user, wrapped)).transpose()
    }

    fn open_with(keys: &KeyRing, user: UserId, wrapped: &[u8]) -> Result<Self> {
        Ok(Self { keys: keys.clone(), user, key: keys.unwrap(wrapped)? })
    }

    /// Seals a field.
    pub fn seal(&self, field: &str, text: &str) -> Result<Vec<u8>> {
        Ok(self.keys.seal(&self.key, text.as_bytes(), self.bound_to(field).as_bytes())?)
    }

    /// Opens a field.
    pub fn unseal(&self, field: &str, sealed: &[u8]) -> Result<String> {
        let bytes = self.keys.open(&self.key, sealed, self.bound_to(field).as_bytes())?;
        String::from_utf8(bytes).map_err(|_| Error::Stored { column: "sealed field", value: field.to_owned() })
    }

    fn bound_to(&self, field: &str) -> String {
        format!("user/{}/{field}", self.user)
    }
}

/// Makes blind indexes of e-mail addresses (HMAC-SHA-256): equal addresses have equal indexes, and only the holder of the
/// master key, under which the index key is sealed, can tell which address has which.
#[derive(Clone)]
pub struct EmailIndex(Zeroizing<Vec<u8>>);

impl EmailIndex {
    /// An index under a key.
    pub const fn new(key: Zeroizing<Vec<u8>>) -> Self {
        Self(key)
    }

    /// The index of an address.
    pub fn of(&self, email: &Email) -> Result<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(|error| Error::Hash(error.to_string()))?;
        mac.update(email.as_str().as_bytes());
        Ok(hex::encode(mac.finalize().into_bytes()))
    }
}
