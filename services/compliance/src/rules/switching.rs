//! Selling to buy something else must bring the client more than it costs him.
//!
//! A benefit is a gain in expected return, or a marked fall of risk: leaving a risk that the client cannot bear is worth its
//! price even when it lowers the expected return.
use super::{Finding, Rule};
use crate::case::{Case, Scope, percent};
use rust_decimal::Decimal;

pub(super) const RULE: Rule = Rule {
    id: "switching",
    version: 1,
    citation: "Delegated Regulation 2017/565 article 54(11); COBS 9A.2.18UK",
    title: "the benefit of a switch is larger than its cost",
    applies_to: Scope::PROPOSALS,
    check,
};

fn check(case: &Case) -> Finding {
    if !case.is_switch() {
        return Finding::pass("nothing is sold to buy something else");
    }
    let Some(cost) = case.proposal.total_cost else {
        return Finding::fail("the cost of the switch is not known");
    };
    let proposal = &case.proposal;
    if let (Some(before), Some(after)) = (proposal.volatility_before, proposal.volatility_after)
        && after <= before * (Decimal::ONE - case.parameters.risk_reduction)
    {
        return Finding::pass(format!(
            "volatility falls from {} to {} at a cost of {}",
            percent(before),
            percent(after),
            percent(cost)
        ));
    }
    match proposal.expected_benefit {
        None => Finding::fail("the expected benefit of the switch is not known"),
        Some(benefit) if benefit > cost => {
            Finding::pass(format!("expected benefit {} is above the cost {}", percent(benefit), percent(cost)))
        }
        Some(benefit) => {
            Finding::fail(format!("expected benefit {} is not above the cost {}", percent(benefit), percent(cost)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing, testing::decimal};

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|_| (), Outcome::Pass, "volatility falls from 13 % to 12 %"),
                (|case| drop(case.trades.remove(0)), Outcome::Pass, "nothing is sold"),
                (|case| case.client.exclusions = ["AAPL".parse().unwrap()].into(), Outcome::Pass, "nothing is sold"),
                (|case| case.proposal.total_cost = None, Outcome::Fail, "cost of the switch is not known"),
                (
                    |case| case.proposal.volatility_after = Some(decimal("0.13")),
                    Outcome::Pass,
                    "expected benefit 1 % is above the cost 0.1 %",
                ),
                (
                    |case| {
                        case.proposal.volatility_after = Some(decimal("0.13"));
                        case.proposal.expected_benefit = Some(decimal("0.001"));
                    },
                    Outcome::Fail,
                    "not above the cost 0.1 %",
                ),
                (
                    |case| {
                        case.proposal.volatility_after = None;
                        case.proposal.expected_benefit = None;
                    },
                    Outcome::Fail,
                    "benefit of the switch is not known",
                ),
            ],
        );
    }
}
