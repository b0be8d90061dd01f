//! Not everything in one share. Funds are spread by their own rules (COLL 5.2.11R) and are not counted here.
use super::{Finding, Outcome, Rule};
use crate::case::{Case, Scope, percent};
use moneta_contracts::events::Side;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

pub(super) const RULE: Rule = Rule {
    id: "concentration",
    version: 1,
    citation: "COBS 9A.2.1R; PRIN 2A.2.8R",
    title: "no purchase makes one share too large a part of the portfolio",
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
    let value = case.portfolio.value.amount();
    if case.purchases().next().is_none() {
        return Finding::pass("nothing is bought");
    }
    if value <= Decimal::ZERO {
        return Finding::fail("the portfolio has no value to buy from");
    }
    let mut after: BTreeMap<_, Decimal> =
        case.portfolio.holdings.iter().map(|(symbol, held)| (symbol, held.amount())).collect();
    for trade in &case.trades {
        let traded = trade.price.value().saturating_mul(trade.quantity.units());
        let signed = if trade.side == Side::Buy { traded } else { -traded };
        let entry = after.entry(&trade.symbol).or_default();
        *entry = entry.saturating_add(signed);
    }
    let parameters = &case.parameters;
    let mut finding = Finding { outcome: Outcome::Pass, reasons: Vec::new() };
    for trade in case.purchases().filter(|trade| trade.kind == "share") {
        let weight = after.get(&trade.symbol).copied().unwrap_or_default() / value;
        let told = |limit| {
            format!("{} would be {} of the portfolio, above {}", trade.symbol, percent(weight), percent(limit))
        };
        // On his own initiative the client may concentrate; he is warned of it.
        if weight > parameters.concentration_fail && case.scope != Scope::OrderSelfDirected {
            finding.outcome = Outcome::Fail;
            finding.reasons.push(told(parameters.concentration_fail));
        } else if weight > parameters.concentration_warn {
            if finding.outcome == Outcome::Pass {
                finding.outcome = Outcome::Warn;
            }
            finding.reasons.push(told(parameters.concentration_warn));
        }
    }
    if finding.reasons.is_empty() {
        return Finding::pass(format!("no share that is bought exceeds {}", percent(parameters.concentration_warn)));
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, testing};
    use crate::case::Scope;
    use moneta_contracts::events::Side;

    #[test]
    fn cases() {
        testing::check(
            &super::RULE,
            &[
                (|_| (), Outcome::Pass, "no share"),
                (|case| case.trades.truncate(1), Outcome::Pass, "nothing is bought"),
                (
                    |case| case.trades = vec![testing::trade("JNJ", Side::Buy, 16, "100")],
                    Outcome::Warn,
                    "JNJ would be 26 % of the portfolio, above 25 %",
                ),
                (
                    |case| case.trades = vec![testing::trade("JNJ", Side::Buy, 31, "100")],
                    Outcome::Fail,
                    "JNJ would be 41 %",
                ),
                (
                    |case| {
                        case.scope = Scope::OrderSelfDirected;
                        case.trades = vec![testing::trade("JNJ", Side::Buy, 31, "100")];
                    },
                    Outcome::Warn,
                    "41 %",
                ),
                (
                    |case| {
                        case.trades = vec![testing::trade("VWRL", Side::Buy, 80, "100")];
                        case.trades[0].kind = "fund".to_owned();
                    },
                    Outcome::Pass,
                    "no share",
                ),
                (|case| case.portfolio.value = testing::usd(0), Outcome::Fail, "no value"),
            ],
        );
    }
}
