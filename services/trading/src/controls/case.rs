//! Everything a control may look at, gathered beforehand, so that a control is a pure function.
use crate::{Result, order::Intent};
use moneta_contracts::events::Side;
use moneta_types::{ClientText, Currency, InternalNote, Money, Price, Quantity, Timestamp};
use rust_decimal::Decimal;

/// An order and what is known about its client, its portfolio and the market.
#[derive(Debug, Clone)]
pub struct ControlCase {
    /// What is asked for.
    pub intent: Intent,
    /// The instrument; nothing when the market does not know it.
    pub instrument: Option<Instrument>,
    /// The market's latest price; nothing when there is none.
    pub reference: Option<Reference>,
    /// The portfolio.
    pub account: Account,
    /// Orders of the portfolio that are not finished.
    pub working: Working,
    /// Messages the client has sent.
    pub messages: Messages,
    /// Kill switches that are engaged.
    pub switches: Vec<KillSwitch>,
    /// What the client is told of holds that cover this order.
    pub held: Vec<ClientText>,
    /// The limits in force.
    pub limits: Limits,
}

/// What is traded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrument {
    /// Its currency.
    pub currency: Currency,
    /// What kind it is ("share", "fund").
    pub kind: String,
    /// Whether the venue trades it.
    pub tradable: bool,
}

/// The market's latest price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// The close.
    pub price: Price,
    /// How old it is, by the platform's clock.
    pub age_seconds: i64,
    /// Whether market data itself calls it stale.
    pub stale: bool,
    /// Shares a day on average; nothing when unknown.
    pub average_daily_volume: Option<i64>,
}

/// The portfolio as the portfolio service sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its currency.
    pub currency: Currency,
    /// Cash at hand.
    pub cash: Money,
    /// Cash and market value.
    pub value: Money,
    /// Held of the order's instrument.
    pub held: Quantity,
    /// Instruments held, the order's own not counted.
    pub others: usize,
}

/// Orders of the portfolio that are not finished, and executions that the portfolio has not booked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Working {
    /// Cash held by working purchases and by purchases not booked yet.
    pub cash_reserved: Money,
    /// What working sales will bring at the market's latest prices.
    pub expected_proceeds: Money,
    /// Quantity of the instrument held by working sales and by sales not booked yet.
    pub selling: Quantity,
    /// Quantity of the instrument that working purchases, and purchases not booked yet, will add.
    pub buying: Quantity,
    /// Working orders that ask for the same and were made within the window of the limits.
    pub duplicates: u32,
}

/// How many messages (orders and cancellations) the client has sent, this one not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Messages {
    /// In the last second.
    pub second: u32,
    /// In the last 24 hours.
    pub day: u32,
}

/// What a kill switch stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// One client.
    Client,
    /// One agent.
    Agent,
    /// One instrument.
    Instrument,
}

impl Scope {
    /// Names in contracts.
    pub const NAMES: [&'static str; 4] = ["all", "client", "agent", "instrument"];

    /// The name in contracts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Client => "client",
            Self::Agent => "agent",
            Self::Instrument => "instrument",
        }
    }

    /// The scope of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::All, Self::Client, Self::Agent, Self::Instrument].into_iter().find(|scope| scope.as_str() == name)
    }
}

/// An engaged kill switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillSwitch {
    /// What kind of thing it stops.
    pub scope: Scope,
    /// Which one; empty for all.
    pub target: String,
    /// Why; for staff alone.
    pub reason: InternalNote,
    /// Who engaged it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// The name of the rebalancing agent as a kill switch's target.
pub const AGENT: &str = "rebalancer";

impl KillSwitch {
    /// Whether it stops an order.
    pub fn stops(&self, intent: &Intent) -> bool {
        match self.scope {
            Scope::All => true,
            Scope::Client => self.target == intent.owner.to_string(),
            Scope::Agent => intent.origin == crate::order::Origin::Agent && self.target == AGENT,
            Scope::Instrument => self.target == intent.symbol.as_str(),
        }
    }
}

/// The limits in force, from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How far a price may lie beyond the market on the costly side, decimal fraction.
    pub collar: Decimal,
    /// How far a limit may lie on the other side, decimal fraction.
    pub passive_collar: Decimal,
    /// Oldest reference price, seconds.
    pub oldest_reference: i64,
    /// Most value of an order, major units of its currency.
    pub maximum_value: Decimal,
    /// Most of the average daily volume, decimal fraction.
    pub maximum_volume_share: Decimal,
    /// Most weight of one instrument after a purchase, decimal fraction.
    pub position_cap: Decimal,
    /// Messages a second and client.
    pub messages_per_second: u32,
    /// Messages a day and client.
    pub messages_per_day: u32,
    /// Added to the market price when a market purchase's cash is reserved, decimal fraction.
    pub market_buffer: Decimal,
    /// The share of expected proceeds of working sales that purchases may count on, decimal fraction.
    pub proceeds_share: Decimal,
    /// Half spread, decimal fraction.
    pub half_spread: Decimal,
    /// Commission, decimal fraction of value.
    pub commission: Decimal,
    /// Least commission of an order, major units.
    pub least_commission: Decimal,
}

impl ControlCase {
    /// Value of the order at its limit, or at the market's price without one; nothing when neither is known.
    pub fn order_value(&self) -> Result<Option<Money>> {
        let reference = self.reference.map(|reference| reference.price);
        let Some(price) = self.intent.pricing.limit().or(reference) else { return Ok(None) };
        Ok(Some(price.value_of(self.intent.quantity, self.currency())?))
    }

    /// Expected half spread and commission of the order.
    pub fn order_cost(&self) -> Result<Option<Money>> {
        let Some(value) = self.order_value()? else { return Ok(None) };
        let commission = (value.amount() * self.limits.commission).max(self.limits.least_commission);
        Ok(Some(Money::rounded(value.amount() * self.limits.half_spread + commission, value.currency())?))
    }

    /// Cash a purchase needs: its value, costs, and for a market order a buffer for the price it will meet.
    pub fn cash_needed(&self) -> Result<Option<Money>> {
        if self.intent.side == Side::Sell {
            return Ok(Some(Money::zero(self.currency())));
        }
        let (Some(value), Some(cost)) = (self.order_value()?, self.order_cost()?) else { return Ok(None) };
        let buffer = match self.intent.pricing {
            crate::order::Pricing::Market => value.times(self.limits.market_buffer)?,
            crate::order::Pricing::Limit(_) => Money::zero(value.currency()),
        };
        Ok(Some(value.checked_add(cost)?.checked_add(buffer)?))
    }

    /// The instrument's currency; the portfolio's when the instrument is not known.
    pub fn currency(&self) -> Currency {
        self.instrument.as_ref().map_or(self.account.currency, |instrument| instrument.currency)
    }
}
