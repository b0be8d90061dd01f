//! Scores of forecasts and tests of calibration: QLIKE, pinball and CRPS, Kupiec, Christoffersen, Kolmogorov–Smirnov,
//! Diebold–Mariano.

/// QLIKE of a variance forecast against a proxy, both in the same unit: `x/h − ln(x/h) − 1`, 0 when they agree
/// (Patton, 2011). A proxy of zero is floored at 1e-12 of the forecast, so that a day without a move stays finite.
pub fn qlike(proxy: f64, forecast: f64) -> f64 {
    let ratio = (proxy / forecast).max(1e-12);
    ratio - ratio.ln() - 1.0
}

/// Pinball loss of a quantile at `level` (0..1), in the unit of the outcome.
pub fn pinball(outcome: f64, quantile: f64, level: f64) -> f64 {
    let miss = outcome - quantile;
    if miss >= 0.0 { level * miss } else { (level - 1.0) * miss }
}

/// CRPS by quantiles: twice the mean pinball loss over `levels`.
pub fn crps(outcome: f64, quantiles: &[f64], levels: &[f64]) -> f64 {
    let total: f64 = quantiles.iter().zip(levels).map(|(&quantile, &level)| pinball(outcome, quantile, level)).sum();
    2.0 * total / levels.len() as f64
}

/// p-value of Kupiec's (1995) test that violations of a value at risk occur with probability `level`.
pub fn kupiec(violations: usize, observations: usize, level: f64) -> f64 {
    let (x, n) = (violations as f64, observations as f64);
    if observations == 0 {
        return 1.0;
    }
    let log_likelihood = |p: f64| weighted_ln(n - x, 1.0 - p) + weighted_ln(x, p);
    chi_squared_1_tail(-2.0 * (log_likelihood(level) - log_likelihood(x / n)))
}

/// p-value of Christoffersen's (1998) test that violations are independent from one day to the next.
pub fn christoffersen(violations: &[bool]) -> f64 {
    let mut counts = [[0.0f64; 2]; 2];
    for pair in violations.windows(2) {
        counts[usize::from(pair[0])][usize::from(pair[1])] += 1.0;
    }
    let [[n00, n01], [n10, n11]] = counts;
    let rate = |hits: f64, misses: f64| if hits + misses > 0.0 { hits / (hits + misses) } else { 0.0 };
    let (p01, p11, p) = (rate(n01, n00), rate(n11, n10), rate(n01 + n11, n00 + n10));
    let independent = weighted_ln(n00 + n10, 1.0 - p) + weighted_ln(n01 + n11, p);
    let markov =
        weighted_ln(n00, 1.0 - p01) + weighted_ln(n01, p01) + weighted_ln(n10, 1.0 - p11) + weighted_ln(n11, p11);
    chi_squared_1_tail(-2.0 * (independent - markov))
}

/// p-value of the Kolmogorov–Smirnov test that `values` are uniform on 0..1 (asymptotic, Stephens' correction).
pub fn kolmogorov_smirnov_uniform(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 1.0;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let distance = sorted.iter().enumerate().fold(0.0f64, |widest, (index, &value)| {
        widest.max((index as f64 + 1.0) / n - value).max(value - index as f64 / n)
    });
    let scaled = distance * (n.sqrt() + 0.12 + 0.11 / n.sqrt());
    let series: f64 = (1..=100)
        .map(|k: i32| {
            let k = f64::from(k);
            let sign = if k % 2.0 == 0.0 { -1.0 } else { 1.0 };
            sign * (-2.0 * k * k * scaled * scaled).exp()
        })
        .sum();
    (2.0 * series).clamp(0.0, 1.0)
}

/// Diebold–Mariano t statistic of `ours − theirs` per day with a Newey–West variance; negative means ours is smaller.
pub fn diebold_mariano(ours: &[f64], theirs: &[f64], lags: usize) -> f64 {
    let differences: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a - b).collect();
    let n = differences.len() as f64;
    if n < 2.0 {
        return 0.0;
    }
    let mean = differences.iter().sum::<f64>() / n;
    let autocovariance = |lag: usize| -> f64 {
        differences
            .iter()
            .zip(&differences[lag.min(differences.len())..])
            .map(|(a, b)| (a - mean) * (b - mean))
            .sum::<f64>()
            / n
    };
    let long_run = (1..=lags).fold(autocovariance(0), |total, lag| {
        total + 2.0 * (1.0 - lag as f64 / (lags as f64 + 1.0)) * autocovariance(lag)
    });
    if long_run > 0.0 { mean / (long_run / n).sqrt() } else { 0.0 }
}

/// Standard normal distribution function.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x / std::f64::consts::SQRT_2)
}

/// Standard normal quantile by bisection on [`normal_cdf`]; `level` strictly between 0 and 1.
pub fn normal_quantile(level: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if normal_cdf(middle) < level { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

fn weighted_ln(weight: f64, value: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight * value.ln() }
}

fn chi_squared_1_tail(statistic: f64) -> f64 {
    erfc((statistic.max(0.0) / 2.0).sqrt())
}

/// Complementary error function: series near zero, Lentz's continued fraction beyond; relative error below 1e-12.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    let square = x * x;
    if x < 2.0 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-17 * sum.abs().max(1e-300) {
            n += 1.0;
            term *= -square / n;
            sum += term / (2.0 * n + 1.0);
        }
        return 1.0 - 2.0 / std::f64::consts::PI.sqrt() * sum;
    }
    // erfc(x) = exp(−x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …)))), evaluated from the tail.
    let fraction = (1..=120).rev().fold(x, |below, k| x + 0.5 * f64::from(k) / below);
    (-square).exp() / (std::f64::consts::PI.sqrt() * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
    }

    #[test]
    fn the_normal_distribution_agrees_with_published_values() {
        close(normal_cdf(0.0), 0.5, 1e-15);
        close(normal_cdf(1.959_963_984_540_054), 0.975, 1e-12);
        close(normal_cdf(-5.0), 2.866_515_718_791_939e-7, 1e-18);
        close(normal_quantile(0.01), -2.326_347_874_040_841, 1e-10);
    }

    #[test]
    fn kupiec_accepts_the_nominal_rate_and_rejects_twice_it() {
        close(kupiec(10, 1000, 0.01), 1.0, 1e-12);
        // LR = 7.827 for 20 violations of 1000 at 1 %, p = 0.0051.
        close(kupiec(20, 1000, 0.01), 0.005_147, 1e-5);
        assert!(kupiec(0, 1000, 0.01) < 0.05);
    }

    #[test]
    fn christoffersen_rejects_clustered_violations() {
        let spread: Vec<bool> = (0..1000).map(|day| day % 97 == 0).collect();
        let clustered: Vec<bool> = (0..1000).map(|day| (500..515).contains(&day)).collect();
        assert!(christoffersen(&spread) > 0.05);
        assert!(christoffersen(&clustered) < 1e-6);
    }

    #[test]
    fn kolmogorov_smirnov_tells_uniform_from_squeezed_values() {
        let uniform: Vec<f64> = (0..500).map(|i| (f64::from(i) + 0.5) / 500.0).collect();
        let squeezed: Vec<f64> = uniform.iter().map(|u| 0.5 + 0.6 * (u - 0.5)).collect();
        assert!(kolmogorov_smirnov_uniform(&uniform) > 0.99);
        assert!(kolmogorov_smirnov_uniform(&squeezed) < 1e-6);
    }

    #[test]
    fn crps_of_a_sharp_right_forecast_is_below_a_wide_one() {
        let levels: Vec<f64> = (1..=99).map(|k| f64::from(k) / 100.0).collect();
        let normal = |scale: f64| levels.iter().map(|&level| scale * normal_quantile(level)).collect::<Vec<_>>();
        assert!(crps(0.0, &normal(0.5), &levels) < crps(0.0, &normal(2.0), &levels));
        // Closed form of the standard normal's CRPS at zero: 2φ(0) − 1/√π = 0.23370.
        close(crps(0.0, &normal(1.0), &levels), 0.2337, 0.006);
    }

    #[test]
    fn diebold_mariano_is_negative_for_the_smaller_loss() {
        let theirs: Vec<f64> = (0..200).map(|i| 1.0 + f64::from(i % 7) * 0.1).collect();
        let ours: Vec<f64> = theirs.iter().enumerate().map(|(i, loss)| loss - 0.05 * (1.0 + (i % 3) as f64)).collect();
        assert!(diebold_mariano(&ours, &theirs, 5) < -2.0);
    }
}
