//! What several events are made of.
use moneta_types::{DecisionId, OrderId, PortfolioId, Price, Quantity, RecommendationId, Symbol, UserId};
use serde::{Deserialize, Serialize};

/// One instrument's daily bar, prices in the instrument's currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// The instrument.
    pub symbol: Symbol,
    /// First price of the day.
    pub open: Price,
    /// Highest price of the day.
    pub high: Price,
    /// Lowest price of the day.
    pub low: Price,
    /// Last price of the day.
    pub close: Price,
    /// Close adjusted for splits and dividends.
    pub adj_close: Price,
    /// Units traded; 0 when the source has none.
    pub volume: i64,
}

/// Buy or sell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Buy.
    Buy,
    /// Sell.
    Sell,
}

impl Side {
    /// The name in text and contracts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

impl std::str::FromStr for Side {
    type Err = crate::convert::Invalid;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "buy" => Ok(Self::Buy),
            "sell" => Ok(Self::Sell),
            _ => Err(crate::convert::Invalid {
                field: "side".to_owned(),
                value: text.to_owned(),
                allowed: "buy or sell".to_owned(),
            }),
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An order as it stood when something happened to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderSnapshot {
    /// The order.
    pub order_id: OrderId,
    /// The portfolio it trades for.
    pub portfolio_id: PortfolioId,
    /// The portfolio's owner.
    pub owner_id: UserId,
    /// The instrument.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Ordered quantity.
    pub quantity: Quantity,
    /// Executed so far.
    pub filled: Quantity,
    /// The state's name as in the contract ("partially_filled").
    pub status: String,
    /// self_directed, recommendation or agent.
    pub origin: String,
    /// Why, where the state has a reason.
    pub reason: Option<String>,
    /// The recommendation it carries out.
    pub recommendation_id: Option<RecommendationId>,
    /// The decision record behind it.
    pub decision_id: Option<DecisionId>,
    /// Ids of the rules that failed.
    pub failed_rules: Vec<String>,
}
