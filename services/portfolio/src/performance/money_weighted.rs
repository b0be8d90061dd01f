//! Money-weighted return (XIRR): the yearly rates at which the flows' present values sum to zero.
//!
//! Such an equation may have no root, one, or several. All roots in (-99.99 %, +1000 %] are reported; choosing one would
//! be telling a story. Years are Actual/365.
use moneta_types::{Date, Money};
use rust_decimal::{Decimal, prelude::ToPrimitive};

/// Money that went to the owner (above zero) or into the portfolio (below zero) on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// The day.
    pub date: Date,
    /// Signed as the owner sees it: deposits below zero, withdrawals and the final value above.
    pub amount: Money,
}

/// The lowest rate looked at is just above this.
const LOWEST: f64 = -0.9999;
/// The highest rate looked at.
const HIGHEST: f64 = 10.0;
/// Steps of the first scan, over the logarithm of 1 + rate.
const STEPS: usize = 4096;
/// Present values below this share of all money moved count as zero at a point where the curve only touches zero.
const TOUCHES: f64 = 1e-12;

/// A flow as a share of all money moved (so that no amount of money is held in floating point) at a time in years.
struct Term {
    share: f64,
    years: f64,
}

/// Every yearly rate, ascending, ten decimals; none when there is none.
pub fn money_weighted_returns(flows: &[Flow]) -> Vec<Decimal> {
    let terms = terms(flows);
    let signs: Vec<bool> = terms.iter().map(|term| term.share > 0.0).collect();
    if terms.len() < 2 || signs.windows(2).all(|pair| pair[0] == pair[1]) {
        return Vec::new();
    }
    let mut roots: Vec<Decimal> = zeros(&terms)
        .into_iter()
        .filter_map(|x| Decimal::from_f64_retain(x.exp() - 1.0))
        .map(|rate| rate.round_dp(10).normalize())
        .collect();
    roots.sort_unstable();
    roots.dedup();
    roots
}

fn terms(flows: &[Flow]) -> Vec<Term> {
    let Some(first) = flows.iter().map(|flow| flow.date).min() else { return Vec::new() };
    let mut by_day = std::collections::BTreeMap::<i64, Decimal>::new();
    for flow in flows {
        *by_day.entry((flow.date - first).num_days()).or_default() += flow.amount.amount();
    }
    let moved: Decimal = by_day.values().map(Decimal::abs).sum();
    by_day
        .into_iter()
        .filter(|(_, amount)| !amount.is_zero())
        .filter_map(|(days, amount)| {
            let share = amount.checked_div(moved)?.to_f64()?;
            Some(Term { share, years: days as f64 / 365.0 })
        })
        .collect()
}

/// Present value at the rate `exp(x) - 1`, or its derivative by `x`, as seen from the middle of the period, so that neither
/// end vanishes in floating point.
fn present_value(terms: &[Term], x: f64, derivative: bool) -> f64 {
    let middle = terms.last().map_or(0.0, |term| term.years) / 2.0;
    terms
        .iter()
        .map(|term| {
            let value = term.share * (-x * (term.years - middle)).exp();
            if derivative { -(term.years - middle) * value } else { value }
        })
        .sum()
}

/// Where the present value crosses or touches zero.
///
/// The sum has at most as many roots as its shares change sign (Descartes' rule for sums of exponentials), so the scan
/// stops early in the common case of one change.
fn zeros(terms: &[Term]) -> Vec<f64> {
    let (low, high) = ((1.0 + LOWEST).ln(), (1.0 + HIGHEST).ln());
    let changes = terms.windows(2).filter(|pair| (pair[0].share > 0.0) != (pair[1].share > 0.0)).count();
    let value = |x: f64| present_value(terms, x, false);
    let slope = |x: f64| present_value(terms, x, true);
    let steps = if changes == 1 { 1 } else { STEPS };
    let mut found = Vec::new();
    for step in 0..steps {
        let at = |step: usize| low + (high - low) * step as f64 / steps as f64;
        let (left, right) = (at(step), at(step + 1));
        let (value_left, value_right) = (value(left), value(right));
        if value_right == 0.0 {
            found.push(right);
        } else if value_left * value_right < 0.0 {
            found.push(bisect(left, right, value));
        } else if value_left != 0.0 && slope(left) * slope(right) < 0.0 {
            let turn = bisect(left, right, slope);
            if value(turn).abs() < TOUCHES {
                found.push(turn);
            } else if value(turn) * value_left < 0.0 {
                found.push(bisect(left, turn, value));
                found.push(bisect(turn, right, value));
            }
        }
    }
    found
}

/// The zero of a function that has different signs at both ends.
fn bisect(mut left: f64, mut right: f64, function: impl Fn(f64) -> f64) -> f64 {
    let negative_left = function(left) < 0.0;
    for _ in 0..200 {
        let middle = left + (right - left) / 2.0;
        if middle <= left || middle >= right {
            break;
        }
        if (function(middle) < 0.0) == negative_left {
            left = middle;
        } else {
            right = middle;
        }
    }
    left + (right - left) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_types::Currency;
    use proptest::prelude::*;

    fn flow(year: i32, day: u32, minor: i64) -> Flow {
        let start = Date::from_ymd_opt(year, 1, 1).unwrap();
        Flow { date: start + chrono::Days::new(u64::from(day)), amount: Money::from_minor(minor, Currency::Usd) }
    }

    fn yearly(amounts: &[i64]) -> Vec<Flow> {
        (0_u32..).zip(amounts).map(|(year, &minor)| flow(2010, year * 365, minor)).collect()
    }

    #[test]
    fn ten_per_cent_a_year_is_ten_per_cent() {
        assert_eq!(money_weighted_returns(&yearly(&[-10_000, 0, 12_100])), [Decimal::new(1, 1)]);
    }

    #[test]
    fn several_roots_are_all_reported() {
        // (x - 1.1)(x - 1.25)(x - 1.4) times 1000: flows whose present values vanish at 10, 25 and 40 per cent.
        let flows = yearly(&[100_000, -375_000, 466_500, -192_500]);
        let roots = money_weighted_returns(&flows);
        assert_eq!(roots, [Decimal::new(1, 1), Decimal::new(25, 2), Decimal::new(4, 1)]);
    }

    #[test]
    fn a_curve_that_only_touches_zero_has_that_one_root() {
        let roots = money_weighted_returns(&yearly(&[-100_000, 240_000, -144_000]));
        assert_eq!(roots.len(), 1, "{roots:?}");
        assert_eq!(roots[0].round_dp(5), Decimal::new(2, 1));
    }

    #[test]
    fn where_there_is_no_root_none_is_made_up() {
        assert!(money_weighted_returns(&yearly(&[-100_000, 200_000, -150_000])).is_empty());
        assert!(money_weighted_returns(&yearly(&[-100, -100])).is_empty());
        assert!(money_weighted_returns(&[]).is_empty());
        assert!(money_weighted_returns(&[flow(2010, 5, -100), flow(2010, 5, 110)]).is_empty());
    }

    #[test]
    fn a_total_loss_and_a_hundredfold_gain_lie_outside_the_range() {
        assert!(money_weighted_returns(&yearly(&[-1_000_000_000, 1])).is_empty());
        assert!(money_weighted_returns(&yearly(&[-100, 10_000])).is_empty());
    }

    /// Counts sign changes of the plain sum over amounts on a fine grid of rates: slow, and written without the above.
    fn brute_force(flows: &[Flow]) -> Vec<f64> {
        let first = flows.iter().map(|flow| flow.date).min().unwrap();
        let npv = |rate: f64| -> f64 {
            flows
                .iter()
                .map(|flow| {
                    flow.amount.minor_units() as f64 / (1.0 + rate).powf((flow.date - first).num_days() as f64 / 365.0)
                })
                .sum()
        };
        let mut roots = Vec::new();
        let mut rate = -0.9;
        while rate < 9.9 {
            let next = rate + 0.0005;
            if npv(rate) * npv(next) < 0.0 {
                roots.push(rate);
            }
            rate = next;
        }
        roots
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_root_that_brute_force_finds_is_reported_and_every_reported_one_is_a_root(
            mut parts in prop::collection::vec((0_u32..2000, -500_000_i64..500_000), 2..8),
        ) {
            parts.sort_unstable();
            let flows: Vec<_> = parts.iter().map(|&(day, minor)| flow(2010, day, minor)).collect();
            let found: Vec<f64> =
                money_weighted_returns(&flows).iter().map(|rate| rate.to_string().parse().unwrap()).collect();
            for root in brute_force(&flows) {
                prop_assert!(found.iter().any(|rate| (root - 1e-6..root + 0.0005 + 1e-6).contains(rate)), "{root} not in {found:?}");
            }
            let first = flows[0].date;
            let moved: f64 = flows.iter().map(|flow| flow.amount.minor_units().abs() as f64).sum();
            for rate in found {
                let discounted = |flow: &Flow| flow.amount.minor_units() as f64 * (1.0 + rate).powf(-((flow.date - first).num_days() as f64) / 365.0);
                let sum: f64 = flows.iter().map(discounted).sum();
                let size: f64 = flows.iter().map(|flow| discounted(flow).abs()).sum::<f64>().max(moved * 1e-9);
                prop_assert!((sum / size).abs() < 1e-5, "{rate} leaves {sum} of {size}");
            }
        }
    }
}
