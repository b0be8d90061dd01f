//! Each control on both sides of its limit.
use super::*;
use crate::order::{Intent, Origin, Pricing, TimeInForce};
use moneta_contracts::events::Side;
use moneta_types::{Cause, ClientText, Currency, InternalNote, Money, PortfolioId, Quantity, Timestamp, UserId};
use rust_decimal::Decimal;

fn usd(major: i64) -> Money {
    Money::from_minor(major * 100, Currency::Usd)
}

fn units(units: i64) -> Quantity {
    Quantity::from_units(units).unwrap()
}

/// A purchase of 10 AAPL at 100 for a portfolio of 10,000 in cash and 10 AAPL.
fn case() -> ControlCase {
    ControlCase {
        intent: Intent {
            owner: UserId::from_uuid(Cause::named("anna").uuid()),
            portfolio: PortfolioId::from_uuid(Cause::named("portfolio").uuid()),
            symbol: "AAPL".parse().unwrap(),
            side: Side::Buy,
            quantity: units(10),
            pricing: Pricing::Market,
            time_in_force: TimeInForce::Day,
            origin: Origin::SelfDirected,
            recommendation: None,
            proposal_digest: String::new(),
            decision: None,
            expected_price: None,
            warning_acknowledged: false,
            key: "key".to_owned(),
        },
        instrument: Some(Instrument { currency: Currency::Usd, kind: "share".to_owned(), tradable: true }),
        reference: Some(Reference {
            price: "100".parse().unwrap(),
            age_seconds: 3600,
            stale: false,
            average_daily_volume: None,
        }),
        account: Account { currency: Currency::Usd, cash: usd(10_000), value: usd(11_000), held: units(10), others: 0 },
        working: Working {
            cash_reserved: usd(0),
            expected_proceeds: usd(0),
            selling: units(0),
            buying: units(0),
            duplicates: 0,
        },
        messages: Messages::default(),
        switches: Vec::new(),
        held: Vec::new(),
        limits: crate::Config::default().limits(),
    }
}

fn failed(case: &ControlCase) -> Vec<String> {
    evaluate(case).into_iter().filter(Verdict::failed).map(|verdict| verdict.rule).collect()
}

#[track_caller]
fn only(rule: &str, change: impl Fn(&mut ControlCase)) {
    let mut case = case();
    change(&mut case);
    assert_eq!(failed(&case), [rule], "{:?}", evaluate(&case));
}

#[track_caller]
fn allowed(change: impl Fn(&mut ControlCase)) {
    let mut case = case();
    change(&mut case);
    assert_eq!(failed(&case), [""; 0], "{:?}", evaluate(&case));
}

#[test]
fn an_ordinary_order_passes_every_control() {
    allowed(|_| {});
    assert_eq!(evaluate(&case()).len(), CONTROLS.len());
}

#[test]
fn every_control_has_an_id_of_its_own_and_a_citation() {
    let ids: std::collections::BTreeSet<_> = CONTROLS.iter().map(|control| control.id).collect();
    assert_eq!(ids.len(), CONTROLS.len());
    assert!(CONTROLS.iter().all(|control| !control.citation.is_empty()));
}

#[test]
fn every_file_of_this_folder_is_in_the_list() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/controls");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !matches!(name.as_str(), "mod" | "case" | "tests"))
        .collect();
    files.sort();
    let mut ids: Vec<String> = CONTROLS.iter().map(|control| control.id.to_owned()).collect();
    ids.sort();
    assert_eq!(ids, files);
}

#[test]
fn a_missing_or_stale_reference_price_denies() {
    let mut without = case();
    without.reference = None;
    assert!(failed(&without).contains(&"reference_price".to_owned()));
    only("reference_price", |case| case.reference.as_mut().unwrap().stale = true);
    only("reference_price", |case| case.reference.as_mut().unwrap().age_seconds = 86_400 * 6);
    allowed(|case| case.reference.as_mut().unwrap().age_seconds = 86_400 * 4);
}

#[test]
fn the_collar_holds_limits_on_both_sides() {
    let limit = |price: &str| Pricing::Limit(price.parse().unwrap());
    only("price_collar", |case| case.intent.pricing = limit("105.01"));
    allowed(|case| case.intent.pricing = limit("105"));
    only("price_collar", |case| case.intent.pricing = limit("69.99"));
    let sale = |case: &mut ControlCase, price: &str| {
        case.intent.side = Side::Sell;
        case.intent.pricing = limit(price);
    };
    only("price_collar", |case| sale(case, "94.99"));
    allowed(|case| sale(case, "95"));
    only("price_collar", |case| sale(case, "130.01"));
}

#[test]
fn a_market_that_moved_since_the_client_looked_denies() {
    only("price_collar", |case| case.intent.expected_price = Some("95".parse().unwrap()));
    allowed(|case| case.intent.expected_price = Some("96".parse().unwrap()));
}

#[test]
fn value_and_volume_have_a_maximum() {
    only("maximum_value", |case| {
        case.account.cash = usd(10_000_000);
        case.account.value = usd(10_000_000);
        case.intent.quantity = units(10_001);
    });
    only("maximum_volume", |case| {
        case.reference.as_mut().unwrap().average_daily_volume = Some(199);
    });
    allowed(|case| case.reference.as_mut().unwrap().average_daily_volume = Some(200));
}

#[test]
fn a_purchase_is_covered_by_cash_that_no_other_order_holds() {
    only("cash", |case| case.account.cash = usd(1_000));
    only("cash", |case| case.working.cash_reserved = usd(9_000));
    allowed(|case| case.working.cash_reserved = usd(8_900));
    allowed(|case| {
        case.working.cash_reserved = usd(9_000);
        case.working.expected_proceeds = usd(100);
    });
}

#[test]
fn what_is_sold_is_held_and_not_claimed_by_another_sale() {
    let sale = |case: &mut ControlCase| case.intent.side = Side::Sell;
    allowed(sale);
    only("position_held", |case| {
        sale(case);
        case.account.held = units(9);
    });
    only("position_held", |case| {
        sale(case);
        case.working.selling = units(1);
    });
}

#[test]
fn one_instrument_has_a_cap_that_counts_working_purchases() {
    only("position_cap", |case| case.account.held = units(60));
    only("position_cap", |case| case.working.buying = units(60));
    only("position_cap", |case| case.account.others = moneta_types::bounds::MOST_POSITIONS);
    let mut without_value = case();
    without_value.account.value = usd(0);
    assert_eq!(failed(&without_value), ["position_cap"]);
}

#[test]
fn messages_are_counted_by_second_and_by_day() {
    let limits = crate::Config::default().limits();
    only("message_rate", |case| case.messages.second = limits.messages_per_second);
    only("message_rate", |case| case.messages.day = limits.messages_per_day);
    allowed(|case| case.messages.second = limits.messages_per_second - 1);
}

#[test]
fn the_same_order_twice_under_two_keys_is_denied() {
    only("duplicate_intent", |case| case.working.duplicates = 1);
}

#[test]
fn a_kill_switch_stops_what_it_names_and_nothing_else() {
    let switch = |scope, target: &str| KillSwitch {
        scope,
        target: target.to_owned(),
        reason: InternalNote::read("reason", "runaway").unwrap(),
        by: "compliance".to_owned(),
        at: Timestamp::EPOCH,
    };
    only("kill_switch", |case| case.switches = vec![switch(Scope::All, "")]);
    only("kill_switch", |case| case.switches = vec![switch(Scope::Instrument, "AAPL")]);
    only("kill_switch", |case| case.switches = vec![switch(Scope::Client, &case.intent.owner.to_string())]);
    only("kill_switch", |case| {
        case.intent.origin = Origin::Agent;
        case.switches = vec![switch(Scope::Agent, "rebalancer")];
    });
    allowed(|case| case.switches = vec![switch(Scope::Agent, "rebalancer"), switch(Scope::Instrument, "KO")]);
}

#[test]
fn a_hold_stops_the_order_and_says_words_of_the_list_alone() {
    only("hold", |case| case.held = vec![ClientText::ContactUs]);
    let mut stopped = case();
    let reason = InternalNote::read("reason", "AML review").unwrap();
    stopped.switches = vec![KillSwitch {
        scope: Scope::All,
        target: String::new(),
        reason,
        by: "compliance".to_owned(),
        at: Timestamp::EPOCH,
    }];
    assert!(!format!("{:?}", evaluate(&stopped)).contains("AML"));
}

#[test]
fn an_unknown_untradable_or_foreign_instrument_is_denied() {
    only("instrument", |case| case.instrument = None);
    only("instrument", |case| case.instrument.as_mut().unwrap().tradable = false);
    let mut foreign = case();
    foreign.instrument.as_mut().unwrap().currency = Currency::Eur;
    assert!(failed(&foreign).contains(&"currency".to_owned()));
}

#[test]
fn what_cannot_be_computed_is_denied_and_does_not_panic() {
    let mut huge = case();
    huge.intent.quantity = Quantity::from_nanos(i64::MAX);
    let dearest = Decimal::from(moneta_types::bounds::LARGEST_PRICE);
    huge.reference.as_mut().unwrap().price = moneta_types::Price::new(dearest).unwrap();
    assert!(failed(&huge).contains(&"maximum_value".to_owned()));
    huge.intent.expected_price = Some("0.000000000001".parse().unwrap());
    huge.intent.pricing = Pricing::Limit("0.000000000001".parse().unwrap());
    assert!(failed(&huge).contains(&"price_collar".to_owned()));
}
