//! Passwords: the policy, and argon2id hashing away from the threads that serve requests.
use super::strength;
use crate::{Error, Result, config::PasswordCost};
use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version, password_hash::SaltString,
};
use moneta_kit::entropy::random_bytes;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Characters from which a password is long enough, unless it is made of what everybody tries.
const LONG: usize = 12;
/// Fewest characters of a password, however it is made.
const SHORTEST: usize = 8;
/// Most bytes of a password: argon2 takes more, but a request should not buy hashing by the megabyte.
const MAX_BYTES: usize = 256;
/// Guesses that a long password must withstand, as a power of ten.
const LONG_STRENGTH: f64 = 9.0;
/// The same for a shorter one: more than anybody can try online, and long work for whoever stole the hashes.
const SHORT_STRENGTH: f64 = 11.0;

/// Whose password it is: what is known of a person is guessed first.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The e-mail address.
    pub email: &'a str,
    /// The name.
    pub name: &'a str,
}

/// A password that meets the policy. It is wiped from memory when dropped, and never printed.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Checks a new password against the policy: twelve characters, or at least eight that are hard to guess; nothing of
    /// the e-mail address or the name; not made of common words, sequences, repetitions and dates alone. No rules about
    /// kinds of characters (NIST SP 800-63B section 5.1.1.2).
    pub fn new(field: &'static str, text: &str, about: About<'_>) -> Result<Self> {
        // The refused value is a secret: an error never repeats it.
        let refuse = |allowed: &'static str| Err(Error::invalid(field, "(hidden)", allowed));
        let length = text.chars().count();
        if text.len() > MAX_BYTES {
            return refuse("at most 256 bytes");
        }
        if length < SHORTEST {
            return refuse("at least 12 characters, or 8 that are hard to guess");
        }
        if strength::contains_personal(text, about.email, about.name) {
            return refuse("nothing that contains the e-mail address or the name");
        }
        let guesses = strength::guesses(text);
        if length < LONG && guesses < SHORT_STRENGTH {
            return refuse("at least 12 characters; this one is short and easy to guess");
        }
        if guesses < LONG_STRENGTH {
            return refuse(
                "harder to guess: not made of common words, sequences, repetitions and dates alone; \
                 four words that have nothing to do with each other are good",
            );
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The password of an account that the platform itself makes.
    pub fn provisioned(text: &str) -> Result<Self> {
        if !(SHORTEST..=MAX_BYTES).contains(&text.len()) {
            return Err(Error::invalid("password", "(hidden)", "8 to 256 bytes"));
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

    fn new(text: &str) -> Result<Password> {
        Password::new("password", text, About { email: "ada.lovelace@example.com", name: "Ada Lovelace" })
    }

    #[test]
    fn the_policy_refuses_what_is_guessed_first_without_repeating_it() {
        for bad in [
            "short",
            "1234567",
            "aaaaaaaaaaaa",
            "abcabcabcabcabc",
            "123456789012",
            "qwertyuiop123",
            "abcdefghijklmnop",
            "password1234567890",
            "Password2024!",
            "P@ssw0rd123456",
            "letmeinletmein",
            "sunshine2023",
            "moneta-demo",
            "monetamoneta1",
            "iloveyou123456",
            "lovelace-and-babbage",
            "ada.lovelace!9x!",
            "liverpool1987",
            "1987198719871987",
            "zaq12wsxcde3",
            &"x".repeat(300),
        ] {
            let error = new(bad).err().unwrap_or_else(|| panic!("{bad} passed")).to_string();
            assert!(error.starts_with("password \"(hidden)\""), "{error}");
            assert!(!error.contains(bad), "{error}");
        }
    }

    #[test]
    fn the_policy_takes_what_is_hard_to_guess() {
        for good in [
            "seven tall lighthouses",
            "correct horse battery staple",
            "zehn Häuser am See",
            "k3#vQ9!pZx2w",
            "tR7$mK2&xQ",
            "Ein kleiner Fisch schwimmt",
        ] {
            assert!(new(good).is_ok(), "{good}: {}", new(good).err().unwrap());
        }
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
