//! A portfolio's book: cash, contributions and lots, and the only three ways to change them.
use super::{Account, CostBasis, Disposal, Kind, Lot, Posting, Transaction, lots::dispose};
use crate::{Error, Result};
use moneta_contracts::events::Side;
use moneta_types::{
    Currency, Date, ExecutionId, Money, OrderId, Price, Quantity, Symbol, Timestamp, TransactionId,
    bounds::{self, LARGEST_BALANCE},
};
use std::collections::BTreeMap;

/// The state that a portfolio's transactions add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// Money at hand.
    pub cash: Money,
    /// Paid in less taken out.
    pub contributions: Money,
    /// Open lots an instrument, oldest first; an instrument without lots is not in the map.
    pub lots: BTreeMap<Symbol, Vec<Lot>>,
    /// How the cost of a sale is found.
    pub basis: CostBasis,
}

/// What every entry of the book says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The transaction's id, derived from its cause.
    pub id: TransactionId,
    /// When.
    pub at: Timestamp,
    /// The caller's idempotency key.
    pub reference: &'a str,
    /// Free text.
    pub note: &'a str,
}

/// An execution to book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// Unique at the venue.
    pub execution_id: ExecutionId,
    /// The order it belongs to.
    pub order_id: OrderId,
    /// The instrument.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Executed, above zero.
    pub quantity: Quantity,
    /// At which price.
    pub price: Price,
    /// The price's currency.
    pub currency: Currency,
    /// Commission, zero or more.
    pub commission: Money,
    /// The spread in the price, as a cost, zero or more.
    pub spread: Money,
    /// When.
    pub at: Timestamp,
    /// The trading day.
    pub date: Date,
}

impl Book {
    /// An empty book.
    pub const fn new(currency: Currency, basis: CostBasis) -> Self {
        Self { cash: Money::zero(currency), contributions: Money::zero(currency), lots: BTreeMap::new(), basis }
    }

    /// The currency the book is kept in.
    pub const fn currency(&self) -> Currency {
        self.cash.currency()
    }

    /// What is held of an instrument.
    pub fn quantity(&self, symbol: &Symbol) -> Result<Quantity> {
        let lots = self.lots.get(symbol).map_or(&[][..], Vec::as_slice);
        Ok(lots.iter().try_fold(Quantity::ZERO, |sum, lot| sum.checked_add(lot.quantity))?)
    }

    /// Cost of the open lots of an instrument.
    pub fn cost(&self, symbol: &Symbol) -> Result<Money> {
        let lots = self.lots.get(symbol).map_or(&[][..], Vec::as_slice);
        Ok(Money::sum(self.currency(), lots.iter().map(|lot| lot.cost))?)
    }

    /// What selling `quantity` now would take out of the lots; changes nothing.
    pub fn disposal(&self, symbol: &Symbol, quantity: Quantity) -> Result<Disposal> {
        let lots = self.lots.get(symbol).map_or(&[][..], Vec::as_slice);
        dispose(symbol, lots, quantity, Money::zero(self.currency()), self.basis)
    }

    /// Pays money in.
    ///
    /// # Errors
    /// When the amount is not above zero, beyond the [bounds] of a movement or of a balance, or in a currency that the
    /// portfolio does not hold.
    pub fn deposit(&mut self, amount: Money, entry: Entry<'_>) -> Result<Transaction> {
        self.check_movement(amount)?;
        let balance = self.cash.minor_units().max(self.contributions.minor_units());
        // A balance that grew beyond the bound by itself takes nothing more; one below it takes what leads to the bound.
        if balance.saturating_add(amount.minor_units()) > LARGEST_BALANCE {
            let room = Money::from_minor(LARGEST_BALANCE.saturating_sub(balance).max(0), self.currency());
            return Err(Error::BalanceLimit { requested: amount, room });
        }
        self.move_cash(amount, entry)
    }

    /// Takes money out.
    ///
    /// # Errors
    /// Besides those of [`Self::deposit`]: [`Error::Overdraft`] when less cash is at hand.
    pub fn withdraw(&mut self, amount: Money, entry: Entry<'_>) -> Result<Transaction> {
        self.check_movement(amount)?;
        if self.cash.minor_units() < amount.minor_units() {
            return Err(Error::Overdraft { requested: amount, available: self.cash });
        }
        self.move_cash(amount.negated()?, entry)
    }

    /// Books an execution. What the venue executed has happened: it is booked even when it takes cash below zero.
    ///
    /// # Errors
    /// When its currency is not the book's, its quantity not above zero, or more is sold than is held; the book is then
    /// unchanged.
    pub fn trade(&mut self, trade: &Trade, id: TransactionId) -> Result<Transaction> {
        for currency in [trade.currency, trade.commission.currency(), trade.spread.currency()] {
            self.check_currency(currency)?;
        }
        if !trade.quantity.is_positive() || trade.commission.is_negative() || trade.spread.is_negative() {
            return Err(Error::BadExecution { execution: trade.execution_id });
        }
        let gross = trade.price.value_of(trade.quantity, self.currency())?;
        match trade.side {
            Side::Buy => self.buy(trade, id, gross),
            Side::Sell => self.sell(trade, id, gross),
        }
    }

    fn buy(&mut self, trade: &Trade, id: TransactionId, gross: Money) -> Result<Transaction> {
        let cost = gross.checked_add(trade.commission)?;
        let outflow = cost.negated()?;
        let mut draft = Self::draft_trade(trade, id, Kind::Buy, outflow);
        draft.quantity = Some(trade.quantity);
        let transaction = draft.balanced(vec![
            Posting { account: Account::Cash, amount: outflow },
            Posting { account: Account::Securities(trade.symbol.clone()), amount: cost },
        ])?;
        let cash = self.cash.checked_add(outflow)?;
        let lots = self.lots.entry(trade.symbol.clone()).or_default();
        lots.push(Lot {
            id: trade.execution_id.to_string(),
            opened: trade.date,
            opened_at: trade.at,
            quantity: trade.quantity,
            cost,
        });
        lots.sort_by(|left, right| (left.opened_at, &left.id).cmp(&(right.opened_at, &right.id)));
        self.cash = cash;
        Ok(transaction)
    }

    fn sell(&mut self, trade: &Trade, id: TransactionId, gross: Money) -> Result<Transaction> {
        let disposal = self.disposal(&trade.symbol, trade.quantity)?;
        let proceeds = gross.checked_sub(trade.commission)?;
        let gain = gross.checked_sub(disposal.cost)?;
        let mut draft = Self::draft_trade(trade, id, Kind::Sell, proceeds);
        draft.quantity = Some(trade.quantity.negated()?);
        draft.realised_gain = Some(proceeds.checked_sub(disposal.cost)?);
        let transaction = draft.balanced(vec![
            Posting { account: Account::Cash, amount: proceeds },
            Posting { account: Account::Commission, amount: trade.commission },
            Posting { account: Account::Securities(trade.symbol.clone()), amount: disposal.cost.negated()? },
            Posting { account: Account::RealisedGain, amount: gain.negated()? },
        ])?;
        self.cash = self.cash.checked_add(proceeds)?;
        if disposal.left.is_empty() {
            self.lots.remove(&trade.symbol);
        } else {
            self.lots.insert(trade.symbol.clone(), disposal.left);
        }
        Ok(transaction)
    }

    fn draft_trade(trade: &Trade, id: TransactionId, kind: Kind, cash: Money) -> Transaction {
        let mut draft = Transaction::draft(id, kind, trade.at, trade.date, cash);
        draft.symbol = Some(trade.symbol.clone());
        draft.price = Some(trade.price);
        draft.commission = trade.commission;
        draft.spread = trade.spread;
        draft.order_id = Some(trade.order_id);
        draft.execution_id = Some(trade.execution_id);
        draft
    }

    fn move_cash(&mut self, cash: Money, entry: Entry<'_>) -> Result<Transaction> {
        let transaction = Transaction::movement(entry.id, entry.at, cash, entry.reference, entry.note)?;
        let contributions = self.contributions.checked_add(cash)?;
        self.cash = self.cash.checked_add(cash)?;
        self.contributions = contributions;
        Ok(transaction)
    }

    fn check_movement(&self, amount: Money) -> Result<()> {
        self.check_currency(amount.currency())?;
        if !amount.is_positive() {
            return Err(Error::NotPositive { amount });
        }
        bounds::movement(amount)?;
        Ok(())
    }

    fn check_currency(&self, given: Currency) -> Result<()> {
        if given != self.currency() {
            return Err(Error::CurrencyNotHeld { given, held: self.currency() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
