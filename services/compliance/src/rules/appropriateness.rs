//! On his own initiative a client may buy what he does not understand, but not without having been warned.
use super::{Finding, Rule};
use crate::case::{Case, Scope};

pub(super) const RULE: Rule = Rule {
    id: "appropriateness",
    version: 1,
    citation: "COBS 10A.2.1R, 10A.3.1R; MiFID II article 25(3) and (4)",
    title: "a complex instrument is bought with knowledge of it, or after a warning",
    applies_to: &[Scope::OrderSelfDirected],
    check,
};

fn check(case: &Case) -> Finding {
    let doubts: Vec<String> = case
        .purchases()
        .filter(|trade| trade.complex)
        .filter_map(|trade| match case.answers() {
            None => Some(format!(
                "{} is complex, and without answers about knowledge and experience it cannot be told whether it is appropriate",
                trade.symbol
            )),
            Some(answers) if answers.experience != "experienced" || !answers.instruments_known.contains(&trade.kind) => {
                Some(format!("{} is complex and not appropriate for the client's knowledge and experience", trade.symbol))
            }
            Some(_) => None,
        })
        .collect();
    match doubts.first() {
        None => Finding::pass("nothing complex is bought without knowledge of it"),
        Some(doubt) if case.warning_acknowledged => Finding::warn(format!("{doubt}; the client was warned and goes on")),
        Some(doubt) => Finding::fail(format!("{doubt}; it can be ordered once the warning is acknowledged")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing};
    use crate::case::{Case, Scope};

    fn complex(case: &mut Case) {
        case.scope = Scope::OrderSelfDirected;
        case.trades[1].complex = true;
    }

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|case| case.scope = Scope::OrderSelfDirected, Outcome::Pass, "nothing complex"),
                (complex, Outcome::Fail, "once the warning is acknowledged"),
                (
                    |case| {
                        complex(case);
                        case.warning_acknowledged = true;
                    },
                    Outcome::Warn,
                    "warned and goes on",
                ),
                (
                    |case| {
                        complex(case);
                        case.questionnaire = None;
                    },
                    Outcome::Fail,
                    "cannot be told",
                ),
                (
                    |case| {
                        complex(case);
                        let answers = case.questionnaire.as_mut().unwrap().answers.as_mut().unwrap();
                        answers.experience = "experienced".to_owned();
                    },
                    Outcome::Pass,
                    "nothing complex",
                ),
            ],
        );
    }
}
