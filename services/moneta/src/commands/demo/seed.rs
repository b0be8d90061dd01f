//! Seeds the demo through the services' own doors: accounts, questionnaires, portfolios, deposits, mandates, first orders.
//! Every step is idempotent, so a seeding that was cut off is finished by the next start.
use super::accounts::{INVESTORS, Investor, PASSWORD, STAFF, answers};
use crate::Result;
use moneta_contracts::{
    advisor::{GetMandateRequest, Mandate, SetMandateRequest},
    common, convert,
    market_data::{LatestPricesRequest, ReplayStatusRequest},
    portfolio::{CashMovementRequest, CreatePortfolioRequest},
    trading::SubmitOrderRequest,
    user::{
        GetQuestionnaireRequest, ListInvestorsRequest, ProvisionAccountRequest, SetPreferencesRequest,
        SubmitQuestionnaireRequest,
    },
};
use moneta_kit::{client::Call, identity::Role, problem::parse, runner::Running};
use moneta_types::{Cause, Quantity, Timestamp, UserId};
use rust_decimal::{Decimal, RoundingStrategy};
use std::time::Duration;

const CURRENCY: &str = "USD";
/// Days after which the investors answer the questionnaire again; it is good for 365.
const RENEW_AFTER_DAYS: i64 = 350;

/// Seeds what is not there yet.
pub async fn seed(running: &Running) -> Result<()> {
    let status = running
        .directory()
        .market_data()
        .replay_status(running.call().request(ReplayStatusRequest {}))
        .await?
        .into_inner();
    if status.days_done > 0 {
        return Ok(());
    }
    for (email, name, role) in STAFF {
        provision(running, email, name, &[role]).await?;
    }
    for investor in &INVESTORS {
        seed_investor(running, investor).await?;
    }
    running.quiet().wait().await;
    Ok(())
}

/// The investors answer the questionnaire again before it is a year old, as the rules on periodic assessment ask
/// (article 54(13) of Delegated Regulation (EU) 2017/565).
pub async fn renew_questionnaires(running: &Running) -> Result<()> {
    let accounts = running
        .directory()
        .user()
        .list_investors(running.call().request(ListInvestorsRequest {}))
        .await?
        .into_inner()
        .accounts;
    for account in accounts.iter().filter(|account| INVESTORS.iter().any(|known| known.email == account.email)) {
        let user: UserId = parse("user_id", &account.user_id)?;
        let (token, _) = running.tokens().issue_access(user, &[Role::Investor], Duration::from_secs(600))?;
        let newest = GetQuestionnaireRequest { user_id: user.to_string(), version: 0 };
        let call = Call::bearer(&token, Cause::named(&format!("demo/{}/questionnaire", account.email)));
        let mut users = running.directory().user();
        let last = users.get_questionnaire(call.request(newest)).await?.into_inner();
        let age = running.clock().now().seconds_since(Timestamp::from_micros(last.submitted_micros));
        if age > RENEW_AFTER_DAYS * 86_400 {
            let cause = Cause::named(&format!("demo/{}/questionnaire/{}", account.email, last.version + 1));
            let request =
                SubmitQuestionnaireRequest { user_id: user.to_string(), answers: Some(answers(&account.email)) };
            users.submit_questionnaire(Call::bearer(&token, cause).request(request)).await?;
        }
    }
    Ok(())
}

async fn provision(running: &Running, email: &str, name: &str, roles: &[&str]) -> Result<UserId> {
    let request = ProvisionAccountRequest {
        email: email.to_owned(),
        password: PASSWORD.to_owned(),
        display_name: name.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        base_currency: CURRENCY.to_owned(),
        autonomy: String::new(),
        vulnerable: false,
        time_zone: "Europe/London".to_owned(),
    };
    let call = running.call().because(Cause::named(&format!("demo/account/{email}")));
    let account = running.directory().user().provision_account(call.request(request)).await?.into_inner();
    Ok(parse("user_id", &account.user_id)?)
}

async fn seed_investor(running: &Running, investor: &Investor) -> Result<()> {
    let user = provision(running, investor.email, investor.name, &["investor"]).await?;
    // The investor acts himself from here on, with a token of his own.
    let (token, _) = running.tokens().issue_access(user, &[Role::Investor], Duration::from_secs(600))?;
    let as_investor = |step: &str| Call::bearer(&token, Cause::named(&format!("demo/{}/{step}", investor.email)));

    let mut users = running.directory().user();
    let newest = GetQuestionnaireRequest { user_id: user.to_string(), version: 0 };
    if users.get_questionnaire(as_investor("questionnaire").request(newest)).await.is_err() {
        let request = SubmitQuestionnaireRequest { user_id: user.to_string(), answers: Some(answers(investor.email)) };
        users.submit_questionnaire(as_investor("questionnaire").request(request)).await?;
    }

    // What an account consents to, its owner says himself.
    let values = ["algorithm_disclosure", "privacy_notice", "terms_of_service"];
    let values = values.map(|document| (document.to_owned(), "accepted".to_owned())).into();
    let request = SetPreferencesRequest { user_id: String::new(), values };
    users.set_preferences(as_investor("consents").request(request)).await?;

    let mut portfolios = running.directory().portfolio();
    let request = CreatePortfolioRequest {
        owner_id: String::new(),
        name: "Savings".to_owned(),
        currency: CURRENCY.to_owned(),
        client_reference: "demo/portfolio".to_owned(),
    };
    let portfolio = portfolios.create_portfolio(as_investor("portfolio").request(request)).await?.into_inner();
    let request = CashMovementRequest {
        portfolio_id: portfolio.portfolio_id.clone(),
        amount: Some(common::Money { minor_units: investor.deposit, currency: CURRENCY.to_owned() }),
        client_reference: "demo/deposit".to_owned(),
        note: "opening deposit".to_owned(),
    };
    portfolios.deposit(as_investor("deposit").request(request)).await?;

    let mut advisor = running.directory().advisor();
    let get = GetMandateRequest { portfolio_id: portfolio.portfolio_id.clone() };
    let present = advisor.get_mandate(as_investor("mandate").request(get)).await?.into_inner();
    if present.version == 0 {
        let mandate = Mandate {
            portfolio_id: portfolio.portfolio_id.clone(),
            autonomy: investor.autonomy.to_owned(),
            max_turnover: investor.max_turnover.to_owned(),
            max_order_value: Some(common::Money { minor_units: 2_500_000, currency: CURRENCY.to_owned() }),
            volatility_ceiling: "1".to_owned(),
            max_weight: investor.max_weight.to_owned(),
            ..Mandate::default()
        };
        let request = SetMandateRequest { mandate: Some(mandate), expected_version: 0, password: PASSWORD.to_owned() };
        advisor.set_mandate(as_investor("mandate").request(request)).await?;
    }
    first_orders(running, investor, &portfolio.portfolio_id, &as_investor).await
}

/// What the investor buys for himself before the replay begins.
async fn first_orders(
    running: &Running,
    investor: &Investor,
    portfolio_id: &str,
    as_investor: &impl Fn(&str) -> Call,
) -> Result<()> {
    if investor.start.is_empty() {
        return Ok(());
    }
    let symbols = investor.start.iter().map(|(symbol, _)| (*symbol).to_owned()).collect();
    let prices = running
        .directory()
        .market_data()
        .latest_prices(as_investor("prices").request(LatestPricesRequest { symbols }))
        .await?
        .into_inner()
        .prices;
    for (symbol, percent) in investor.start {
        let latest = prices.iter().find(|price| price.symbol == *symbol);
        let price = convert::price("price", latest.and_then(|latest| latest.price.clone()))?;
        let budget = Decimal::new(investor.deposit, 2) * Decimal::from(*percent) / Decimal::ONE_HUNDRED;
        let shares = (budget / price.value()).round_dp_with_strategy(0, RoundingStrategy::ToZero);
        let request = SubmitOrderRequest {
            portfolio_id: portfolio_id.to_owned(),
            symbol: (*symbol).to_owned(),
            side: "buy".to_owned(),
            quantity: Some(Quantity::exact(shares)?.into()),
            order_type: "market".to_owned(),
            idempotency_key: format!("demo/first/{symbol}"),
            origin: "self_directed".to_owned(),
            time_in_force: "gtc".to_owned(),
            expected_price: Some(common::Price { value: price.to_string(), currency: CURRENCY.to_owned() }),
            warning_acknowledged: true,
            ..SubmitOrderRequest::default()
        };
        let call = as_investor(&format!("order/{symbol}"));
        let order = running.directory().trading().submit_order(call.request(request)).await?.into_inner();
        if order.status == "denied" {
            tracing::warn!(symbol, reason = order.reason, "a first order of the demo was denied");
        }
    }
    Ok(())
}
