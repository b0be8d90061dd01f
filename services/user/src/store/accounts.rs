//! Accounts, preferences and consents in the store.
use super::Store;
use crate::{
    Error, Result,
    access::Consent,
    account::{Account, Status, Vault},
};
use moneta_kit::{
    args,
    identity::Role,
    store::{Row, Tx},
};
use moneta_types::{Currency, Timestamp, UserId};

const COLUMNS: &str = "user_id, email_sealed, display_name_sealed, password_hash, roles, base_currency, status, \
                       vulnerable, time_zone, created, erased, token_generation, must_change_password";

/// An account as stored: the account itself, and what only this service reads.
pub struct StoredAccount {
    /// The account, its personal fields opened.
    pub account: Account,
    /// The password's hash; nothing once erased.
    pub password_hash: Option<String>,
    /// The key of the personal fields; nothing once erased.
    pub vault: Option<Vault>,
    /// When it was erased.
    pub erased: Option<Timestamp>,
    /// The generation of its tokens.
    pub generation: u32,
    /// Its password was given out by somebody else.
    pub must_change_password: bool,
}

/// What is stored with a new account.
pub struct NewAccount<'a> {
    /// The account.
    pub account: &'a Account,
    /// Blind index of the e-mail address.
    pub email_index: &'a str,
    /// The password's hash.
    pub password_hash: &'a str,
    /// The password is somebody else's choice, and good for changing it alone.
    pub must_change_password: bool,
}

impl Store {
    /// The account with this id.
    pub async fn account(&self, user: UserId) -> Result<Option<StoredAccount>> {
        let sql = format!("SELECT {COLUMNS} FROM accounts WHERE user_id = $1");
        let row = self.db.fetch_optional(&sql, args![user]).await?;
        row.map(|row| self.read(&row)).transpose()
    }

    /// The account with this e-mail index.
    pub async fn account_by_email(&self, email_index: &str) -> Result<Option<StoredAccount>> {
        let sql = format!("SELECT {COLUMNS} FROM accounts WHERE email_index = $1");
        let row = self.db.fetch_optional(&sql, args![email_index]).await?;
        row.map(|row| self.read(&row)).transpose()
    }

    /// Accounts with the investor's role that are in use, oldest first.
    pub async fn investors(&self) -> Result<Vec<Account>> {
        let all = self.accounts_where("status = 'active'").await?.into_iter().map(|stored| stored.account);
        Ok(all.filter(|account| account.roles.contains(&Role::Investor)).collect())
    }

    /// Accounts that a condition of our own text takes, oldest first.
    pub(super) async fn accounts_where(&self, condition: &'static str) -> Result<Vec<StoredAccount>> {
        let sql = format!("SELECT {COLUMNS} FROM accounts WHERE {condition} ORDER BY created, user_id");
        self.db.fetch_all(&sql, args![]).await?.iter().map(|row| self.read(row)).collect()
    }

    fn read(&self, row: &Row) -> Result<StoredAccount> {
        let user_id: UserId = row.get("user_id")?;
        let vault = Vault::open(&self.keys, user_id)?;
        let field = |column: &'static str, name: &'static str| -> Result<String> {
            match (&vault, row.opt_blob(column)?) {
                (Some(vault), Some(sealed)) => vault.unseal(name, &sealed),
                _ => Ok(String::new()),
            }
        };
        let account = Account {
            user_id,
            email: field("email_sealed", "email")?,
            display_name: field("display_name_sealed", "display_name")?,
            roles: read_roles(&row.text("roles")?)?,
            base_currency: row.get::<Currency>("base_currency")?,
            status: Status::from_stored(&row.text("status")?)?,
            created: row.get("created")?,
            vulnerable: row.int("vulnerable")? != 0,
            time_zone: crate::account::time_zone(&row.text("time_zone")?)?,
        };
        let erased = row.opt_int("erased")?.map(Timestamp::from_micros);
        let generation = row.get("token_generation")?;
        let must_change_password = row.get("must_change_password")?;
        let password_hash = row.opt_text("password_hash")?;
        Ok(StoredAccount { account, password_hash, vault, erased, generation, must_change_password })
    }

    /// Inserts an account; `EmailTaken` when its e-mail address or id is there already.
    pub async fn insert_account(&self, tx: &mut Tx, new: NewAccount<'_>) -> Result<()> {
        let account = new.account;
        let vault = Vault::create(&self.keys, account.user_id)?;
        let roles: Vec<String> = account.roles.iter().map(ToString::to_string).collect();
        tx.execute(
            "INSERT INTO accounts (user_id, email_index, email_sealed, display_name_sealed, password_hash, roles, \
             base_currency, status, vulnerable, time_zone, created, must_change_password) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            args![
                account.user_id,
                new.email_index,
                vault.seal("email", &account.email)?,
                vault.seal("display_name", &account.display_name)?,
                new.password_hash,
                roles.join(","),
                account.base_currency,
                account.status.as_str(),
                account.vulnerable,
                account.time_zone.name(),
                account.created,
                new.must_change_password
            ],
        )
        .await
        .map_err(|error| if error.is_unique_violation() { Error::EmailTaken } else { error.into() })?;
        if account.roles.contains(&Role::Admin) {
            self.note_admin(tx, account.user_id, account.created).await?;
        }
        Ok(())
    }

    /// Writes the fields of a profile that can change.
    pub async fn update_profile(&self, tx: &mut Tx, stored: &StoredAccount) -> Result<()> {
        let account = &stored.account;
        let vault = stored.vault.as_ref().ok_or(Error::Erased)?;
        let changed = tx
            .execute(
                "UPDATE accounts SET display_name_sealed = $1, time_zone = $2, vulnerable = $3 \
                 WHERE user_id = $4 AND status = 'active'",
                args![
                    vault.seal("display_name", &account.display_name)?,
                    account.time_zone.name(),
                    account.vulnerable,
                    account.user_id
                ],
            )
            .await?;
        if changed == 0 { Err(Error::Erased) } else { Ok(()) }
    }

    /// Removes everything that the user's key sealed, his sessions and devices; whether there was anything to erase. The
    /// key itself is destroyed after the commit.
    pub async fn erase(&self, tx: &mut Tx, user: UserId, at: Timestamp) -> Result<bool> {
        let erased = tx
            .execute(
                "UPDATE accounts SET email_index = NULL, email_sealed = NULL, display_name_sealed = NULL, password_hash = NULL, \
                 status = 'erased', vulnerable = 0, time_zone = 'UTC', erased = $1 WHERE user_id = $2 AND status <> 'erased'",
                args![at, user],
            )
            .await?;
        tx.execute("UPDATE questionnaires SET answers_sealed = NULL WHERE user_id = $1", args![user]).await?;
        tx.execute("UPDATE vulnerability_notes SET reason_sealed = NULL WHERE user_id = $1", args![user]).await?;
        tx.execute("DELETE FROM preferences WHERE user_id = $1", args![user]).await?;
        tx.execute(
            "DELETE FROM refresh_tokens WHERE family_id IN (SELECT family_id FROM session_families WHERE user_id = $1)",
            args![user],
        )
        .await?;
        tx.execute("DELETE FROM session_families WHERE user_id = $1", args![user]).await?;
        Ok(erased > 0)
    }

    /// What the user has set, by key.
    pub async fn preferences(&self, user: UserId) -> Result<Vec<(String, String)>> {
        let rows = self
            .db
            .fetch_all("SELECT key, value FROM preferences WHERE user_id = $1 ORDER BY key", args![user])
            .await?;
        rows.iter()
            .map(|row| {
                let key = row.text("key")?;
                let value = self.keys.open_text(user, &preference(&key), &row.text("value")?)?;
                Ok((key, value))
            })
            .collect()
    }

    /// Sets one preference.
    pub async fn set_preference(&self, tx: &mut Tx, user: UserId, key: &str, value: &str) -> Result<()> {
        tx.execute(
            "INSERT INTO preferences (user_id, key, value) VALUES ($1, $2, $3) \
             ON CONFLICT (user_id, key) DO UPDATE SET value = excluded.value",
            args![user, key, self.keys.seal_text(user, &preference(key), value)?],
        )
        .await?;
        Ok(())
    }

    /// Adds a consent, given or withdrawn, to the record.
    pub async fn record_consent(&self, tx: &mut Tx, user: UserId, consent: &Consent) -> Result<()> {
        tx.execute(
            "INSERT INTO consents (user_id, position, document, version, decision, decided) \
             SELECT $1, COALESCE(MAX(position), 0) + 1, $2, $3, $4, $5 FROM consents WHERE user_id = $1",
            args![user, consent.document.as_str(), consent.version.as_str(), consent.decision.as_str(), consent.at],
        )
        .await?;
        Ok(())
    }

    /// The record of consents, oldest first.
    pub async fn consents(&self, user: UserId) -> Result<Vec<Consent>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT document, version, decision, decided FROM consents WHERE user_id = $1 ORDER BY position",
                args![user],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Consent {
                    document: row.text("document")?,
                    version: row.text("version")?,
                    decision: row.text("decision")?,
                    at: row.get("decided")?,
                })
            })
            .collect()
    }
}

/// What a preference is sealed as, with the user's key: what somebody excludes may tell what he believes.
fn preference(key: &str) -> String {
    format!("preference.{key}")
}

/// None at all, where every role of a new account waits for a second admin.
fn read_roles(text: &str) -> Result<Vec<Role>> {
    text.split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.parse().map_err(|_| Error::Stored { column: "roles", value: text.to_owned() }))
        .collect()
}
