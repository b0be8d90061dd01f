//! The shape of the distribution of daily returns.

use crate::feature::{Feature, Input, Window};
use crate::statistics::{central_moment, mean};

pub(crate) const FEATURES: &[Feature] = &[
    Feature {
        name: "skewness_252d",
        version: 1,
        inputs: &[Input::AdjClose],
        window: 253,
        formula: "m3 / m2^1.5 over r[t-251..t], central moments over n",
        doc: "skewness of daily log returns, dimensionless; negative means that falls are sharper than rises",
        compute: skewness,
    },
    Feature {
        name: "excess_kurtosis_252d",
        version: 1,
        inputs: &[Input::AdjClose],
        window: 253,
        formula: "m4 / m2^2 - 3 over r[t-251..t], central moments over n",
        doc: "kurtosis of daily log returns above that of the normal distribution; Cont, Empirical Properties of Asset Returns, \
              Quantitative Finance 1, 2001",
        compute: excess_kurtosis,
    },
    Feature {
        name: "autocorrelation_63d",
        version: 1,
        inputs: &[Input::AdjClose],
        window: 64,
        formula: "sum((r[u] - mean)(r[u-1] - mean)) / sum((r[u] - mean)^2) over [t-62..t]",
        doc: "first-order autocorrelation of daily log returns over a quarter, -1 to 1; negative in markets that bounce",
        compute: autocorrelation,
    },
];

fn skewness(window: &Window<'_>) -> Option<f64> {
    let centre = mean(window.returns);
    Some(central_moment(window.returns, centre, 3) / central_moment(window.returns, centre, 2).powf(1.5))
}

fn excess_kurtosis(window: &Window<'_>) -> Option<f64> {
    let centre = mean(window.returns);
    Some(central_moment(window.returns, centre, 4) / central_moment(window.returns, centre, 2).powi(2) - 3.0)
}

fn autocorrelation(window: &Window<'_>) -> Option<f64> {
    let centre = mean(window.returns);
    let products: f64 = window.returns.windows(2).map(|pair| (pair[0] - centre) * (pair[1] - centre)).sum();
    let squares: f64 = window.returns.iter().map(|daily| (daily - centre) * (daily - centre)).sum();
    Some(products / squares)
}
