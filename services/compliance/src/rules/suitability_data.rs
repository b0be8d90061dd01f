//! Without complete and fresh information about the client there is no advice.
use super::{Finding, Rule};
use crate::case::{Case, Scope};

pub(super) const RULE: Rule = Rule {
    id: "suitability_data",
    version: 1,
    citation: "COBS 9A.2.1R, 9A.2.13R; MiFID II article 25(2)",
    title: "knowledge, finances and objectives of the client are known and fresh",
    applies_to: Scope::SUITABILITY,
    check,
};

fn check(case: &Case) -> Finding {
    let (Some(known), Some(age)) = (&case.questionnaire, case.questionnaire_age_days()) else {
        return Finding::fail("the suitability questionnaire has not been answered");
    };
    if known.answers.is_none() {
        return Finding::fail("the answers of the suitability questionnaire are not there any more");
    }
    let limit = i64::from(case.parameters.questionnaire_days);
    if age < 0 {
        return Finding::fail("the suitability questionnaire is dated in the future");
    }
    if age > limit {
        return Finding::fail(format!("the suitability questionnaire is {age} days old; answers count for {limit} days"));
    }
    if age > limit - i64::from(case.parameters.reminder_days) {
        return Finding::warn(format!("the suitability questionnaire must be answered again in {} days", limit - age));
    }
    Finding::pass(format!("version {} of the questionnaire is {age} days old", known.version))
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing};

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|_| (), Outcome::Pass, "version 1 of the questionnaire is 70 days old"),
                (|case| case.questionnaire = None, Outcome::Fail, "has not been answered"),
                (|case| case.questionnaire.as_mut().unwrap().answers = None, Outcome::Fail, "not there any more"),
                (|case| case.now = "2021-01-02T08:00:00Z".parse().unwrap(), Outcome::Fail, "366 days old"),
                (|case| case.now = "2021-01-01T08:00:00Z".parse().unwrap(), Outcome::Warn, "again in 0 days"),
                (|case| case.now = "2020-12-03T08:00:00Z".parse().unwrap(), Outcome::Warn, "again in 29 days"),
                (|case| case.now = "2020-12-01T08:00:00Z".parse().unwrap(), Outcome::Pass, "334 days old"),
                (|case| case.now = "2019-12-01T08:00:00Z".parse().unwrap(), Outcome::Fail, "in the future"),
            ],
        );
    }
}
