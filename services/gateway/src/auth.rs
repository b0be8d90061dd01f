//! Who calls: the bearer token of a request, checked once, and the call that goes on to the services with it.
use crate::{App, Error, Result, limits::network, proxies::ClientAddress};
use ::http::{HeaderMap, Method, header, request::Parts};
use axum::extract::FromRequestParts;
use moneta_kit::{
    client::Call,
    entropy,
    identity::{Identity, Role},
    problem::Problem,
};
use moneta_types::{Cause, UserId};

/// The header that makes a request idempotent.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a person may ask for who must change his password first; the services refuse the rest as well.
const PASSWORD_CHANGE: [&str; 2] = ["/api/v1/me/password", "/api/v1/auth/logout"];

/// Longest idempotency key, bytes.
const LONGEST_KEY: usize = 200;

/// What the token of a request proves; put into every request by [`crate::limits::admit`].
#[derive(Debug, Clone)]
pub(crate) enum Session {
    /// No token.
    Anonymous,
    /// A good one.
    Known { identity: Identity, token: String },
    /// One that proves nothing, and why.
    Refused(Problem),
}

impl Session {
    pub(crate) fn of(app: &App, headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Self::Anonymous };
        if values.next().is_some() {
            return Self::Refused(Problem::unauthenticated("authorization is given twice"));
        }
        let token = value.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        let Some(token) = token else {
            return Self::Refused(Problem::unauthenticated("authorization must be a bearer token"));
        };
        match app.tokens().verify_person(&token) {
            Ok(identity) => Self::Known { identity, token },
            Err(problem) => Self::Refused(problem),
        }
    }

    pub(crate) fn user(&self) -> Option<UserId> {
        match self {
            Self::Known { identity, .. } => identity.user_id(),
            _ => None,
        }
    }
}

/// A signed-in person, and the call that is made for him.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub identity: Identity,
    pub user: UserId,
    /// With the person's own token; its cause is the idempotency key when there is one.
    pub call: Call,
    /// The idempotency key, when there is one.
    pub key: Option<String>,
}

impl Caller {
    /// Ok when the caller has one of the roles.
    pub(crate) fn require(&self, roles: &[Role]) -> Result<()> {
        Ok(self.identity.require(roles)?)
    }

    /// The idempotency key, or an error that asks for it.
    pub(crate) fn required_key(&self) -> Result<String> {
        self.key.clone().ok_or_else(|| {
            Problem::invalid("Idempotency-Key", "", "a header with a text of your own that is the same in every retry")
                .with_code("idempotency_key_required")
                .into()
        })
    }

    /// The idempotency key, or a reference that no other request has.
    pub(crate) fn reference(&self) -> String {
        self.key.clone().unwrap_or_else(|| self.call.cause().to_string())
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let session = parts.extensions.get::<Session>().cloned().unwrap_or(Session::Anonymous);
        let (identity, token) = match session {
            Session::Known { identity, token } => (identity, token),
            Session::Anonymous => return Err(Problem::unauthenticated("this needs a signed-in caller").into()),
            Session::Refused(problem) => return Err(problem.into()),
        };
        if identity.must_change_password() && !PASSWORD_CHANGE.contains(&parts.uri.path()) {
            return Err(Problem::password_change_required().into());
        }
        let user = identity
            .user_id()
            .ok_or_else(|| Problem::denied("person_required", "this is for people, not for services"))?;
        let key = idempotency_key(&parts.headers)?;
        let cause = cause(&parts.method, parts.uri.path(), &user.to_string(), key.as_deref());
        Ok(Self { identity, user, call: Call::bearer(&token, cause), key })
    }
}

/// A call for somebody who has not signed in.
#[derive(Debug, Clone)]
pub(crate) struct Stranger(pub Call);

impl FromRequestParts<App> for Stranger {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let key = idempotency_key(&parts.headers)?;
        Ok(Self(Call::anonymous(cause(&parts.method, parts.uri.path(), "", key.as_deref()))))
    }
}

/// Where somebody signs in: the address as the gateway sees it or a trusted proxy tells it, and the device when it is known.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub address: String,
    pub device: String,
}

/// The cookie that holds a device's token.
pub(crate) const DEVICE_COOKIE: &str = "moneta_device";

/// Characters of a device's token.
const DEVICE_TOKEN: usize = 43;

impl FromRequestParts<App> for Door {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let address = parts
            .extensions
            .get::<ClientAddress>()
            .map_or_else(String::new, |ClientAddress(address)| network(*address).to_string());
        let device = parts
            .headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, value)| *name == DEVICE_COOKIE && value.len() == DEVICE_TOKEN)
            .map_or_else(String::new, |(_, value)| value.to_owned());
        Ok(Self { address, device })
    }
}

/// The cause of a request: the same for every retry under one key, and never the same for two people or two operations.
/// A stranger's key proves nothing about who he is, so it does not name a cause.
fn cause(method: &Method, path: &str, owner: &str, key: Option<&str>) -> Cause {
    match key {
        Some(key) if !owner.is_empty() => Cause::named(&format!("{owner} {method} {path} {key}")),
        _ => entropy::fresh_cause(),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if let Some(second) = values.next() {
        let given = String::from_utf8_lossy(second.as_bytes());
        return Err(Problem::invalid("Idempotency-Key", given, "one key").into());
    }
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let good = (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if good {
        Ok(Some(text))
    } else {
        Err(Problem::invalid("Idempotency-Key", text, "1 to 200 visible ASCII characters without spaces").into())
    }
}
