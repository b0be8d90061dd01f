//! The store of the compliance service: the only place with its SQL.
mod alerts;
mod audit;
mod holds;
mod surveillance;
mod waiting;

pub use alerts::{Alert, NewAlert, Resolution};
pub use audit::{Filter, Head};
pub use surveillance::{FallState, Movement};

use crate::{Error, Result};
use moneta_kit::{
    args,
    keys::{self, Authenticator, KeyRing, UserKey},
    store::{Db, Tx},
};
use moneta_types::UserId;
use std::sync::Arc;

/// What the words in which staff resolve an alert are sealed as, with the key of the client whom it concerns.
const RESOLUTION: &str = "alert.resolution";
/// What the reason of a hold is sealed as.
const HOLD_REASON: &str = "hold.reason";
/// What the reason of its release is sealed as.
const RELEASE_REASON: &str = "hold.release_reason";

/// The database, and the key that the audit log's head is sealed with.
#[derive(Clone)]
pub struct Store {
    db: Db,
    keys: KeyRing,
    seal: Arc<UserKey>,
    /// Marks the events that wait to be recorded.
    mark: Authenticator,
}

impl Store {
    /// The store over a database; makes the sealing key when there is none yet.
    pub async fn open(db: Db, keys: KeyRing) -> Result<Self> {
        let mut tx = db.begin().await?;
        let seal = audit::sealing_key(&mut tx, &keys).await.map_err(|error| match error {
            Error::Key(_) => Error::Damaged {
                problem:
                    "its head was not sealed under this platform's master key: it is another platform's, or the key \
                          was changed"
                        .to_owned(),
            },
            error => error,
        })?;
        let seal = Arc::new(seal);
        tx.commit().await?;
        let mark = keys.authenticator("audit waiting");
        Ok(Self { db, keys, seal, mark })
    }

    /// The database.
    pub const fn db(&self) -> &Db {
        &self.db
    }

    /// What staff wrote of a client, sealed with his key. Nothing is kept of it once his data are erased: the events have its
    /// digest.
    fn seal(&self, user: UserId, field: &str, text: &str) -> Result<String> {
        match self.keys.seal_text(user, field, text) {
            Err(keys::Error::Erased { .. }) => Ok(String::new()),
            sealed => Ok(sealed?),
        }
    }

    /// Forgets an erased user. What surveillance did stays by his id, as the law demands (MLR 2017 regulation 40): alerts
    /// with their rule and figures, holds with what they covered, when, and by whom. What staff wrote of him goes, sealed or from
    /// before it was, and so does what surveillance remembers in order to look out for him. The audit log names him by his id
    /// alone, and is left as it is.
    pub async fn forget(&self, tx: &mut Tx, user: UserId) -> Result<()> {
        for statement in [
            "UPDATE alerts SET resolution = '' WHERE user_id = $1",
            "UPDATE holds SET reason = '', release_reason = '', reference = '' WHERE user_id = $1",
            "DELETE FROM deposits WHERE user_id = $1",
            "DELETE FROM refused_orders WHERE user_id = $1",
        ] {
            tx.execute(statement, args![user]).await?;
        }
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
}
