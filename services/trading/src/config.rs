//! The trading service's settings (section `trading`).
use crate::{broker::paper, controls::Limits};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings with their defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How far a price may lie beyond the market on the costly side, decimal fraction.
    pub price_collar: Decimal,
    /// How far a limit may lie on the other side, decimal fraction.
    pub passive_price_collar: Decimal,
    /// Oldest reference price, hours of the platform's clock (a long weekend is 96).
    pub oldest_reference_hours: u16,
    /// Most value of an order, major units of its currency.
    pub maximum_order_value: Decimal,
    /// Most of the average daily volume, decimal fraction.
    pub maximum_volume_share: Decimal,
    /// Most weight of one instrument after a purchase, decimal fraction.
    pub position_cap: Decimal,
    /// Messages a second and client.
    pub messages_per_second: u32,
    /// Messages a day and client.
    pub messages_per_day: u32,
    /// The same order again within this many seconds is a duplicate.
    pub duplicate_window_seconds: u32,
    /// Added to the market price when a market purchase's cash is reserved, decimal fraction.
    pub market_buffer: Decimal,
    /// The share of expected proceeds of working sales that purchases may count on, decimal fraction.
    pub proceeds_share: Decimal,
    /// The paper broker.
    pub broker: paper::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            price_collar: Decimal::new(5, 2),
            passive_price_collar: Decimal::new(30, 2),
            oldest_reference_hours: 120,
            maximum_order_value: Decimal::from(1_000_000),
            maximum_volume_share: Decimal::new(5, 2),
            position_cap: Decimal::new(5, 1),
            messages_per_second: 100,
            messages_per_day: 1000,
            duplicate_window_seconds: 60,
            market_buffer: Decimal::new(2, 2),
            proceeds_share: Decimal::new(95, 2),
            broker: paper::Config::default(),
        }
    }
}

impl Config {
    /// The limits that controls look at.
    pub fn limits(&self) -> Limits {
        let basis_point = Decimal::new(1, 4);
        Limits {
            collar: self.price_collar,
            passive_collar: self.passive_price_collar,
            oldest_reference: i64::from(self.oldest_reference_hours) * 3600,
            maximum_value: self.maximum_order_value,
            maximum_volume_share: self.maximum_volume_share,
            position_cap: self.position_cap,
            messages_per_second: self.messages_per_second,
            messages_per_day: self.messages_per_day,
            market_buffer: self.market_buffer,
            proceeds_share: self.proceeds_share,
            half_spread: self.broker.half_spread_bp * basis_point,
            commission: self.broker.commission_bp * basis_point,
            least_commission: self.broker.least_commission,
        }
    }
}
