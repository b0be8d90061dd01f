//! First of the three verdicts of article 54(2): the proposal meets the client's objectives and horizon.
use super::{Finding, Rule};
use crate::case::{Case, Scope, percent};

pub(super) const RULE: Rule = Rule {
    id: "objectives",
    version: 1,
    citation: "Delegated Regulation 2017/565 article 54(2)(a); COBS 9A.2.4UK",
    title: "the proposal meets objectives and horizon",
    applies_to: Scope::PROPOSALS,
    check,
};

fn check(case: &Case) -> Finding {
    let Some(answers) = case.answers() else {
        return Finding::fail("objectives and horizon are not known");
    };
    let mut reasons = Vec::new();
    if case.raises_risk() {
        if answers.horizon_years < case.parameters.short_horizon_years {
            reasons.push(format!(
                "the money is needed in {} years and the proposal raises the risk; under {} years it may not",
                answers.horizon_years, case.parameters.short_horizon_years
            ));
        }
        let limit = case.parameters.preserve_volatility;
        if let Some(after) = case.proposal.volatility_after
            && answers.objective == "preserve"
            && after > limit
        {
            reasons.push(format!(
                "the client wants to preserve his capital and the proposal raises volatility to {}, above {}",
                percent(after),
                percent(limit)
            ));
        }
    }
    Finding::fail_each(reasons, format!("objective {}, horizon {} years", answers.objective, answers.horizon_years))
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing, testing::decimal};
    use crate::case::Answers;

    fn answers(case: &mut crate::case::Case) -> &mut Answers {
        case.questionnaire.as_mut().unwrap().answers.as_mut().unwrap()
    }

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|_| (), Outcome::Pass, "objective growth, horizon 10 years"),
                (|case| case.questionnaire = None, Outcome::Fail, "not known"),
                (|case| answers(case).horizon_years = 2, Outcome::Pass, "horizon 2 years"),
                (
                    |case| {
                        answers(case).horizon_years = 2;
                        case.proposal.volatility_after = Some(decimal("0.14"));
                    },
                    Outcome::Fail,
                    "needed in 2 years",
                ),
                (
                    |case| {
                        answers(case).objective = "preserve".to_owned();
                        case.proposal.volatility_before = Some(decimal("0.08"));
                        case.proposal.volatility_after = Some(decimal("0.101"));
                    },
                    Outcome::Fail,
                    "to 10.1 %, above 10 %",
                ),
                (
                    |case| {
                        answers(case).objective = "preserve".to_owned();
                        case.proposal.volatility_before = Some(decimal("0.2"));
                        case.proposal.volatility_after = Some(decimal("0.15"));
                    },
                    Outcome::Pass,
                    "objective preserve",
                ),
            ],
        );
    }
}
