//! What a client excludes is not bought for him; when he orders it himself, he is reminded (COBS 9A.2.4R: his objectives
//! include his preferences on sustainability).
use super::{Finding, Rule};
use crate::case::{Case, Scope};

pub(super) const RULE: Rule = Rule {
    id: "exclusions",
    version: 1,
    citation: "COBS 9A.2.4R; Delegated Regulation 2021/1253",
    title: "nothing is bought that the client excludes",
    applies_to: &[
        Scope::Advice,
        Scope::Discretionary,
        Scope::OrderSelfDirected,
        Scope::OrderRecommendation,
        Scope::OrderAgent,
    ],
    check,
};

fn check(case: &Case) -> Finding {
    let excluded: Vec<_> = case
        .purchases()
        .filter(|trade| case.client.exclusions.contains(&trade.symbol))
        .map(|trade| trade.symbol.to_string())
        .collect();
    if excluded.is_empty() {
        return Finding::pass("nothing that the client excludes is bought");
    }
    let reason = format!("{} is on the client's list of exclusions", excluded.join(", "));
    if case.scope == Scope::OrderSelfDirected { Finding::warn(reason) } else { Finding::fail(reason) }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing};
    use crate::case::{Case, Scope};

    fn exclude(case: &mut Case, symbol: &str) {
        case.client.exclusions = [symbol.parse().unwrap()].into();
    }

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|_| (), Outcome::Pass, "nothing"),
                (|case| exclude(case, "JNJ"), Outcome::Fail, "JNJ is on"),
                // What is sold may be excluded.
                (|case| exclude(case, "AAPL"), Outcome::Pass, "nothing"),
                (
                    |case| {
                        exclude(case, "JNJ");
                        case.scope = Scope::OrderSelfDirected;
                    },
                    Outcome::Warn,
                    "JNJ is on",
                ),
            ],
        );
    }
}
