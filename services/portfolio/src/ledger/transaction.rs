//! A transaction of the ledger. It can only be made with postings that sum to zero.
use super::{Account, Posting};
use crate::{Error, Result};
use moneta_types::{Date, ExecutionId, Money, OrderId, Price, Quantity, Symbol, Timestamp, TransactionId};
use std::{fmt, str::FromStr};

/// What a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Money paid in.
    Deposit,
    /// Money taken out.
    Withdrawal,
    /// A purchase.
    Buy,
    /// A sale.
    Sell,
}

impl Kind {
    /// The name in contracts and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }

    /// Whether it moves money between the owner and the portfolio.
    pub const fn is_external_flow(self) -> bool {
        matches!(self, Self::Deposit | Self::Withdrawal)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        [Self::Deposit, Self::Withdrawal, Self::Buy, Self::Sell]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| Error::Stored { what: "transaction kind", value: text.to_owned() })
    }
}

/// A booked transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Its id, derived from what caused it.
    pub id: TransactionId,
    /// What it is.
    pub kind: Kind,
    /// When it happened.
    pub at: Timestamp,
    /// The day it counts for.
    pub date: Date,
    /// The instrument of a trade.
    pub symbol: Option<Symbol>,
    /// Signed quantity of a trade: purchases above zero.
    pub quantity: Option<Quantity>,
    /// Executed price of a trade.
    pub price: Option<Price>,
    /// Effect on cash, signed.
    pub cash: Money,
    /// Commission paid, zero or more.
    pub commission: Money,
    /// The part of the executed price that is spread, zero or more.
    pub spread: Money,
    /// Of a sale: proceeds after commission less the cost of what was sold.
    pub realised_gain: Option<Money>,
    /// The order of a trade.
    pub order_id: Option<OrderId>,
    /// The execution of a trade.
    pub execution_id: Option<ExecutionId>,
    /// The idempotency key of a cash movement.
    pub client_reference: Option<String>,
    /// Free text.
    pub note: String,
    postings: Vec<Posting>,
}

impl Transaction {
    /// The lines; they sum to zero.
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// A cash movement: `cash` above zero is a deposit, below zero a withdrawal.
    pub(super) fn movement(id: TransactionId, at: Timestamp, cash: Money, reference: &str, note: &str) -> Result<Self> {
        let kind = if cash.is_negative() { Kind::Withdrawal } else { Kind::Deposit };
        let postings = vec![
            Posting { account: Account::Cash, amount: cash },
            Posting { account: Account::Contributions, amount: cash.negated()? },
        ];
        let draft = Self::draft(id, kind, at, at.date(), cash);
        Self { client_reference: Some(reference.to_owned()), note: note.to_owned(), ..draft }.balanced(postings)
    }

    /// Puts the postings in, when they balance; lines of zero are left out.
    pub fn balanced(mut self, postings: Vec<Posting>) -> Result<Self> {
        let sum = Money::sum(self.cash.currency(), postings.iter().map(|posting| posting.amount))?;
        let cash = Money::sum(
            self.cash.currency(),
            postings.iter().filter(|posting| posting.account == Account::Cash).map(|posting| posting.amount),
        )?;
        if !sum.is_zero() || cash != self.cash {
            return Err(Error::Unbalanced { transaction: self.id, sum });
        }
        self.postings = postings.into_iter().filter(|posting| !posting.amount.is_zero()).collect();
        Ok(self)
    }

    /// A transaction whose postings are still to be given through [`Self::balanced`].
    pub(crate) fn draft(id: TransactionId, kind: Kind, at: Timestamp, date: Date, cash: Money) -> Self {
        let zero = Money::zero(cash.currency());
        Self {
            id,
            kind,
            at,
            date,
            symbol: None,
            quantity: None,
            price: None,
            cash,
            commission: zero,
            spread: zero,
            realised_gain: None,
            order_id: None,
            execution_id: None,
            client_reference: None,
            note: String::new(),
            postings: Vec::new(),
        }
    }
}
