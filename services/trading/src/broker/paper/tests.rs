//! The paper venue over days, on a store of its own.
use super::*;
use moneta_contracts::events::Event;
use moneta_kit::{args, store::sqlite_url};
use moneta_types::{Cause, Currency, Price};

struct Venue {
    broker: PaperBroker,
    clock: Clock,
    _folder: tempfile::TempDir,
}

fn day(number: u32) -> Date {
    Date::from_ymd_opt(2020, 3, number).unwrap()
}

fn account() -> PortfolioId {
    PortfolioId::from_uuid(Cause::named("account").uuid())
}

async fn venue(config: Config) -> Venue {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder.path().join("trading.db"));
    let db = Db::open(&url, "trading", crate::SERVICE.migrations).await.unwrap();
    let clock = Clock::replay(Timestamp::at_hour(day(1), 21));
    Venue { broker: PaperBroker::new(db, clock.clone(), config, 7), clock, _folder: folder }
}

fn certain() -> Config {
    Config { reject_bp: 0, partial_bp: 0, half_spread_bp: Decimal::ZERO, ..Config::default() }
}

fn ticket(id: &str, side: Side, units: i64, limit: Option<&str>) -> Ticket {
    Ticket {
        client_order_id: id.to_owned(),
        account: account(),
        symbol: "AAPL".parse().unwrap(),
        kind: "share".to_owned(),
        side,
        quantity: Quantity::from_units(units).unwrap(),
        limit: limit.map(|price| price.parse().unwrap()),
        time_in_force: TimeInForce::Day,
        currency: Currency::Usd,
    }
}

impl Venue {
    async fn bar(&self, number: u32, price: &str, cash: i64) {
        let price: Price = price.parse().unwrap();
        let bar = Bar {
            symbol: "AAPL".parse().unwrap(),
            open: price,
            high: price,
            low: price,
            close: price,
            adj_close: price,
            volume: 0,
        };
        self.clock.advance_to(close_of(day(number)));
        let funds = BTreeMap::from([(account(), Money::from_minor(cash, Currency::Usd))]);
        let date = day(number);
        let event = self.event(&BarClosed { date, bars: vec![bar.clone()] });
        self.broker.work(&event, date, &[bar], funds).await.unwrap();
    }

    fn event(&self, event: &impl Event) -> Envelope {
        let cause = Cause::named(&self.clock.now().to_string());
        Envelope::of(event, cause, 0, "market-data", "", self.clock.now()).unwrap()
    }

    async fn end_day(&self, number: u32) {
        let date = day(number);
        self.broker.end_day(&self.event(&SessionClosed { date }), date).await.unwrap();
    }

    async fn standing(&self, id: &str) -> (Standing, usize) {
        let report = self.broker.report(id).await.unwrap().unwrap();
        (report.standing, report.executions.len())
    }
}

#[tokio::test]
async fn an_order_is_worked_at_the_next_open_and_once_a_day() {
    let venue = venue(certain()).await;
    venue.clock.advance_to(close_of(day(2)));
    venue.broker.submit(&ticket("a", Side::Buy, 10, None)).await.unwrap();
    // The day on which it was taken has opened before: hindsight is not for sale.
    venue.bar(2, "100", 1_000_000).await;
    assert_eq!(venue.standing("a").await, (Standing::Working, 0));
    venue.bar(3, "100", 1_000_000).await;
    venue.bar(3, "100", 1_000_000).await;
    assert_eq!(venue.standing("a").await, (Standing::Filled, 1));
}

#[tokio::test]
async fn a_day_that_is_delivered_twice_executes_a_partly_filled_order_once() {
    let venue = venue(Config { partial_bp: 10_000, ..certain() }).await;
    venue.broker.submit(&ticket("a", Side::Buy, 100, None)).await.unwrap();
    for _ in 0..3 {
        venue.bar(2, "100", 10_000_000).await;
    }
    assert_eq!(venue.standing("a").await, (Standing::Working, 1));
}

#[tokio::test]
async fn the_same_order_sent_twice_is_one_order() {
    let venue = venue(certain()).await;
    let first = venue.broker.submit(&ticket("a", Side::Buy, 10, None)).await.unwrap();
    venue.bar(2, "100", 1_000_000).await;
    let again = venue.broker.submit(&ticket("a", Side::Buy, 10, None)).await.unwrap();
    assert_eq!((first.standing, again.standing), (Standing::Working, Standing::Filled));
    assert_eq!(again.executions.len(), 1);
    assert_eq!(venue.broker.report("never sent").await.unwrap(), None);
}

#[tokio::test]
async fn a_day_limit_order_expires_at_the_end_of_its_first_day_and_gtc_does_not() {
    let venue = venue(certain()).await;
    venue.broker.submit(&ticket("day", Side::Buy, 10, Some("90"))).await.unwrap();
    let gtc = Ticket { time_in_force: TimeInForce::GoodTillCancel, ..ticket("gtc", Side::Buy, 10, Some("90")) };
    venue.broker.submit(&gtc).await.unwrap();
    venue.bar(2, "100", 1_000_000).await;
    venue.end_day(2).await;
    assert_eq!(venue.standing("day").await, (Standing::Expired, 0));
    venue.bar(3, "89", 1_000_000).await;
    assert_eq!(venue.standing("gtc").await, (Standing::Filled, 1));
}

#[tokio::test]
async fn sales_pay_for_purchases_and_what_cannot_be_paid_expires() {
    let venue = venue(certain()).await;
    venue.broker.submit(&ticket("buy", Side::Buy, 10, None)).await.unwrap();
    venue.broker.submit(&ticket("sell", Side::Sell, 5, None)).await.unwrap();
    // 500.00 and 1.00 of cash come from the sale less its commission of 1.00; four whole shares and 1.00 fit.
    venue.bar(2, "100", 100).await;
    let bought = venue.broker.report("buy").await.unwrap().unwrap();
    assert_eq!(bought.executions[0].quantity.to_string(), "4");
    venue.end_day(2).await;
    assert_eq!(venue.standing("buy").await, (Standing::Expired, 1));
    assert_eq!(venue.standing("sell").await, (Standing::Filled, 1));
}

#[tokio::test]
async fn a_market_order_is_filled_in_parts_over_at_most_three_bars() {
    let venue = venue(Config { partial_bp: 10_000, ..certain() }).await;
    venue.broker.submit(&ticket("a", Side::Buy, 100, None)).await.unwrap();
    for number in 2..=4 {
        assert_eq!(venue.standing("a").await.0, Standing::Working);
        venue.bar(number, "100", 10_000_000).await;
        venue.end_day(number).await;
    }
    assert_eq!(venue.standing("a").await, (Standing::Filled, 3));
}

#[tokio::test]
async fn a_cancelled_order_is_not_worked_and_a_late_cancellation_says_filled() {
    let venue = venue(certain()).await;
    venue.broker.submit(&ticket("a", Side::Buy, 10, None)).await.unwrap();
    venue.broker.submit(&ticket("b", Side::Buy, 10, None)).await.unwrap();
    assert_eq!(venue.broker.cancel("a", "changed my mind").await.unwrap().standing, Standing::Canceled);
    venue.bar(2, "100", 10_000_000).await;
    assert_eq!(venue.standing("a").await, (Standing::Canceled, 0));
    assert_eq!(venue.broker.cancel("b", "too late").await.unwrap().standing, Standing::Filled);
    assert!(venue.broker.cancel("c", "what").await.is_err());
}

#[tokio::test]
async fn rejections_come_from_the_seed() {
    let venue = venue(Config { reject_bp: 5_000, ..certain() }).await;
    let mut rejected = Vec::new();
    for number in 0..20 {
        let id = format!("order {number}");
        rejected
            .push(venue.broker.submit(&ticket(&id, Side::Buy, 1, None)).await.unwrap().standing == Standing::Rejected);
    }
    let expected: Vec<bool> = (0..20)
        .map(|number| pricing::chance(7, &format!("order {number}"), "submit").random_range(0..10_000_u32) < 5_000)
        .collect();
    assert_eq!(rejected, expected);
    assert!(rejected.contains(&true) && rejected.contains(&false));
}

/// The attack: one order's stored state makes its work fail. On the code before, the day's fills died for everybody.
#[tokio::test]
async fn an_order_whose_work_fails_is_set_aside_and_the_others_are_filled() {
    let (calm, hurt) = (venue(certain()).await, venue(certain()).await);
    for venue in [&calm, &hurt] {
        for id in ["one", "two"] {
            venue.broker.submit(&ticket(id, Side::Buy, 1, None)).await.unwrap();
        }
    }
    hurt.broker.submit(&ticket("poisoned", Side::Buy, 1, None)).await.unwrap();
    let mut tx = hurt.broker.db.begin().await.unwrap();
    let poison = "UPDATE venue_orders SET currency = 'XXX' WHERE client_order_id = 'poisoned'";
    tx.execute(poison, args![]).await.unwrap();
    tx.commit().await.unwrap();
    for venue in [&calm, &hurt] {
        venue.bar(2, "100", 1_000_000).await;
        venue.end_day(2).await;
    }
    for id in ["one", "two"] {
        let (calm, hurt) = (calm.broker.report(id).await.unwrap(), hurt.broker.report(id).await.unwrap());
        assert_eq!(calm, hurt);
        assert_eq!(calm.unwrap().standing, Standing::Filled);
    }
    let held = quarantine::list(&hurt.broker.db).await.unwrap();
    assert_eq!(held.iter().map(|entry| (entry.unit.id.as_str(), entry.missed)).collect::<Vec<_>>(), [("poisoned", 2)]);

    // Mended, it is given the days that it missed, in order, and stands where it would have stood.
    let mut tx = hurt.broker.db.begin().await.unwrap();
    tx.execute("UPDATE venue_orders SET currency = 'USD'", args![]).await.unwrap();
    let fund = "INSERT INTO accounts (portfolio_id, currency, cash_minor, version) VALUES ($1, 'USD', 1000000, 1)";
    tx.execute(fund, args![account()]).await.unwrap();
    let mut last = None;
    for missed in quarantine::missed(&hurt.broker.db, &held[0].unit).await.unwrap() {
        last = hurt.broker.redo(&mut tx, "poisoned", &missed.envelope).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(last.unwrap().standing, Standing::Filled);
}
