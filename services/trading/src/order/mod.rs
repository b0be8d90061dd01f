//! The order: what was asked for, where it stands, what was executed.
mod state;

pub use state::{IllegalTransition, Resting, State, Step, UnknownState};

use crate::{Error, Result, controls::Verdict};
use moneta_contracts::events::{OrderSnapshot, Side};
use moneta_kit::keys::KeyRing;
use moneta_types::{
    Cause, Currency, Date, DecisionId, ExecutionId, Money, OrderId, PortfolioId, Price, Quantity, RecommendationId,
    Symbol, Timestamp, UserId,
};
use rust_decimal::Decimal;
use sha2::{Digest as _, Sha256};

/// What an order's idempotency key is sealed as, with its owner's key: keys are his own words.
pub const KEY: &str = "order.key";
/// What the words of a client who cancels are sealed as.
pub const REASON: &str = "order.reason";
/// What is told of a cancellation by the client, whatever his words.
pub const CANCELLED: &str = "cancelled by the client";

/// Market or limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pricing {
    /// At the price of the market.
    Market,
    /// At this price or a better one.
    Limit(Price),
}

impl Pricing {
    /// The name in contracts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Limit(_) => "limit",
        }
    }

    /// The limit.
    pub const fn limit(self) -> Option<Price> {
        match self {
            Self::Market => None,
            Self::Limit(price) => Some(price),
        }
    }
}

/// How long an order works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeInForce {
    /// Until the end of the first session in which it could be executed.
    Day,
    /// Until it is executed or cancelled.
    GoodTillCancel,
}

impl TimeInForce {
    /// The name in contracts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::GoodTillCancel => "gtc",
        }
    }

    /// The time in force of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Day, Self::GoodTillCancel].into_iter().find(|known| known.as_str() == name)
    }
}

/// Who thought of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The client.
    SelfDirected,
    /// A recommendation that the client approved.
    Recommendation,
    /// The agent within its mandate.
    Agent,
}

impl Origin {
    /// The name in contracts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SelfDirected => "self_directed",
            Self::Recommendation => "recommendation",
            Self::Agent => "agent",
        }
    }

    /// The origin of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::SelfDirected, Self::Recommendation, Self::Agent].into_iter().find(|known| known.as_str() == name)
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The portfolio's owner.
    pub owner: UserId,
    /// The portfolio.
    pub portfolio: PortfolioId,
    /// The instrument.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// How much, above zero.
    pub quantity: Quantity,
    /// Market or limit.
    pub pricing: Pricing,
    /// How long.
    pub time_in_force: TimeInForce,
    /// Who thought of it.
    pub origin: Origin,
    /// The recommendation it carries out.
    pub recommendation: Option<RecommendationId>,
    /// SHA-256 of the approved proposal, hex; empty without one.
    pub proposal_digest: String,
    /// The decision record behind it.
    pub decision: Option<DecisionId>,
    /// What the client saw.
    pub expected_price: Option<Price>,
    /// The client was warned and goes on (COBS 10A).
    pub warning_acknowledged: bool,
    /// The caller's idempotency key; sealed with the owner's key once the order is kept.
    pub key: String,
}

impl Intent {
    /// The cause of everything this intent makes: the same owner and key derive the same order.
    pub fn cause(&self) -> Cause {
        Cause::named(&format!("order/{}/{}", self.owner, self.key))
    }

    /// The order's id.
    pub fn order_id(&self) -> OrderId {
        OrderId::from_uuid(self.cause().derive("order"))
    }

    /// The id under which the broker knows the order, made before anything is sent, so that a retry cannot double it.
    pub fn client_order_id(&self) -> String {
        self.cause().derive("client order").simple().to_string()
    }

    /// SHA-256 over everything that was asked for: the same key with another digest is another order.
    pub fn digest(&self) -> String {
        let optional = |value: Option<String>| value.unwrap_or_default();
        let parts = [
            self.portfolio.to_string(),
            self.symbol.to_string(),
            self.side.to_string(),
            self.quantity.to_string(),
            self.pricing.as_str().to_owned(),
            optional(self.pricing.limit().map(|price| price.to_string())),
            self.time_in_force.as_str().to_owned(),
            self.origin.as_str().to_owned(),
            optional(self.recommendation.map(|id| id.to_string())),
            self.proposal_digest.clone(),
            optional(self.decision.map(|id| id.to_string())),
            optional(self.expected_price.map(|price| price.to_string())),
            self.warning_acknowledged.to_string(),
        ];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        hex::encode(hash.finalize())
    }
}

/// One execution of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// Unique at the venue.
    pub execution: ExecutionId,
    /// Executed, above zero.
    pub quantity: Quantity,
    /// At which price.
    pub price: Price,
    /// Commission, zero or more.
    pub commission: Money,
    /// The part of the price that is spread, as a cost, zero or more.
    pub spread_cost: Money,
    /// When.
    pub at: Timestamp,
    /// The trading day.
    pub date: Date,
    /// What was left of the order after it.
    pub remaining: Quantity,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Its id at the broker.
    pub client_order_id: String,
    /// What was asked for.
    pub intent: Intent,
    /// The instrument's currency.
    pub currency: Currency,
    /// What kind of instrument ("share", "fund"); empty when it is not known.
    pub instrument_kind: String,
    /// Price of the market when the controls looked.
    pub reference_price: Option<Price>,
    /// Cash that a purchase holds until it is finished, for its whole quantity.
    pub reserved: Money,
    /// Where it stands.
    pub state: State,
    /// Why, where the state has a reason; sealed with the owner's key where it is in his own words.
    pub reason: String,
    /// What the controls and rules found.
    pub verdicts: Vec<Verdict>,
    /// Executions, oldest first.
    pub fills: Vec<Fill>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// Grows by one with every change.
    pub version: u64,
}

impl Order {
    /// A new order, seen by nobody yet.
    pub fn new(intent: Intent, currency: Currency, now: Timestamp) -> Self {
        Self {
            id: intent.order_id(),
            client_order_id: intent.client_order_id(),
            intent,
            currency,
            instrument_kind: String::new(),
            reference_price: None,
            reserved: Money::zero(currency),
            state: State::Initialized,
            reason: String::new(),
            verdicts: Vec::new(),
            fills: Vec::new(),
            created: now,
            updated: now,
            version: 0,
        }
    }

    /// Takes a step.
    ///
    /// # Errors
    /// [`Error::Transition`] when its state does not allow it; the order is unchanged then.
    pub fn step(&mut self, step: Step, reason: &str, now: Timestamp) -> Result<()> {
        self.state = self.state.after(step)?;
        if !reason.is_empty() {
            reason.clone_into(&mut self.reason);
        }
        self.updated = now;
        self.version += 1;
        Ok(())
    }

    /// Executed so far.
    pub fn filled(&self) -> Result<Quantity> {
        Ok(self.fills.iter().try_fold(Quantity::ZERO, |sum, fill| sum.checked_add(fill.quantity))?)
    }

    /// What is left to execute.
    pub fn remaining(&self) -> Result<Quantity> {
        Ok(self.intent.quantity.checked_sub(self.filled()?)?)
    }

    /// Records an execution, once; `false` when it is recorded already.
    ///
    /// # Errors
    /// When the state takes no fill, or more would be executed than was ordered.
    pub fn fill(&mut self, mut fill: Fill, now: Timestamp) -> Result<bool> {
        if self.fills.iter().any(|known| known.execution == fill.execution) {
            return Ok(false);
        }
        let remaining = self.remaining()?.checked_sub(fill.quantity)?;
        if !fill.quantity.is_positive() || remaining < Quantity::ZERO {
            return Err(Error::Overfilled { order: self.id, execution: fill.execution });
        }
        self.step(if remaining.is_zero() { Step::FillRest } else { Step::FillPart }, "", now)?;
        fill.remaining = remaining;
        self.fills.push(fill);
        Ok(true)
    }

    /// Cash that is still held: the reservation's share for what is left of a working purchase.
    pub fn still_reserved(&self) -> Result<Money> {
        if !self.state.is_working() || self.intent.side == Side::Sell {
            return Ok(Money::zero(self.currency));
        }
        let share = Decimal::from(self.remaining()?.nanos()).checked_div(Decimal::from(self.intent.quantity.nanos()));
        Ok(self.reserved.times(share.unwrap_or(Decimal::ZERO))?)
    }

    /// Average executed price, weighted by quantity, rounded to six decimals; nothing without a fill.
    pub fn average_price(&self) -> Result<Option<Price>> {
        let overflow = moneta_types::Error::Overflow { operation: "average price" };
        let value = self.fills.iter().try_fold(Decimal::ZERO, |sum, fill| {
            fill.price.value().checked_mul(fill.quantity.units()).and_then(|value| sum.checked_add(value))
        });
        let value = value.ok_or(overflow)?;
        let Some(average) = value.checked_div(self.filled()?.units()) else { return Ok(None) };
        Ok(Some(Price::new(average.round_dp(6))?))
    }

    /// Commission of all executions.
    pub fn commission(&self) -> Result<Money> {
        Ok(Money::sum(self.currency, self.fills.iter().map(|fill| fill.commission))?)
    }

    /// The order as events tell of it: without the client's own words, because events are kept for ever.
    pub fn snapshot(&self) -> Result<OrderSnapshot> {
        let reason = if KeyRing::is_sealed(&self.reason) { CANCELLED } else { &self.reason };
        Ok(OrderSnapshot {
            order_id: self.id,
            portfolio_id: self.intent.portfolio,
            owner_id: self.intent.owner,
            symbol: self.intent.symbol.clone(),
            side: self.intent.side,
            quantity: self.intent.quantity,
            filled: self.filled()?,
            status: self.state.as_str().to_owned(),
            origin: self.intent.origin.as_str().to_owned(),
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
            recommendation_id: self.intent.recommendation,
            decision_id: self.intent.decision,
            failed_rules: self
                .verdicts
                .iter()
                .filter(|verdict| verdict.failed())
                .map(|verdict| verdict.rule.clone())
                .collect(),
        })
    }
}
