//! Small inputs for the tests of this folder.
use super::{
    market::{FeatureRow, ForecastRow, MarketView},
    optimise::Limits,
    record::{Inputs, MandateTerms, Parameters, Position, Profile, Snapshot},
};
use moneta_types::{Cause, Currency, Date, Money, PortfolioId, Price, Quantity, RiskProfile, UserId};

pub fn parameters() -> Parameters {
    Parameters {
        limits: Limits {
            risk_aversion: 4.0,
            volatility_ceiling: 0.14,
            max_weight: 0.5,
            min_cash: 0.02,
            max_turnover: 1.0,
        },
        cash_return: 0.01,
        market_sharpe: 0.4,
        view_weight: 0.1,
        cost_bp: 4.0,
        holding_days: 63.0,
        min_trade: 0.0025,
        band: 0.02,
    }
}

pub fn snapshot(cash: &str, holdings: &[(&str, &str, &str)]) -> Snapshot {
    let cause = Cause::named("test");
    let cash = Money::parse(cash, Currency::Usd).unwrap();
    let holdings: Vec<Position> = holdings
        .iter()
        .map(|(symbol, quantity, price)| {
            let (quantity, price): (Quantity, Price) = (quantity.parse().unwrap(), price.parse().unwrap());
            let value = price.value_of(quantity, Currency::Usd).unwrap();
            Position { symbol: symbol.parse().unwrap(), quantity, price, value }
        })
        .collect();
    let value = holdings.iter().fold(cash, |sum, holding| sum.checked_add(holding.value).unwrap());
    Snapshot {
        portfolio_id: PortfolioId::from_uuid(cause.derive("portfolio")),
        owner_id: UserId::from_uuid(cause.derive("owner")),
        version: 1,
        currency: Currency::Usd,
        cash,
        value,
        holdings,
        valued_on: date(),
    }
}

pub fn inputs(cash: &str, holdings: &[(&str, &str, &str)]) -> Inputs {
    Inputs {
        snapshot: snapshot(cash, holdings),
        profile: Profile {
            questionnaire: 1,
            risk_tolerance: RiskProfile::Balanced,
            capacity_for_loss: "medium".to_owned(),
            volatility_ceiling: "0.14".parse().unwrap(),
            vulnerable: false,
            exclusions: Vec::new(),
        },
        mandate: MandateTerms {
            version: 1,
            autonomy: "approve".to_owned(),
            universe: Vec::new(),
            turnover_left: "1".parse().unwrap(),
            max_order_value: Money::parse("1000000", Currency::Usd).unwrap(),
            volatility_ceiling: "0.14".parse().unwrap(),
            max_weight: "0.5".parse().unwrap(),
        },
        parameters: parameters(),
        market_view: String::new(),
        models: Vec::new(),
        feature_manifest: String::new(),
    }
}

pub fn view() -> MarketView {
    let volatilities = [0.2, 0.3, 0.15];
    let covariance = (0..3)
        .flat_map(|row| (0..3).map(move |column| (row, column)))
        .map(|(row, column)| volatilities[row] * volatilities[column] * if row == column { 1.0 } else { 0.3 })
        .collect();
    MarketView {
        date: date(),
        reference: "INDEX".parse().unwrap(),
        symbols: ["AAA", "BBB", "CCC"].iter().map(|symbol| symbol.parse().unwrap()).collect(),
        prices: ["100", "200", "50"].iter().map(|price| price.parse().unwrap()).collect(),
        models: Vec::new(),
        feature_manifest: String::new(),
        features: vec![FeatureRow { digest: String::new(), values: Vec::new() }; 3],
        forecasts: volatilities
            .iter()
            .map(|&volatility| ForecastRow {
                volatility: vec![volatility; 3],
                mean_21d: 0.005,
                quantiles_21d: vec![-0.1, -0.03, 0.005, 0.04, 0.1],
            })
            .collect(),
        covariance,
    }
}

fn date() -> Date {
    Date::from_ymd_opt(2020, 1, 2).unwrap()
}
