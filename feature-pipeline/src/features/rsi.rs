//! Wilder's relative strength index.

use crate::feature::{Feature, Input, Window};

/// Days of Wilder's average.
const PERIOD: usize = 14;

pub(crate) const FEATURES: &[Feature] = &[Feature {
    name: "rsi_14",
    version: 1,
    inputs: &[Input::AdjClose],
    window: 253,
    formula: "100 g / (g + l); g, l: Wilder averages (x' = (13 x + new) / 14) of gains and losses in adj_close, seeded with the \
              mean of the first 14 changes of the window",
    doc: "relative strength index over 14 days, 0 to 100; the recursion starts 252 changes back, where the seed's weight is \
          2e-8, so that it is a function of its window; Wilder, New Concepts in Technical Trading Systems, 1978",
    compute,
}];

fn compute(window: &Window<'_>) -> Option<f64> {
    let (mut gain, mut loss) = (0.0, 0.0);
    for (index, pair) in window.adj_close.windows(2).enumerate() {
        let change = pair[1] - pair[0];
        let (up, down) = (change.max(0.0), (-change).max(0.0));
        if index < PERIOD {
            gain += up / PERIOD as f64;
            loss += down / PERIOD as f64;
        } else {
            gain = (gain * (PERIOD - 1) as f64 + up) / PERIOD as f64;
            loss = (loss * (PERIOD - 1) as f64 + down) / PERIOD as f64;
        }
    }
    // A price that never moved is neither strong nor weak.
    (gain + loss > 0.0).then(|| 100.0 * gain / (gain + loss))
}
