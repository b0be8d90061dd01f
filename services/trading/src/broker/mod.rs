//! The broker as trading sees it: an outside party that takes orders by our id for them, and reports on them.
pub mod paper;

use crate::{
    Result,
    order::{Fill, Order, TimeInForce},
};
use async_trait::async_trait;
use moneta_contracts::events::Side;
use moneta_types::{Currency, PortfolioId, Price, Quantity, Symbol};

/// An order as it is sent to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Our id for it; the same id sent twice is the same order.
    pub client_order_id: String,
    /// The account at the broker: one a portfolio.
    pub account: PortfolioId,
    /// The instrument.
    pub symbol: Symbol,
    /// What kind of instrument ("share", "fund").
    pub kind: String,
    /// Buy or sell.
    pub side: Side,
    /// How much.
    pub quantity: Quantity,
    /// The limit; nothing for a market order.
    pub limit: Option<Price>,
    /// How long.
    pub time_in_force: TimeInForce,
    /// The instrument's currency.
    pub currency: Currency,
}

impl Ticket {
    /// The ticket of an order.
    pub fn of(order: &Order) -> Self {
        Self {
            client_order_id: order.client_order_id.clone(),
            account: order.intent.portfolio,
            symbol: order.intent.symbol.clone(),
            kind: order.instrument_kind.clone(),
            side: order.intent.side,
            quantity: order.intent.quantity,
            limit: order.intent.pricing.limit(),
            time_in_force: order.intent.time_in_force,
            currency: order.currency,
        }
    }
}

/// Where an order stands at the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Taken, and not finished.
    Working,
    /// Refused.
    Rejected,
    /// Executed in whole.
    Filled,
    /// Cancelled.
    Canceled,
    /// Its time was up.
    Expired,
}

/// What the broker says of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Where it stands.
    pub standing: Standing,
    /// Why, where there is a reason.
    pub reason: String,
    /// Every execution, oldest first.
    pub executions: Vec<Fill>,
}

/// A broker.
///
/// Contract: `submit` is idempotent by client order id and answers where the order stands; `cancel` is idempotent and
/// answers where the order stands afterwards, which is `Filled` when the cancellation came too late; `report` answers
/// nothing for an order that never arrived. [`Error::NoContact`](crate::Error::NoContact) means that nobody knows whether
/// the broker acted.
#[async_trait]
pub trait Broker: Send + Sync + std::fmt::Debug {
    /// Sends an order.
    async fn submit(&self, ticket: &Ticket) -> Result<Report>;
    /// Asks to cancel an order.
    async fn cancel(&self, client_order_id: &str, reason: &str) -> Result<Report>;
    /// Asks where an order stands.
    async fn report(&self, client_order_id: &str) -> Result<Option<Report>>;
}
