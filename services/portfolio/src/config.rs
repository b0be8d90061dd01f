//! The portfolio service's settings (section `portfolio`).
use crate::{
    allocation::{Costs, Limits},
    ledger::CostBasis,
};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings with their defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How the cost of a sale is found: `fifo` or `average`.
    pub cost_basis: CostBasis,
    /// Drift beyond which a rebalance plan trades, decimal fraction.
    pub rebalance_band: Decimal,
    /// Drift a plan trades back to, decimal fraction.
    pub rebalance_destination: Decimal,
    /// Planned trades of less value are left out, major units of the portfolio's currency.
    pub least_trade: Decimal,
    /// Whether plans trade fractions of a unit.
    pub fractional: bool,
    /// Half of the expected spread in basis points of the price.
    pub half_spread_bp: Decimal,
    /// Expected commission in basis points of the traded value.
    pub commission_bp: Decimal,
    /// Least expected commission of an order, major units of the portfolio's currency.
    pub least_commission: Decimal,
    /// Calendar days after which a close no longer values a holding without a warning.
    pub stale_after_days: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cost_basis: CostBasis::Fifo,
            rebalance_band: Decimal::new(2, 2),
            rebalance_destination: Decimal::new(175, 4),
            least_trade: Decimal::TEN,
            fractional: true,
            half_spread_bp: Decimal::TWO,
            commission_bp: Decimal::ONE,
            least_commission: Decimal::ONE,
            stale_after_days: 5,
        }
    }
}

impl Config {
    /// Costs that plans reckon with.
    pub fn costs(&self) -> Costs {
        let basis_point = Decimal::new(1, 4);
        Costs {
            half_spread: self.half_spread_bp * basis_point,
            commission: self.commission_bp * basis_point,
            least_commission: self.least_commission,
        }
    }

    /// Limits of plans when the request sets none.
    pub const fn limits(&self) -> Limits {
        Limits {
            band: self.rebalance_band,
            destination: self.rebalance_destination,
            max_turnover: None,
            least_trade: self.least_trade,
            fractional: self.fractional,
        }
    }
}
