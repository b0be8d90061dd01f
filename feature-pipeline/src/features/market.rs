//! A symbol against the market reference that the view names. Null where the reference has too few bars.

use crate::feature::{Feature, Input, Window};
use crate::statistics::{PairMoments, annualise};

const INPUTS: &[Input] = &[Input::AdjClose, Input::Market];

pub(crate) const FEATURES: &[Feature] = &[
    Feature {
        name: "market_beta_252d",
        version: 1,
        inputs: INPUTS,
        window: 253,
        formula: "cov(r, m) / var(m) over [t-251..t], days with both",
        doc: "sensitivity to the market reference, ratio; Sharpe, Capital Asset Prices, Journal of Finance 19, 1964",
        compute: beta,
    },
    Feature {
        name: "market_correlation_252d",
        version: 1,
        inputs: INPUTS,
        window: 253,
        formula: "cov(r, m) / (sd(r) sd(m)) over [t-251..t], days with both",
        doc: "Pearson correlation of daily returns with the market reference, -1 to 1",
        compute: correlation,
    },
    Feature {
        name: "idiosyncratic_volatility_252d",
        version: 1,
        inputs: INPUTS,
        window: 253,
        formula: "sqrt(252 * sum(residual^2) / (n - 2)), residuals of r = a + b m over [t-251..t]",
        doc: "volatility that the market does not explain, annualised fraction; Ang, Hodrick, Xing and Zhang, The Cross-Section \
              of Volatility and Expected Returns, Journal of Finance 61, 2006",
        compute: idiosyncratic_volatility,
    },
    Feature {
        name: "relative_strength_63d",
        version: 1,
        inputs: INPUTS,
        window: 64,
        formula: "sum(r - m) over [t-62..t], days with both",
        doc: "log return above that of the market reference over a quarter",
        compute: relative_strength,
    },
];

fn beta(window: &Window<'_>) -> Option<f64> {
    let moments = PairMoments::of(&window.market_pairs()?);
    Some(moments.products / moments.market_squares)
}

fn correlation(window: &Window<'_>) -> Option<f64> {
    let moments = PairMoments::of(&window.market_pairs()?);
    // Rounding may step over ±1 by a bit when a series is compared with itself.
    Some((moments.products / (moments.own_squares * moments.market_squares).sqrt()).clamp(-1.0, 1.0))
}

fn idiosyncratic_volatility(window: &Window<'_>) -> Option<f64> {
    let moments = PairMoments::of(&window.market_pairs()?);
    let explained = moments.products * moments.products / moments.market_squares;
    Some(annualise(((moments.own_squares - explained).max(0.0) / (moments.count - 2.0)).sqrt()))
}

fn relative_strength(window: &Window<'_>) -> Option<f64> {
    Some(window.market_pairs()?.iter().map(|(own, market)| own - market).sum())
}
