//! The double-entry cash ledger: accounts, transactions whose postings sum to zero, lots, and the book they add up to.
mod account;
mod book;
mod lots;
mod transaction;

pub use account::{Account, Posting};
pub use book::{Book, Entry, Trade};
pub use lots::{CostBasis, Disposal, Lot, Taken};
pub use transaction::{Kind, Transaction};
