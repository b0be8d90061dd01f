//! A client in vulnerable circumstances is not managed by a machine alone.
use super::{Finding, Rule};
use crate::case::{Case, Scope};

pub(super) const RULE: Rule = Rule {
    id: "vulnerable_client",
    version: 1,
    citation: "PRIN 2A.2.10R; FCA FG21/1",
    title: "a vulnerable client decides with a person's help",
    applies_to: Scope::SUITABILITY,
    check,
};

fn check(case: &Case) -> Finding {
    match (case.client.vulnerable, case.scope) {
        (false, _) => Finding::pass("no vulnerability is noted"),
        (true, Scope::Discretionary | Scope::OrderAgent) => {
            Finding::fail("a vulnerability is noted: the agent does not act without the client's approval")
        }
        (true, _) => Finding::warn("a vulnerability is noted: use plain wording and offer an adviser"),
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
                (|_| (), Outcome::Pass, "no vulnerability"),
                (|case| case.client.vulnerable = true, Outcome::Fail, "approval"),
                (|case| (case.client.vulnerable, case.scope) = (true, Scope::OrderAgent), Outcome::Fail, "approval"),
                (|case| (case.client.vulnerable, case.scope) = (true, Scope::Advice), Outcome::Warn, "adviser"),
            ],
        );
    }
}
