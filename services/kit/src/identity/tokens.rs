//! Tokens: EdDSA-signed JWTs (RFC 7519, RFC 8037) for people and for services.
use super::{
    Identity, Role, Session, Subject, eddsa,
    ended::{Ended, LONGEST_ACCESS_SECONDS, seconds},
};
use crate::{entropy, keys::Error, lock, problem::Problem, secret_file};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moneta_contracts::events::SessionEnded;
use moneta_types::{SessionId, UserId, WallClock};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// A service's token lives this long; it is made again well before.
const SERVICE_TTL: Duration = Duration::from_secs(600);
/// Entries kept of tokens that were checked or made; beyond it everything is forgotten and checked again.
const CACHED: usize = 10_000;
const ISSUER: &str = "moneta";
/// For whom a token is meant (RFC 7519 section 4.1.3): what the user service gives to people, and what services show each
/// other. Neither is taken in the place of the other.
const PEOPLE: &str = "moneta:people";
const SERVICES: &str = "moneta:services";
/// How long a process may go without hearing of ended sessions, seconds, before it takes no person's token.
const DEAF_AFTER: i64 = 30;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    /// "user" or "service".
    kind: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<Role>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    obo: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    /// The account's generation of tokens.
    #[serde(default, rename = "gen")]
    generation: u32,
    /// Good for nothing but a change of the password.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pwd: bool,
    iat: i64,
    exp: i64,
    jti: uuid::Uuid,
}

/// The person or service that a token names, or the person for whom the service acts. Nothing is proven by it.
pub(crate) fn named_by(token: &str) -> Option<String> {
    let claims = jsonwebtoken::dangerous::insecure_decode::<Claims>(token).ok()?.claims;
    Some(claims.obo.map_or(claims.sub, |user| user.to_string()))
}

/// What a person's access token says.
#[derive(Debug, Clone)]
pub struct Access {
    /// The person.
    pub user: UserId,
    /// What he may do.
    pub roles: Vec<Role>,
    /// His session.
    pub session: Session,
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
    /// Sessions whose tokens are no longer good.
    ended: Mutex<Ended>,
    /// The second at which this process last heard of ended sessions; 0 where nobody listens.
    heard: AtomicI64,
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
        validation.set_audience(&[PEOPLE, SERVICES]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        Ok(Self(Arc::new(Inner {
            signing: EncodingKey::from_ed_der(der.as_bytes()),
            verifying: DecodingKey::from_ed_der(key.verifying_key().as_bytes()),
            validation,
            wall,
            checked: Mutex::default(),
            ended: Mutex::default(),
            heard: AtomicI64::new(0),
            own: Mutex::default(),
        })))
    }

    /// An access token for a person's session, and in how many seconds it expires.
    pub fn issue(&self, access: &Access, ttl: Duration) -> Result<(String, u64), Problem> {
        let ttl = ttl.as_secs().min(LONGEST_ACCESS_SECONDS.unsigned_abs());
        let Access { user, roles, session } = access;
        let claims = Claims {
            roles: roles.clone(),
            sid: Some(session.id),
            generation: session.generation,
            pwd: session.password_change_only,
            ..self.claims(PEOPLE, user.to_string(), "user", ttl)
        };
        Ok((self.sign(&claims)?, ttl))
    }

    /// As [`Tokens::issue`], for a session of its own that no login began: the seeding of a demo, and tests.
    pub fn issue_access(&self, user: UserId, roles: &[Role], ttl: Duration) -> Result<(String, u64), Problem> {
        let id = SessionId::from_uuid(entropy::fresh_uuid());
        let session = Session { id, generation: 0, password_change_only: false };
        self.issue(&Access { user, roles: roles.to_vec(), session }, ttl)
    }

    /// Refuses what has ended from now on. Whoever ends a session says so here at once; other processes hear it from the
    /// event log.
    pub fn end(&self, event: &SessionEnded) {
        lock(&self.0.ended).learn(event, self.seconds());
    }

    /// Says that everything is known that had ended until now.
    pub(crate) fn heard(&self) {
        self.0.heard.store(self.seconds(), Ordering::SeqCst);
    }

    /// Seconds since this process last heard of ended sessions; 0 where nobody listens.
    pub(crate) fn deaf_seconds(&self) -> i64 {
        match self.0.heard.load(Ordering::SeqCst) {
            0 => 0,
            heard => self.seconds().saturating_sub(heard),
        }
    }

    pub(crate) fn now_seconds(&self) -> i64 {
        self.seconds()
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
        let claims = Claims { obo: on_behalf_of, ..self.claims(SERVICES, name.to_owned(), "service", ttl) };
        let token = self.sign(&claims)?;
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
        if let (Subject::User(user), Some(session)) = (&identity.kind, &identity.session) {
            if lock(&self.0.ended).holds(*user, session) {
                return Err(Problem::unauthenticated("the session has ended, sign in again").with_code("session_ended"));
            }
            if self.deaf_seconds() > DEAF_AFTER {
                let message = "it cannot be told which sessions have ended: try again";
                return Err(Problem::unavailable("sessions_unknown", message));
            }
        }
        Ok(identity)
    }

    /// As [`Tokens::verify`], for the edge: a service's token is refused there, whomever it acts for.
    pub fn verify_person(&self, token: &str) -> Result<Identity, Problem> {
        let identity = self.verify(token)?;
        if identity.is_service() {
            return Err(Problem::unauthenticated("this token is not for people").with_code("token_invalid"));
        }
        Ok(identity)
    }

    fn check(&self, token: &str) -> Result<(Identity, i64), Problem> {
        let refused = || Problem::unauthenticated("the access token is not valid").with_code("token_invalid");
        let data =
            jsonwebtoken::decode::<Claims>(token, &self.0.verifying, &self.0.validation).map_err(|_| refused())?;
        let claims = data.claims;
        let (kind, session) = match (claims.kind.as_str(), claims.aud.as_str(), claims.sid) {
            ("user", PEOPLE, Some(id)) => {
                let session = Session { id, generation: claims.generation, password_change_only: claims.pwd };
                (Subject::User(claims.sub.parse().map_err(|_| refused())?), Some(session))
            }
            ("service", SERVICES, None) => (Subject::Service(claims.sub.clone()), None),
            _ => return Err(refused()),
        };
        if claims.exp.saturating_sub(claims.iat) > LONGEST_ACCESS_SECONDS {
            return Err(refused());
        }
        let identity = Identity { subject: claims.sub, kind, roles: claims.roles, on_behalf_of: claims.obo, session };
        Ok((identity, claims.exp))
    }

    fn claims(&self, audience: &str, sub: String, kind: &str, ttl: u64) -> Claims {
        let now = self.seconds();
        Claims {
            iss: ISSUER.to_owned(),
            aud: audience.to_owned(),
            sub,
            kind: kind.to_owned(),
            roles: Vec::new(),
            obo: None,
            sid: None,
            generation: 0,
            pwd: false,
            iat: now,
            exp: now.saturating_add_unsigned(ttl),
            jti: entropy::fresh_uuid(),
        }
    }

    fn sign(&self, claims: &Claims) -> Result<String, Problem> {
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &self.0.signing).map_err(Problem::internal)
    }

    fn seconds(&self) -> i64 {
        seconds(self.0.wall.now())
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
        let mut identity = Tokens::load(folder.path(), clock).unwrap().verify(&token).unwrap();
        assert!(identity.session.take().is_some());
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
    fn access(generation: u32) -> Access {
        let id = SessionId::from_uuid(uuid::Uuid::from_u128(u128::from(generation) + 77));
        let session = Session { id, generation, password_change_only: false };
        Access { user: anna(), roles: vec![Role::Investor], session }
    }

    fn ended(access: &Access, at: Timestamp) -> SessionEnded {
        SessionEnded {
            user_id: access.user,
            session_id: Some(access.session.id),
            generation: 0,
            reason: "logged_out".to_owned(),
            at,
        }
    }

    #[test]
    fn a_token_of_an_ended_session_is_refused_even_when_it_was_checked_before() {
        let (_folder, clock, tokens) = tokens();
        let (token, _) = tokens.issue(&access(0), Duration::from_secs(60)).unwrap();
        assert!(tokens.verify(&token).is_ok());
        tokens.end(&ended(&access(0), clock.now()));
        assert_eq!(tokens.verify(&token).unwrap_err().code, "session_ended");
        let (other, _) = tokens.issue(&access(1), Duration::from_secs(60)).unwrap();
        assert!(tokens.verify(&other).is_ok());
        tokens.end(&SessionEnded { session_id: None, generation: 2, ..ended(&access(0), clock.now()) });
        assert_eq!(tokens.verify(&other).unwrap_err().code, "session_ended");
        let (next, _) = tokens.issue(&access(2), Duration::from_secs(60)).unwrap();
        assert!(tokens.verify(&next).is_ok());
    }

    #[test]
    fn a_token_is_good_for_its_own_audience_alone() {
        let (_folder, _clock, tokens) = tokens();
        let service = tokens.issue_service("advisor", Some(anna())).unwrap();
        assert_eq!(tokens.verify_person(&service).unwrap_err().code, "token_invalid");
        let spoiled = [
            Claims { sid: None, ..tokens.claims(PEOPLE, anna().to_string(), "user", 60) },
            Claims { sid: Some(access(0).session.id), ..tokens.claims(SERVICES, anna().to_string(), "user", 60) },
            tokens.claims(PEOPLE, "advisor".to_owned(), "service", 60),
            tokens.claims("elsewhere", "advisor".to_owned(), "service", 60),
            Claims { sid: Some(access(0).session.id), ..tokens.claims(PEOPLE, anna().to_string(), "user", 3_601) },
        ];
        for claims in spoiled {
            let token = tokens.sign(&claims).unwrap();
            assert_eq!(tokens.verify(&token).unwrap_err().code, "token_invalid", "{claims:?}");
        }
    }

    #[test]
    fn who_cannot_hear_of_ended_sessions_takes_no_persons_token() {
        let (_folder, clock, tokens) = tokens();
        let (token, _) = tokens.issue(&access(0), Duration::from_secs(600)).unwrap();
        tokens.heard();
        clock.0.fetch_add(30_000_000, Ordering::SeqCst);
        assert!(tokens.verify(&token).is_ok());
        clock.0.fetch_add(1_000_000, Ordering::SeqCst);
        assert_eq!(tokens.verify(&token).unwrap_err().code, "sessions_unknown");
        assert!(tokens.verify(&tokens.issue_service("advisor", None).unwrap()).is_ok());
        tokens.heard();
        assert!(tokens.verify(&token).is_ok());
    }
}
