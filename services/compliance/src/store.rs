//! The store of the compliance service: the only place with its SQL.
mod alerts;
mod audit;
mod surveillance;

pub use alerts::{Alert, NewAlert};
pub use audit::{Filter, Head};
pub use surveillance::{Deposit, FallState};

use crate::Result;
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
        let seal = Arc::new(audit::sealing_key(&mut tx, &keys).await?);
        tx.commit().await?;
        Ok(Self { db, keys, seal })
    }

    /// A write transaction.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(self.db.begin().await?)
    }
}
