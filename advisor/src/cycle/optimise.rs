//! The portfolio optimisation: a second-order cone programme solved by Clarabel.
//!
//! Maximise `μ'w − γ/2·w'Σw − κ'|w − w₀|` over long-only weights, subject to full investment with cash, a weight cap, a
//! ceiling on annualised volatility, and a limit on turnover (Markowitz 1952; costs and cone form as in Boyd et al.,
//! "Multi-Period Trading via Convex Optimization", 2017).
use clarabel::{
    algebra::CscMatrix,
    solver::{
        DefaultSettingsBuilder, DefaultSolver, IPSolver, SolverStatus,
        SupportedConeT::{self, NonnegativeConeT, SecondOrderConeT, ZeroConeT},
    },
};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

/// What the optimiser is asked. All rates are annualised decimal fractions; vectors have one entry an instrument.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Expected return a year.
    pub expected_return: Array1<f64>,
    /// Covariance of returns a year, positive semidefinite.
    pub covariance: Array2<f64>,
    /// Present weights; what is missing to one is cash.
    pub present: Array1<f64>,
    /// Cost of trading one unit of value, one way, as a fraction.
    pub cost: Array1<f64>,
    /// Largest weight, beside the cap of the limits.
    pub largest: Array1<f64>,
    /// Return a year on cash.
    pub cash_return: f64,
    /// Bounds that the answer keeps.
    pub limits: Limits,
}

/// Bounds of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// γ, aversion to variance.
    pub risk_aversion: f64,
    /// Annualised volatility that the portfolio may not exceed.
    pub volatility_ceiling: f64,
    /// Largest weight of one instrument.
    pub max_weight: f64,
    /// Smallest weight of cash.
    pub min_cash: f64,
    /// Largest turnover, purchases and sales halved: Σ|w − w₀|/2 over the instruments; falls away where the ceiling could
    /// not be kept otherwise.
    pub max_turnover: f64,
}

/// The optimal weights and what they imply.
#[derive(Debug, Clone)]
pub struct Solution {
    /// Weight an instrument, zero or more.
    pub weights: Array1<f64>,
    /// Weight of cash.
    pub cash: f64,
    /// Annualised volatility of the answer.
    pub volatility: f64,
    /// Whether the turnover limit had to give way to the risk ceiling.
    pub turnover_relaxed: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OptimiseError {
    /// Dimensions differ or a number is not finite.
    #[error("optimiser input {what} is not valid: {allowed}")]
    Input {
        /// Which input.
        what: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The solver found no answer within its tolerance.
    #[error("optimiser ended with {status}")]
    Unsolved {
        /// Clarabel's word for it.
        status: String,
    },
}

/// Weights below this are noise of the interior-point method and become zero.
const DUST: f64 = 1e-6;

/// Solves the problem. When the turnover limit and the risk ceiling cannot both be kept, the ceiling wins.
pub fn optimise(problem: &Problem) -> Result<Solution, OptimiseError> {
    check(problem)?;
    match solve(problem, Some(problem.limits.max_turnover)) {
        Ok(solution) => Ok(solution),
        Err(OptimiseError::Unsolved { .. }) => {
            solve(problem, None).map(|solution| Solution { turnover_relaxed: true, ..solution })
        }
        Err(error) => Err(error),
    }
}

/// Annualised volatility of weights under a covariance.
pub fn volatility(covariance: &Array2<f64>, weights: &Array1<f64>) -> f64 {
    weights.dot(&covariance.dot(weights)).max(0.0).sqrt()
}

fn check(problem: &Problem) -> Result<(), OptimiseError> {
    let count = problem.expected_return.len();
    let bad = |what, allowed| Err(OptimiseError::Input { what, allowed });
    let vectors = [&problem.present, &problem.cost, &problem.largest];
    if problem.covariance.dim() != (count, count) || vectors.iter().any(|vector| vector.len() != count) {
        return bad("dimensions", "one entry an instrument in every vector and a square covariance");
    }
    if !problem.covariance.iter().chain(&problem.expected_return).chain(&problem.present).all(|x| x.is_finite()) {
        return bad("numbers", "finite numbers");
    }
    if problem.largest.iter().any(|largest| !(0.0..=f64::MAX).contains(largest)) {
        return bad("largest", "weights of zero or more");
    }
    if problem.cost.iter().any(|cost| !(0.0..=1.0).contains(cost)) {
        return bad("cost", "fractions from 0 to 1");
    }
    let limits = problem.limits;
    if !(limits.volatility_ceiling > 0.0 && limits.max_weight > 0.0 && limits.risk_aversion > 0.0) {
        return bad("limits", "volatility ceiling, weight cap and risk aversion above zero");
    }
    if !(0.0..=1.0).contains(&limits.min_cash) || limits.max_turnover < 0.0 {
        return bad("limits", "minimum cash from 0 to 1, turnover zero or more");
    }
    Ok(())
}

/// Variables: w (n), cash (1), t (n) ≥ |w − w₀|.
fn solve(problem: &Problem, max_turnover: Option<f64>) -> Result<Solution, OptimiseError> {
    let count = problem.expected_return.len();
    let (cash, moved, variables) = (count, count + 1, 2 * count + 1);
    let limits = problem.limits;
    let factor = cholesky(&problem.covariance);

    let mut quadratic = Vec::new();
    for row in 0..count {
        for column in row..count {
            quadratic.push((row, column, limits.risk_aversion * problem.covariance[[row, column]]));
        }
    }
    let mut linear = vec![0.0; variables];
    for index in 0..count {
        linear[index] = -problem.expected_return[index];
        linear[moved + index] = problem.cost[index];
    }
    linear[cash] = -problem.cash_return;

    let mut rows = Rows::default();
    rows.push((0..=count).map(|index| (index, 1.0)), 1.0);
    let mut cones: Vec<SupportedConeT<f64>> = vec![ZeroConeT(1)];
    let equalities = rows.len();
    for index in 0..count {
        rows.push([(index, -1.0)], 0.0);
        // The slack is below what becomes zero, and leaves the solver an inside where the largest weight is none.
        rows.push([(index, 1.0)], limits.max_weight.min(problem.largest[index] + DUST / 2.0));
        rows.push([(index, 1.0), (moved + index, -1.0)], problem.present[index]);
        rows.push([(index, -1.0), (moved + index, -1.0)], -problem.present[index]);
    }
    rows.push([(cash, -1.0)], -limits.min_cash);
    if let Some(turnover) = max_turnover {
        rows.push((moved..variables).map(|index| (index, 1.0)), 2.0 * turnover);
    }
    cones.push(NonnegativeConeT(rows.len() - equalities));
    rows.push([], limits.volatility_ceiling);
    for row in 0..count {
        rows.push((row..count).map(|column| (column, -factor[[column, row]])), 0.0);
    }
    cones.push(SecondOrderConeT(count + 1));

    let objective = matrix(variables, variables, quadratic);
    let constraints = matrix(rows.len(), variables, rows.entries);
    let settings = DefaultSettingsBuilder::default()
        .verbose(false)
        .tol_gap_abs(1e-9)
        .tol_gap_rel(1e-9)
        .tol_feas(1e-9)
        .build()
        .map_err(|error| OptimiseError::Unsolved { status: error.to_string() })?;
    let mut solver = DefaultSolver::new(&objective, &linear, &constraints, &rows.bounds, &cones, settings)
        .map_err(|error| OptimiseError::Unsolved { status: error.to_string() })?;
    solver.solve();
    if !matches!(solver.solution.status, SolverStatus::Solved | SolverStatus::AlmostSolved) {
        return Err(OptimiseError::Unsolved { status: format!("{:?}", solver.solution.status) });
    }
    let weights: Array1<f64> =
        solver.solution.x[..count].iter().map(|&weight| if weight < DUST { 0.0 } else { weight }).collect();
    let volatility = volatility(&problem.covariance, &weights);
    Ok(Solution { cash: 1.0 - weights.sum(), weights, volatility, turnover_relaxed: false })
}

/// Sparse rows `a'x + s = b` in the order Clarabel's cones take them.
#[derive(Default)]
struct Rows {
    entries: Vec<(usize, usize, f64)>,
    bounds: Vec<f64>,
}

impl Rows {
    fn push(&mut self, row: impl IntoIterator<Item = (usize, f64)>, bound: f64) {
        let index = self.bounds.len();
        self.entries.extend(row.into_iter().map(|(column, value)| (index, column, value)));
        self.bounds.push(bound);
    }

    fn len(&self) -> usize {
        self.bounds.len()
    }
}

fn matrix(rows: usize, columns: usize, entries: Vec<(usize, usize, f64)>) -> CscMatrix<f64> {
    let mut parts = (Vec::new(), Vec::new(), Vec::new());
    for (row, column, value) in entries.into_iter().filter(|entry| entry.2 != 0.0) {
        parts.0.push(row);
        parts.1.push(column);
        parts.2.push(value);
    }
    CscMatrix::new_from_triplets(rows, columns, parts.0, parts.1, parts.2)
}

/// Lower Cholesky factor L of Σ (Σ = LL'); pivots that rounding made negative count as zero.
fn cholesky(covariance: &Array2<f64>) -> Array2<f64> {
    let count = covariance.nrows();
    let mut factor = Array2::<f64>::zeros((count, count));
    for row in 0..count {
        for column in 0..=row {
            let product: f64 = (0..column).map(|k| factor[[row, k]] * factor[[column, k]]).sum();
            let rest = covariance[[row, column]] - product;
            factor[[row, column]] = if row == column {
                rest.max(0.0).sqrt()
            } else if factor[[column, column]] > 1e-12 {
                rest / factor[[column, column]]
            } else {
                0.0
            };
        }
    }
    factor
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    fn limits() -> Limits {
        Limits { risk_aversion: 3.0, volatility_ceiling: 0.15, max_weight: 0.6, min_cash: 0.02, max_turnover: 1.0 }
    }

    fn problem() -> Problem {
        Problem {
            expected_return: array![0.06, 0.08, 0.05],
            covariance: array![[0.04, 0.01, 0.0], [0.01, 0.09, 0.02], [0.0, 0.02, 0.0225]],
            present: array![0.0, 0.0, 0.0],
            cost: array![0.001, 0.001, 0.001],
            largest: array![1.0, 1.0, 1.0],
            cash_return: 0.01,
            limits: limits(),
        }
    }

    #[test]
    fn the_answer_keeps_every_limit() {
        let solution = optimise(&problem()).unwrap();
        assert!(solution.volatility <= 0.15 + 1e-6, "{}", solution.volatility);
        assert!(solution.cash >= 0.02 - 1e-6);
        assert!(solution.weights.iter().all(|&w| (0.0..=0.6 + 1e-6).contains(&w)));
        assert!((solution.weights.sum() + solution.cash - 1.0).abs() < 1e-12);
    }

    #[test]
    fn without_binding_limits_the_answer_is_the_closed_form() {
        let mut free = problem();
        free.cost.fill(0.0);
        free.cash_return = 0.0;
        free.largest.fill(9.0);
        free.limits =
            Limits { risk_aversion: 20.0, volatility_ceiling: 9.0, max_weight: 9.0, min_cash: 0.0, max_turnover: 9.0 };
        let solution = optimise(&free).unwrap();
        // First-order condition with cash absorbing the rest: γΣw = μ.
        let gradient = free.covariance.dot(&solution.weights) * 20.0;
        for (left, right) in gradient.iter().zip(&free.expected_return) {
            assert!((left - right).abs() < 1e-5, "{left} {right}");
        }
    }

    #[test]
    fn a_portfolio_over_the_ceiling_is_brought_under_it_even_beyond_the_turnover_limit() {
        let mut risky = problem();
        risky.present = array![0.0, 0.98, 0.0];
        risky.limits.max_turnover = 0.05;
        let solution = optimise(&risky).unwrap();
        assert!(solution.turnover_relaxed);
        assert!(solution.volatility <= 0.15 + 1e-6);
    }

    #[test]
    fn turnover_stays_within_its_limit_where_the_ceiling_allows() {
        let mut calm = problem();
        calm.present = array![0.2, 0.1, 0.2];
        calm.limits.max_turnover = 0.05;
        let solution = optimise(&calm).unwrap();
        let moved: f64 = (&solution.weights - &calm.present).mapv(f64::abs).sum();
        assert!(!solution.turnover_relaxed);
        assert!(moved / 2.0 <= 0.05 + 1e-6, "{moved}");
    }

    #[test]
    fn an_instrument_is_brought_down_to_its_largest_weight() {
        for largest in [0.0, 0.05] {
            let mut bounded = problem();
            bounded.present = array![0.2, 0.1, 0.2];
            bounded.largest[0] = largest;
            let solution = optimise(&bounded).unwrap();
            assert!(!solution.turnover_relaxed);
            assert!(solution.weights[0] <= largest + DUST, "{}", solution.weights[0]);
        }
    }

    #[test]
    fn high_costs_keep_the_portfolio_where_it_is() {
        let mut dear = problem();
        dear.present = array![0.2, 0.1, 0.2];
        dear.cost.fill(0.5);
        let solution = optimise(&dear).unwrap();
        assert!((&solution.weights - &dear.present).iter().all(|move_| move_.abs() < 1e-4));
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let mut bad = problem();
        bad.covariance[[0, 0]] = f64::NAN;
        assert!(matches!(optimise(&bad), Err(OptimiseError::Input { what: "numbers", .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_sane_problem_has_an_answer_within_its_limits(
            scale in proptest::collection::vec(0.05_f64..0.6, 4),
            returns in proptest::collection::vec(-0.1_f64..0.2, 4),
            rho in 0.0_f64..0.9,
            ceiling in 0.03_f64..0.4,
        ) {
            let covariance = Array2::from_shape_fn((4, 4), |(i, j)| {
                scale[i] * scale[j] * if i == j { 1.0 } else { rho }
            });
            let problem = Problem {
                expected_return: Array1::from(returns),
                covariance: covariance.clone(),
                present: Array1::from(vec![0.3, 0.3, 0.2, 0.1]),
                cost: Array1::from(vec![0.001; 4]),
                largest: Array1::ones(4),
                cash_return: 0.0,
                limits: Limits { volatility_ceiling: ceiling, ..limits() },
            };
            let solution = optimise(&problem).unwrap();
            prop_assert!(volatility(&covariance, &solution.weights) <= ceiling + 1e-5);
            prop_assert!(solution.cash >= 0.02 - 1e-5);
        }
    }
}
