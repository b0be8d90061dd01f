//! What the network is measured against: exponentially weighted variance, GARCH(1,1) and a heterogeneous
//! autoregression, each fitted an instrument on the days before a border and then only updated.

use super::HORIZONS;

/// Variance forecasts (fraction²) made at the end of day `t` for each horizon, indexed by `t` as the returns are.
pub(super) type VariancePath = Vec<[f64; HORIZONS.len()]>;

/// RiskMetrics: `h ← 0.94·h + 0.06·r²`, scaled by the horizon.
pub(super) fn ewma(returns: &[f64]) -> VariancePath {
    let mut variance = mean_square(&returns[..returns.len().min(63)]);
    returns
        .iter()
        .map(|log_return| {
            variance = 0.94 * variance + 0.06 * log_return * log_return;
            HORIZONS.map(|days| variance * f64::from(days))
        })
        .collect()
}

/// GARCH(1,1) (Bollerslev, 1986) with variance targeting: α and β by Gaussian likelihood over `fitted_on`.
pub(super) fn garch(returns: &[f64], fitted_on: std::ops::Range<usize>) -> VariancePath {
    let sample = &returns[fitted_on];
    let target = mean_square(sample).max(1e-10);
    let (mut best, mut parameters) = (f64::INFINITY, (0.05, 0.90));
    // A coarse grid and two refinements around its best point; the surface has one hill.
    for (alpha_centre, persistence_centre, width) in
        [(0.10, 0.94, 1.0), (f64::NAN, f64::NAN, 0.25), (f64::NAN, f64::NAN, 0.06)]
    {
        let (alpha_centre, persistence_centre) = if f64::is_nan(alpha_centre) {
            (parameters.0, parameters.0 + parameters.1)
        } else {
            (alpha_centre, persistence_centre)
        };
        for i in -4..=4 {
            for j in -4..=4 {
                let alpha = (alpha_centre + 0.0225 * width * f64::from(i)).clamp(0.002, 0.4);
                let persistence = (persistence_centre + 0.0145 * width * f64::from(j)).clamp(0.6, 0.9985);
                let beta = (persistence - alpha).max(0.0);
                let loss = garch_loss(sample, target, alpha, beta);
                if loss < best {
                    (best, parameters) = (loss, (alpha, beta));
                }
            }
        }
    }
    let (alpha, beta) = parameters;
    let persistence = alpha + beta;
    let mut variance = target;
    returns
        .iter()
        .map(|log_return| {
            variance = target * (1.0 - persistence) + alpha * log_return * log_return + beta * variance;
            HORIZONS.map(|days| {
                (0..days).map(|ahead| target + persistence.powi(ahead as i32) * (variance - target)).sum::<f64>()
            })
        })
        .collect()
}

fn garch_loss(sample: &[f64], target: f64, alpha: f64, beta: f64) -> f64 {
    let mut variance = target;
    sample
        .iter()
        .map(|log_return| {
            let loss = variance.ln() + log_return * log_return / variance;
            variance = target * (1.0 - alpha - beta) + alpha * log_return * log_return + beta * variance;
            loss
        })
        .sum()
}

/// Heterogeneous autoregression (Corsi, 2009) on squared daily returns: the mean over 1, 5, 21 and 63 days, by least
/// squares weighted with the inverse of the quarter's variance.
pub(super) fn har(returns: &[f64], fitted_on: std::ops::Range<usize>) -> VariancePath {
    const SPANS: [usize; 4] = [1, 5, 21, 63];
    let mut sums = vec![0.0];
    for log_return in returns {
        sums.push(sums[sums.len() - 1] + log_return * log_return);
    }
    let regressors = |day: usize| -> [f64; 5] {
        let mean = |span: usize| {
            let span = span.min(day + 1);
            (sums[day + 1] - sums[day + 1 - span]) / span as f64
        };
        [1e-4, mean(SPANS[0]), mean(SPANS[1]), mean(SPANS[2]), mean(SPANS[3])]
    };
    let coefficients = HORIZONS.map(|days| {
        let (mut left, mut right) = ([[0.0; 5]; 5], [0.0; 5]);
        for day in (fitted_on.start + 63)..fitted_on.end.saturating_sub(days as usize) {
            let x = regressors(day);
            let outcome = (sums[day + 1 + days as usize] - sums[day + 1]) / f64::from(days);
            let weight = 1.0 / x[4].max(1e-8).powi(2);
            for row in 0..5 {
                right[row] += weight * x[row] * outcome;
                for column in 0..5 {
                    left[row][column] += weight * x[row] * x[column];
                }
            }
        }
        solve(left, right)
    });
    (0..returns.len())
        .map(|day| {
            let x = regressors(day);
            let mut path = [0.0; HORIZONS.len()];
            for ((slot, days), weights) in path.iter_mut().zip(HORIZONS).zip(&coefficients) {
                let daily: f64 = weights.iter().zip(&x).map(|(weight, value)| weight * value).sum();
                // A regression may go below zero; a tenth of the quarter's variance is the floor.
                *slot = daily.max(0.1 * x[4]).max(1e-10) * f64::from(days);
            }
            path
        })
        .collect()
}

/// Gaussian elimination with partial pivoting; a singular system gives zeros.
fn solve(mut left: [[f64; 5]; 5], mut right: [f64; 5]) -> [f64; 5] {
    for column in 0..5 {
        let pivot =
            (column..5).max_by(|&a, &b| left[a][column].abs().total_cmp(&left[b][column].abs())).unwrap_or(column);
        if left[pivot][column].abs() < 1e-300 {
            return [0.0; 5];
        }
        left.swap(column, pivot);
        right.swap(column, pivot);
        let pivot_row = left[column];
        for row in column + 1..5 {
            let factor = left[row][column] / pivot_row[column];
            for (cell, pivot) in left[row].iter_mut().zip(pivot_row).skip(column) {
                *cell -= factor * pivot;
            }
            right[row] -= factor * right[column];
        }
    }
    let mut solution = [0.0; 5];
    for row in (0..5).rev() {
        let known: f64 = (row + 1..5).map(|k| left[row][k] * solution[k]).sum();
        solution[row] = (right[row] - known) / left[row][row];
    }
    solution
}

fn mean_square(returns: &[f64]) -> f64 {
    returns.iter().map(|log_return| log_return * log_return).sum::<f64>() / returns.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    /// A GARCH(1,1) path with α 0.1, β 0.85 and a daily volatility of 1 %.
    fn simulated(days: usize) -> (Vec<f64>, Vec<f64>) {
        let mut random = ChaCha20Rng::seed_from_u64(1);
        let mut variance: f64 = 1e-4;
        (0..days)
            .map(|_| {
                let noise = crate::scores::normal_quantile(random.random_range(1e-6..1.0 - 1e-6));
                let log_return = variance.sqrt() * noise;
                let now = variance;
                variance = 0.05 * 1e-4 + 0.1 * log_return * log_return + 0.85 * variance;
                (log_return, now)
            })
            .unzip()
    }

    #[test]
    fn garch_recovers_the_variance_that_made_the_returns() {
        let (returns, truth) = simulated(4000);
        let path = garch(&returns, 0..3000);
        let loss = |forecast: &VariancePath| -> f64 {
            (3000..3999).map(|day| crate::scores::qlike(truth[day + 1], forecast[day][0])).sum::<f64>() / 999.0
        };
        assert!(loss(&path) < 0.01, "{}", loss(&path));
        assert!(loss(&path) < loss(&ewma(&returns)));
        assert!(loss(&har(&returns, 0..3000)) < 0.2);
    }

    #[test]
    fn solve_answers_a_known_system() {
        let mut left = [[0.0; 5]; 5];
        for (row, cells) in left.iter_mut().enumerate() {
            for (column, cell) in cells.iter_mut().enumerate() {
                *cell = if row == column { 4.0 } else { 1.0 / (1.0 + (row * column) as f64) };
            }
        }
        let wanted = [1.0, -2.0, 3.0, 0.5, 0.0];
        let right = left.map(|cells| cells.iter().zip(&wanted).map(|(a, b)| a * b).sum());
        for (found, wanted) in solve(left, right).iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-12);
        }
    }
}
