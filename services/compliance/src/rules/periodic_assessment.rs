//! A managed portfolio is assessed for suitability at least once a year; when that is overdue the agent stands still.
use super::{Finding, Rule};
use crate::case::{Case, Scope};

pub(super) const RULE: Rule = Rule {
    id: "periodic_assessment",
    version: 1,
    citation: "Delegated Regulation 2017/565 article 54(13); COBS 9A.3.9UK",
    title: "the yearly assessment is not overdue",
    applies_to: &[Scope::Discretionary, Scope::OrderAgent],
    check,
};

fn check(case: &Case) -> Finding {
    let limit = i64::from(case.parameters.assessment_days);
    match case.questionnaire_age_days() {
        None => Finding::fail("no suitability assessment has been made; the agent stands still"),
        Some(age) if age > limit => Finding::fail(format!(
            "the last suitability assessment was {age} days ago and is due every {limit} days; the agent stands still"
        )),
        Some(age) => Finding::pass(format!("the last assessment was {age} days ago")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing};
    use crate::case::Scope;

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|_| (), Outcome::Pass, "70 days ago"),
                (|case| case.questionnaire = None, Outcome::Fail, "stands still"),
                (
                    |case| (case.scope, case.now) = (Scope::OrderAgent, "2021-06-01T08:00:00Z".parse().unwrap()),
                    Outcome::Fail,
                    "516 days ago",
                ),
            ],
        );
    }
}
