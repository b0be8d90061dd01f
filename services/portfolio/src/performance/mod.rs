//! How a portfolio did: time-weighted and money-weighted return, drawdown, volatility, attribution. Pure functions.
mod attribution;
mod money_weighted;
mod risk;
mod time_weighted;

pub use attribution::{Attribution, Effect, Position, Trading, attribute};
pub use money_weighted::{Flow, money_weighted_returns};
pub use risk::{MINIMUM_DAYS, TRADING_DAYS, max_drawdown, volatility};
pub use time_weighted::{Link, annualised, link};
