//! What the book keeps true under any sequence of deposits, withdrawals and trades.
use super::*;
use moneta_types::Cause;
use proptest::prelude::*;

fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::Usd)
}

fn entry(number: u64) -> Entry<'static> {
    let id = TransactionId::from_uuid(Cause::named("test").derive(&number.to_string()));
    Entry { id, at: Timestamp::from_micros(number as i64), reference: "r", note: "" }
}

fn trade(number: u64, side: Side, nanos: i64, price: &str, commission: i64) -> Trade {
    let at = Timestamp::from_micros(number as i64);
    Trade {
        execution_id: ExecutionId::from_uuid(Cause::named("execution").derive(&number.to_string())),
        order_id: OrderId::from_uuid(Cause::named("order").derive(&number.to_string())),
        symbol: "AAPL".parse().unwrap(),
        side,
        quantity: Quantity::from_nanos(nanos),
        price: price.parse().unwrap(),
        currency: Currency::Usd,
        commission: usd(commission),
        spread: usd(0),
        at,
        date: at.date(),
    }
}

const SHARE: i64 = moneta_types::NANOS_PER_UNIT;

#[test]
fn a_purchase_turns_cash_into_a_lot_at_cost_with_commission() {
    let mut book = Book::new(Currency::Usd, CostBasis::Fifo);
    book.deposit(usd(100_000), entry(1)).unwrap();
    let bought = book.trade(&trade(2, Side::Buy, 2 * SHARE, "100", 100), entry(2).id).unwrap();
    assert_eq!(bought.cash, usd(-20_100));
    assert_eq!(book.cash, usd(79_900));
    assert_eq!(book.cost(&"AAPL".parse().unwrap()).unwrap(), usd(20_100));
}

#[test]
fn a_sale_realises_the_gain_after_commission() {
    let mut book = Book::new(Currency::Usd, CostBasis::Fifo);
    book.deposit(usd(100_000), entry(1)).unwrap();
    book.trade(&trade(2, Side::Buy, 2 * SHARE, "100", 100), entry(2).id).unwrap();
    let sold = book.trade(&trade(3, Side::Sell, SHARE, "150", 100), entry(3).id).unwrap();
    assert_eq!(sold.realised_gain, Some(usd(15_000 - 100 - 10_050)));
    assert_eq!(book.cash, usd(79_900 + 14_900));
    let lines: Vec<_> = sold.postings().iter().map(|p| (p.account.to_string(), p.amount.minor_units())).collect();
    assert_eq!(
        lines,
        [
            ("cash".to_owned(), 14_900),
            ("commission".to_owned(), 100),
            ("securities:AAPL".to_owned(), -10_050),
            ("realised_gain".to_owned(), -4_950)
        ]
    );
}

#[test]
fn withdrawing_more_than_there_is_names_both_amounts_and_changes_nothing() {
    let mut book = Book::new(Currency::Usd, CostBasis::Fifo);
    book.deposit(usd(100), entry(1)).unwrap();
    let before = book.clone();
    let error = book.withdraw(usd(101), entry(2)).unwrap_err();
    assert_eq!(error.to_string(), "withdrawal of $1.01 exceeds the cash of $1.00");
    assert_eq!(book, before);
}

#[test]
fn what_is_beyond_the_bounds_is_refused_and_changes_nothing() {
    let mut book = Book::new(Currency::Usd, CostBasis::Fifo);
    for amount in [i64::MAX, bounds::LARGEST_MOVEMENT + 1] {
        assert!(matches!(book.deposit(usd(amount), entry(1)), Err(Error::Value(_))));
    }
    for number in 1..=(LARGEST_BALANCE / bounds::LARGEST_MOVEMENT) {
        book.deposit(usd(bounds::LARGEST_MOVEMENT), entry(number as u64)).unwrap();
    }
    let full = book.clone();
    let error = book.deposit(usd(1), entry(1_000)).unwrap_err();
    assert!(matches!(error, Error::BalanceLimit { room, .. } if room.is_zero()), "{error}");
    assert_eq!(book, full);
    book.withdraw(usd(1), entry(1_001)).unwrap();
}

#[test]
fn another_currency_and_nothing_at_all_are_refused() {
    let mut book = Book::new(Currency::Usd, CostBasis::Fifo);
    let euro = Money::from_minor(1, Currency::Eur);
    assert!(matches!(book.deposit(euro, entry(1)), Err(Error::CurrencyNotHeld { .. })));
    for amount in [usd(0), usd(-5)] {
        assert!(matches!(book.deposit(amount, entry(1)), Err(Error::NotPositive { .. })));
        assert!(matches!(book.withdraw(amount, entry(1)), Err(Error::NotPositive { .. })));
    }
}

#[test]
fn a_transaction_that_does_not_balance_cannot_be_made() {
    let draft = Transaction::draft(entry(1).id, Kind::Deposit, Timestamp::EPOCH, Timestamp::EPOCH.date(), usd(1));
    let lines = vec![Posting { account: Account::Cash, amount: usd(1) }];
    assert!(matches!(draft.balanced(lines), Err(Error::Unbalanced { .. })));
}

#[derive(Debug, Clone)]
enum Step {
    Deposit(i64),
    Withdraw(i64),
    Buy(i64, i64, i64),
    Sell(i64, i64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_i64..5_000_000).prop_map(Step::Deposit),
        (1_i64..5_000_000).prop_map(Step::Withdraw),
        (1_i64..20 * SHARE, 1_i64..500_000, 0_i64..500).prop_map(|(q, p, c)| Step::Buy(q, p, c)),
        (1_i64..20 * SHARE, 1_i64..500_000, 0_i64..500).prop_map(|(q, p, c)| Step::Sell(q, p, c)),
    ]
}

proptest! {
    /// Money is kept twice here: by the book, and by plain integers beside it.
    #[test]
    fn the_ledger_balances_and_cash_is_the_sum_of_all_flows(
        steps in prop::collection::vec(step(), 1..60),
        average in any::<bool>(),
    ) {
        let mut book = Book::new(Currency::Usd, if average { CostBasis::Average } else { CostBasis::Fifo });
        let (mut cash, mut paid_in, mut held, mut gains) = (0_i64, 0_i64, 0_i64, 0_i64);
        let mut accounts: BTreeMap<Account, i64> = BTreeMap::new();
        for (step, number) in steps.into_iter().zip(1_u64..) {
            let price = |cents: i64| rust_decimal::Decimal::new(cents, 2).to_string();
            let gross = |nanos: i64, cents: i64| {
                let (n, d) = (i128::from(nanos) * i128::from(cents), i128::from(SHARE));
                let (whole, rest) = (n / d, n % d);
                let up = rest * 2 > d || (rest * 2 == d && whole % 2 == 1);
                i64::try_from(whole + i128::from(up)).unwrap()
            };
            let result = match step {
                Step::Deposit(amount) => {
                    cash += amount;
                    paid_in += amount;
                    book.deposit(usd(amount), entry(number))
                }
                Step::Withdraw(amount) => {
                    let result = book.withdraw(usd(amount), entry(number));
                    prop_assert_eq!(result.is_ok(), amount <= cash);
                    if result.is_ok() {
                        cash -= amount;
                        paid_in -= amount;
                    }
                    result
                }
                Step::Buy(nanos, cents, commission) => {
                    cash -= gross(nanos, cents) + commission;
                    held += nanos;
                    book.trade(&trade(number, Side::Buy, nanos, &price(cents), commission), entry(number).id)
                }
                Step::Sell(nanos, cents, commission) => {
                    let order = trade(number, Side::Sell, nanos, &price(cents), commission);
                    let result = book.trade(&order, entry(number).id);
                    prop_assert_eq!(result.is_ok(), nanos <= held);
                    if result.is_ok() {
                        cash += gross(nanos, cents) - commission;
                        held -= nanos;
                    }
                    result
                }
            };
            if let Ok(transaction) = result {
                prop_assert_eq!(transaction.postings().iter().map(|p| p.amount.minor_units()).sum::<i64>(), 0);
                gains += transaction.realised_gain.map_or(0, Money::minor_units);
                for posting in transaction.postings() {
                    *accounts.entry(posting.account.clone()).or_default() += posting.amount.minor_units();
                }
            }
        }
        let symbol: Symbol = "AAPL".parse().unwrap();
        let balance = |account: &Account| accounts.get(account).copied().unwrap_or(0);
        prop_assert_eq!(book.cash.minor_units(), cash);
        prop_assert_eq!(balance(&Account::Cash), cash);
        prop_assert_eq!(book.contributions.minor_units(), paid_in);
        prop_assert_eq!(book.quantity(&symbol).unwrap().nanos(), held);
        prop_assert_eq!(balance(&Account::Securities(symbol.clone())), book.cost(&symbol).unwrap().minor_units());
        prop_assert_eq!(-(balance(&Account::RealisedGain) + balance(&Account::Commission)), gains);
        prop_assert_eq!(accounts.values().sum::<i64>(), 0);
        prop_assert_eq!(book.lots.contains_key(&symbol), held > 0);
    }
}
