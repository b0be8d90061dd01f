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

/// Which of the user's keys it is.
const SCOPE: &str = "user";

impl Vault {
    /// The vault of a new user.
    pub fn create(keys: &KeyRing, user: UserId) -> Result<Self> {
        Ok(Self { keys: keys.clone(), user, key: keys.user_key(user, SCOPE)? })
    }

    /// The vault of a stored user; nothing when the key was destroyed.
    pub fn open(keys: &KeyRing, user: UserId) -> Result<Option<Self>> {
        let key = keys.find_user_key(user, SCOPE)?;
        Ok(key.map(|key| Self { keys: keys.clone(), user, key }))
    }

    /// Keeps a key that was kept in the database before.
    pub fn adopt(keys: &KeyRing, user: UserId, wrapped: &[u8]) -> Result<()> {
        Ok(keys.adopt_user_key(user, SCOPE, wrapped)?)
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
        self.hash(email.as_str())
    }

    /// The key of a counter of failed logins; no address has such a text.
    pub fn of_counter(&self, name: &str) -> Result<String> {
        self.hash(&format!("counter {name}"))
    }

    fn hash(&self, text: &str) -> Result<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(|error| Error::Hash(error.to_string()))?;
        mac.update(text.as_bytes());
        Ok(hex::encode(mac.finalize().into_bytes()))
    }
}
