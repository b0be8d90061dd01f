//! The store of the notification service: the only place with its SQL.
mod deliveries;
mod market;
mod notifications;
mod preferences;

pub use deliveries::{Attempt, Due};
pub use market::{MarketFall, Valuation};

use crate::Result;
use moneta_kit::store::{Db, Tx};

/// The database.
#[derive(Clone)]
pub struct Store {
    db: Db,
}

impl Store {
    /// The store over a database.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    /// A write transaction.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(self.db.begin().await?)
    }

    /// Overwrites what was deleted, or says to try again.
    pub async fn scrubbed(&self) -> Result<()> {
        Ok(self.db.scrubbed().await?)
    }
}
