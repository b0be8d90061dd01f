//! Sums over a window. Each is computed afresh in two passes, oldest row first, so that the value depends on the window
//! alone and not on how one arrived at it.

use crate::feature::TRADING_DAYS_A_YEAR;

/// Arithmetic mean; NaN of nothing.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sum of squared distances from `centre`, to the power `power`.
pub(crate) fn central_moment(values: &[f64], centre: f64, power: i32) -> f64 {
    values.iter().map(|value| (value - centre).powi(power)).sum::<f64>() / values.len() as f64
}

/// Sample standard deviation (n − 1).
pub(crate) fn standard_deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    let squares: f64 = values.iter().map(|value| (value - centre) * (value - centre)).sum();
    (squares / (values.len() as f64 - 1.0)).sqrt()
}

/// Daily volatility to annual, both fractions.
pub(crate) fn annualise(daily: f64) -> f64 {
    daily * TRADING_DAYS_A_YEAR.sqrt()
}

/// Quantile by linear interpolation between order statistics (Hyndman and Fan 1996, type 7). `None` with a NaN.
pub(crate) fn quantile(values: &[f64], probability: f64) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    let position = probability * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let (_, low, above) = sorted.select_nth_unstable_by(below, f64::total_cmp);
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(*low);
    Some(*low + (position - below as f64) * (high - *low))
}

/// Means, sums of squared distances and of products of pairs: what a regression of the first on the second needs.
pub(crate) struct PairMoments {
    pub(crate) count: f64,
    pub(crate) own_squares: f64,
    pub(crate) market_squares: f64,
    pub(crate) products: f64,
}

impl PairMoments {
    pub(crate) fn of(pairs: &[(f64, f64)]) -> Self {
        let count = pairs.len() as f64;
        let own_mean = pairs.iter().map(|pair| pair.0).sum::<f64>() / count;
        let market_mean = pairs.iter().map(|pair| pair.1).sum::<f64>() / count;
        let mut moments = PairMoments { count, own_squares: 0.0, market_squares: 0.0, products: 0.0 };
        for (own, market) in pairs {
            let (own, market) = (own - own_mean, market - market_mean);
            moments.own_squares += own * own;
            moments.market_squares += market * market;
            moments.products += own * market;
        }
        moments
    }
}
