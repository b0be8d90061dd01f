//! Trades that are each suitable can together serve nobody but the one who is paid for trading.
//!
//! Turnover is the smaller of purchases and sales in the window to the value of the portfolio, so that investing a deposit is
//! not counted as churning.
use super::{Finding, Rule};
use crate::case::{Case, Scope, percent};
use rust_decimal::Decimal;

pub(super) const RULE: Rule = Rule {
    id: "churning",
    version: 1,
    citation: "COBS 9.3.2G; COBS 2.1.1R",
    title: "turnover and costs of the last year are in proportion",
    applies_to: Scope::SUITABILITY,
    check,
};

fn check(case: &Case) -> Finding {
    let value = case.portfolio.value.amount();
    if value <= Decimal::ZERO {
        return Finding::pass("the portfolio has no value to compare turnover with");
    }
    let history = &case.trading;
    let turnover = history.bought.amount().min(history.sold.amount()) / value;
    let cost = history.costs.amount() / value;
    let parameters = &case.parameters;
    let told = format!(
        "turnover of {} and costs of {} in {} days",
        percent(turnover),
        percent(cost),
        parameters.churn_days
    );
    if turnover > parameters.churn_turnover_fail || cost > parameters.churn_cost_fail {
        return Finding::fail(format!(
            "{told}, above {} or {}",
            percent(parameters.churn_turnover_fail),
            percent(parameters.churn_cost_fail)
        ));
    }
    if turnover > parameters.churn_turnover_warn {
        return Finding::warn(format!("{told}, above {}", percent(parameters.churn_turnover_warn)));
    }
    Finding::pass(told)
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing, testing::usd};

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|_| (), Outcome::Pass, "turnover of 5 % and costs of 0.2 % in 365 days"),
                (|case| (case.trading.bought, case.trading.sold) = (usd(30_000), usd(21_000)), Outcome::Warn, "210 %"),
                (|case| (case.trading.bought, case.trading.sold) = (usd(50_000), usd(41_000)), Outcome::Fail, "410 %"),
                (|case| case.trading.costs = usd(301), Outcome::Fail, "costs of 3.01 %"),
                (|case| (case.trading.bought, case.trading.sold) = (usd(90_000), usd(0)), Outcome::Pass, "turnover of 0 %"),
            ],
        );
    }
}
