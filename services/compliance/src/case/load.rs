//! Gathers a case: reads the request, and asks the services that know the client, the portfolio and the instruments.
//!
//! When one of them does not answer, the check fails as unavailable: nothing is allowed that could not be checked.
use super::{Answers, Case, Client, Portfolio, Proposal, Questionnaire, Scope, Trade};
use crate::{Config, Error, Result, store::Store};
use moneta_contracts::{
    advisor::GetMandateRequest,
    compliance::{CheckAdviceRequest, CheckOrderRequest, ProposedTrade},
    convert,
    events::Side,
    market_data::{Instrument, ListInstrumentsRequest},
    portfolio::{GetPortfolioRequest, PortfolioView},
    user::{self, GetAccountRequest, GetPreferencesRequest, GetQuestionnaireRequest},
};
use moneta_kit::{
    client::Call,
    problem::{Problem, one_of, parse, parse_decimal},
    service::ServiceContext,
};
use moneta_types::{Cause, PortfolioId, RiskProfile, Symbol, Timestamp, UserId};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tonic::{Code, Response, Status};

/// Gathers cases.
pub struct Loader {
    context: ServiceContext,
    config: Config,
    store: Store,
}

struct Facts {
    client: Client,
    questionnaire: Option<Questionnaire>,
    portfolio: Portfolio,
    instruments: HashMap<String, Instrument>,
}

impl Loader {
    /// A loader over what the process offers.
    pub const fn new(context: ServiceContext, config: Config, store: Store) -> Self {
        Self { context, config, store }
    }

    /// The case of a proposal.
    pub async fn advice(&self, request: CheckAdviceRequest, cause: Cause) -> Result<Case> {
        let scope = match one_of("mode", &request.mode, &["guidance", "advice", "discretionary"])? {
            "guidance" => Scope::Guidance,
            "advice" => Scope::Advice,
            _ => Scope::Discretionary,
        };
        let (user, portfolio) = (parse("user_id", &request.user_id)?, parse("portfolio_id", &request.portfolio_id)?);
        let proposal = Proposal {
            volatility_before: fraction("volatility_before", &request.volatility_before, Decimal::ZERO)?,
            volatility_after: fraction("volatility_after", &request.volatility_after, Decimal::ZERO)?,
            expected_benefit: fraction("expected_benefit", &request.expected_benefit, -LARGEST)?,
            total_cost: fraction("total_cost", &request.total_cost, Decimal::ZERO)?,
            models: request.models.into_iter().collect(),
            accountable_person: request.accountable_person,
            decision_id: request.decision_id,
        };
        let facts = self.facts(user, portfolio, scope, cause).await?;
        convert::list("trades", &request.trades).map_err(Problem::from)?;
        let mut trades = Vec::with_capacity(request.trades.len());
        for (position, proposed) in request.trades.into_iter().enumerate() {
            trades.push(trade(&format!("trades[{position}]."), proposed, &facts.instruments)?);
        }
        self.case(scope, facts, portfolio, trades, proposal, false).await
    }

    /// The case of an order.
    pub async fn order(&self, request: CheckOrderRequest, cause: Cause) -> Result<Case> {
        let scope = match one_of("origin", &request.origin, &["self_directed", "recommendation", "agent"])? {
            "self_directed" => Scope::OrderSelfDirected,
            "recommendation" => Scope::OrderRecommendation,
            _ => Scope::OrderAgent,
        };
        let (user, portfolio) = (parse("user_id", &request.user_id)?, parse("portfolio_id", &request.portfolio_id)?);
        let facts = self.facts(user, portfolio, scope, cause).await?;
        let ordered = ProposedTrade {
            symbol: request.symbol,
            side: request.side,
            quantity: request.quantity,
            reference_price: request.reference_price,
            estimated_cost: None,
        };
        let trades = vec![trade("", ordered, &facts.instruments)?];
        let acknowledged = request.warning_acknowledged;
        self.case(scope, facts, portfolio, trades, Proposal::default(), acknowledged).await
    }

    async fn case(
        &self,
        scope: Scope,
        facts: Facts,
        portfolio: PortfolioId,
        trades: Vec<Trade>,
        proposal: Proposal,
        warning_acknowledged: bool,
    ) -> Result<Case> {
        let now = self.context.clock.now();
        let window = i64::from(self.config.parameters.churn_days) * 86_400_000_000;
        let since = Timestamp::from_micros(now.micros().saturating_sub(window));
        let currency = facts.portfolio.value.currency();
        let holds = self.store.active_holds(facts.client.user_id).await?;
        let held = holds
            .iter()
            .flat_map(|hold| hold.covers.iter().map(move |action| (hold, *action)))
            .filter(|(hold, action)| hold.stops(Some(portfolio), *action))
            .map(|(hold, action)| (action, hold.client_text))
            .collect();
        Ok(Case {
            scope,
            jurisdiction: self.config.jurisdiction,
            now,
            client: facts.client,
            questionnaire: facts.questionnaire,
            held,
            trades,
            portfolio: facts.portfolio,
            proposal,
            warning_acknowledged,
            trading: self.store.trading_since(portfolio, since, currency).await?,
            parameters: self.config.parameters.clone(),
        })
    }

    async fn facts(&self, user: UserId, portfolio: PortfolioId, scope: Scope, cause: Cause) -> Result<Facts> {
        let call = Call::service(&self.context, cause);
        let directory = &self.context.directory;
        let (mut users, mut questionnaires, mut preferences) = (directory.user(), directory.user(), directory.user());
        let (mut portfolios, mut market) = (directory.portfolio(), directory.market_data());
        let user_id = user.to_string();
        let (account, questionnaire, preferences, view, instruments) = futures::join!(
            users.get_account(call.request(GetAccountRequest { user_id: user_id.clone() })),
            questionnaires
                .get_questionnaire(call.request(GetQuestionnaireRequest { user_id: user_id.clone(), version: 0 })),
            preferences.get_preferences(call.request(GetPreferencesRequest { user_id: user_id.clone() })),
            portfolios.get_portfolio(call.request(GetPortfolioRequest { portfolio_id: portfolio.to_string() })),
            market.list_instruments(call.request(ListInstrumentsRequest { tradable_only: false })),
        );
        let autonomy = self.autonomy(&call, portfolio, scope).await?;
        let missing = |what| move || Error::NotFound { what, id: String::new() };
        let account = found("user", account)?.ok_or_else(|| Error::NotFound { what: "user", id: user_id.clone() })?;
        let view = found("portfolio", view)?
            .filter(|view| view.owner_id == user_id)
            .ok_or_else(|| Error::NotFound { what: "portfolio", id: portfolio.to_string() })?;
        let preferences = found("user", preferences)?.ok_or_else(missing("preferences"))?;
        let disclosed = preferences.values.get("algorithm_disclosure").is_some_and(|value| value == "accepted");
        let exclusions = exclusions(preferences.values.get("exclusions").map(String::as_str).unwrap_or_default())?;
        let instruments = found("market-data", instruments)?.ok_or_else(missing("instruments"))?.instruments;
        Ok(Facts {
            client: Client {
                user_id: user,
                status: account.status,
                vulnerable: account.vulnerable,
                autonomy,
                algorithm_disclosed: disclosed,
                exclusions,
            },
            questionnaire: found("user", questionnaire)?.map(read_questionnaire).transpose()?,
            portfolio: read_portfolio(view)?,
            instruments: instruments.into_iter().map(|instrument| (instrument.symbol.clone(), instrument)).collect(),
        })
    }
}

impl Loader {
    /// How far the client lets the agent go: the mandate says so, and is asked where it matters.
    async fn autonomy(&self, call: &Call, portfolio: PortfolioId, scope: Scope) -> Result<String> {
        if !matches!(scope, Scope::Discretionary | Scope::OrderAgent) {
            return Ok(String::new());
        }
        let request = GetMandateRequest { portfolio_id: portfolio.to_string() };
        let mandate = self.context.directory.advisor().get_mandate(call.request(request)).await;
        let mandate = found("advisor", mandate)?;
        Ok(mandate.map(|mandate| mandate.autonomy).unwrap_or_default())
    }
}

/// What a service answered; nothing when it says that there is nothing.
fn found<T>(service: &'static str, answer: Result<Response<T>, Status>) -> Result<Option<T>> {
    match answer {
        Ok(response) => Ok(Some(response.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(Error::Upstream { service, status: Box::new(status) }),
    }
}

/// The instruments of a list as the preferences keep it.
fn exclusions(list: &str) -> Result<BTreeSet<Symbol>> {
    list.split(',')
        .filter(|symbol| !symbol.is_empty())
        .map(|symbol| symbol.parse().map_err(|_| Error::Answer { service: "user", field: "exclusions" }))
        .collect()
}

/// Bound on fractions, so that no arithmetic on them can overflow.
const LARGEST: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

fn fraction(field: &str, text: &str, least: Decimal) -> Result<Option<Decimal>, Problem> {
    if text.is_empty() { Ok(None) } else { parse_decimal(field, text, Some(least..=LARGEST)).map(Some) }
}

fn trade(prefix: &str, proposed: ProposedTrade, instruments: &HashMap<String, Instrument>) -> Result<Trade> {
    let field = |name: &str| format!("{prefix}{name}");
    let symbol: Symbol = parse(&field("symbol"), &proposed.symbol)?;
    let instrument = instruments
        .get(symbol.as_str())
        .ok_or_else(|| Problem::invalid(field("symbol"), &symbol, "an instrument that the market data know"))?;
    let side = one_of(&field("side"), &proposed.side, &["buy", "sell"])?;
    let cost = match proposed.estimated_cost {
        None => None,
        cost => Some(convert::amount(&field("estimated_cost"), cost).map_err(Problem::from)?),
    };
    Ok(Trade {
        symbol,
        kind: instrument.kind.clone(),
        complex: instrument.complex,
        side: if side == "buy" { Side::Buy } else { Side::Sell },
        quantity: convert::positive_quantity(&field("quantity"), proposed.quantity).map_err(Problem::from)?,
        price: convert::price(&field("reference_price"), proposed.reference_price).map_err(Problem::from)?,
        cost,
    })
}

fn read_questionnaire(answer: user::Questionnaire) -> Result<Questionnaire> {
    let unreadable = |field| Error::Answer { service: "user", field };
    Ok(Questionnaire {
        version: answer.version,
        submitted: Timestamp::from_micros(answer.submitted_micros),
        tolerance: answer.risk_tolerance.parse::<RiskProfile>().map_err(|_| unreadable("risk_tolerance"))?,
        capacity: answer.capacity_for_loss,
        volatility_ceiling: answer.volatility_ceiling.parse().map_err(|_| unreadable("volatility_ceiling"))?,
        answers: answer.answers.map(|answers| Answers {
            horizon_years: answers.horizon_years,
            objective: answers.objective,
            experience: answers.experience,
            instruments_known: answers.instruments_known,
            understands_risk: answers.understands_risk,
        }),
    })
}

fn read_portfolio(view: PortfolioView) -> Result<Portfolio> {
    let unreadable = |field| Error::Answer { service: "portfolio", field };
    let mut holdings = BTreeMap::new();
    for holding in view.holdings {
        let symbol: Symbol = holding.symbol.parse().map_err(|_| unreadable("holdings.symbol"))?;
        let value =
            convert::money("market_value", holding.market_value).map_err(|_| unreadable("holdings.market_value"))?;
        holdings.insert(symbol, value);
    }
    Ok(Portfolio { value: convert::money("value", view.value).map_err(|_| unreadable("value"))?, holdings })
}
