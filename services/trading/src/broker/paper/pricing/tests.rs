//! Prices, parts, commission and funds of the paper venue.
use super::*;
use crate::{
    broker::{Standing, Ticket},
    order::TimeInForce,
};
use moneta_types::{Currency, PortfolioId};
use proptest::prelude::*;

fn order(side: Side, quantity: &str, limit: Option<&str>) -> VenueOrder {
    VenueOrder {
        ticket: Ticket {
            client_order_id: "abc".to_owned(),
            account: PortfolioId::from_uuid(Cause::named("account").uuid()),
            symbol: "AAPL".parse().unwrap(),
            kind: "share".to_owned(),
            side,
            quantity: quantity.parse().unwrap(),
            limit: limit.map(|price| price.parse().unwrap()),
            time_in_force: TimeInForce::Day,
            currency: Currency::Usd,
        },
        accepted: Timestamp::EPOCH,
        standing: Standing::Working,
        reason: String::new(),
        bars_worked: 0,
        last_worked: None,
        starved: false,
        executions: Vec::new(),
    }
}

fn bar(open: &str, low: &str, high: &str, volume: i64) -> Bar {
    Bar {
        symbol: "AAPL".parse().unwrap(),
        open: open.parse().unwrap(),
        high: high.parse().unwrap(),
        low: low.parse().unwrap(),
        close: open.parse().unwrap(),
        adj_close: open.parse().unwrap(),
        volume,
    }
}

fn whole_fills() -> Config {
    Config { partial_bp: 0, ..Config::default() }
}

fn day() -> Date {
    Date::from_ymd_opt(2020, 3, 2).unwrap()
}

fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::Usd)
}

fn fill(order: &VenueOrder, bar: &Bar, config: &Config) -> Option<Fill> {
    work(order, bar, day(), usd(1_000_000_000), config, 1).unwrap().fill
}

#[test]
fn a_market_order_is_filled_at_the_open_with_half_the_spread() {
    let bought = fill(&order(Side::Buy, "10", None), &bar("100", "90", "110", 0), &whole_fills()).unwrap();
    assert_eq!(bought.price.to_string(), "100.02");
    assert_eq!((bought.spread_cost, bought.commission), (usd(20), usd(100)));
    let sold = fill(&order(Side::Sell, "10", None), &bar("100", "90", "110", 0), &whole_fills()).unwrap();
    assert_eq!(sold.price.to_string(), "99.98");
    assert_eq!(sold.at.to_string(), "2020-03-02T14:30:00Z");
}

#[test]
fn another_kind_of_instrument_may_have_another_spread() {
    let mut config = whole_fills();
    config.half_spread_bp_by_kind.insert("share".to_owned(), Decimal::TEN);
    let bought = fill(&order(Side::Buy, "10", None), &bar("100", "100", "100", 0), &config).unwrap();
    assert_eq!(bought.price.to_string(), "100.1");
}

#[test]
fn prices_have_four_decimals_and_six_below_one() {
    let price = |open: &str| {
        fill(&order(Side::Buy, "1000", None), &bar(open, open, open, 0), &whole_fills()).unwrap().price.to_string()
    };
    assert_eq!(price("33.333"), "33.3397");
    assert_eq!(price("0.098"), "0.09802");
}

#[test]
fn a_limit_order_is_filled_at_the_open_at_its_limit_or_not_at_all() {
    let at = |limit: &str| {
        fill(&order(Side::Buy, "10", Some(limit)), &bar("100", "95", "105", 0), &whole_fills())
            .map(|fill| fill.price.to_string())
    };
    assert_eq!(at("101").as_deref(), Some("100.02"));
    assert_eq!(at("97").as_deref(), Some("97"));
    assert_eq!(at("95"), None);
    let sale = |limit: &str| {
        fill(&order(Side::Sell, "10", Some(limit)), &bar("100", "95", "105", 0), &whole_fills())
            .map(|fill| fill.price.to_string())
    };
    assert_eq!(sale("99").as_deref(), Some("99.98"));
    assert_eq!(sale("104").as_deref(), Some("104"));
    assert_eq!(sale("105"), None);
}

#[test]
fn an_order_takes_no_more_than_its_share_of_the_volume() {
    let filled = fill(&order(Side::Buy, "500", None), &bar("10", "10", "10", 1005), &whole_fills()).unwrap();
    assert_eq!(filled.quantity.to_string(), "100");
    assert_eq!(filled.remaining.to_string(), "400");
}

#[test]
fn commission_is_that_of_the_whole_order() {
    let mut half = order(Side::Buy, "200", None);
    let bar = bar("1000", "1000", "1000", 0);
    let config = Config { half_spread_bp: Decimal::ZERO, ..whole_fills() };
    let first = Fill { quantity: "1".parse().unwrap(), ..fill(&half, &bar, &config).unwrap() };
    half.executions = vec![Fill { commission: usd(100), ..first }];
    let second = fill(&half, &bar, &config).unwrap();
    // One basis point of 200,000 is 20.00; 1.00 is paid already.
    assert_eq!(second.commission, usd(1_900));
}

#[test]
fn what_happens_depends_on_seed_order_and_day_alone() {
    let config = Config { partial_bp: 5_000, ..Config::default() };
    let order = order(Side::Buy, "100", None);
    let quantities = |seed: u64| -> Vec<String> {
        (1..20)
            .map(|day| {
                let date = Date::from_ymd_opt(2020, 3, day).unwrap();
                let outcome = work(&order, &bar("10", "10", "10", 0), date, usd(10_000_000), &config, seed).unwrap();
                outcome.fill.unwrap().quantity.to_string()
            })
            .collect()
    };
    assert_eq!(quantities(1), quantities(1));
    assert_ne!(quantities(1), quantities(2));
    assert!(quantities(1).iter().any(|quantity| quantity == "100"));
    assert!(quantities(1).iter().any(|quantity| quantity != "100"));
}

#[test]
fn at_the_third_bar_everything_that_is_left_is_filled() {
    let config = Config { partial_bp: 10_000, ..Config::default() };
    let mut order = order(Side::Buy, "100", None);
    assert!(fill(&order, &bar("10", "10", "10", 0), &config).unwrap().remaining.is_positive());
    order.bars_worked = 2;
    assert!(fill(&order, &bar("10", "10", "10", 0), &config).unwrap().remaining.is_zero());
}

proptest! {
    #[test]
    fn a_purchase_never_costs_more_than_the_account_has(
        nanos in 1_i64..2_000_000_000_000,
        cents in 1_i64..100_000,
        funds in 0_i64..50_000_000,
        partial in 0_u32..10_000,
        whole in any::<bool>(),
    ) {
        let mut order = order(Side::Buy, "1", None);
        let nanos = if whole { (nanos / NANOS_PER_UNIT).max(1) * NANOS_PER_UNIT } else { nanos };
        order.ticket.quantity = Quantity::from_nanos(nanos);
        let open = Decimal::new(cents, 2).to_string();
        let config = Config { partial_bp: partial, ..Config::default() };
        let outcome = work(&order, &bar(&open, &open, &open, 0), day(), usd(funds), &config, 3).unwrap();
        if let Some(fill) = outcome.fill {
            let value = fill.price.value_of(fill.quantity, Currency::Usd).unwrap();
            prop_assert!(value.minor_units() + fill.commission.minor_units() <= funds);
            prop_assert!(fill.quantity.is_positive() && fill.remaining >= Quantity::ZERO);
            prop_assert_eq!(fill.quantity.nanos() + fill.remaining.nanos(), nanos);
            if whole {
                prop_assert_eq!(fill.quantity.nanos() % NANOS_PER_UNIT, 0);
            }
        }
    }
}
