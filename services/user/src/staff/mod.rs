//! The accounts of those who work for the house: who lets them in, what they may do, and the two pairs of eyes that the
//! strongest roles need.
mod commands;
mod leaving;

use crate::{
    Error, Result,
    account::{self, Password},
    store::{RoleRequest, StoredAccount},
};
use moneta_contracts::user as pb;
use moneta_kit::{entropy::random_bytes, identity::Role};
use zeroize::Zeroizing;

/// Who holds one of these can stop trading, release holds, or let others in; nobody gets it on one person's word.
pub const FOUR_EYES: [Role; 2] = [Role::Compliance, Role::Admin];

/// Characters that are not taken for one another when they are read aloud or copied by hand: 32, so that five bits pick one.
const LEGIBLE: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 25 of them are 125 bits.
const ONE_TIME_CHARACTERS: usize = 25;

/// A person who works for the house.
pub struct Member {
    /// The account.
    pub stored: StoredAccount,
    /// The roles that wait for a second admin.
    pub requests: Vec<RoleRequest>,
    /// His password was given out by somebody else, and its time is over.
    pub password_ended: bool,
}

impl From<Member> for pb::StaffMember {
    fn from(Member { stored, requests, password_ended }: Member) -> Self {
        let account = stored.account;
        Self {
            user_id: account.user_id.to_string(),
            email: account.email,
            display_name: account.display_name,
            roles: account.roles.iter().map(ToString::to_string).collect(),
            requests: requests
                .into_iter()
                .map(|request| pb::RoleRequest {
                    role: request.role.to_string(),
                    requested_by: request.requested_by.to_string(),
                })
                .collect(),
            status: account.status.as_str().to_owned(),
            created_micros: account.created.micros(),
            must_change_password: stored.must_change_password,
            password_ended,
        }
    }
}

/// Reads the roles of staff: at least one, and not the investor's, because whoever works for the house is not its client
/// under the same account.
pub fn staff_roles(names: &[String]) -> Result<Vec<Role>> {
    const ALLOWED: &str = "one or more of adviser, compliance, model-ops, admin";
    if names.is_empty() {
        return Err(Error::invalid("roles", "", ALLOWED));
    }
    let roles = account::roles(names)?;
    if roles.contains(&Role::Investor) {
        return Err(Error::invalid("roles", "investor", ALLOWED));
    }
    Ok(roles)
}

/// A password that is told once and good for nothing but choosing another.
pub struct OneTimePassword(Zeroizing<String>);

impl OneTimePassword {
    /// A fresh one, in groups of five characters.
    pub fn generate() -> Self {
        let bytes = Zeroizing::new(random_bytes::<ONE_TIME_CHARACTERS>());
        let mut text = Zeroizing::new(String::with_capacity(ONE_TIME_CHARACTERS + ONE_TIME_CHARACTERS / 5));
        for (nth, byte) in bytes.iter().enumerate() {
            if nth > 0 && nth % 5 == 0 {
                text.push('-');
            }
            text.push(char::from(LEGIBLE[usize::from(byte & 31)]));
        }
        Self(text)
    }

    /// The text, which is told once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn password(&self) -> Password {
        Password::attempt(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_time_password_is_random_and_legible() {
        let (first, second) = (OneTimePassword::generate(), OneTimePassword::generate());
        assert_ne!(first.expose(), second.expose());
        assert_eq!(first.expose().len(), 29);
        assert!(first.expose().bytes().all(|byte| byte == b'-' || LEGIBLE.contains(&byte)));
    }

    #[test]
    fn a_clients_role_and_none_at_all_are_no_staff() {
        assert!(staff_roles(&[]).is_err());
        assert!(staff_roles(&["adviser".to_owned(), "investor".to_owned()]).is_err());
        assert_eq!(staff_roles(&["adviser".to_owned()]).unwrap(), [Role::Adviser]);
    }
}
