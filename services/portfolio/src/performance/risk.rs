//! Drawdown and volatility of a time-weighted index.
use rust_decimal::{Decimal, MathematicalOps};

/// Trading days in a year, for annualising.
pub const TRADING_DAYS: u32 = 252;
/// Daily returns below which a volatility says nothing (about a month).
pub const MINIMUM_DAYS: usize = 21;

/// The deepest fall of the index below an earlier high, decimal fraction, 0 or more.
pub fn max_drawdown(index: impl IntoIterator<Item = Decimal>) -> Decimal {
    let (mut peak, mut deepest) = (Decimal::ZERO, Decimal::ZERO);
    for level in index {
        peak = peak.max(level);
        let fall = Decimal::ONE - level.checked_div(peak).unwrap_or(Decimal::ONE);
        deepest = deepest.max(fall);
    }
    deepest.round_dp(10).normalize()
}

/// Annualised sample standard deviation of daily returns, decimal fraction; nothing under [`MINIMUM_DAYS`] days.
pub fn volatility(daily: &[Decimal]) -> Option<Decimal> {
    if daily.len() < MINIMUM_DAYS {
        return None;
    }
    let count = Decimal::from(daily.len());
    let mean = daily.iter().sum::<Decimal>().checked_div(count)?;
    let squares = daily.iter().try_fold(Decimal::ZERO, |sum, day| {
        let distance = *day - mean;
        sum.checked_add(distance.checked_mul(distance)?)
    })?;
    let variance = squares.checked_div(count - Decimal::ONE)?;
    let yearly = variance.checked_mul(Decimal::from(TRADING_DAYS))?.sqrt()?;
    Some(yearly.round_dp(10).normalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_deepest_fall_counts_even_after_recovery() {
        let index = [100, 120, 90, 130, 125].map(Decimal::from);
        assert_eq!(max_drawdown(index), Decimal::new(25, 2));
        assert_eq!(max_drawdown([1, 2, 3].map(Decimal::from)), Decimal::ZERO);
        assert_eq!(max_drawdown([]), Decimal::ZERO);
    }

    #[test]
    fn a_month_is_needed_for_a_volatility() {
        assert_eq!(volatility(&[Decimal::ZERO; 20]), None);
        assert_eq!(volatility(&[Decimal::ZERO; 21]), Some(Decimal::ZERO));
    }

    proptest! {
        #[test]
        fn both_agree_with_plain_floating_point(days in prop::collection::vec(-800_i64..800, 21..80)) {
            let daily: Vec<Decimal> = days.iter().map(|&bp| Decimal::new(bp, 4)).collect();
            let floats: Vec<f64> = days.iter().map(|&bp| bp as f64 / 1e4).collect();
            let mean = floats.iter().sum::<f64>() / floats.len() as f64;
            let variance = floats.iter().map(|day| (day - mean).powi(2)).sum::<f64>() / (floats.len() - 1) as f64;
            let found: f64 = volatility(&daily).unwrap().to_string().parse().unwrap();
            prop_assert!((found - (variance * 252.0).sqrt()).abs() < 1e-8);

            let mut level = Decimal::ONE;
            let index: Vec<Decimal> = daily.iter().map(|day| { level *= Decimal::ONE + day; level = level.round_dp(15); level }).collect();
            let numbers: Vec<f64> = index.iter().map(|level| level.to_string().parse().unwrap()).collect();
            let mut worst = 0.0_f64;
            for end in 0..numbers.len() {
                for start in 0..=end {
                    worst = worst.max(1.0 - numbers[end] / numbers[start]);
                }
            }
            let deepest: f64 = max_drawdown(index).to_string().parse().unwrap();
            prop_assert!((deepest - worst).abs() < 1e-8);
        }
    }
}
