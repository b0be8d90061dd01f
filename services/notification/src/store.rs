//! The store of the notification service: the only place with its SQL.
mod deliveries;
mod market;
mod notifications;
mod preferences;

pub use deliveries::{Attempt, Due};
pub use market::{MarketFall, Valuation};

use crate::Result;
use moneta_kit::{
    keys::KeyRing,
    store::{Db, Tx},
};

/// What the title of a notification is sealed as, with the key of the user whom it is for.
const TITLE: &str = "notification.title";
/// What its text is sealed as.
const BODY: &str = "notification.body";
/// What became of a delivery: a mail server's answer may name the address.
const DETAIL: &str = "delivery.detail";
/// When the user's quiet hours begin.
const QUIET_FROM: &str = "quiet.from";
/// When they end.
const QUIET_TO: &str = "quiet.to";

/// The database, and the keys under which what is told to a user is sealed.
#[derive(Clone)]
pub struct Store {
    db: Db,
    keys: KeyRing,
}

impl Store {
    /// The store over a database.
    pub const fn new(db: Db, keys: KeyRing) -> Self {
        Self { db, keys }
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
