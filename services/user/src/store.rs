//! The store of the user service: the only place with its SQL.
mod accounts;
mod questionnaires;
mod sessions;
mod staff;

pub use accounts::{NewAccount, StoredAccount};
pub use questionnaires::{Added, NewQuestionnaire};
pub use sessions::{Attempts, Ending, Found};
pub use staff::RoleRequest;

use crate::{
    Error, Result,
    account::{Vault, vault::EmailIndex},
};
use moneta_kit::{
    args,
    entropy::random_bytes,
    erasures::Erasure,
    keys::{self, KeyRing},
    store::{Db, Tx},
};
use moneta_types::UserId;
use zeroize::Zeroizing;

/// The database and the keys that its personal fields are sealed with.
#[derive(Clone)]
pub struct Store {
    db: Db,
    keys: KeyRing,
    emails: EmailIndex,
}

/// What the index key is bound to where it is sealed.
const EMAIL_INDEX: &str = "user/email-index";

impl Store {
    /// The store over a database; makes the key of the e-mail index when there is none yet.
    pub async fn open(db: Db, keys: KeyRing) -> Result<Self> {
        let mut tx = db.begin().await?;
        let emails = index_key(&mut tx, &keys).await?;
        let moved = move_keys(&mut tx, &keys).await?;
        tx.commit().await?;
        let store = Self { db, keys, emails };
        if moved {
            store.db.rewrite().await?;
        }
        // A crash may have come between an erasure and the end of its keys.
        for row in store.db.fetch_all("SELECT user_id FROM accounts WHERE status = 'erased'", args![]).await? {
            let user = row.get("user_id")?;
            if !store.keys.is_destroyed(user) {
                store.destroy_keys(user)?;
            }
        }
        Ok(store)
    }

    /// Everybody who was erased, and when.
    pub async fn erased(&self) -> Result<Vec<Erasure>> {
        let sql = "SELECT user_id, erased FROM accounts WHERE status = 'erased' AND erased IS NOT NULL ORDER BY erased";
        let rows = self.db.fetch_all(sql, args![]).await?;
        rows.iter().map(|row| Ok(Erasure { user_id: row.get("user_id")?, erased: row.get("erased")? })).collect()
    }

    /// Whose keys are destroyed while the store knows nothing of an erasure.
    pub async fn to_be_erased_again(&self) -> Result<Vec<UserId>> {
        let rows = self.db.fetch_all("SELECT user_id FROM accounts WHERE status <> 'erased'", args![]).await?;
        let users = rows.iter().map(|row| Ok(row.get::<UserId>("user_id")?)).collect::<Result<Vec<_>>>()?;
        Ok(users.into_iter().filter(|user| self.keys.is_destroyed(*user)).collect())
    }

    /// Destroys every key of a user.
    pub fn destroy_keys(&self, user: UserId) -> Result<()> {
        Ok(self.keys.destroy_user_keys(user)?)
    }

    /// Overwrites what was deleted, when no reader holds it at the moment.
    pub async fn scrub(&self) -> Result<()> {
        self.db.scrub().await?;
        Ok(())
    }

    /// Overwrites what was deleted, or says to try again.
    pub async fn scrubbed(&self) -> Result<()> {
        Ok(self.db.scrubbed().await?)
    }

    /// A write transaction.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(self.db.begin().await?)
    }

    /// The index of e-mail addresses.
    pub const fn emails(&self) -> &EmailIndex {
        &self.emails
    }
}

/// Moves keys that were kept in the accounts' table to where destroying them is real. Whether there were any.
async fn move_keys(tx: &mut Tx, ring: &KeyRing) -> Result<bool> {
    let rows = tx.fetch_all("SELECT user_id, user_key FROM accounts WHERE user_key IS NOT NULL", args![]).await?;
    for row in &rows {
        match Vault::adopt(ring, row.get("user_id")?, &row.blob("user_key")?) {
            // Erased by now, as one whose erasure was repeated after a restore: the key goes with the column.
            Ok(()) | Err(Error::Key(keys::Error::Erased { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    tx.execute("UPDATE accounts SET user_key = NULL WHERE user_key IS NOT NULL", args![]).await?;
    Ok(!rows.is_empty())
}

async fn index_key(tx: &mut Tx, keys: &KeyRing) -> Result<EmailIndex> {
    let found =
        tx.fetch_optional("SELECT wrapped_key, sealed FROM secrets WHERE name = $1", args![EMAIL_INDEX]).await?;
    if let Some(row) = found {
        let key = keys.unwrap(&row.blob("wrapped_key")?)?;
        let opened = keys.open(&key, &row.blob("sealed")?, EMAIL_INDEX.as_bytes())?;
        return Ok(EmailIndex::new(Zeroizing::new(opened)));
    }
    let secret = Zeroizing::new(random_bytes::<32>().to_vec());
    let wrapped = keys.new_user_key()?;
    let sealed = keys.seal(&keys.unwrap(&wrapped)?, &secret, EMAIL_INDEX.as_bytes())?;
    tx.execute(
        "INSERT INTO secrets (name, wrapped_key, sealed) VALUES ($1, $2, $3)",
        args![EMAIL_INDEX, wrapped, sealed],
    )
    .await?;
    Ok(EmailIndex::new(secret))
}
