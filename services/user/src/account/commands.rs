//! Registration, provisioning, and changes of the profile.
use super::{Account, Autonomy, Email, Password, Status, base_currency, display_name, roles, time_zone};
use crate::{
    App, Error, Result,
    access::{Consent, DOCUMENTS},
    store::NewAccount,
};
use moneta_contracts::{
    events::{ProfileChanged, UserRegistered},
    user as pb,
};
use moneta_kit::identity::{Identity, Role};
use moneta_types::{Cause, UserId};

impl App {
    /// Opens an investor's account. The same request (the same cause) answers the same account again.
    pub async fn register(&self, request: pb::RegisterRequest, cause: Cause) -> Result<Account> {
        let email = Email::parse(&request.email)?;
        let password = Password::new(&request.password, email.as_str())?;
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
            autonomy: Autonomy::Approve,
            time_zone: chrono_tz::Tz::UTC,
        };
        if let Some(before) = self.store.account(user_id).await?
            && before.account.email == email.as_str()
        {
            return Ok(before.account);
        }
        self.create(account, &email, password, user_id.to_string(), cause).await
    }

    /// Creates or returns an account with roles. The id derives from the platform's seed and the e-mail address, so that
    /// two runs from one seed have the same users.
    pub async fn provision(&self, caller: &Identity, request: pb::ProvisionAccountRequest) -> Result<Account> {
        caller.require(&[Role::Admin])?;
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
            autonomy: if request.autonomy.is_empty() { Autonomy::Approve } else { request.autonomy.parse()? },
            time_zone: time_zone(&request.time_zone)?,
        };
        let password = Password::new(&request.password, email.as_str())?;
        // The event's id comes from the account, so that two runs tell it alike.
        let cause = Cause::new(account.user_id.uuid());
        match self.create(account, &email, password, caller.subject.clone(), cause).await {
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
        actor: String,
        cause: Cause,
    ) -> Result<Account> {
        let password_hash = self.hasher.hash(password).await?;
        let email_index = self.store.emails().of(email)?;
        let mut tx = self.store.begin().await?;
        let new = NewAccount { account: &account, email_index: &email_index, password_hash: &password_hash };
        self.store.insert_account(&mut tx, new).await?;
        for (document, version) in DOCUMENTS {
            let consent = Consent {
                document: (*document).to_owned(),
                version: (*version).to_owned(),
                decision: "accepted".to_owned(),
                at: account.created,
            };
            self.store.record_consent(&mut tx, account.user_id, &consent).await?;
        }
        self.store
            .set_preference(&mut tx, account.user_id, crate::preferences::ALGORITHM_DISCLOSURE, "accepted")
            .await?;
        let roles = account.roles.iter().map(ToString::to_string).collect();
        let event = UserRegistered { user_id: account.user_id, roles };
        tx.publish_as(&event, cause.part("account"), &actor, &self.clock).await?;
        tx.commit().await?;
        Ok(account)
    }

    /// Changes a profile. The owner changes how he is called, where he lives and what the agent may do; that a client is
    /// vulnerable is noted by staff (PRIN 2A), who change nothing else.
    pub async fn update_profile(
        &self,
        caller: &Identity,
        request: pb::UpdateProfileRequest,
        cause: Cause,
    ) -> Result<Account> {
        let owners_fields = request.display_name.is_some() || request.time_zone.is_some() || request.autonomy.is_some();
        let mut stored = if request.vulnerable.is_some() {
            let stored = self.visible(caller, &request.user_id).await?;
            caller.require(&[Role::Adviser, Role::Compliance, Role::Admin])?;
            if stored.account.status == Status::Erased {
                return Err(Error::Erased);
            }
            stored
        } else {
            self.changeable(caller, &request.user_id).await?
        };
        if owners_fields {
            caller.may_change(stored.account.user_id, "user", stored.account.user_id)?;
        }
        let mut fields = Vec::new();
        let account = &mut stored.account;
        if let Some(name) = &request.display_name {
            replace(&mut account.display_name, display_name(name)?, "display_name", &mut fields);
        }
        if let Some(zone) = &request.time_zone {
            replace(&mut account.time_zone, time_zone(zone)?, "time_zone", &mut fields);
        }
        if let Some(autonomy) = &request.autonomy {
            replace(&mut account.autonomy, autonomy.parse()?, "autonomy", &mut fields);
        }
        if let Some(vulnerable) = request.vulnerable {
            replace(&mut account.vulnerable, vulnerable, "vulnerable", &mut fields);
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
        self.store.investors().await
    }
}

fn replace<T: PartialEq>(field: &mut T, value: T, name: &str, changed: &mut Vec<String>) {
    if *field != value {
        *field = value;
        changed.push(name.to_owned());
    }
}
