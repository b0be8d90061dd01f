//! A sound case for tests to spoil, and the check that every rule's table of cases runs through.
use super::{Outcome, Rule};
use crate::{
    case::{Answers, Case, Client, Portfolio, Proposal, Questionnaire, Scope, Trade, TradingHistory},
    config::{Jurisdiction, Parameters},
};
use moneta_contracts::events::Side;
use moneta_types::{Cause, Currency, Money, Quantity, RiskProfile, Timestamp, UserId};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// One line of a rule's table: what is spoilt, what the rule must say, and a part of the reason.
pub(crate) type Line = (fn(&mut Case), Outcome, &'static str);

/// Runs a rule's table.
pub(crate) fn check(rule: &Rule, table: &[Line]) {
    for (number, (spoil, expected, reason)) in table.iter().enumerate() {
        let mut case = case();
        spoil(&mut case);
        assert!(rule.applies_to.contains(&case.scope), "line {number}: {} does not apply to {:?}", rule.id, case.scope);
        let finding = (rule.check)(&case);
        assert_eq!(finding.outcome, *expected, "line {number} of {}: {:?}", rule.id, finding.reasons);
        assert!(
            finding.reasons.iter().any(|told| told.contains(reason)),
            "line {number} of {}: {reason:?} is not in {:?}",
            rule.id,
            finding.reasons
        );
    }
}

pub(crate) fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub(crate) fn usd(units: i64) -> Money {
    Money::from_minor(units * 100, Currency::Usd)
}

pub(crate) fn trade(symbol: &str, side: Side, units: i64, price: &str) -> Trade {
    Trade {
        symbol: symbol.parse().unwrap(),
        kind: "share".to_owned(),
        complex: false,
        side,
        quantity: Quantity::from_units(units).unwrap(),
        price: price.parse().unwrap(),
        cost: Some(usd(1)),
    }
}

/// A balanced client with fresh answers, to whom a small switch between shares is proposed for discretionary management.
pub(crate) fn case() -> Case {
    let now: Timestamp = "2020-03-12T21:05:00Z".parse().unwrap();
    Case {
        scope: Scope::Discretionary,
        jurisdiction: Jurisdiction::Uk,
        now,
        client: Client {
            user_id: UserId::from_uuid(Cause::named("client").uuid()),
            status: "active".to_owned(),
            vulnerable: false,
            autonomy: "discretionary".to_owned(),
            algorithm_disclosed: true,
            exclusions: BTreeSet::new(),
        },
        questionnaire: Some(Questionnaire {
            version: 1,
            submitted: "2020-01-02T08:00:00Z".parse().unwrap(),
            tolerance: RiskProfile::Balanced,
            capacity: "high".to_owned(),
            volatility_ceiling: decimal("0.14"),
            answers: Some(Answers {
                horizon_years: 10,
                objective: "growth".to_owned(),
                experience: "some".to_owned(),
                instruments_known: vec!["share".to_owned(), "fund".to_owned()],
                understands_risk: true,
            }),
        }),
        held: Vec::new(),
        trades: vec![trade("AAPL", Side::Sell, 10, "62"), trade("JNJ", Side::Buy, 4, "125")],
        portfolio: Portfolio {
            value: usd(10_000),
            holdings: BTreeMap::from([("AAPL".parse().unwrap(), usd(2_000)), ("JNJ".parse().unwrap(), usd(1_000))]),
        },
        proposal: Proposal {
            volatility_before: Some(decimal("0.13")),
            volatility_after: Some(decimal("0.12")),
            expected_benefit: Some(decimal("0.01")),
            total_cost: Some(decimal("0.001")),
            models: BTreeMap::from([("forecast".to_owned(), "a".repeat(64))]),
            accountable_person: "Ada Lovelace".to_owned(),
            decision_id: "2f1c7a52-6a6c-5d3e-8f1b-0c9a4c7d1e11".to_owned(),
        },
        warning_acknowledged: false,
        trading: TradingHistory { bought: usd(9_000), sold: usd(500), costs: usd(20) },
        parameters: Parameters::default(),
    }
}
