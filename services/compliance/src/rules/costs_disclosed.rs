//! The client is told beforehand what the proposal costs, in cash and per cent.
use super::{Finding, Rule};
use crate::case::{Case, Scope, percent};

pub(super) const RULE: Rule = Rule {
    id: "costs_disclosed",
    version: 1,
    citation: "Delegated Regulation 2017/565 article 50; COBS 6.1ZA",
    title: "costs are told before the decision",
    applies_to: Scope::PROPOSALS,
    check,
};

fn check(case: &Case) -> Finding {
    if case.trades.is_empty() {
        return Finding::pass("nothing is traded");
    }
    let mut reasons: Vec<String> = case
        .trades
        .iter()
        .filter(|trade| trade.cost.is_none_or(|cost| cost.is_negative()))
        .map(|trade| format!("the cost of trading {} is not told", trade.symbol))
        .collect();
    let total = case.proposal.total_cost.filter(|cost| !cost.is_sign_negative());
    if total.is_none() {
        reasons.push("the total cost as a percentage is not told".to_owned());
    }
    Finding::fail_each(reasons, format!("costs of {} of the value are told", percent(total.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing, testing::decimal};

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|_| (), Outcome::Pass, "0.1 %"),
                (|case| case.trades[1].cost = None, Outcome::Fail, "trading JNJ"),
                (|case| case.proposal.total_cost = None, Outcome::Fail, "percentage"),
                (|case| case.proposal.total_cost = Some(decimal("-0.1")), Outcome::Fail, "percentage"),
                (|case| case.trades.clear(), Outcome::Pass, "nothing is traded"),
            ],
        );
    }
}
