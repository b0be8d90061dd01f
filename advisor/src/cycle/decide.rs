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
    let mut solution = optimise::optimise(&problem)?;
    let mut sells_excluded = false;
    for (index, _) in view.symbols.iter().enumerate().filter(|(_, symbol)| inputs.excludes(symbol)) {
        solution.weights[index] = solution.weights[index].min(problem.largest[index]);
        sells_excluded |= problem.largest[index] < present[index];
    }

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
    let trades = if drift < inputs.parameters.band && within_bounds && !sells_excluded {
        Vec::new()
    } else {
        trades(inputs, view, &weights, &present, &problem.largest)?
    };
    let after = after_trades(&present, &trades, view, value);
    let traded: f64 = trades.iter().map(|trade| float(trade.estimated_value.amount())).sum();
    let total_cost = Money::sum(snapshot.currency, trades.iter().map(|trade| trade.estimated_cost))?;
    // What the client excludes goes whether it gains or not; the gain is that of everything else.
    let mut before_choice = present.clone();
    before_choice.indexed_iter_mut().for_each(|(index, weight)| {
        if inputs.excludes(&view.symbols[index]) {
            *weight = weight.min(problem.largest[index]);
        }
    });
    let gain = utility(&problem, &after) - utility(&problem, &before_choice);

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
        // An instrument outside the mandate's universe is never traded: its cost is prohibitive.
        .map(|symbol| if inputs.may_trade(symbol) { (parameters.cost_bp / 10_000.0 * turns).min(1.0) } else { 1.0 })
        .collect();
    Problem {
        expected_return: expected_returns(view, &covariance, inputs),
        covariance,
        largest: largest(inputs, view, &present, limits.max_turnover),
        present,
        cost,
        cash_return: parameters.cash_return,
        limits,
    }
}

/// The largest weight of each instrument. Of what the client excludes nothing is bought, and what he holds of it is sold, as
/// far as the largest order and the turnover that is left allow; the next reviews sell the rest. What the mandate does not
/// let be traded stays.
fn largest(inputs: &Inputs, view: &MarketView, present: &Array1<f64>, max_turnover: f64) -> Array1<f64> {
    let value = float(inputs.snapshot.value.amount());
    let order = float(inputs.mandate.max_order_value.amount()) / value;
    // Turnover is halved, so a sale alone may be twice the limit.
    let mut left = 2.0 * max_turnover;
    let bound = |(symbol, &present): (&Symbol, &f64)| {
        if !inputs.excludes(symbol) {
            return inputs.parameters.limits.max_weight.max(present);
        }
        if !inputs.may_trade(symbol) {
            return present;
        }
        let sold = present.min(order).min(left);
        if sold < LEAST_SALE {
            return present;
        }
        left -= sold;
        present - sold
    };
    view.symbols.iter().zip(present).map(bound).collect()
}

/// What is less of a portfolio is no sale.
const LEAST_SALE: f64 = 1e-5;

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
    largest: &Array1<f64>,
) -> Result<Vec<PlannedTrade>, DecideError> {
    let mandate = &inputs.mandate;
    let aims: Vec<Aim> = view
        .symbols
        .iter()
        .enumerate()
        .zip(view.prices.iter().zip(weights))
        .filter(|((index, symbol), (_, weight))| {
            let wanted = !weight.is_zero() || present[*index] > 0.0;
            let stays = inputs.excludes(symbol) && largest[*index] >= present[*index];
            wanted && !stays && inputs.may_trade(symbol)
        })
        .map(|((_, symbol), (price, weight))| Aim {
            symbol: symbol.clone(),
            price: *price,
            weight: *weight,
            excluded: inputs.excludes(symbol),
        })
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

    /// What an excluded holding of 20,000 in 100,000 comes to.
    fn excluded(change: impl FnOnce(&mut Inputs)) -> (Vec<(Side, String)>, Results) {
        let mut inputs = inputs("30000", &[("AAA", "300", "100"), ("BBB", "100", "200"), ("CCC", "400", "50")]);
        inputs.profile.exclusions = vec!["BBB".parse().unwrap()];
        change(&mut inputs);
        let mut results = decide(&inputs, &view()).unwrap();
        results.explanation = crate::cycle::explanation(&inputs, &results, crate::cycle::Trigger::Review);
        let of_it = results.trades.iter().filter(|trade| trade.symbol.as_str() == "BBB");
        (of_it.map(|trade| (trade.side, trade.quantity.to_string())).collect(), results)
    }

    #[test]
    fn what_the_client_excludes_is_sold_and_the_explanation_names_it() {
        let (trades, results) = excluded(|_| ());
        assert_eq!(trades, [(Side::Sell, "100".to_owned())]);
        assert!(results.explanation.contains("You want nothing of BBB, so all of it is to be sold"), "{results:?}");
        assert!(results.target.iter().all(|target| target.symbol.as_str() != "BBB"));
        assert!(!results.turnover_relaxed);
    }

    #[test]
    fn an_excluded_holding_is_sold_however_little_the_rest_would_move() {
        let settled = |inputs: &mut Inputs| {
            inputs.parameters.band = 0.9;
            inputs.snapshot.holdings[1].quantity = "0.1".parse().unwrap();
            inputs.snapshot.holdings[1].value = Money::parse("20", inputs.snapshot.currency).unwrap();
            inputs.snapshot.value = Money::parse("80020", inputs.snapshot.currency).unwrap();
        };
        let (trades, _) = excluded(settled);
        assert_eq!(trades, [(Side::Sell, "0.1".to_owned())], "also when it is less than the smallest trade");
    }

    #[test]
    fn what_limits_leave_of_an_excluded_holding_is_told_with_the_reason() {
        let (trades, results) = excluded(|inputs| {
            inputs.mandate.max_order_value = Money::parse("5000", inputs.snapshot.currency).unwrap();
        });
        assert_eq!(trades, [(Side::Sell, "25".to_owned())]);
        assert!(results.explanation.contains("the rest at the next reviews"), "{}", results.explanation);
        let (trades, results) = excluded(|inputs| inputs.mandate.universe = vec!["AAA".parse().unwrap()]);
        assert!(trades.is_empty(), "{trades:?}");
        assert!(results.explanation.contains("your mandate does not let it be traded"), "{}", results.explanation);
        let (trades, results) = excluded(|inputs| inputs.mandate.turnover_left = Decimal::ZERO);
        assert!(trades.is_empty(), "{trades:?}");
        assert!(results.explanation.contains("the turnover of your mandate is used up"), "{}", results.explanation);
    }

    #[test]
    fn a_holding_without_a_forecast_is_an_error_that_names_it() {
        let inputs = inputs("1000", &[("ZZZ", "10", "200")]);
        assert_eq!(decide(&inputs, &view()).unwrap_err().to_string(), "holding ZZZ has no forecast on 2020-01-02");
    }
}
