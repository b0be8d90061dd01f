//! Second of the three verdicts of article 54(2): the client can bear the risk of the portfolio as it would be afterwards.
//!
//! The limit is the smaller of what his tolerance and his capacity allow. In a crash volatility rises by itself, so a
//! proposal that lowers the risk is let through with a warning also when it does not get under the limit: refusing it would
//! leave the client with the larger risk.
use super::{Finding, Rule};
use crate::case::{Case, Scope, percent};

pub(super) const RULE: Rule = Rule {
    id: "bearable_risk",
    version: 1,
    citation: "Delegated Regulation 2017/565 article 54(2)(b); COBS 9A.2.1R",
    title: "risk after the trade is within tolerance and capacity",
    applies_to: Scope::PROPOSALS,
    check,
};

fn check(case: &Case) -> Finding {
    let Some(known) = &case.questionnaire else {
        return Finding::fail("tolerance and capacity for loss are not known");
    };
    let Some(after) = case.proposal.volatility_after else {
        return Finding::fail("the volatility after the trade is not known");
    };
    let ceiling = known.volatility_ceiling;
    let limit = format!(
        "{} allowed by tolerance {} and capacity {}",
        percent(ceiling),
        known.tolerance,
        known.capacity
    );
    if after <= ceiling {
        return Finding::pass(format!("volatility of {} after the trade is within the {limit}", percent(after)));
    }
    match case.proposal.volatility_before {
        Some(before) if after < before => Finding::warn(format!(
            "volatility falls from {} to {} but stays above the {limit}",
            percent(before),
            percent(after)
        )),
        Some(before) if after == before && case.trades.is_empty() => {
            Finding::warn(format!("volatility of {} is above the {limit}, and nothing is proposed", percent(after)))
        }
        _ => Finding::fail(format!("volatility of {} after the trade is above the {limit}", percent(after))),
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
                (|_| (), Outcome::Pass, "within the 14 % allowed by tolerance balanced and capacity high"),
                (|case| case.proposal.volatility_after = Some(decimal("0.14")), Outcome::Pass, "14 %"),
                (|case| case.proposal.volatility_after = Some(decimal("0.1401")), Outcome::Fail, "14.01 %"),
                (|case| case.proposal.volatility_after = None, Outcome::Fail, "not known"),
                (|case| case.questionnaire = None, Outcome::Fail, "not known"),
                (
                    |case| {
                        case.proposal.volatility_before = Some(decimal("0.4"));
                        case.proposal.volatility_after = Some(decimal("0.3"));
                    },
                    Outcome::Warn,
                    "falls from 40 % to 30 %",
                ),
                (
                    |case| {
                        case.proposal.volatility_before = None;
                        case.proposal.volatility_after = Some(decimal("0.3"));
                    },
                    Outcome::Fail,
                    "30 %",
                ),
            ],
        );
    }
}
