//! The double-entry cash ledger: accounts, transactions whose postings sum to zero, lots, and the book they add up to.
mod account;
mod book;
mod lots;
mod share_matching;
mod transaction;

pub use account::{Account, Posting};
pub use book::{Book, Entry, Trade};
pub use lots::{CostBasis, Disposal, Lot, Taken};
pub use share_matching::{Deal, Match, MatchRule, Pool, match_shares};
pub use transaction::{Kind, Transaction};
