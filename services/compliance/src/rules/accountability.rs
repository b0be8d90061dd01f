//! That a machine advises takes no responsibility from the firm: each decision names its models and who answers for them.
use super::{Finding, Rule};
use crate::case::{Case, Scope};

pub(super) const RULE: Rule = Rule {
    id: "accountability",
    version: 1,
    citation: "Delegated Regulation 2017/565 article 54(1); SM&CR",
    title: "model versions, accountable person and decision record are named",
    applies_to: Scope::PROPOSALS,
    check,
};

fn check(case: &Case) -> Finding {
    let proposal = &case.proposal;
    let mut missing = Vec::new();
    if proposal.models.is_empty() {
        missing.push("no model is named".to_owned());
    }
    for (model, version) in &proposal.models {
        if model.trim().is_empty() || version.trim().is_empty() {
            missing.push(format!("model {model:?} has no version"));
        }
    }
    if proposal.accountable_person.trim().is_empty() {
        missing.push("no accountable person is named".to_owned());
    }
    if proposal.decision_id.trim().is_empty() {
        missing.push("no decision record is named".to_owned());
    }
    Finding::fail_each(
        missing,
        format!("{} models; {} is accountable", proposal.models.len(), proposal.accountable_person),
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing};

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|_| (), Outcome::Pass, "Ada Lovelace is accountable"),
                (|case| case.proposal.models.clear(), Outcome::Fail, "no model"),
                (
                    |case| drop(case.proposal.models.insert("risk".to_owned(), " ".to_owned())),
                    Outcome::Fail,
                    "\"risk\" has no version",
                ),
                (|case| case.proposal.accountable_person.clear(), Outcome::Fail, "no accountable person"),
                (|case| case.proposal.decision_id.clear(), Outcome::Fail, "no decision record"),
            ],
        );
    }
}
