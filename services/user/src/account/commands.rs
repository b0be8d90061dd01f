//! Registration, provisioning, and changes of the profile.
use super::{Account, Email, Password, Status, base_currency, display_name, password::About, roles, time_zone};
use crate::{App, Error, Result, access::DOCUMENTS, preferences, store::NewAccount};
use moneta_contracts::{
    events::{ProfileChanged, UserRegistered},
    user as pb,
};
use moneta_kit::{
    identity::{Identity, Role},
    problem::Problem,
};
use moneta_types::{Cause, UserId};

impl App {
    /// Opens an investor's account. The same request (the same cause) answers the same account again, to whoever has its
    /// password: nobody has signed in here.
    pub async fn register(
        &self,
        caller: Option<&Identity>,
        request: pb::RegisterRequest,
        cause: Cause,
    ) -> Result<Account> {
        // The gateway counts by address; whoever comes past it has none, and all of them count as one.
        if !caller.is_some_and(Identity::is_service) {
            self.unvouched.admit(self.now())?;
        }
        let email = Email::parse(&request.email)?;
        let about = About { email: email.as_str(), name: &request.display_name };
        let password = Password::new("password", &request.password, about)?;
        let accepts = documents(&request.accepts)?;
        let user_id = UserId::from_uuid(cause.derive("user"));
        let account = Account {
            user_id,
            email: email.to_string(),
            display_name: display_name(&request.display_name)?,
            roles: vec![Role::Investor],
            base_currency: base_currency(&request.base_currency)?,
            status: Status::Active,
            created: self.clock.now(),
            vulnerable: false,
            time_zone: chrono_tz::Tz::UTC,
        };
        if let Some(before) = self.store.account(user_id).await?
            && before.account.email == email.as_str()
        {
            let same = self.hasher.verify(before.password_hash, Password::attempt(&request.password)).await?;
            return if same { Ok(before.account) } else { Err(Error::KeyReused { what: "registration" }) };
        }
        self.create(account, &email, password, (user_id.to_string(), &accepts), cause).await
    }

    /// Creates or returns an account with roles. The id derives from the platform's seed and the e-mail address, so that
    /// two runs from one seed have the same users.
    pub async fn provision(&self, caller: &Identity, request: pb::ProvisionAccountRequest) -> Result<Account> {
        // A person adds staff with a second one's approval, and never through here.
        if !caller.is_service() {
            return Err(Problem::denied("service_required", "this is for the platform itself").into());
        }
        refuse_autonomy(&request.autonomy)?;
        let email = Email::parse(&request.email)?;
        let index = self.store.emails().of(&email)?;
        if let Some(before) = self.store.account_by_email(&index).await? {
            return Ok(before.account);
        }
        let account = Account {
            user_id: self.provisioned_id(&email).await?,
            email: email.to_string(),
            display_name: display_name(&request.display_name)?,
            roles: roles(&request.roles)?,
            base_currency: base_currency(&request.base_currency)?,
            status: Status::Active,
            created: self.clock.now(),
            vulnerable: request.vulnerable,
            time_zone: time_zone(&request.time_zone)?,
        };
        // A demo's password is known to everybody anyway; people choose theirs when they register.
        let password = Password::provisioned(&request.password)?;
        // The event's id comes from the account, so that two runs tell it alike.
        let cause = Cause::new(account.user_id.uuid());
        match self.create(account, &email, password, (caller.subject.clone(), &[]), cause).await {
            // Another request was faster; its account is the answer.
            Err(Error::EmailTaken) => {
                let stored = self.store.account_by_email(&index).await?;
                stored.map(|stored| stored.account).ok_or(Error::EmailTaken)
            }
            other => other,
        }
    }

    /// An erased account keeps its id, so the next account of the same address takes the next one.
    async fn provisioned_id(&self, email: &Email) -> Result<UserId> {
        let cause = Cause::named(&format!("seed/{}/user/{email}", self.seed));
        let mut generation = 1_u32;
        loop {
            let id = UserId::from_uuid(cause.derive(&format!("account/{generation}")));
            if self.store.account(id).await?.is_none() {
                return Ok(id);
            }
            generation += 1;
        }
    }

    async fn create(
        &self,
        account: Account,
        email: &Email,
        password: Password,
        (actor, accepts): (String, &[&'static str]),
        cause: Cause,
    ) -> Result<Account> {
        let password_hash = self.hasher.hash(password).await?;
        let email_index = self.store.emails().of(email)?;
        let mut tx = self.store.begin().await?;
        let new = NewAccount {
            account: &account,
            email_index: &email_index,
            password_hash: &password_hash,
            must_change_password: false,
        };
        self.store.insert_account(&mut tx, new).await?;
        for document in accepts {
            self.decide(&mut tx, account.user_id, document, preferences::ACCEPTED).await?;
        }
        let roles = account.roles.iter().map(ToString::to_string).collect();
        let event = UserRegistered { user_id: account.user_id, roles };
        tx.publish_as(&event, cause.part("account"), &actor, &self.clock).await?;
        tx.commit().await?;
        Ok(account)
    }

    /// Changes a profile: how its owner is called and where he lives.
    pub async fn update_profile(
        &self,
        caller: &Identity,
        request: pb::UpdateProfileRequest,
        cause: Cause,
    ) -> Result<Account> {
        refuse_autonomy(request.autonomy.as_deref().unwrap_or_default())?;
        let mut stored = self.changeable(caller, &request.user_id).await?;
        let mut fields = Vec::new();
        let account = &mut stored.account;
        if let Some(name) = &request.display_name {
            replace(&mut account.display_name, display_name(name)?, "display_name", &mut fields);
        }
        if let Some(zone) = &request.time_zone {
            replace(&mut account.time_zone, time_zone(zone)?, "time_zone", &mut fields);
        }
        // A repeated request finds nothing to change, and says nothing a second time.
        if !fields.is_empty() {
            let mut tx = self.store.begin().await?;
            self.store.update_profile(&mut tx, &stored).await?;
            let event = ProfileChanged { user_id: stored.account.user_id, fields };
            tx.publish_as(&event, cause.part("profile"), &caller.subject, &self.clock).await?;
            tx.commit().await?;
        }
        Ok(stored.account)
    }

    /// The account that a request names.
    pub async fn get_account(&self, caller: &Identity, user_id: &str) -> Result<Account> {
        Ok(self.visible(caller, user_id).await?.account)
    }

    /// Every investor's account that is in use; for staff who look after clients, and for services.
    pub async fn list_investors(&self, caller: &Identity) -> Result<Vec<Account>> {
        caller.require(&[Role::Adviser, Role::Compliance, Role::Admin])?;
        caller.sees_clients();
        self.store.investors().await
    }
}

/// The documents that somebody accepts as he registers, each once.
fn documents(names: &[String]) -> Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for name in names {
        let known = DOCUMENTS.iter().map(|(document, _)| *document).find(|document| document == name);
        match known.filter(|document| !found.contains(document)) {
            Some(document) => found.push(document),
            None => {
                let allowed = "each one of terms_of_service, privacy_notice, algorithm_disclosure, once";
                return Err(Error::invalid("accepts", name.as_str(), allowed));
            }
        }
    }
    Ok(found)
}

/// How far the agent may go has one source, the portfolio's mandate.
fn refuse_autonomy(given: &str) -> Result<()> {
    let allowed = "nothing here: the mandate of a portfolio says how far the agent may go";
    if given.is_empty() { Ok(()) } else { Err(Error::invalid("autonomy", given, allowed)) }
}

fn replace<T: PartialEq>(field: &mut T, value: T, name: &str, changed: &mut Vec<String>) {
    if *field != value {
        *field = value;
        changed.push(name.to_owned());
    }
}
