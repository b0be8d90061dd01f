//! The account: who a user is and what he may do. How the agent may act for him, the mandates of his portfolios say.
mod commands;
pub mod email;
pub mod password;
mod strength;
mod unvouched;
pub mod vault;

pub use email::Email;
pub use password::{Hasher, Password};
pub use unvouched::Unvouched;
pub use vault::Vault;

use crate::{Error, Result};
use moneta_contracts::user as pb;
use moneta_kit::identity::Role;
use moneta_types::{Currency, Timestamp, UserId};

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// In use.
    Active,
    /// Disabled: nobody signs in with it.
    Locked,
    /// The personal data are destroyed; only the id remains.
    Erased,
}

impl Status {
    /// The name in store and contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Locked => "locked",
            Self::Erased => "erased",
        }
    }

    /// Reads what the store holds.
    pub fn from_stored(text: &str) -> Result<Self> {
        match text {
            "active" => Ok(Self::Active),
            "locked" => Ok(Self::Locked),
            "erased" => Ok(Self::Erased),
            _ => Err(Error::Stored { column: "status", value: text.to_owned() }),
        }
    }
}

/// An account with its personal fields in the clear, as it is inside one request; at rest they are encrypted.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user.
    pub user_id: UserId,
    /// Empty once erased.
    pub email: String,
    /// Empty once erased.
    pub display_name: String,
    /// What the user may do.
    pub roles: Vec<Role>,
    /// The currency he thinks in.
    pub base_currency: Currency,
    /// Whether the account can be used.
    pub status: Status,
    /// When it was made, platform clock.
    pub created: Timestamp,
    /// Needs more care (PRIN 2A): wording and gates change.
    pub vulnerable: bool,
    /// Where his day begins and ends.
    pub time_zone: chrono_tz::Tz,
}

impl From<Account> for pb::Account {
    fn from(account: Account) -> Self {
        Self {
            user_id: account.user_id.to_string(),
            email: account.email,
            display_name: account.display_name,
            roles: account.roles.iter().map(ToString::to_string).collect(),
            base_currency: account.base_currency.to_string(),
            status: account.status.as_str().to_owned(),
            created_micros: account.created.micros(),
            vulnerable: account.vulnerable,
            autonomy: String::new(),
            time_zone: account.time_zone.name().to_owned(),
        }
    }
}

/// Checks a display name: 1 to 80 characters on one line.
pub fn display_name(text: &str) -> Result<String> {
    let name = text.trim();
    if !(1..=80).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(Error::invalid("display_name", text, "1 to 80 characters on one line"));
    }
    Ok(name.to_owned())
}

/// Reads an IANA time zone; empty means UTC.
pub fn time_zone(text: &str) -> Result<chrono_tz::Tz> {
    if text.is_empty() {
        return Ok(chrono_tz::Tz::UTC);
    }
    text.parse().map_err(|_| Error::invalid("time_zone", text, "an IANA time zone such as Europe/London"))
}

/// Reads a base currency; empty means US dollars.
pub fn base_currency(text: &str) -> Result<Currency> {
    if text.is_empty() {
        return Ok(Currency::Usd);
    }
    text.parse().map_err(|_| Error::invalid("base_currency", text, "one of USD, EUR, GBP, CHF, JPY"))
}

/// Reads roles by name; none means investor.
pub fn roles(names: &[String]) -> Result<Vec<Role>> {
    if names.is_empty() {
        return Ok(vec![Role::Investor]);
    }
    let mut roles: Vec<Role> = Vec::new();
    for name in names {
        let role = name.parse().map_err(|_| {
            Error::invalid("roles", name, "each one of investor, adviser, compliance, model-ops, admin")
        })?;
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_field_of_a_profile_names_itself_and_what_is_allowed() {
        let errors = [
            display_name("").unwrap_err(),
            display_name("two\nlines").unwrap_err(),
            time_zone("Mars/Olympus").unwrap_err(),
            base_currency("usd").unwrap_err(),
            roles(&["king".to_owned()]).unwrap_err(),
        ];
        let fields = ["display_name", "display_name", "time_zone", "base_currency", "roles"];
        for (error, field) in errors.iter().zip(fields) {
            assert!(error.to_string().starts_with(field), "{error}");
        }
    }

    #[test]
    fn roles_are_told_once_each_and_none_means_investor() {
        assert_eq!(roles(&[]).unwrap(), vec![Role::Investor]);
        assert_eq!(roles(&["admin".to_owned(), "admin".to_owned()]).unwrap(), vec![Role::Admin]);
    }
}
