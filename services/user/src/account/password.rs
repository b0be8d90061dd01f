//! Passwords: the policy, and argon2id hashing away from the threads that serve requests.
use crate::{Error, Result, config::PasswordCost};
use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version, password_hash::SaltString,
};
use moneta_kit::entropy::random_bytes;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Fewest characters of a password.
pub const MIN_CHARACTERS: usize = 10;
/// Most bytes of a password: argon2 takes more, but a request should not buy hashing by the megabyte.
const MAX_BYTES: usize = 256;

/// What everybody tries first. Length alone does not stop these.
const COMMON: &[&str] = &[
    "password123",
    "password1234",
    "1234567890",
    "12345678910",
    "123456789012",
    "qwertyuiop",
    "qwerty12345",
    "iloveyou123",
    "administrator",
    "letmein1234",
    "passw0rd123",
    "0123456789",
    "0987654321",
    "changeme123",
];

/// A password that meets the policy. It is wiped from memory when dropped, and never printed.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Checks a new password against the policy: at least ten characters, not one repeated character, not one that
    /// everybody tries, not the e-mail address. No rules about kinds of characters (NIST SP 800-63B section 5.1.1.2).
    pub fn new(text: &str, email: &str) -> Result<Self> {
        // The refused value is a secret: an error never repeats it.
        let refuse = |allowed: &'static str| Err(Error::invalid("password", "(hidden)", allowed));
        if text.chars().count() < MIN_CHARACTERS {
            return refuse("at least 10 characters");
        }
        if text.len() > MAX_BYTES {
            return refuse("at most 256 bytes");
        }
        let lower = text.to_lowercase();
        let first = text.chars().next();
        if COMMON.contains(&lower.as_str()) || text.chars().all(|c| Some(c) == first) {
            return refuse("not one of the most common passwords");
        }
        if lower == email || email.split('@').next() == Some(lower.as_str()) {
            return refuse("not the e-mail address");
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// A password as given at login, where the policy is not asked: an account may be older than the policy.
    pub fn attempt(text: &str) -> Self {
        // A longer text cannot match a stored hash; the cut keeps the work the same for every attempt.
        let end = (0..=text.len().min(MAX_BYTES + 4)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        Self(Zeroizing::new(text[..end].to_owned()))
    }
}

/// Hashes and verifies passwords with argon2id (RFC 9106).
#[derive(Clone)]
pub struct Hasher {
    argon2: Argon2<'static>,
    /// A hash of a password that nobody has: checked when the account does not exist, so that the answer takes as long.
    decoy: Arc<str>,
}

impl Hasher {
    /// A hasher with the configured cost.
    pub fn new(cost: PasswordCost) -> Result<Self> {
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None)
            .map_err(|error| Error::Hash(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash(&argon2, &hex::encode(random_bytes::<32>()))?;
        Ok(Self { argon2, decoy: decoy.into() })
    }

    /// Hashes a new password with a fresh salt; the result is in PHC string format.
    pub async fn hash(&self, password: Password) -> Result<String> {
        let argon2 = self.argon2.clone();
        run(move || hash(&argon2, &password.0)).await
    }

    /// Whether the password matches. With no stored hash the same work is done and the answer is no.
    pub async fn verify(&self, stored: Option<String>, password: Password) -> Result<bool> {
        let argon2 = self.argon2.clone();
        let decoy = self.decoy.clone();
        run(move || {
            let known = stored.is_some();
            let text = stored.unwrap_or_else(|| decoy.as_ref().to_owned());
            let parsed = PasswordHash::new(&text).map_err(|error| Error::Hash(error.to_string()))?;
            Ok(argon2.verify_password(password.0.as_bytes(), &parsed).is_ok() && known)
        })
        .await
    }
}

fn hash(argon2: &Argon2<'_>, text: &str) -> Result<String> {
    let salt = SaltString::encode_b64(&random_bytes::<16>()).map_err(|error| Error::Hash(error.to_string()))?;
    argon2
        .hash_password(text.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| Error::Hash(error.to_string()))
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Hash(error.to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Hasher {
        Hasher::new(PasswordCost { memory_kib: 8, iterations: 1, parallelism: 1 }).unwrap()
    }

    #[test]
    fn the_policy_refuses_short_common_and_repeated_passwords_without_repeating_them() {
        for bad in ["short", "123456789", "Password123", "aaaaaaaaaaaa", "ada@example.com", &"x".repeat(300)] {
            let error = Password::new(bad, "ada@example.com").err().unwrap().to_string();
            assert!(error.starts_with("password "), "{error}");
            assert!(!error.contains(bad), "{error}");
        }
        assert!(Password::new("moneta-demo", "cautious@example.com").is_ok());
        assert!(Password::new("zehn Häuser", "ada@example.com").is_ok());
    }

    #[tokio::test]
    async fn a_hash_verifies_its_password_and_no_other_and_is_salted() {
        let hasher = cheap();
        let first = hasher.hash(Password::attempt("moneta-demo")).await.unwrap();
        let second = hasher.hash(Password::attempt("moneta-demo")).await.unwrap();
        assert!(first.starts_with("$argon2id$v=19$"), "{first}");
        assert_ne!(first, second);
        assert!(hasher.verify(Some(first.clone()), Password::attempt("moneta-demo")).await.unwrap());
        assert!(!hasher.verify(Some(first), Password::attempt("moneta-Demo")).await.unwrap());
    }

    #[tokio::test]
    async fn no_password_opens_an_account_that_does_not_exist() {
        assert!(!cheap().verify(None, Password::attempt("")).await.unwrap());
    }

    #[test]
    fn a_very_long_attempt_is_cut_at_a_character() {
        let attempt = Password::attempt(&"ä".repeat(10_000));
        assert!(attempt.0.len() <= MAX_BYTES + 4);
    }
}
