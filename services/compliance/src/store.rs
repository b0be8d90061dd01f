//! The store of the compliance service: the only place with its SQL.
mod alerts;
mod audit;
mod holds;
mod surveillance;

pub use alerts::{Alert, NewAlert};
pub use audit::{Filter, Head};
pub use surveillance::{FallState, Movement};

use crate::{Error, Result};
use moneta_kit::{
    keys::{KeyRing, UserKey},
    store::{Db, Tx},
};
use std::sync::Arc;

/// The database, and the key that the audit log's head is sealed with.
#[derive(Clone)]
pub struct Store {
    db: Db,
    keys: KeyRing,
    seal: Arc<UserKey>,
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
        Ok(Self { db, keys, seal })
    }

    /// The database.
    pub const fn db(&self) -> &Db {
        &self.db
    }

    /// A write transaction.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(self.db.begin().await?)
    }
}
