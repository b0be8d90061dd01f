//! Adding, approving and listing staff; a password of one's own; and what staff note of a client.
use super::{FOUR_EYES, Member, OneTimePassword, staff_roles};
use crate::{
    App, Error, Result,
    account::{Account, Email, Password, Status, display_name, password::About},
    session::Place,
    store::{Ending, NewAccount, StoredAccount},
};
use moneta_contracts::{
    events::{ProfileChanged, StaffChanged, VulnerabilityNoted},
    user as pb,
};
use moneta_kit::{
    identity::{Identity, Role, Subject},
    problem::Problem,
    store::Tx,
};
use moneta_types::{Cause, Currency, InternalNote, SessionId, Timestamp, UserId};
use std::time::Duration;

/// Whoever works on the data directory itself, in events.
const OPERATOR: &str = "moneta";

/// Who lets somebody in.
pub(super) enum Grantor {
    /// Whoever works on the data directory itself, where there is no admin to ask.
    Operator,
    /// An admin; whether he is the only one there has ever been.
    Admin { user: UserId, alone: bool },
}

/// The admins of the house.
#[derive(Default)]
pub(super) struct Admins {
    /// Those who have chosen their passwords themselves.
    pub(super) in_office: Vec<UserId>,
    /// How many can sign in, with a one-time password too.
    reachable: usize,
}

impl Grantor {
    /// The admin; nobody for the operator.
    pub(super) const fn user(&self) -> Option<UserId> {
        match self {
            Self::Operator => None,
            Self::Admin { user, .. } => Some(*user),
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Operator => OPERATOR.to_owned(),
            Self::Admin { user, .. } => user.to_string(),
        }
    }

    /// The roles that this word alone gives; the rest waits for a second admin's.
    pub(super) fn gives(&self, roles: &[Role]) -> Vec<Role> {
        match self {
            Self::Operator => roles.to_vec(),
            // The first admin's only way to a second one.
            Self::Admin { alone: true, .. } if roles.contains(&Role::Admin) => roles.to_vec(),
            Self::Admin { .. } => roles.iter().copied().filter(|role| !FOUR_EYES.contains(role)).collect(),
        }
    }
}

impl App {
    /// Makes an account for somebody who works for the house, or adds roles to one that is there.
    pub async fn add_staff(
        &self,
        caller: &Identity,
        request: pb::AddStaffRequest,
        cause: Cause,
    ) -> Result<pb::AddStaffResponse> {
        let email = Email::parse(&request.email)?;
        let roles = staff_roles(&request.roles)?;
        let index = self.store.emails().of(&email)?;
        let one_time = OneTimePassword::generate();
        let password_hash = self.hasher.hash(one_time.password()).await?;
        // One writer at a time, other processes included: of two that found a firm at once, the second finds an admin.
        let mut tx = self.store.begin().await?;
        let grantor = self.grantor(&mut tx, caller, &roles).await?;
        if let Some(stored) = self.store.account_by_email(&index).await? {
            let member = self.add_roles(tx, stored, &roles, &grantor, cause).await?;
            return Ok(pb::AddStaffResponse { member: Some(member.into()), one_time_password: String::new() });
        }
        let given = grantor.gives(&roles);
        let account = Account {
            user_id: UserId::from_uuid(cause.derive("staff")),
            email: email.to_string(),
            display_name: display_name(&request.display_name)?,
            roles: given.clone(),
            base_currency: Currency::Usd,
            status: Status::Active,
            created: self.clock.now(),
            vulnerable: false,
            time_zone: chrono_tz::Tz::UTC,
        };
        let user_id = account.user_id;
        let new = NewAccount {
            account: &account,
            email_index: &index,
            password_hash: &password_hash,
            must_change_password: true,
        };
        self.store.insert_account(&mut tx, new).await?;
        self.store.issue_one_time(&mut tx, user_id, &grantor.name(), self.one_time_ends()).await?;
        self.tell_staff(&mut tx, user_id, "added", &given, ("", &grantor.name()), cause).await?;
        self.ask_for(&mut tx, user_id, &waiting(&roles, &given), &grantor, cause).await?;
        tx.commit().await?;
        let member = self.member(user_id).await?;
        Ok(pb::AddStaffResponse { member: Some(member.into()), one_time_password: one_time.expose().to_owned() })
    }

    async fn add_roles(
        &self,
        mut tx: Tx,
        stored: StoredAccount,
        roles: &[Role],
        grantor: &Grantor,
        cause: Cause,
    ) -> Result<Member> {
        let account = &stored.account;
        match account.status {
            Status::Active if account.roles.contains(&Role::Investor) => return Err(Error::EmailTaken),
            Status::Active => {}
            Status::Locked => return Err(Error::Locked),
            Status::Erased => return Err(Error::Erased),
        }
        let user = account.user_id;
        let missing: Vec<Role> = roles.iter().copied().filter(|role| !account.roles.contains(role)).collect();
        let given = grantor.gives(&missing);
        self.ask_for(&mut tx, user, &waiting(&missing, &given), grantor, cause).await?;
        if given.is_empty() {
            tx.commit().await?;
        } else {
            self.give(tx, &stored, &given, ("", &grantor.name()), cause).await?;
        }
        self.member(user).await
    }

    /// Grants the roles that somebody waits for and that another admin asked for, once their holder has chosen his password:
    /// whoever was told the one-time password must not come by them.
    pub async fn approve_roles(&self, caller: &Identity, email: &str, cause: Cause) -> Result<Member> {
        let mut tx = self.store.begin().await?;
        let admins = self.admins(&mut tx).await?;
        // With one admin left, whoever works on the data directory itself is the second pair of eyes.
        let approver = match is_operator(caller) && admins.in_office.len() <= 1 {
            true => Grantor::Operator,
            false => Grantor::Admin { user: self.admin(caller).await?, alone: false },
        };
        let stored = self.staff_account(email).await?;
        let user = stored.account.user_id;
        let admin = approver.user();
        if admin == Some(user) {
            return Err(Error::FourEyes("nobody approves roles of his own: another admin does"));
        }
        let requests = self.store.role_requests(user).await?;
        if requests.is_empty() {
            return Err(Error::not_found("request for roles of", &stored.account.email));
        }
        let others: Vec<_> = requests
            .into_iter()
            .filter(|request| Some(request.requested_by) != admin && admins.in_office.contains(&request.requested_by))
            .collect();
        let Some(first) = others.first() else {
            return Err(Error::FourEyes("whoever asked for roles does not approve them: another admin does"));
        };
        if stored.must_change_password {
            return Err(Error::Unchanged(stored.account.email));
        }
        let asked_by = first.requested_by.to_string();
        let roles: Vec<Role> = others.iter().map(|request| request.role).collect();
        self.give(tx, &stored, &roles, (&asked_by, &approver.name()), cause).await?;
        self.member(user).await
    }

    /// Adds roles to an account and ends its sessions, whose tokens say the old ones.
    async fn give(
        &self,
        mut tx: Tx,
        stored: &StoredAccount,
        roles: &[Role],
        by: (&str, &str),
        cause: Cause,
    ) -> Result<()> {
        let user = stored.account.user_id;
        let mut all = stored.account.roles.clone();
        all.extend(roles.iter().filter(|role| !stored.account.roles.contains(role)));
        self.store.set_roles(&mut tx, user, &all, self.clock.now()).await?;
        for role in roles {
            self.store.drop_request(&mut tx, user, *role).await?;
        }
        self.tell_staff(&mut tx, user, "roles_granted", roles, by, cause).await?;
        let ended = self.store.end_all_sessions(&mut tx, user, Ending::RolesChanged, self.now()).await?;
        self.commit_ended(tx, ended, cause, by.1).await
    }

    pub(super) async fn ask_for(
        &self,
        tx: &mut Tx,
        user: UserId,
        roles: &[Role],
        grantor: &Grantor,
        cause: Cause,
    ) -> Result<()> {
        let Grantor::Admin { user: admin, .. } = grantor else { return Ok(()) };
        let mut asked = Vec::new();
        for role in roles {
            if self.store.request_role(tx, user, *role, *admin, self.clock.now()).await? {
                asked.push(*role);
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        self.tell_staff(tx, user, "roles_requested", &asked, ("", &admin.to_string()), cause).await
    }

    /// Everybody who works for the house.
    pub async fn list_staff(&self, caller: &Identity) -> Result<Vec<Member>> {
        caller.require(&[Role::Admin, Role::Compliance])?;
        let mut members = Vec::new();
        for stored in self.store.staff().await? {
            members.push(self.as_member(stored).await?);
        }
        Ok(members)
    }

    /// Notes that a client needs particular care, or no longer does, and why (PRIN 2A).
    pub async fn set_vulnerable(
        &self,
        caller: &Identity,
        request: pb::SetVulnerableRequest,
        cause: Cause,
    ) -> Result<Account> {
        let user: UserId =
            request.user_id.parse().map_err(|_| Error::invalid("user_id", request.user_id.as_str(), "a UUID"))?;
        caller.may_see(user, "user", user)?;
        caller.require(&[Role::Adviser, Role::Compliance])?;
        let Subject::User(by) = caller.kind else { return Err(person_required()) };
        let reason = InternalNote::read("reason", &request.reason).map_err(Problem::from)?;
        let mut stored = self.in_use(user).await?;
        if !stored.account.roles.contains(&Role::Investor) {
            return Err(Error::not_found("client", user));
        }
        if stored.account.vulnerable != request.vulnerable {
            let now = self.clock.now();
            let mut tx = self.store.begin().await?;
            let said = (request.vulnerable, &reason);
            let note = self.store.note_vulnerability(&mut tx, &stored, said, by, now).await?;
            let noted = VulnerabilityNoted { user_id: user, vulnerable: request.vulnerable, note, by };
            let actor = by.to_string();
            tx.publish_as(&noted, cause.part("vulnerable"), &actor, &self.clock).await?;
            let changed = ProfileChanged { user_id: user, fields: vec!["vulnerable".to_owned()] };
            tx.publish_as(&changed, cause.part("vulnerable"), &actor, &self.clock).await?;
            tx.commit().await?;
            stored.account.vulnerable = request.vulnerable;
        }
        Ok(stored.account)
    }

    /// Changes the caller's own password. Every session ends, and a new one begins.
    pub async fn change_password(
        &self,
        caller: &Identity,
        request: pb::ChangePasswordRequest,
        cause: Cause,
    ) -> Result<pb::Session> {
        let Subject::User(user) = caller.kind else { return Err(person_required()) };
        let stored = self.in_use(user).await?;
        let email = Email::parse(&stored.account.email)?;
        let index = self.store.emails().of(&email)?;
        // Whoever finds an open session must not try passwords in it any faster than at the door.
        let place = Place::Session(caller.session.map_or(SessionId::from_uuid(user.uuid()), |session| session.id));
        let attempt = self.count_attempt(&index, place, "").await?;
        let current = Password::attempt(&request.current_password);
        if !self.hasher.verify(stored.password_hash.clone(), current).await? {
            return Err(Error::BadCredentials);
        }
        if request.new_password == request.current_password {
            return Err(Error::invalid("new_password", "(hidden)", "another one than the current password"));
        }
        let about = About { email: email.as_str(), name: &stored.account.display_name };
        let chosen = Password::new("new_password", &request.new_password, about)?;
        let hash = self.hasher.hash(chosen).await?;
        let mut tx = self.store.begin().await?;
        if self.store.generation(&mut tx, user).await? != stored.generation {
            return Err(Error::SessionEnded);
        }
        if self.one_time_ended(&stored).await? {
            return Err(Error::OneTimeEnded);
        }
        self.store.set_password(&mut tx, user, &hash).await?;
        self.forgive(&mut tx, &attempt).await?;
        let ended = self.store.end_all_sessions(&mut tx, user, Ending::PasswordChanged, self.now()).await?;
        let begun = self.begin_session(&mut tx, user, (ended.generation, false), cause).await?;
        self.commit_ended(tx, ended, cause, &user.to_string()).await?;
        self.open(user, stored.account.roles, begun)
    }

    /// Who may let somebody in. Where no admin is in use, at first or because the last one is gone, that is whoever works on the
    /// directory, because he holds its keys anyway; else it is an admin, in person.
    pub(super) async fn grantor(&self, tx: &mut Tx, caller: &Identity, roles: &[Role]) -> Result<Grantor> {
        if is_operator(caller) && self.admins(tx).await?.reachable == 0 {
            return if roles.contains(&Role::Admin) { Ok(Grantor::Operator) } else { Err(Error::FirstNeedsAdmin) };
        }
        let user = self.admin(caller).await?;
        Ok(Grantor::Admin { user, alone: self.store.admins_ever(tx).await? <= 1 })
    }

    /// The admins there are.
    pub(super) async fn admins(&self, _: &mut Tx) -> Result<Admins> {
        let mut admins = Admins::default();
        for stored in self.store.staff().await? {
            let account = &stored.account;
            if account.status != Status::Active || !account.roles.contains(&Role::Admin) {
                continue;
            }
            if !self.one_time_ended(&stored).await? {
                admins.reachable += 1;
            }
            if !stored.must_change_password {
                admins.in_office.push(account.user_id);
            }
        }
        Ok(admins)
    }

    /// When a one-time password ends that is given out now.
    pub(super) fn one_time_ends(&self) -> Timestamp {
        self.now().plus(Duration::from_secs(self.config.one_time_hours * 3600))
    }

    /// Whether an account's password is one that somebody else was told, and its time is over.
    pub(crate) async fn one_time_ended(&self, stored: &StoredAccount) -> Result<bool> {
        if !stored.must_change_password {
            return Ok(false);
        }
        let ends = self.store.one_time_ends(stored.account.user_id).await?;
        Ok(ends.is_none_or(|ends| ends <= self.now()))
    }

    /// The caller, who must be an admin in person, and still be one.
    pub(super) async fn admin(&self, caller: &Identity) -> Result<UserId> {
        let Subject::User(user) = caller.kind else { return Err(person_required()) };
        caller.require(&[Role::Admin])?;
        let stored = self.in_use(user).await?;
        if !stored.account.roles.contains(&Role::Admin) {
            return Err(Problem::denied("role_required", "this needs the role admin").into());
        }
        Ok(user)
    }

    pub(super) async fn staff_account(&self, email: &str) -> Result<StoredAccount> {
        let address = Email::parse(email)?;
        let found = self.store.account_by_email(&self.store.emails().of(&address)?).await?;
        found
            .filter(|stored| !stored.account.roles.contains(&Role::Investor))
            .ok_or_else(|| Error::not_found("member of staff", email))
    }

    pub(super) async fn member(&self, user: UserId) -> Result<Member> {
        let stored = self.store.account(user).await?.ok_or_else(|| Error::not_found("user", user))?;
        self.as_member(stored).await
    }

    async fn as_member(&self, stored: StoredAccount) -> Result<Member> {
        let requests = self.store.role_requests(stored.account.user_id).await?;
        let password_ended = self.one_time_ended(&stored).await?;
        Ok(Member { stored, requests, password_ended })
    }

    pub(super) async fn tell_staff(
        &self,
        tx: &mut Tx,
        user_id: UserId,
        change: &str,
        roles: &[Role],
        (requested_by, by): (&str, &str),
        cause: Cause,
    ) -> Result<()> {
        let event = StaffChanged {
            user_id,
            change: change.to_owned(),
            roles: roles.iter().map(ToString::to_string).collect(),
            requested_by: requested_by.to_owned(),
            by: by.to_owned(),
        };
        tx.publish_as(&event, cause.part(change), by, &self.clock).await?;
        Ok(())
    }
}

pub(super) fn waiting(roles: &[Role], given: &[Role]) -> Vec<Role> {
    roles.iter().copied().filter(|role| !given.contains(role)).collect()
}

/// Whether somebody works on the data directory itself.
fn is_operator(caller: &Identity) -> bool {
    caller.is_service() && caller.subject == OPERATOR && caller.on_behalf_of.is_none()
}

fn person_required() -> Error {
    Problem::denied("person_required", "this is for people, not for services").into()
}
