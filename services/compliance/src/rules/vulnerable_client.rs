//! A client in vulnerable circumstances is not managed by a machine alone.
use super::{Finding, Rule};
use crate::case::{Case, Scope};

pub(super) const RULE: Rule = Rule {
    id: "vulnerable_client",
    version: 2,
    citation: "PRIN 2A.2.10R; FCA FG21/1",
    title: "a vulnerable client decides with a person's help",
    applies_to: Scope::SUITABILITY,
    check,
};

fn check(case: &Case) -> Finding {
    match (case.client.vulnerable, case.scope) {
        (false, _) => Finding::pass("no vulnerability is noted"),
        (true, Scope::Discretionary | Scope::OrderAgent) => {
            Finding::fail("particular care is noted for your account, so the agent does not act without your approval")
        }
        // Read by the client: what staff do about it is not his to read.
        (true, _) => Finding::warn("you can go through this with an adviser before you decide"),
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
