//! What the doubles of the neighbours know: real market history up to a day, one client's account, portfolios, orders.
use moneta_contracts::{
    common,
    events::Side,
    market_data::{Bar, Instrument},
    notification::TopicPreference,
    portfolio::{Holding, PortfolioView},
    trading::{Order, SubmitOrderRequest},
    user::{Account, Preferences, Questionnaire},
};
use moneta_kit::identity::{Identity, Tokens};
use moneta_types::{Cause, Currency, Date, Money, Price, Quantity, UserId};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};
use tonic::{Request, Status};

/// The instruments of the tests.
const SYMBOLS: [&str; 9] = ["AAPL", "AMD", "JNJ", "JPM", "KO", "MSFT", "PG", "WMT", "XOM"];

pub struct World {
    pub today: Date,
    pub instruments: Vec<Instrument>,
    bars: BTreeMap<String, Vec<Bar>>,
    /// Prices that differ from the history's last close.
    pub moved: BTreeMap<String, Price>,
    pub account: Account,
    pub preferences: Preferences,
    pub questionnaire: Option<Questionnaire>,
    pub portfolios: BTreeMap<String, PortfolioView>,
    pub orders: Vec<Order>,
    requests: BTreeMap<String, SubmitOrderRequest>,
    pub topics: Vec<TopicPreference>,
    pub advice_allowed: bool,
    pub user_fails: bool,
    pub trading_fails: bool,
    pub answers_to_lose: u32,
    pub questionnaires_until_failure: Option<u32>,
    pub histories_read: u32,
    pub tokens: Option<Tokens>,
}

/// The world as the doubles share it.
#[derive(Clone)]
pub struct Shared(pub Arc<Mutex<World>>);

impl Shared {
    pub fn look(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn usd(units: i64) -> Option<common::Money> {
    cents(units * 100)
}

pub fn cents(minor_units: i64) -> Option<common::Money> {
    Some(common::Money { minor_units, currency: "USD".to_owned() })
}

pub fn owner(view: &PortfolioView) -> UserId {
    view.owner_id.parse().unwrap()
}

pub fn holding(symbol: &str, quantity: i64) -> Holding {
    Holding {
        symbol: symbol.to_owned(),
        quantity: Some(Quantity::from_units(quantity).unwrap().into()),
        unrealised_gain: usd(0),
        ..Default::default()
    }
}

impl World {
    pub fn new(today: Date) -> Self {
        let market = root().join(".moneta/market");
        let mut bars: BTreeMap<String, Vec<Bar>> = BTreeMap::new();
        for symbol in SYMBOLS.into_iter().chain(["SP500"]) {
            let path = market.join(format!("{symbol}.csv"));
            let text =
                std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("no {}; run `make up`", path.display()));
            let rows = text.lines().skip(1).filter(|line| ("2017-06-01".."2020-06-01").contains(&&line[..10]));
            bars.insert(symbol.to_owned(), rows.map(|line| bar(symbol, line)).collect());
        }
        let instrument = |symbol: &str| Instrument {
            symbol: symbol.to_owned(),
            name: format!("{symbol} name"),
            kind: "share".to_owned(),
            currency: "USD".to_owned(),
            tradable: symbol != "SP500",
            aliases: match symbol {
                "KO" => vec!["coca cola".to_owned()],
                "AAPL" => vec!["apple".to_owned()],
                _ => Vec::new(),
            },
            complex: false,
        };
        let topic = |topic: &str, mandatory| TopicPreference {
            topic: topic.to_owned(),
            channel: "email".to_owned(),
            enabled: true,
            mandatory,
            description: "What it is about.".to_owned(),
        };
        Self {
            today,
            instruments: bars.keys().map(|symbol| instrument(symbol)).collect(),
            bars,
            moved: BTreeMap::new(),
            account: Account::default(),
            preferences: Preferences::default(),
            questionnaire: None,
            portfolios: BTreeMap::new(),
            orders: Vec::new(),
            requests: BTreeMap::new(),
            topics: vec![topic("trade_executed", true), topic("market_fall", false)],
            advice_allowed: true,
            user_fails: false,
            trading_fails: false,
            answers_to_lose: 0,
            questionnaires_until_failure: None,
            histories_read: 0,
            tokens: None,
        }
    }

    pub fn caller<T>(&self, request: &Request<T>) -> Result<Identity, Status> {
        let bearer = request.metadata().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = bearer.trim_start_matches("Bearer ");
        self.tokens.as_ref().unwrap().verify(token).map_err(Status::from)
    }

    pub fn seen<T>(&self, request: &Request<T>, id: &str) -> Result<PortfolioView, Status> {
        let view = self.portfolios.get(id).ok_or_else(|| Status::not_found("no such portfolio"))?;
        self.caller(request)?.may_see(owner(view), "portfolio", id)?;
        Ok(view.clone())
    }

    pub fn reachable(&self, fails: bool) -> Result<(), Status> {
        if fails { Err(Status::unavailable("down")) } else { Ok(()) }
    }

    /// The bars of an instrument up to today.
    pub fn history(&self, symbol: &str) -> &[Bar] {
        let bars = self.bars.get(symbol).map_or(&[][..], Vec::as_slice);
        let today = self.today.to_string();
        &bars[..bars.partition_point(|bar| bar.date <= today)]
    }

    pub fn bar_of(&self, symbol: &str, date: Date) -> Option<&Bar> {
        self.bars[symbol].iter().find(|bar| bar.date == date.to_string())
    }

    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.bars.keys().map(String::as_str)
    }

    pub fn price(&self, symbol: &str) -> Price {
        self.moved.get(symbol).copied().unwrap_or_else(|| self.history(symbol).last().unwrap().close.parse().unwrap())
    }

    /// A portfolio at today's prices.
    pub fn valued(&self, view: &PortfolioView) -> PortfolioView {
        let mut view = view.clone();
        let mut value = Money::from_minor(view.cash.clone().unwrap().minor_units, Currency::Usd);
        for holding in &mut view.holdings {
            let price = self.price(&holding.symbol);
            let worth = price.value_of(Quantity::from_nanos(holding.quantity.unwrap().nanos), Currency::Usd).unwrap();
            value = value.checked_add(worth).unwrap();
            holding.market_value = Some(worth.into());
            holding.price = Some(common::Price::of(price, Currency::Usd));
            holding.weight = "0.1".to_owned();
        }
        view.value = Some(value.into());
        view.net_contributions = usd(90_000);
        view.valued_on = self.today.to_string();
        view
    }

    /// Takes an order as trading does: idempotent by key, with another body a refusal.
    pub fn submit(&mut self, request: SubmitOrderRequest) -> Result<Order, Status> {
        let id = Cause::named(&request.idempotency_key).uuid().to_string();
        if let Some(known) = self.requests.get(&request.idempotency_key) {
            if *known != request {
                return Err(Status::already_exists("the key was used for another order"));
            }
            return Ok(self.orders.iter().find(|order| order.order_id == id).cloned().unwrap());
        }
        let order = Order {
            order_id: id,
            portfolio_id: request.portfolio_id.clone(),
            owner_id: self.portfolios[&request.portfolio_id].owner_id.clone(),
            symbol: request.symbol.clone(),
            side: request.side.clone(),
            quantity: request.quantity,
            filled: Some(common::Quantity { nanos: 0 }),
            status: "accepted".to_owned(),
            origin: request.origin.clone(),
            idempotency_key: request.idempotency_key.clone(),
            ..Default::default()
        };
        self.requests.insert(request.idempotency_key.clone(), request);
        self.orders.push(order.clone());
        Ok(order)
    }

    /// Fills every working order at today's price and books it.
    pub fn fill(&mut self) {
        let prices: BTreeMap<String, Price> =
            self.orders.iter().map(|order| (order.symbol.clone(), self.price(&order.symbol))).collect();
        for order in self.orders.iter_mut().filter(|order| order.status == "accepted") {
            order.status = "filled".to_owned();
            order.filled = order.quantity;
            let view = self.portfolios.get_mut(&order.portfolio_id).unwrap();
            let nanos = order.quantity.unwrap().nanos;
            let value = prices[&order.symbol].value_of(Quantity::from_nanos(nanos), Currency::Usd).unwrap();
            let (signed, cash) = match order.side.parse().unwrap() {
                Side::Buy => (nanos, -value.minor_units()),
                Side::Sell => (-nanos, value.minor_units()),
            };
            view.cash.as_mut().unwrap().minor_units += cash;
            view.version += 1;
            match view.holdings.iter_mut().find(|holding| holding.symbol == order.symbol) {
                Some(held) => held.quantity.as_mut().unwrap().nanos += signed,
                None => {
                    let quantity = Some(common::Quantity { nanos: signed });
                    view.holdings.push(Holding { quantity, ..holding(&order.symbol, 0) });
                }
            }
            view.holdings.retain(|holding| holding.quantity.unwrap().nanos != 0);
        }
    }
}

fn bar(symbol: &str, line: &str) -> Bar {
    let mut columns = line.split(',').map(str::to_owned);
    let mut next = || columns.next().unwrap_or_default();
    Bar {
        symbol: symbol.to_owned(),
        date: next(),
        open: next(),
        high: next(),
        low: next(),
        close: next(),
        adj_close: next(),
        volume: next().parse::<f64>().unwrap_or(0.0) as i64,
    }
}
