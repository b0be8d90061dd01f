//! The decision itself: a pure function from inputs and a market view to results, so that it can be computed again.
use super::{
    market::{MarketView, settle},
    optimise::{self, OptimiseError, Problem},
    record::{Inputs, Results, TargetWeight},
    trades::{Aim, PlannedTrade, decimal, plan},
};
use moneta_contracts::events::Side;
use moneta_types::{Money, Symbol};
use ndarray::{Array1, Array2};
use rust_decimal::{Decimal, prelude::ToPrimitive};

/// Why no decision could be computed.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// The optimiser has no answer.
    #[error(transparent)]
    Optimise(#[from] OptimiseError),
    /// An amount does not fit.
    #[error(transparent)]
    Value(#[from] moneta_types::Error),
    /// The portfolio holds an instrument that the market view does not know.
    #[error("holding {symbol} has no forecast on {date}")]
    UnknownHolding {
        /// The instrument.
        symbol: Symbol,
        /// The view's day.
        date: moneta_types::Date,
    },
    /// The portfolio is worth nothing.
    #[error("the portfolio has no value to invest")]
    Empty,
}

/// Computes target, trades and their effect. Outcome, verdicts, explanation and tail risk are filled in by the caller.
pub fn decide(inputs: &Inputs, view: &MarketView) -> Result<Results, DecideError> {
    let snapshot = &inputs.snapshot;
    if !snapshot.value.is_positive() {
        return Err(DecideError::Empty);
    }
    let value = float(snapshot.value.amount());
    let mut present = Array1::<f64>::zeros(view.symbols.len());
    for holding in &snapshot.holdings {
        let index = view
            .position(&holding.symbol)
            .ok_or_else(|| DecideError::UnknownHolding { symbol: holding.symbol.clone(), date: view.date })?;
        present[index] = float(holding.value.amount()) / value;
    }
    let problem = problem(inputs, view, present.clone());
    let solution = optimise::optimise(&problem)?;

    let weights: Vec<Decimal> = solution.weights.iter().map(|&weight| decimal(weight).round_dp(6)).collect();
    let cash = Decimal::ONE - weights.iter().sum::<Decimal>();
    let mut target: Vec<TargetWeight> = view
        .symbols
        .iter()
        .zip(&weights)
        .filter(|(_, weight)| !weight.is_zero())
        .map(|(symbol, weight)| TargetWeight { symbol: symbol.clone(), weight: *weight })
        .collect();
    target.push(TargetWeight { symbol: Symbol::CASH.parse()?, weight: cash });

    let drift = drift(&present, &solution.weights, solution.cash);
    let before = optimise::volatility(&problem.covariance, &present);
    let within_bounds = before <= problem.limits.volatility_ceiling;
    let trades = if drift < inputs.parameters.band && within_bounds {
        Vec::new()
    } else {
        trades(inputs, view, &weights, &present)?
    };
    let after = after_trades(&present, &trades, view, value);
    let traded: f64 = trades.iter().map(|trade| float(trade.estimated_value.amount())).sum();
    let total_cost = Money::sum(snapshot.currency, trades.iter().map(|trade| trade.estimated_cost))?;
    let gain = utility(&problem, &after) - utility(&problem, &present);

    Ok(Results {
        outcome: String::new(),
        target,
        volatility_before: fraction(before),
        volatility_after: fraction(optimise::volatility(&problem.covariance, &after)),
        drift_before: fraction(drift),
        turnover: fraction(traded / value / 2.0),
        expected_benefit: fraction(gain),
        total_cost,
        trades,
        value_at_risk_95: Decimal::ZERO,
        expected_shortfall_95: Decimal::ZERO,
        turnover_relaxed: solution.turnover_relaxed,
        rule_pack: String::new(),
        verdicts: Vec::new(),
        explanation: String::new(),
    })
}

/// Weights after the trades, in the view's order; what is missing to one is cash.
pub fn weights_after(inputs: &Inputs, view: &MarketView, trades: &[PlannedTrade]) -> Vec<f64> {
    let value = float(inputs.snapshot.value.amount());
    let mut present = Array1::<f64>::zeros(view.symbols.len());
    for holding in &inputs.snapshot.holdings {
        if let Some(index) = view.position(&holding.symbol) {
            present[index] = float(holding.value.amount()) / value;
        }
    }
    after_trades(&present, trades, view, value).to_vec()
}

fn problem(inputs: &Inputs, view: &MarketView, present: Array1<f64>) -> Problem {
    let count = view.symbols.len();
    let parameters = &inputs.parameters;
    let covariance = Array2::from_shape_fn((count, count), |(row, column)| view.covariance[row * count + column]);
    let mut limits = parameters.limits;
    limits.max_turnover = limits.max_turnover.min(float(inputs.mandate.turnover_left));
    // A trade is paid once and its gain is earned for as long as the position is held.
    let turns = super::market::TRADING_DAYS / parameters.holding_days.max(1.0);
    let cost = view
        .symbols
        .iter()
        // An instrument outside the mandate's universe, or one that the client excludes, is never traded: its cost is prohibitive.
        .map(|symbol| if inputs.may_trade(symbol) { (parameters.cost_bp / 10_000.0 * turns).min(1.0) } else { 1.0 })
        .collect();
    Problem {
        expected_return: expected_returns(view, &covariance, inputs),
        covariance,
        present,
        cost,
        cash_return: parameters.cash_return,
        limits,
    }
}

/// Equilibrium returns (reverse optimisation of the equal-weighted universe, Black and Litterman 1992), with the
/// forecast's own mean blended in at its small weight.
fn expected_returns(view: &MarketView, covariance: &Array2<f64>, inputs: &Inputs) -> Array1<f64> {
    let count = view.symbols.len();
    let equal = Array1::from_elem(count, 1.0 / count.max(1) as f64);
    let volatility = optimise::volatility(covariance, &equal);
    let parameters = &inputs.parameters;
    // δ such that the equal-weighted universe earns the assumed Sharpe ratio: μ = δΣw, w'μ = SR·σ.
    let delta = if volatility > 0.0 { parameters.market_sharpe / volatility } else { 0.0 };
    let equilibrium = covariance.dot(&equal) * delta + parameters.cash_return;
    let months = super::market::TRADING_DAYS / 21.0;
    let own: Array1<f64> = view.forecasts.iter().map(|forecast| forecast.mean_21d * months).collect();
    equilibrium * (1.0 - parameters.view_weight) + own * parameters.view_weight
}

fn trades(
    inputs: &Inputs,
    view: &MarketView,
    weights: &[Decimal],
    present: &Array1<f64>,
) -> Result<Vec<PlannedTrade>, DecideError> {
    let mandate = &inputs.mandate;
    let aims: Vec<Aim> = view
        .symbols
        .iter()
        .zip(&view.prices)
        .zip(weights.iter().zip(present))
        .filter(|((symbol, _), (weight, present))| (!weight.is_zero() || **present > 0.0) && inputs.may_trade(symbol))
        .map(|((symbol, price), (weight, _))| Aim { symbol: symbol.clone(), price: *price, weight: *weight })
        .collect();
    Ok(plan(&inputs.snapshot, &aims, &inputs.parameters, mandate.max_order_value)?)
}

fn after_trades(present: &Array1<f64>, trades: &[PlannedTrade], view: &MarketView, value: f64) -> Array1<f64> {
    let mut after = present.clone();
    for trade in trades {
        if let Some(index) = view.position(&trade.symbol) {
            let change = float(trade.estimated_value.amount()) / value;
            after[index] += if trade.side == Side::Sell { -change } else { change };
        }
    }
    after.mapv_into(|weight| weight.max(0.0))
}

fn drift(present: &Array1<f64>, target: &Array1<f64>, target_cash: f64) -> f64 {
    let cash = 1.0 - present.sum();
    ((present - target).mapv(f64::abs).sum() + (cash - target_cash).abs()) / 2.0
}

/// Certainty-equivalent return a year: μ'w + cash − γ/2·w'Σw.
fn utility(problem: &Problem, weights: &Array1<f64>) -> f64 {
    let variance = weights.dot(&problem.covariance.dot(weights));
    weights.dot(&problem.expected_return) + (1.0 - weights.sum()) * problem.cash_return
        - problem.limits.risk_aversion / 2.0 * variance
}

/// A computed rate as a decimal fraction with six decimals.
pub fn fraction(value: f64) -> Decimal {
    decimal(settle(value)).round_dp(6)
}

/// A decimal as a float; amounts in books are far below where that loses a cent's meaning for a weight.
pub fn float(value: Decimal) -> f64 {
    value.to_f64().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::testing::{inputs, view};

    #[test]
    fn the_same_inputs_give_the_same_bytes() {
        let inputs = inputs("100000", &[]);
        let first = serde_json::to_string(&decide(&inputs, &view()).unwrap()).unwrap();
        let second = serde_json::to_string(&decide(&inputs, &view()).unwrap()).unwrap();
        assert_eq!(first, second);
    }

    #[test]
    fn cash_is_invested_within_the_ceiling_and_the_weight_cap() {
        let inputs = inputs("100000", &[]);
        let results = decide(&inputs, &view()).unwrap();
        assert!(!results.trades.is_empty());
        assert!(results.volatility_after <= inputs.profile.volatility_ceiling, "{}", results.volatility_after);
        let sum: Decimal = results.target.iter().map(|target| target.weight).sum();
        assert_eq!(sum, Decimal::ONE);
        assert!(results.trades.iter().all(|trade| trade.side == Side::Buy));
    }

    #[test]
    fn purchases_leave_the_cash_that_must_stay() {
        let inputs = inputs("100000", &[]);
        let results = decide(&inputs, &view()).unwrap();
        let bought: Decimal = results.trades.iter().map(|trade| trade.estimated_value.amount()).sum();
        assert!(bought + results.total_cost.amount() < inputs.snapshot.cash.amount());
    }

    #[test]
    fn a_portfolio_at_its_target_is_left_alone() {
        let first = decide(&inputs("100000", &[]), &view()).unwrap();
        let held: Vec<(String, String, String)> = first
            .trades
            .iter()
            .map(|trade| (trade.symbol.to_string(), trade.quantity.to_string(), trade.reference_price.to_string()))
            .collect();
        let held: Vec<(&str, &str, &str)> = held.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
        let spent: Decimal = first.trades.iter().map(|trade| trade.estimated_value.amount()).sum();
        let cash = (Decimal::from(100_000) - spent).to_string();
        let second = decide(&inputs(&cash, &held), &view()).unwrap();
        assert!(second.trades.is_empty(), "{:?}", second.trades);
    }

    #[test]
    fn instruments_outside_the_mandate_are_not_traded() {
        let mut inputs = inputs("100000", &[("BBB", "10", "200")]);
        inputs.mandate.universe = vec!["AAA".parse().unwrap()];
        let results = decide(&inputs, &view()).unwrap();
        assert!(results.trades.iter().all(|trade| trade.symbol.as_str() == "AAA"), "{:?}", results.trades);
    }

    #[test]
    fn a_holding_without_a_forecast_is_an_error_that_names_it() {
        let inputs = inputs("1000", &[("ZZZ", "10", "200")]);
        assert_eq!(decide(&inputs, &view()).unwrap_err().to_string(), "holding ZZZ has no forecast on 2020-01-02");
    }
}
