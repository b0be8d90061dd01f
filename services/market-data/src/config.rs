//! Settings of the market-data service: section `market_data` of the configuration.

use std::time::Duration;

use moneta_contracts::convert::Invalid;
use moneta_types::Date;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::replay::Pace;

/// All the settings, with their defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The series that stands for the market in fall alerts.
    pub reference_symbol: String,
    /// The step at which a fall is announced, decimal fraction (0.05 = 5 %).
    pub fall_threshold: Decimal,
    /// Trading days, the newest included, whose highest close is the recent peak.
    pub peak_days: usize,
    /// A price older than this is stale, hours. The default spans a long weekend.
    pub stale_after_hours: u32,
    /// In live use, how often newly imported days are looked for, seconds.
    pub poll_seconds: u64,
    /// Replay of stored history; used when the platform's clock is a replay's.
    pub replay: Replay,
}

/// Which days are replayed, and how fast.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Replay {
    /// First day; without it, the first trading day on or after the clock's start.
    #[schemars(with = "Option<String>", extend("format" = "date"))]
    pub from: Option<Date>,
    /// Last day; without it, the end of the history.
    #[schemars(with = "Option<String>", extend("format" = "date"))]
    pub until: Option<Date>,
    /// Trading days a second; 0 is as fast as the platform comes to rest. Without it nothing moves until it is asked to.
    pub days_per_second: Option<f64>,
}

impl Replay {
    /// The pace; `None` when the replay waits to be asked.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a speed that is not a number of zero or more.
    pub(crate) fn pace(&self) -> Result<Option<Pace>> {
        let Some(speed) = self.days_per_second else { return Ok(None) };
        if speed == 0.0 {
            return Ok(Some(Pace::Unbounded));
        }
        match Duration::try_from_secs_f64(1.0 / speed) {
            Ok(interval) => Ok(Some(Pace::Interval(interval))),
            Err(_) => Err(Invalid {
                field: "market_data.replay.days_per_second".to_owned(),
                value: speed.to_string(),
                allowed: "trading days a second, zero or more; 0 is as fast as possible".to_owned(),
            }
            .into()),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            reference_symbol: "SP500".to_owned(),
            fall_threshold: Decimal::new(5, 2),
            peak_days: 21,
            stale_after_hours: 96,
            poll_seconds: 60,
            replay: Replay::default(),
        }
    }
}
