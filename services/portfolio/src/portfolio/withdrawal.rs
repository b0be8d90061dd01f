//! Cash that goes out, and orders that count on it: two services keep the two, and a withdrawal must not take what a purchase
//! has reserved, nor what an executed purchase costs that is not booked here yet.
//!
//! Each side first shows what it is about to do and looks at the other's afterwards. A withdrawal is announced, then
//! trading is asked what is committed, then cash goes out. An order is persisted with its reservation, then trading asks for
//! the portfolio again, and sends the order only if the announced withdrawals leave enough. Whichever looks last sees the
//! other, so that at most one of them goes on with the same cash; that both give way is possible, and costs a retry.
//!
//! Announcements are kept in memory: a withdrawal that its process did not live to book has not happened.
use crate::{Error, Result};
use moneta_types::{Money, PortfolioId};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

type Announced = BTreeMap<(PortfolioId, u64), Money>;

/// Withdrawals that are in progress.
#[derive(Debug, Clone, Default)]
pub struct Withdrawals(Arc<Mutex<(u64, Announced)>>);

/// A withdrawal in progress, until it is dropped.
#[derive(Debug)]
pub struct Announcement {
    withdrawals: Withdrawals,
    key: (PortfolioId, u64),
}

impl Withdrawals {
    /// Shows that this much is about to go out.
    pub fn announce(&self, portfolio: PortfolioId, amount: Money) -> Announcement {
        let mut state = self.lock();
        let (next, announced) = &mut *state;
        *next += 1;
        let key = (portfolio, *next);
        announced.insert(key, amount);
        Announcement { withdrawals: self.clone(), key }
    }

    /// What is about to go out of a portfolio; nothing when no withdrawal is in progress.
    ///
    /// # Errors
    /// When the sum leaves the range of money or its amounts differ in currency.
    pub fn in_progress(&self, portfolio: PortfolioId) -> Result<Option<Money>> {
        let state = self.lock();
        let mut sum: Option<Money> = None;
        for (_, amount) in state.1.range((portfolio, 0)..=(portfolio, u64::MAX)) {
            sum = Some(match sum {
                Some(sum) => sum.checked_add(*amount)?,
                None => *amount,
            });
        }
        Ok(sum)
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Announced)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        self.withdrawals.lock().1.remove(&self.key);
    }
}

/// Ok when a portfolio's cash covers a withdrawal beside what is committed to orders.
///
/// # Errors
/// [`Error::CashCommitted`] when it does not; that it does not cover the withdrawal at all is for the book to say.
pub fn check_free(cash: Money, committed: Option<Money>, amount: Money) -> Result<()> {
    let Some(committed) = committed.filter(|committed| !committed.is_zero()) else { return Ok(()) };
    let free = cash.checked_sub(committed)?;
    if amount.minor_units() > free.minor_units() && amount.minor_units() <= cash.minor_units() {
        let free = if free.is_negative() { Money::zero(cash.currency()) } else { free };
        return Err(Error::CashCommitted { requested: amount, cash, committed, free });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::{Cause, Currency};

    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::Usd)
    }

    fn portfolio(name: &str) -> PortfolioId {
        PortfolioId::from_uuid(Cause::named(name).uuid())
    }

    #[test]
    fn an_announcement_is_seen_while_it_lives_and_by_its_portfolio_alone() {
        let withdrawals = Withdrawals::default();
        let (one, other) = (portfolio("one"), portfolio("other"));
        assert_eq!(withdrawals.in_progress(one).unwrap(), None);
        let first = withdrawals.announce(one, usd(5));
        let second = withdrawals.announce(one, usd(7));
        assert_eq!(withdrawals.in_progress(one).unwrap(), Some(usd(12)));
        assert_eq!(withdrawals.in_progress(other).unwrap(), None);
        drop(first);
        assert_eq!(withdrawals.in_progress(one).unwrap(), Some(usd(7)));
        drop(second);
        assert_eq!(withdrawals.in_progress(one).unwrap(), None);
    }

    #[test]
    fn what_is_committed_stays() {
        assert!(check_free(usd(100), None, usd(100)).is_ok());
        assert!(check_free(usd(100), Some(usd(0)), usd(100)).is_ok());
        assert!(check_free(usd(100), Some(usd(60)), usd(40)).is_ok());
        let refused = check_free(usd(100), Some(usd(60)), usd(41)).unwrap_err();
        assert!(matches!(refused, Error::CashCommitted { free, .. } if free == usd(40)), "{refused}");
        let refused = check_free(usd(100), Some(usd(160)), usd(1)).unwrap_err();
        assert!(matches!(refused, Error::CashCommitted { free, .. } if free == usd(0)), "{refused}");
    }
}
