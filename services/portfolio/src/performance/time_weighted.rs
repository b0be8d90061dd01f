//! Time-weighted return: what one unit of money did, whatever the owner paid in or took out.
//!
//! Convention: daily links with flows at the start of the day. A day's return is `V1 / (V0 + F) - 1`, where `V0` is the
//! value at the end of the day before, `F` the net external flow since then and `V1` the value at the end of the day
//! (GIPS 2020, true time-weighting with daily valuation). The index starts at 1 and is the product of the links.
use moneta_types::Money;
use rust_decimal::{Decimal, RoundingStrategy};

/// Decimals that the index and returns are kept with.
const DECIMALS: u32 = 15;

/// One day of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The day's return, decimal fraction.
    pub day_return: Decimal,
    /// The index at the end of the day; 1 at inception.
    pub index: Decimal,
    /// The highest index so far.
    pub peak: Decimal,
}

impl Link {
    /// Before the first valuation.
    pub const INCEPTION: Self = Self { day_return: Decimal::ZERO, index: Decimal::ONE, peak: Decimal::ONE };

    /// Fall below the highest index so far, decimal fraction, 0 or more.
    pub fn drawdown(&self) -> Decimal {
        let level = self.index.checked_div(self.peak).unwrap_or(Decimal::ONE);
        (Decimal::ONE - level).max(Decimal::ZERO).round_dp(DECIMALS)
    }
}

/// The next link: from the link and value before, the net flow since, and the value now.
///
/// Without capital at the start of the day (`V0 + F` is zero or less) there is nothing to earn on: the return is zero.
pub fn link(before: Link, value_before: Money, flow: Money, value: Money) -> Link {
    let capital = value_before.amount() + flow.amount();
    let growth = if capital > Decimal::ZERO {
        value.amount().checked_div(capital).unwrap_or(Decimal::ONE)
    } else {
        Decimal::ONE
    };
    let index = before
        .index
        .checked_mul(growth)
        .unwrap_or(before.index)
        .round_dp_with_strategy(DECIMALS, RoundingStrategy::MidpointNearestEven);
    let day_return = (growth - Decimal::ONE).round_dp_with_strategy(DECIMALS, RoundingStrategy::MidpointNearestEven);
    Link { day_return, index, peak: before.peak.max(index) }
}

/// A return over `days` calendar days as a yearly one (Actual/365); nothing for periods under a year, which GIPS 2020
/// forbids to annualise, or when everything was lost.
pub fn annualised(period_return: Decimal, days: i64) -> Option<Decimal> {
    use rust_decimal::prelude::ToPrimitive;
    if days < 365 {
        return None;
    }
    let growth = (Decimal::ONE + period_return).to_f64().filter(|growth| *growth > 0.0)?;
    let yearly = growth.powf(365.0 / days as f64) - 1.0;
    Decimal::from_f64_retain(yearly).map(|rate| rate.round_dp(10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::Currency;
    use proptest::prelude::*;

    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::Usd)
    }

    #[test]
    fn a_deposit_earns_nothing_by_itself() {
        let first = link(Link::INCEPTION, usd(0), usd(10_000), usd(11_000));
        assert_eq!(first.day_return, Decimal::new(1, 1));
        let second = link(first, usd(11_000), usd(9_000), usd(20_000));
        assert_eq!(second.day_return, Decimal::ZERO);
        assert_eq!(second.index, Decimal::new(11, 1));
    }

    #[test]
    fn a_portfolio_without_capital_has_no_return() {
        let empty = link(Link::INCEPTION, usd(0), usd(0), usd(0));
        assert_eq!(empty, Link::INCEPTION);
    }

    #[test]
    fn drawdown_is_measured_from_the_highest_index() {
        let up = link(Link::INCEPTION, usd(100), usd(0), usd(200));
        let down = link(up, usd(200), usd(0), usd(150));
        assert_eq!(down.drawdown(), Decimal::new(25, 2));
        assert_eq!(up.drawdown(), Decimal::ZERO);
    }

    #[test]
    fn under_a_year_nothing_is_annualised() {
        assert_eq!(annualised(Decimal::new(1, 1), 364), None);
        let two_years = annualised(Decimal::new(21, 2), 730).unwrap();
        assert_eq!(two_years.round_dp(9), Decimal::new(1, 1));
    }

    proptest! {
        /// The independent computation: one unit bought at the start, in plain floating point.
        #[test]
        fn the_index_is_what_one_unit_of_money_became(
            days in prop::collection::vec((0.7_f64..1.4, -3_000_i64..50_000), 1..60),
        ) {
            let (mut value, mut unit, mut state) = (1_000_000_i64, 1.0_f64, Link::INCEPTION);
            for (growth, flow) in days {
                let flow = flow.max(-value / 2);
                let capital = value + flow;
                let after = (capital as f64 * growth).round() as i64;
                state = link(state, usd(value), usd(flow), usd(after));
                unit *= after as f64 / capital as f64;
                value = after;
            }
            let index: f64 = state.index.to_string().parse().unwrap();
            prop_assert!((index / unit - 1.0).abs() < 1e-9, "{} {}", index, unit);
        }
    }
}
