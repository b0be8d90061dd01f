//! Third of the three verdicts of article 54(2): the client understands what he would buy.
use super::{Finding, Rule};
use crate::case::{Case, Scope};

pub(super) const RULE: Rule = Rule {
    id: "understanding",
    version: 1,
    citation: "Delegated Regulation 2017/565 article 54(2)(c) and 55; COBS 9A.2.6UK",
    title: "the client has the knowledge and experience to understand the risks",
    applies_to: Scope::SUITABILITY,
    check,
};

fn check(case: &Case) -> Finding {
    let Some(answers) = case.answers() else {
        return Finding::fail("knowledge and experience are not known");
    };
    let mut reasons = Vec::new();
    if !answers.understands_risk && case.purchases().next().is_some() {
        reasons.push("the client does not say that he understands that investments can lose value".to_owned());
    }
    for trade in case.purchases() {
        if !answers.instruments_known.contains(&trade.kind) {
            reasons.push(format!("{} is a {}, which the client says he does not know", trade.symbol, trade.kind));
        }
        if trade.complex && answers.experience != "experienced" {
            reasons.push(format!("{} is complex and the client's experience is {:?}", trade.symbol, answers.experience));
        }
    }
    Finding::fail_each(reasons, "the client knows the kinds of instrument that would be bought")
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing};

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|_| (), Outcome::Pass, "knows"),
                (|case| case.questionnaire = None, Outcome::Fail, "not known"),
                (|case| case.trades[1].kind = "bond".to_owned(), Outcome::Fail, "JNJ is a bond"),
                (|case| case.trades[0].kind = "bond".to_owned(), Outcome::Pass, "knows"),
                (|case| case.trades[1].complex = true, Outcome::Fail, "JNJ is complex"),
                (
                    |case| {
                        let answers = case.questionnaire.as_mut().unwrap().answers.as_mut().unwrap();
                        answers.understands_risk = false;
                    },
                    Outcome::Fail,
                    "can lose value",
                ),
            ],
        );
    }
}
