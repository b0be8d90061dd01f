//! What a plan keeps: the band, the destination, the turnover, whole units, and cash at zero or more.
use super::*;
use crate::ledger::{CostBasis, Lot};
use moneta_types::{Currency, Timestamp};
use proptest::prelude::*;

fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::Usd)
}

fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

fn limits() -> Limits {
    Limits {
        band: Decimal::new(2, 2),
        destination: Decimal::new(175, 4),
        max_turnover: None,
        least_trade: Decimal::ZERO,
        fractional: true,
    }
}

const FREE: Costs = Costs { half_spread: Decimal::ZERO, commission: Decimal::ZERO, least_commission: Decimal::ZERO };

fn costs() -> Costs {
    Costs { half_spread: Decimal::new(5, 4), commission: Decimal::new(1, 4), least_commission: Decimal::ONE }
}

fn holding(cash: i64, stocks: &[(&str, i64, i64)]) -> (Book, BTreeMap<Symbol, Stock>) {
    let mut book = Book::new(Currency::Usd, CostBasis::Fifo);
    book.cash = usd(cash);
    let mut map = BTreeMap::new();
    for &(name, nanos, cents) in stocks {
        let (quantity, price) = (Quantity::from_nanos(nanos), Price::new(Decimal::new(cents, 2)).unwrap());
        let value = price.value_of(quantity, Currency::Usd).unwrap();
        map.insert(symbol(name), Stock { quantity, price, value });
        if nanos > 0 {
            let at = Timestamp::EPOCH;
            let lot = Lot {
                id: name.to_owned(),
                opened: at.date(),
                opened_at: at,
                quantity,
                cost: usd(value.minor_units() / 2),
            };
            book.lots.insert(symbol(name), vec![lot]);
        }
    }
    (book, map)
}

const SHARE: i64 = NANOS_PER_UNIT;

#[test]
fn inside_the_band_nothing_is_traded() {
    let (book, stocks) = holding(4_100, &[("AAPL", 5_000 * SHARE / 100, 100), ("KO", 4_590 * SHARE / 100, 100)]);
    let target = Target::parse([("AAPL", "0.5"), ("KO", "0.48"), ("CASH", "0.02")]).unwrap();
    let (book, stocks) = (Book { cash: usd(200), ..book }, stocks);
    let found = plan(Snapshot { book: &book, stocks: &stocks, target: &target }, limits(), FREE).unwrap();
    assert!(found.trades.is_empty());
    assert!(found.drift_before < Decimal::new(2, 2), "{}", found.drift_before);
}

#[test]
fn beyond_the_band_the_plan_goes_to_the_destination_and_no_further() {
    let (book, stocks) = holding(0, &[("AAPL", 600 * SHARE, 10_000), ("KO", 400 * SHARE, 10_000)]);
    let target = Target::parse([("AAPL", "0.5"), ("KO", "0.5")]).unwrap();
    let found = plan(Snapshot { book: &book, stocks: &stocks, target: &target }, limits(), FREE).unwrap();
    assert_eq!(found.drift_before, Decimal::new(1, 1));
    assert_eq!(found.drift_after, Decimal::new(175, 4));
    assert_eq!(found.turnover, Decimal::new(825, 4));
    let sides: Vec<_> = found.trades.iter().map(|trade| (trade.side, trade.quantity.to_string())).collect();
    assert_eq!(sides, [(Side::Sell, "82.5".to_owned()), (Side::Buy, "82.5".to_owned())]);
    assert_eq!(found.trades[0].gain, usd(825_000 / 2));
}

#[test]
fn a_turnover_limit_holds() {
    let (book, stocks) = holding(0, &[("AAPL", 600 * SHARE, 10_000), ("KO", 400 * SHARE, 10_000)]);
    let target = Target::parse([("AAPL", "0.5"), ("KO", "0.5")]).unwrap();
    let limits = Limits { max_turnover: Some(Decimal::new(3, 2)), ..limits() };
    let found = plan(Snapshot { book: &book, stocks: &stocks, target: &target }, limits, FREE).unwrap();
    assert_eq!(found.turnover, Decimal::new(3, 2));
}

#[test]
fn without_fractions_whole_units_are_traded() {
    let (book, stocks) = holding(100_000, &[("AAPL", 0, 3_333), ("KO", 7 * SHARE, 4_999)]);
    let target = Target::parse([("AAPL", "0.9"), ("CASH", "0.1")]).unwrap();
    let limits = Limits { fractional: false, destination: Decimal::ZERO, ..limits() };
    let found = plan(Snapshot { book: &book, stocks: &stocks, target: &target }, limits, costs()).unwrap();
    assert!(found.trades.iter().all(|trade| trade.quantity.nanos() % SHARE == 0));
    assert_eq!(found.trades[0].quantity, Quantity::from_units(7).unwrap());
}

proptest! {
    #[test]
    fn cash_never_falls_below_zero_and_nothing_is_sold_that_is_not_held(
        cash in 0_i64..20_000_000,
        stocks in prop::collection::vec((0_i64..500 * SHARE, 1_i64..100_000), 4),
        parts in prop::collection::vec(0_u32..100, 5),
        fractional in any::<bool>(),
        turnover in prop::option::of(0_i64..60),
    ) {
        let names = ["AAPL", "GE", "KO", "XOM"];
        let rows: Vec<_> = names.iter().zip(&stocks).map(|(name, &(nanos, cents))| (*name, nanos, cents)).collect();
        let (book, stocks) = holding(cash, &rows);
        let whole: u32 = parts.iter().sum::<u32>().max(1);
        let mut texts: Vec<Decimal> = parts.iter().map(|&part| (Decimal::from(part) / Decimal::from(whole)).round_dp_with_strategy(6, rust_decimal::RoundingStrategy::ToZero)).collect();
        texts[4] = Decimal::ONE - texts[..4].iter().sum::<Decimal>();
        let texts: Vec<String> = texts.iter().map(Decimal::to_string).collect();
        let target = Target::parse(["AAPL", "GE", "KO", "XOM", "CASH"].into_iter().zip(texts.iter().map(String::as_str))).unwrap();
        let limits = Limits { fractional, max_turnover: turnover.map(|bp| Decimal::new(bp, 2)), ..limits() };
        let found = plan(Snapshot { book: &book, stocks: &stocks, target: &target }, limits, costs()).unwrap();
        let mut left = cash;
        for trade in &found.trades {
            let value = trade.value.minor_units();
            left += if trade.side == Side::Sell { value } else { -value } - trade.cost.minor_units();
            if trade.side == Side::Sell {
                prop_assert!(trade.quantity <= stocks[&trade.symbol].quantity);
            }
        }
        let sells: i64 = found.trades.iter().filter(|t| t.side == Side::Sell).map(|t| t.value.minor_units() - t.cost.minor_units()).sum();
        prop_assert!(left >= 0 || cash + sells < 0, "cash {left}");
        if let Some(most) = limits.max_turnover {
            prop_assert!(found.turnover <= most + Decimal::new(1, 6), "{}", found.turnover);
        }
        if found.drift_before <= limits.band {
            prop_assert!(found.trades.is_empty());
        }
    }
}
