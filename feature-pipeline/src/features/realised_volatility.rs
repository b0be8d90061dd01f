//! Volatility realised in daily closes.

use crate::feature::{Feature, Input, Window};
use crate::statistics::{annualise, standard_deviation};

pub(crate) const FEATURES: &[Feature] = &[
    realised("realised_volatility_21d", 22, "sqrt(252) * sd(r[t-20..t])"),
    realised("realised_volatility_63d", 64, "sqrt(252) * sd(r[t-62..t])"),
    realised("realised_volatility_252d", 253, "sqrt(252) * sd(r[t-251..t])"),
    Feature {
        name: "volatility_ratio_21_252d",
        version: 1,
        inputs: &[Input::AdjClose],
        window: 253,
        formula: "sd(r[t-20..t]) / sd(r[t-251..t])",
        doc: "the last month's volatility against the last year's, ratio: above 1 the market is rougher than usual; \
              volatility clusters and reverts (Engle 1982)",
        compute: ratio,
    },
];

const fn realised(name: &'static str, window: usize, formula: &'static str) -> Feature {
    Feature {
        name,
        version: 1,
        inputs: &[Input::AdjClose],
        window,
        formula,
        doc: "sample standard deviation of daily log returns, annualised over 252 days, fraction (0.18 = 18 %)",
        compute: volatility,
    }
}

fn volatility(window: &Window<'_>) -> Option<f64> {
    Some(annualise(standard_deviation(window.returns)))
}

fn ratio(window: &Window<'_>) -> Option<f64> {
    let month = window.returns.get(window.returns.len().checked_sub(21)?..)?;
    let year = standard_deviation(window.returns);
    (year > 0.0).then(|| standard_deviation(month) / year)
}
