//! Nothing is advised to or ordered for a client while a hold of compliance's covers it. The reason that the rule gives is the
//! client's: of a closed list, and never why (POCA section 333A); nor does the citation name the law of a suspicion.
use super::{Finding, Rule};
use crate::case::{Case, Scope};
use moneta_types::HeldAction;

pub(super) const RULE: Rule = Rule {
    id: "client_hold",
    version: 2,
    citation: "SYSC 6.1.1R",
    title: "nothing of the client's is stopped",
    applies_to: Scope::ALL,
    check,
};

fn check(case: &Case) -> Finding {
    let action = match case.scope {
        Scope::Guidance | Scope::Advice | Scope::Discretionary => HeldAction::Advice,
        Scope::OrderSelfDirected | Scope::OrderRecommendation | Scope::OrderAgent => HeldAction::Orders,
    };
    let mut told: Vec<_> = case.held.iter().filter(|(held, _)| *held == action).map(|(_, told)| *told).collect();
    told.dedup();
    Finding::fail_each(told.iter().map(ToString::to_string).collect(), "nothing is stopped")
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing};
    use moneta_types::{ClientText, HeldAction};

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|_| (), Outcome::Pass, "nothing is stopped"),
                (|case| case.held = vec![(HeldAction::Orders, ClientText::ContactUs)], Outcome::Pass, "nothing"),
                (|case| case.held = vec![(HeldAction::Advice, ClientText::ContactUs)], Outcome::Fail, "contact us"),
            ],
        );
    }
}
