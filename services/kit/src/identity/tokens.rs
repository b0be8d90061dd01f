//! Tokens: EdDSA-signed JWTs (RFC 7519, RFC 8037) for people and for services.
use super::{Identity, Role, Subject, eddsa};
use crate::{entropy, keys::Error, lock, problem::Problem, secret_file};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moneta_types::{UserId, WallClock};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

/// A service's token lives this long; it is made again well before.
const SERVICE_TTL: Duration = Duration::from_secs(600);
/// Entries kept of tokens that were checked or made; beyond it everything is forgotten and checked again.
const CACHED: usize = 10_000;
const ISSUER: &str = "moneta";

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    /// "user" or "service".
    kind: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<Role>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    obo: Option<UserId>,
    iat: i64,
    exp: i64,
    jti: uuid::Uuid,
}

/// Makes and checks tokens. Sessions live in real time, also in a replay.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

type ServiceTokens = HashMap<(String, Option<UserId>), (String, i64)>;

struct Inner {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    wall: Arc<dyn WallClock>,
    /// Checked tokens by their digest, with their expiry: a signature is checked once.
    checked: Mutex<HashMap<[u8; 32], (Identity, i64)>>,
    /// The services' own tokens, with the second at which to make the next.
    own: Mutex<ServiceTokens>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(…)")
    }
}

impl Tokens {
    /// Tokens under the key of `<data-dir>/keys/identity.key`, which is made once and readable by its owner only.
    pub fn load(data_dir: &Path, wall: Arc<dyn WallClock>) -> Result<Self, Error> {
        Self::load_or(data_dir, None, wall)
    }

    /// Tokens under the configured key (64 hexadecimal digits), or else as [`Tokens::load`].
    pub fn load_or(data_dir: &Path, configured: Option<&str>, wall: Arc<dyn WallClock>) -> Result<Self, Error> {
        let malformed = || Error::Malformed { what: "keys.identity".to_owned() };
        let seed = match configured {
            Some(text) => secret_file::parse(text).ok_or_else(malformed)?,
            None => secret_file::read_or_make(&data_dir.join("keys").join("identity.key"))?,
        };
        eddsa::install();
        let key = SigningKey::from_bytes(&seed);
        let der = key.to_pkcs8_der().map_err(|_| malformed())?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        // Expiry is checked below against the injected clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        Ok(Self(Arc::new(Inner {
            signing: EncodingKey::from_ed_der(der.as_bytes()),
            verifying: DecodingKey::from_ed_der(key.verifying_key().as_bytes()),
            validation,
            wall,
            checked: Mutex::default(),
            own: Mutex::default(),
        })))
    }

    /// An access token for a person, and in how many seconds it expires.
    pub fn issue_access(&self, user: UserId, roles: &[Role], ttl: Duration) -> Result<(String, u64), Problem> {
        let seconds = ttl.as_secs();
        let token = self.sign(&self.claims(user.to_string(), "user", roles.to_vec(), None, seconds))?;
        Ok((token, seconds))
    }

    /// A token for a service, for a user or for the platform; the same one is given out until it is half spent.
    pub fn issue_service(&self, name: &str, on_behalf_of: Option<UserId>) -> Result<String, Problem> {
        let now = self.seconds();
        let key = (name.to_owned(), on_behalf_of);
        if let Some((token, renew)) = lock(&self.0.own).get(&key)
            && now < *renew
        {
            return Ok(token.clone());
        }
        let ttl = SERVICE_TTL.as_secs();
        let token = self.sign(&self.claims(name.to_owned(), "service", Vec::new(), on_behalf_of, ttl))?;
        let mut own = lock(&self.0.own);
        if own.len() >= CACHED {
            own.clear();
        }
        own.insert(key, (token.clone(), now + i64::try_from(ttl / 2).unwrap_or(0)));
        Ok(token)
    }

    /// The identity that a token proves.
    pub fn verify(&self, token: &str) -> Result<Identity, Problem> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let now = self.seconds();
        let known = lock(&self.0.checked).get(&digest).cloned();
        let (identity, expires) = match known {
            Some(known) => known,
            None => {
                let fresh = self.check(token)?;
                let mut checked = lock(&self.0.checked);
                if checked.len() >= CACHED {
                    checked.clear();
                }
                checked.insert(digest, fresh.clone());
                fresh
            }
        };
        if now >= expires {
            lock(&self.0.checked).remove(&digest);
            return Err(Problem::unauthenticated("the session has expired, sign in again").with_code("token_expired"));
        }
        Ok(identity)
    }

    fn check(&self, token: &str) -> Result<(Identity, i64), Problem> {
        let refused = || Problem::unauthenticated("the access token is not valid").with_code("token_invalid");
        let data =
            jsonwebtoken::decode::<Claims>(token, &self.0.verifying, &self.0.validation).map_err(|_| refused())?;
        let claims = data.claims;
        let kind = match claims.kind.as_str() {
            "user" => Subject::User(claims.sub.parse().map_err(|_| refused())?),
            "service" => Subject::Service(claims.sub.clone()),
            _ => return Err(refused()),
        };
        let identity = Identity { subject: claims.sub, kind, roles: claims.roles, on_behalf_of: claims.obo };
        Ok((identity, claims.exp))
    }

    fn claims(&self, sub: String, kind: &str, roles: Vec<Role>, obo: Option<UserId>, ttl: u64) -> Claims {
        let now = self.seconds();
        Claims {
            iss: ISSUER.to_owned(),
            sub,
            kind: kind.to_owned(),
            roles,
            obo,
            iat: now,
            exp: now.saturating_add_unsigned(ttl),
            jti: entropy::fresh_uuid(),
        }
    }

    fn sign(&self, claims: &Claims) -> Result<String, Problem> {
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &self.0.signing).map_err(Problem::internal)
    }

    fn seconds(&self) -> i64 {
        self.0.wall.now().micros() / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::Timestamp;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[derive(Debug)]
    struct HandClock(AtomicI64);

    impl WallClock for HandClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::SeqCst))
        }
    }

    fn tokens() -> (tempfile::TempDir, Arc<HandClock>, Tokens) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(HandClock(AtomicI64::new(1_700_000_000_000_000)));
        let tokens = Tokens::load(folder.path(), clock.clone()).unwrap();
        (folder, clock, tokens)
    }

    fn anna() -> UserId {
        UserId::from_uuid(uuid::Uuid::from_u128(1))
    }

    #[test]
    fn a_token_proves_who_it_was_made_for() {
        let (folder, clock, tokens) = tokens();
        let (token, expires_in) =
            tokens.issue_access(anna(), &[Role::Investor, Role::ModelOps], Duration::from_secs(60)).unwrap();
        assert_eq!(expires_in, 60);
        let identity = Tokens::load(folder.path(), clock).unwrap().verify(&token).unwrap();
        assert_eq!(identity, Identity::user(anna(), &[Role::Investor, Role::ModelOps]));
        let service = tokens.issue_service("advisor", Some(anna())).unwrap();
        assert_eq!(tokens.verify(&service).unwrap(), Identity::service("advisor", Some(anna())));
    }

    #[test]
    fn a_token_ends_with_its_time_even_when_it_was_checked_before() {
        let (_folder, clock, tokens) = tokens();
        let (token, _) = tokens.issue_access(anna(), &[], Duration::from_secs(60)).unwrap();
        assert!(tokens.verify(&token).is_ok());
        clock.0.fetch_add(60_000_000, Ordering::SeqCst);
        assert_eq!(tokens.verify(&token).unwrap_err().code, "token_expired");
    }

    #[test]
    fn a_changed_or_foreign_token_is_refused() {
        let (_folder, _clock, tokens) = tokens();
        let (_other_folder, _, others) = self::tokens();
        let (foreign, _) = others.issue_access(anna(), &[Role::Admin], Duration::from_secs(60)).unwrap();
        assert_eq!(tokens.verify(&foreign).unwrap_err().code, "token_invalid");
        let (token, _) = tokens.issue_access(anna(), &[], Duration::from_secs(60)).unwrap();
        let mut parts: Vec<&str> = token.split('.').collect();
        let other_claims = foreign.split('.').nth(1).unwrap();
        parts[1] = other_claims;
        assert_eq!(tokens.verify(&parts.join(".")).unwrap_err().code, "token_invalid");
        for bad in ["", "x", "a.b.c"] {
            assert!(tokens.verify(bad).is_err());
        }
    }

    #[test]
    fn a_service_token_is_renewed_before_it_ends() {
        let (_folder, clock, tokens) = tokens();
        let first = tokens.issue_service("portfolio", None).unwrap();
        assert_eq!(tokens.issue_service("portfolio", None).unwrap(), first);
        clock.0.fetch_add(301_000_000, Ordering::SeqCst);
        let second = tokens.issue_service("portfolio", None).unwrap();
        assert_ne!(second, first);
        assert!(tokens.verify(&second).is_ok());
    }
}
