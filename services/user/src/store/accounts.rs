//! Accounts, preferences and consents in the store.
use super::Store;
use crate::{
    Error, Result,
    access::Consent,
    account::{Account, Autonomy, Status, Vault},
};
use moneta_kit::{
    args,
    identity::Role,
    store::{Row, Tx},
};
use moneta_types::{Currency, Timestamp, UserId};

const COLUMNS: &str = "user_id, email_sealed, display_name_sealed, password_hash, user_key, roles, base_currency, status, \
                       vulnerable, autonomy, time_zone, created, erased";

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
}

/// What is stored with a new account.
pub struct NewAccount<'a> {
    /// The account.
    pub account: &'a Account,
    /// Blind index of the e-mail address.
    pub email_index: &'a str,
    /// The password's hash.
    pub password_hash: &'a str,
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
        let sql = format!("SELECT {COLUMNS} FROM accounts WHERE status = 'active' ORDER BY created, user_id");
        let rows = self.db.fetch_all(&sql, args![]).await?;
        let mut accounts = Vec::with_capacity(rows.len());
        for row in &rows {
            let account = self.read(row)?.account;
            if account.roles.contains(&Role::Investor) {
                accounts.push(account);
            }
        }
        Ok(accounts)
    }

    fn read(&self, row: &Row) -> Result<StoredAccount> {
        let user_id: UserId = row.get("user_id")?;
        let wrapped = row.opt_blob("user_key")?;
        let vault = Vault::open(&self.keys, user_id, wrapped.as_deref())?;
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
            autonomy: row.text("autonomy")?.parse::<Autonomy>()?,
            time_zone: crate::account::time_zone(&row.text("time_zone")?)?,
        };
        let erased = row.opt_int("erased")?.map(Timestamp::from_micros);
        Ok(StoredAccount { account, password_hash: row.opt_text("password_hash")?, vault, erased })
    }

    /// Inserts an account; `EmailTaken` when its e-mail address or id is there already.
    pub async fn insert_account(&self, tx: &mut Tx, new: NewAccount<'_>) -> Result<()> {
        let account = new.account;
        let (vault, wrapped) = Vault::create(&self.keys, account.user_id)?;
        let roles: Vec<String> = account.roles.iter().map(ToString::to_string).collect();
        tx.execute(
            "INSERT INTO accounts (user_id, email_index, email_sealed, display_name_sealed, password_hash, user_key, roles, \
             base_currency, status, vulnerable, autonomy, time_zone, created) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            args![
                account.user_id,
                new.email_index,
                vault.seal("email", &account.email)?,
                vault.seal("display_name", &account.display_name)?,
                new.password_hash,
                wrapped,
                roles.join(","),
                account.base_currency,
                account.status.as_str(),
                account.vulnerable,
                account.autonomy.as_str(),
                account.time_zone.name(),
                account.created
            ],
        )
        .await
        .map_err(|error| if error.is_unique_violation() { Error::EmailTaken } else { error.into() })?;
        Ok(())
    }

    /// Writes the fields of a profile that can change.
    pub async fn update_profile(&self, tx: &mut Tx, stored: &StoredAccount) -> Result<()> {
        let account = &stored.account;
        let vault = stored.vault.as_ref().ok_or(Error::Erased)?;
        let changed = tx
            .execute(
                "UPDATE accounts SET display_name_sealed = $1, time_zone = $2, autonomy = $3, vulnerable = $4 \
                 WHERE user_id = $5 AND status = 'active'",
                args![
                    vault.seal("display_name", &account.display_name)?,
                    account.time_zone.name(),
                    account.autonomy.as_str(),
                    account.vulnerable,
                    account.user_id
                ],
            )
            .await?;
        if changed == 0 { Err(Error::Erased) } else { Ok(()) }
    }

    /// Destroys the key and everything it sealed, and ends every session; whether there was anything to erase.
    pub async fn erase(&self, tx: &mut Tx, user: UserId, reason: &str, at: Timestamp) -> Result<bool> {
        // The wrapped key is overwritten before it is set to NULL, so that its bytes do not linger in the page.
        tx.execute("UPDATE accounts SET user_key = $1 WHERE user_id = $2", args![vec![0_u8; 128], user]).await?;
        let erased = tx
            .execute(
                "UPDATE accounts SET email_index = NULL, email_sealed = NULL, display_name_sealed = NULL, password_hash = NULL, \
                 user_key = NULL, status = 'erased', vulnerable = 0, time_zone = 'UTC', erased = $1, erase_reason = $2 \
                 WHERE user_id = $3 AND status <> 'erased'",
                args![at, reason, user],
            )
            .await?;
        tx.execute("UPDATE questionnaires SET answers_sealed = NULL WHERE user_id = $1", args![user]).await?;
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
        rows.iter().map(|row| Ok((row.text("key")?, row.text("value")?))).collect()
    }

    /// Sets one preference.
    pub async fn set_preference(&self, tx: &mut Tx, user: UserId, key: &str, value: &str) -> Result<()> {
        tx.execute(
            "INSERT INTO preferences (user_id, key, value) VALUES ($1, $2, $3) \
             ON CONFLICT (user_id, key) DO UPDATE SET value = excluded.value",
            args![user, key, value],
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

fn read_roles(text: &str) -> Result<Vec<Role>> {
    crate::account::roles(&text.split(',').map(str::to_owned).collect::<Vec<_>>())
}
