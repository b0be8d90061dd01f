//! Who calls: roles, identities, the tokens that prove them, and the layer that checks them at every service.
mod acting;
mod eddsa;
mod ended;
mod guard;
mod reads;
mod tokens;
mod watch;

pub(crate) use acting::{Acting, Shown, actor, vouched};
pub use ended::LONGEST_ACCESS_SECONDS;
pub(crate) use guard::{Guard, guarded};
pub(crate) use reads::Reads;
pub(crate) use tokens::named_by;
pub use tokens::{Access, Tokens};
pub(crate) use watch::{fill, watch};

use crate::{entropy, problem::Problem};
use moneta_types::{Cause, SessionId, UserId};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Metadata key of the cause of a call.
pub const CAUSE_HEADER: &str = "x-moneta-cause";

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Has portfolios and talks to the adviser.
    Investor,
    /// Looks after investors.
    Adviser,
    /// Supervises advice and orders.
    Compliance,
    /// Registers, evaluates and promotes models.
    ModelOps,
    /// Runs the platform.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Investor, Self::Adviser, Self::Compliance, Self::ModelOps, Self::Admin];

    /// The name in text and tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Investor => "investor",
            Self::Adviser => "adviser",
            Self::Compliance => "compliance",
            Self::ModelOps => "model-ops",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Problem;
    fn from_str(text: &str) -> Result<Self, Problem> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| Problem::invalid("role", text, "one of investor, adviser, compliance, model-ops, admin"))
    }
}

/// What kind of caller it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A person.
    User(UserId),
    /// A service of the platform.
    Service(String),
}

/// The session of a person's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Which login it came of.
    pub id: SessionId,
    /// Counts how often all of the person's sessions were ended before it began.
    pub generation: u32,
    /// The person signed in with a password that somebody else gave out, and may do nothing but change it.
    pub password_change_only: bool,
}

/// A caller whose token was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User id or service name.
    pub subject: String,
    /// What kind of caller it is.
    pub kind: Subject,
    /// The person's roles; none for a service.
    pub roles: Vec<Role>,
    /// The user for whom a service acts.
    pub on_behalf_of: Option<UserId>,
    /// The person's session; none for a service.
    pub session: Option<Session>,
}

impl Identity {
    /// A person with roles.
    pub fn user(user: UserId, roles: &[Role]) -> Self {
        Self {
            subject: user.to_string(),
            kind: Subject::User(user),
            roles: roles.to_vec(),
            on_behalf_of: None,
            session: None,
        }
    }

    /// A service, for a user or for the platform.
    pub fn service(name: &str, on_behalf_of: Option<UserId>) -> Self {
        Self {
            subject: name.to_owned(),
            kind: Subject::Service(name.to_owned()),
            roles: Vec::new(),
            on_behalf_of,
            session: None,
        }
    }

    /// Whether a service calls.
    pub const fn is_service(&self) -> bool {
        matches!(self.kind, Subject::Service(_))
    }

    /// Whether the person must change his password before he may do anything else.
    pub fn must_change_password(&self) -> bool {
        self.session.is_some_and(|session| session.password_change_only)
    }

    /// Whether the person has a role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether the person works for the house and may see its clients.
    pub fn is_staff(&self) -> bool {
        self.has(Role::Adviser) || self.has(Role::Compliance) || self.has(Role::Admin)
    }

    /// The person who calls, or for whom a service calls.
    pub const fn user_id(&self) -> Option<UserId> {
        match self.kind {
            Subject::User(user) => Some(user),
            Subject::Service(_) => self.on_behalf_of,
        }
    }

    /// Ok when the caller is the owner, staff who may see clients, or a service that acts for the platform or the owner;
    /// otherwise the thing does not exist for the caller. What staff see becomes an entry of the audit log.
    pub fn may_see(&self, owner: UserId, what: &str, id: impl fmt::Display) -> Result<(), Problem> {
        if self.acts_for(owner) {
            Ok(())
        } else if self.is_staff() {
            self.sees_client(owner);
            Ok(())
        } else {
            Err(Problem::not_found(what, id))
        }
    }

    /// Ok when the caller is the owner himself, or a service that acts for the platform or the owner. Staff who may see
    /// the thing are told that they may not change it; to anybody else it does not exist.
    pub fn may_change(&self, owner: UserId, what: &str, id: impl fmt::Display) -> Result<(), Problem> {
        if self.acts_for(owner) {
            Ok(())
        } else if self.is_staff() {
            Err(Problem::denied("not_owner", format!("only its owner may change {what} {id}")))
        } else {
            Err(Problem::not_found(what, id))
        }
    }

    /// Ok when the person has one of the roles; services pass.
    pub fn require(&self, roles: &[Role]) -> Result<(), Problem> {
        if self.is_service() || roles.iter().any(|role| self.has(*role)) {
            return Ok(());
        }
        let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        Err(Problem::denied("role_required", format!("this needs the role {}", names.join(" or "))))
    }

    fn acts_for(&self, owner: UserId) -> bool {
        match self.kind {
            Subject::User(user) => user == owner,
            Subject::Service(_) => self.on_behalf_of.is_none_or(|user| user == owner),
        }
    }
}

/// The caller of a request, as the service's layer found it.
pub fn caller<T>(request: &tonic::Request<T>) -> Result<&Identity, Problem> {
    request.extensions().get::<Identity>().ok_or_else(|| Problem::unauthenticated("this needs a signed-in caller"))
}

/// The cause of a request: what its metadata names, or a fresh one.
pub fn cause<T>(request: &tonic::Request<T>) -> Cause {
    request
        .metadata()
        .get(CAUSE_HEADER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| uuid::Uuid::try_parse(text).ok())
        .map_or_else(entropy::fresh_cause, Cause::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(nth: u128) -> UserId {
        UserId::from_uuid(uuid::Uuid::from_u128(nth))
    }

    #[test]
    fn another_users_object_does_not_exist_for_an_investor() {
        let anna = Identity::user(user(1), &[Role::Investor]);
        assert!(anna.may_see(user(1), "portfolio", 7).is_ok());
        assert_eq!(anna.may_see(user(2), "portfolio", 7).unwrap_err().code, "not_found");
        assert_eq!(anna.may_change(user(2), "portfolio", 7).unwrap_err().code, "not_found");
    }

    #[test]
    fn staff_see_clients_and_change_nothing_of_theirs() {
        for role in [Role::Adviser, Role::Compliance, Role::Admin] {
            let staff = Identity::user(user(9), &[role]);
            assert!(staff.may_see(user(1), "order", 7).is_ok());
            assert_eq!(staff.may_change(user(1), "order", 7).unwrap_err().code, "not_owner");
        }
        let operator = Identity::user(user(9), &[Role::ModelOps]);
        assert_eq!(operator.may_see(user(1), "order", 7).unwrap_err().code, "not_found");
    }

    #[test]
    fn a_service_that_acts_for_one_user_does_not_reach_another() {
        let for_anna = Identity::service("advisor", Some(user(1)));
        assert!(for_anna.may_change(user(1), "order", 7).is_ok());
        assert!(for_anna.may_see(user(2), "order", 7).is_err());
        assert!(Identity::service("advisor", None).may_change(user(2), "order", 7).is_ok());
    }

    #[test]
    fn a_missing_role_is_named() {
        let problem = Identity::user(user(1), &[Role::Investor]).require(&[Role::ModelOps, Role::Admin]).unwrap_err();
        assert_eq!(problem.message, "this needs the role model-ops or admin");
    }
}
