//! The store of the user service: the only place with its SQL.
mod accounts;
mod questionnaires;
mod sessions;

pub use accounts::{NewAccount, StoredAccount};
pub use questionnaires::NewQuestionnaire;
pub use sessions::Attempts;

use crate::{Result, account::vault::EmailIndex};
use moneta_kit::{
    args,
    entropy::random_bytes,
    keys::KeyRing,
    store::{Db, Tx},
};
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
        tx.commit().await?;
        Ok(Self { db, keys, emails })
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
