//! What the trading service keeps of orders, messages, accounts and kill switches, and how it is read back.
mod accounts;
mod holds;
mod orders;
mod switches;

pub use accounts::{cash_of_accounts, mark_booked, save_account};
pub use holds::{Hold, active_holds, end_hold, is_active, keep_hold};
pub use orders::{
    Filter, add_message, find, find_by_client_id, forget, insert, list, messages_since, portfolios_behind, save,
    unbooked_fills, working, working_ids,
};
pub use switches::{engage, engaged, release};

use crate::{Error, Result};
use moneta_contracts::events::Side;
use moneta_kit::store::{Args, Db, Row, Tx};

/// Reads either what is committed or what a transaction sees.
pub enum Reader<'a> {
    /// Committed state.
    Committed(&'a Db),
    /// Within a transaction.
    Within(&'a mut Tx),
}

impl Reader<'_> {
    async fn all(&mut self, sql: &str, args: Args) -> Result<Vec<Row>> {
        Ok(match self {
            Self::Committed(db) => db.fetch_all(sql, args).await?,
            Self::Within(tx) => tx.fetch_all(sql, args).await?,
        })
    }

    async fn optional(&mut self, sql: &str, args: Args) -> Result<Option<Row>> {
        Ok(match self {
            Self::Committed(db) => db.fetch_optional(sql, args).await?,
            Self::Within(tx) => tx.fetch_optional(sql, args).await?,
        })
    }
}

/// The side of a stored name.
pub fn side(name: &str) -> Result<Side> {
    name.parse().map_err(|_| Error::Stored { what: "side", value: name.to_owned() })
}
