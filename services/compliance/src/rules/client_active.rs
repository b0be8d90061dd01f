//! Nothing is advised to or ordered for a client whose account is locked or erased.
use super::{Finding, Rule};
use crate::case::{Case, Scope};

pub(super) const RULE: Rule = Rule {
    id: "client_active",
    version: 1,
    citation: "SYSC 6.1.1R; UK GDPR article 17",
    title: "the client's account is in use",
    applies_to: Scope::ALL,
    check,
};

fn check(case: &Case) -> Finding {
    match case.client.status.as_str() {
        "active" => Finding::pass("the account is active"),
        status => Finding::fail(format!("the account is {status}")),
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
                (|_| (), Outcome::Pass, "active"),
                (|case| case.client.status = "erased".to_owned(), Outcome::Fail, "is erased"),
                (|case| case.client.status = "locked".to_owned(), Outcome::Fail, "is locked"),
            ],
        );
    }
}
