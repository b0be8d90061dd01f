//! A client who is advised by an algorithm knows it and has not objected.
use super::{Finding, Rule};
use crate::case::{Case, Scope};

pub(super) const RULE: Rule = Rule {
    id: "algorithm_disclosure",
    version: 1,
    citation: "ESMA35-43-3172 guideline 1; UK GDPR articles 13(2)(f) and 22A to 22D",
    title: "the use of an algorithm is disclosed and accepted",
    applies_to: Scope::SUITABILITY,
    check,
};

fn check(case: &Case) -> Finding {
    if case.client.algorithm_disclosed {
        Finding::pass("the client accepted that an algorithm advises him")
    } else {
        Finding::fail("the client has not accepted, or has withdrawn, that an algorithm advises him")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing};

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|_| (), Outcome::Pass, "accepted"),
                (|case| case.client.algorithm_disclosed = false, Outcome::Fail, "withdrawn"),
            ],
        );
    }
}
