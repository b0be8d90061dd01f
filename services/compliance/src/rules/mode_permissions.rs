//! What is done must be permitted in the mode it is done in: guidance names no trades, and only a client who chose
//! discretionary management has his portfolio managed.
use super::{Finding, Rule};
use crate::case::{Case, Scope};

pub(super) const RULE: Rule = Rule {
    id: "mode_permissions",
    version: 1,
    citation: "COBS 9B; MiFID II article 4(1)(4) and (8)",
    title: "the mode permits what is proposed",
    applies_to: Scope::ALL,
    check,
};

fn check(case: &Case) -> Finding {
    match case.scope {
        Scope::Guidance if !case.trades.is_empty() => Finding::fail(format!(
            "guidance may not name trades, and this names {}: it would be a personal recommendation",
            case.trades.len()
        )),
        Scope::Discretionary | Scope::OrderAgent if case.client.autonomy != "discretionary" => Finding::fail(format!(
            "the agent may act without asking only for a client who chose so; this client chose {:?}",
            case.client.autonomy
        )),
        _ => Finding::pass(format!("{} permits it", case.scope.as_str())),
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
                (|_| (), Outcome::Pass, "advice.discretionary permits it"),
                (|case| case.scope = Scope::Guidance, Outcome::Fail, "names 2"),
                (|case| (case.scope, case.trades) = (Scope::Guidance, vec![]), Outcome::Pass, "permits it"),
                (|case| case.client.autonomy = "approve".to_owned(), Outcome::Fail, "\"approve\""),
                (
                    |case| (case.scope, case.client.autonomy) = (Scope::OrderAgent, "advise".to_owned()),
                    Outcome::Fail,
                    "\"advise\"",
                ),
                (
                    |case| (case.scope, case.client.autonomy) = (Scope::Advice, "advise".to_owned()),
                    Outcome::Pass,
                    "permits it",
                ),
            ],
        );
    }
}
