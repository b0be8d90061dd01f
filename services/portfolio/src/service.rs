//! The gRPC face: parses requests, checks who asks, and answers in the contract's messages.
use crate::{
    Config, Error,
    allocation::{self, Snapshot, Target},
    check::{self, Findings},
    ledger::Kind,
    portfolio::{self, Movement, Opening, PORTFOLIO, Portfolio, Withdrawals},
    report::{self, Asked},
    store::{self, Reader},
    view,
};
use moneta_contracts::{
    convert,
    events::SessionClosed,
    market_data::ListInstrumentsRequest,
    portfolio::{self as pb, portfolio_server},
    trading::GetCommittedCashRequest,
};
use moneta_kit::{
    client::{Call, not_held},
    identity::{self, Identity, Role},
    keys::KeyRing,
    problem::{Kind as ProblemKind, Problem, parse, parse_decimal, parse_opt_date},
    quarantine::{self, Unit},
    service::ServiceContext,
    store::Db,
};
use moneta_types::{Cause, Clock, Currency, Date, HeldAction, Money, PortfolioId, Symbol, TransactionId, UserId};
use rust_decimal::Decimal;
use tonic::{Request, Response, Status};

/// Longest name, reference, note or source, in characters.
const LONGEST_TEXT: usize = 200;
/// Transactions a page when the request does not say.
const PAGE: u32 = 50;
/// Most transactions a page.
const LARGEST_PAGE: u32 = 500;

/// The portfolio service.
#[derive(Debug, Clone)]
pub struct Service {
    db: Db,
    clock: Clock,
    config: Config,
    keys: KeyRing,
    withdrawals: Withdrawals,
    context: ServiceContext,
}

type Answer<T> = Result<Response<T>, Status>;

impl Service {
    /// The service on a store.
    pub fn new(context: ServiceContext, config: Config) -> Self {
        let (db, clock, keys) = (context.db.clone(), context.clock.clone(), context.keys.clone());
        Self { db, clock, config, keys, withdrawals: Withdrawals::default(), context }
    }

    /// The portfolio, when the caller may see it.
    async fn visible(&self, caller: &Identity, id: &str) -> Result<Portfolio, Problem> {
        let portfolio = self.load(id).await?;
        caller.may_see(portfolio.owner, "portfolio", portfolio.id)?;
        Ok(portfolio)
    }

    /// The portfolio, when the caller may change it.
    async fn changeable(&self, caller: &Identity, id: &str) -> Result<Portfolio, Problem> {
        let portfolio = self.load(id).await?;
        caller.may_change(portfolio.owner, "portfolio", portfolio.id)?;
        Ok(portfolio)
    }

    async fn load(&self, id: &str) -> Result<Portfolio, Problem> {
        let id: PortfolioId = parse("portfolio_id", id)?;
        let found = store::load(&mut self.reader(), id, self.config.cost_basis).await?;
        found.ok_or_else(|| Problem::not_found("portfolio", id))
    }

    const fn reader(&self) -> Reader<'_> {
        Reader::Committed(&self.db)
    }

    /// Days of a period whose valuation operators gave up, because it could not be done. Why is staff's to know.
    async fn not_valued(&self, id: PortfolioId, asked: &Asked) -> Result<Vec<String>, Problem> {
        let skipped = quarantine::skipped(&self.db, &Unit::new(PORTFOLIO, id)).await?;
        let days = skipped.iter().filter_map(|skipped| skipped.envelope.decode::<SessionClosed>().ok());
        let within = |day: &Date| asked.from.is_none_or(|from| from <= *day) && asked.to.is_none_or(|to| *day <= to);
        Ok(days.map(|session| session.date).filter(within).map(|day| day.to_string()).collect())
    }

    async fn listed(&self, id: PortfolioId) -> Result<pb::PortfolioView, Problem> {
        self.view(&self.load(&id.to_string()).await?).await
    }

    async fn view(&self, state: &Portfolio) -> Result<pb::PortfolioView, Problem> {
        let closes = store::closes(&mut self.reader()).await?;
        let name = self.keys.open_text(state.owner, portfolio::NAME, &state.name)?;
        let held = quarantine::is_held(&self.db, &Unit::new(PORTFOLIO, state.id)).await?;
        match view::portfolio(state, &closes, self.clock.today(), self.config.stale_after_days) {
            Ok(view) => {
                let withdrawing = self.withdrawals.in_progress(state.id)?.map(Into::into);
                Ok(pb::PortfolioView { name, quarantined: held, withdrawing, ..view })
            }
            Err(_) if held => Ok(pb::PortfolioView { name, ..view::set_aside(state) }),
            Err(error) => Err(error.into()),
        }
    }

    async fn move_cash(
        &self,
        request: Request<pb::CashMovementRequest>,
        kind: Kind,
    ) -> Answer<pb::CashMovementResponse> {
        let caller = identity::caller(&request)?.clone();
        let cause = identity::cause(&request);
        let body = request.into_inner();
        let portfolio = self.changeable(&caller, &body.portfolio_id).await?;
        let amount = convert::movement("amount", body.amount).map_err(Problem::from)?;
        let reference = text("client_reference", &body.client_reference, 1)?;
        let note = text("note", &body.note, 0)?;
        let action = if kind == Kind::Withdrawal { HeldAction::MoneyOut } else { HeldAction::MoneyIn };
        not_held(&self.context, portfolio.owner, Some(portfolio.id), action, cause).await?;
        let movement = Movement { kind, amount, reference, note };
        let (id, state) = self.moved(portfolio.id, movement, cause).await?;
        Ok(Response::new(pb::CashMovementResponse {
            transaction_id: id.to_string(),
            cash: Some(state.book.cash.into()),
            version: state.version,
        }))
    }

    /// Moves cash; a withdrawal is announced and takes nothing that orders count on (see [`Withdrawals`]).
    async fn moved(
        &self,
        portfolio: PortfolioId,
        movement: Movement<'_>,
        cause: Cause,
    ) -> Result<(TransactionId, Portfolio), Problem> {
        let (mut announced, mut committed) = (None, None);
        if movement.kind == Kind::Withdrawal {
            let reader = &mut self.reader();
            let known = portfolio::booked_movement(reader, &self.config, &self.keys, portfolio, &movement).await?;
            if let Some(booked) = known {
                return Ok(booked);
            }
            announced = Some(self.withdrawals.announce(portfolio, movement.amount));
            committed = self.committed(portfolio, cause).await?;
        }
        let moved =
            portfolio::move_cash(&self.db, &self.clock, &self.config, &self.keys, portfolio, movement, committed);
        let moved = moved.await?;
        drop(announced);
        Ok(moved)
    }

    /// What trading says is committed to orders; without its answer nothing goes out.
    async fn committed(&self, portfolio: PortfolioId, cause: Cause) -> Result<Option<Money>, Problem> {
        let call = Call::service(&self.context, cause.part("committed"));
        let request = GetCommittedCashRequest { portfolio_id: portfolio.to_string() };
        let answer = self.context.directory.trading().get_committed_cash(call.request(request)).await;
        let answer = answer.map_err(|status| {
            tracing::warn!(%portfolio, %status, "trading does not say what is committed to orders");
            Problem::unavailable("neighbour_unavailable", "trading does not answer; try again")
        })?;
        answer.into_inner().amount.map(|amount| convert::money("amount", Some(amount))).transpose().map_err(Into::into)
    }

    /// Ok when each is an instrument that is traded here, or cash: no plan could reach any other.
    async fn are_traded<'a>(&self, call: &Call, symbols: impl Iterator<Item = &'a str> + Send) -> Result<(), Problem> {
        let request = call.request(ListInstrumentsRequest { tradable_only: true });
        let listed = self.context.directory.market_data().list_instruments(request).await.map_err(|status| {
            let message = format!("market data does not say which instruments are traded: {}", status.message());
            Problem::unavailable("market_data_unavailable", message)
        })?;
        let traded = listed.into_inner().instruments;
        for (index, symbol) in symbols.enumerate() {
            let known = traded.iter().any(|instrument| instrument.tradable && instrument.symbol == symbol);
            if !known && symbol != Symbol::CASH {
                let field = format!("target[{index}].symbol");
                return Err(Problem::invalid(
                    field,
                    symbol,
                    "an instrument that is traded here (GET /market/instruments)",
                ));
            }
        }
        Ok(())
    }

    fn asked(&self, from: &str, to: &str) -> Result<Asked, Problem> {
        Ok(Asked { from: parse_opt_date("from", from)?, to: parse_opt_date("to", to)?, today: self.clock.today() })
    }
}

#[tonic::async_trait]
impl portfolio_server::Portfolio for Service {
    async fn create_portfolio(&self, request: Request<pb::CreatePortfolioRequest>) -> Answer<pb::PortfolioView> {
        let caller = identity::caller(&request)?.clone();
        let body = request.into_inner();
        let owner = owner(&caller, &body.owner_id)?;
        caller.may_change(owner, "user", owner)?;
        let name = text("name", &body.name, 1)?;
        let currency: Currency = parse("currency", &body.currency)?;
        let reference = text("client_reference", &body.client_reference, 1)?;
        let opening = Opening { owner, name, currency, reference };
        let state =
            portfolio::create(&self.db, &self.clock, &self.config, &self.keys, opening).await.map_err(Problem::from)?;
        Ok(Response::new(self.view(&state).await?))
    }

    async fn list_portfolios(&self, request: Request<pb::ListPortfoliosRequest>) -> Answer<pb::ListPortfoliosResponse> {
        let caller = identity::caller(&request)?.clone();
        let body = request.into_inner();
        let owner = if body.owner_id == "*" {
            if !caller.is_staff() && (!caller.is_service() || caller.on_behalf_of.is_some()) {
                return Err(Problem::denied("staff_only", "only staff and services may list all portfolios").into());
            }
            caller.sees_clients();
            None
        } else {
            let owner = owner(&caller, &body.owner_id)?;
            caller.may_see(owner, "user", owner)?;
            Some(owner)
        };
        let (mut portfolios, mut unreadable) = (Vec::new(), Vec::new());
        for id in store::ids(&mut self.reader(), owner).await.map_err(Problem::from)? {
            match self.listed(id).await {
                Ok(view) => portfolios.push(view),
                // One that cannot be read is named, and hides none of the others.
                Err(problem) if matches!(problem.kind, ProblemKind::Internal | ProblemKind::InvalidArgument) => {
                    tracing::error!(portfolio = %id, %problem, "a portfolio of a list cannot be read");
                    unreadable.push(id.to_string());
                }
                Err(problem) => return Err(problem.into()),
            }
        }
        Ok(Response::new(pb::ListPortfoliosResponse { portfolios, unreadable }))
    }

    async fn get_portfolio(&self, request: Request<pb::GetPortfolioRequest>) -> Answer<pb::PortfolioView> {
        let caller = identity::caller(&request)?.clone();
        let state = self.visible(&caller, &request.into_inner().portfolio_id).await?;
        Ok(Response::new(self.view(&state).await?))
    }

    async fn deposit(&self, request: Request<pb::CashMovementRequest>) -> Answer<pb::CashMovementResponse> {
        self.move_cash(request, Kind::Deposit).await
    }

    async fn withdraw(&self, request: Request<pb::CashMovementRequest>) -> Answer<pb::CashMovementResponse> {
        self.move_cash(request, Kind::Withdrawal).await
    }

    async fn set_target(&self, request: Request<pb::SetTargetRequest>) -> Answer<pb::PortfolioView> {
        let (caller, call) = (identity::caller(&request)?.clone(), Call::forward(&request));
        let body = request.into_inner();
        let portfolio = self.changeable(&caller, &body.portfolio_id).await?;
        let target = Target::parse(pairs(&body.target)?).map_err(Problem::from)?;
        // The adviser's targets are of instruments that it has forecasts of; a person may mistype.
        if !caller.is_service() {
            self.are_traded(&call, pairs(&body.target)?.map(|(symbol, _)| symbol)).await?;
        }
        let source = text("source", &body.source, 0)?;
        let state = portfolio::set_target(&self.db, &self.clock, &self.config, portfolio.id, target, source)
            .await
            .map_err(Problem::from)?;
        Ok(Response::new(self.view(&state).await?))
    }

    async fn performance(&self, request: Request<pb::PerformanceRequest>) -> Answer<pb::PerformanceResponse> {
        let caller = identity::caller(&request)?.clone();
        let body = request.into_inner();
        let state = self.visible(&caller, &body.portfolio_id).await?;
        let asked = self.asked(&body.from, &body.to)?;
        let not_valued = self.not_valued(state.id, &asked).await?;
        let found = report::performance(&mut self.reader(), &state, asked).await.map_err(Problem::from)?;
        Ok(Response::new(pb::PerformanceResponse { not_valued, ..found }))
    }

    async fn transactions(&self, request: Request<pb::TransactionsRequest>) -> Answer<pb::TransactionsResponse> {
        let caller = identity::caller(&request)?.clone();
        let body = request.into_inner();
        let state = self.visible(&caller, &body.portfolio_id).await?;
        let page = body.page.unwrap_or_default();
        let limit = if page.limit == 0 { PAGE } else { page.limit.min(LARGEST_PAGE) };
        let before = if page.cursor.is_empty() {
            i64::MAX.unsigned_abs()
        } else {
            let cursor = page.cursor.parse::<u64>().ok().filter(|before| i64::try_from(*before).is_ok());
            cursor.ok_or_else(|| Problem::invalid("page.cursor", &page.cursor, "a cursor that a page answered"))?
        };
        let booked = store::transactions(&mut self.reader(), &state, before, limit).await.map_err(Problem::from)?;
        let mut transactions = Vec::with_capacity(booked.len());
        for one in &booked {
            let note =
                self.keys.open_text(state.owner, portfolio::NOTE, &one.transaction.note).map_err(Problem::from)?;
            transactions.push(pb::Transaction { note, ..view::transaction(one) });
        }
        let next = booked.last().filter(|last| last.seq > 1 && booked.len() == limit as usize);
        Ok(Response::new(pb::TransactionsResponse {
            transactions,
            next_cursor: next.map(|last| last.seq.to_string()).unwrap_or_default(),
        }))
    }

    async fn drift(&self, request: Request<pb::DriftRequest>) -> Answer<pb::DriftResponse> {
        let caller = identity::caller(&request)?.clone();
        let state = self.visible(&caller, &request.into_inner().portfolio_id).await?;
        let target = state.target.as_ref().ok_or(Error::NoTarget).map_err(Problem::from)?;
        let closes = store::closes(&mut self.reader()).await.map_err(Problem::from)?;
        let stocks = state.stocks(&closes).map_err(Problem::from)?;
        let values = stocks.into_iter().map(|(symbol, stock)| (symbol, stock.value)).collect();
        let found = allocation::drift(state.book.cash, &values, target).map_err(Problem::from)?;
        Ok(Response::new(view::drift(&found, self.config.rebalance_band)))
    }

    async fn rebalance_plan(&self, request: Request<pb::RebalancePlanRequest>) -> Answer<pb::RebalancePlanResponse> {
        let caller = identity::caller(&request)?.clone();
        let body = request.into_inner();
        let state = self.visible(&caller, &body.portfolio_id).await?;
        let target = if body.target.is_empty() {
            state.target.clone().ok_or(Error::NoTarget).map_err(Problem::from)?
        } else {
            Target::parse(pairs(&body.target)?).map_err(Problem::from)?
        };
        let mut limits = self.config.limits();
        limits.band = share("band", &body.band)?.unwrap_or(limits.band);
        limits.destination = share("destination", &body.destination)?.unwrap_or(limits.destination.min(limits.band));
        limits.max_turnover = share("max_turnover", &body.max_turnover)?;
        if limits.destination > limits.band {
            let allowed = format!("a fraction up to the band of {}", limits.band);
            return Err(Problem::invalid("destination", limits.destination, allowed).into());
        }
        let closes = store::closes(&mut self.reader()).await.map_err(Problem::from)?;
        let stocks = state.stocks_and(&target, &closes).map_err(Problem::from)?;
        let snapshot = Snapshot { book: &state.book, stocks: &stocks, target: &target };
        let plan = allocation::plan(snapshot, limits, self.config.costs()).map_err(Problem::from)?;
        Ok(Response::new(view::plan(&state, &plan)))
    }

    async fn attribution(&self, request: Request<pb::AttributionRequest>) -> Answer<pb::AttributionResponse> {
        let caller = identity::caller(&request)?.clone();
        let body = request.into_inner();
        let state = self.visible(&caller, &body.portfolio_id).await?;
        let asked = self.asked(&body.from, &body.to)?;
        let found = report::attribution(&mut self.reader(), &state, asked).await.map_err(Problem::from)?;
        Ok(Response::new(found))
    }

    async fn check_ledger(&self, request: Request<pb::CheckLedgerRequest>) -> Answer<pb::CheckLedgerResponse> {
        identity::caller(&request)?.require(&[Role::Adviser, Role::Compliance, Role::Admin])?;
        let body = request.into_inner();
        let ids = if body.portfolio_id.is_empty() {
            store::ids(&mut self.reader(), None).await.map_err(Problem::from)?
        } else {
            vec![self.load(&body.portfolio_id).await?.id]
        };
        let mut findings = Findings::default();
        let mut tx = self.db.begin().await.map_err(Problem::from)?;
        for id in ids {
            if let Err(error) = check::check(&mut tx, id, self.config.cost_basis, &mut findings).await {
                if error.retryable() {
                    return Err(Problem::from(error).into());
                }
                // One that cannot be checked is a finding, and the others are checked.
                findings.problems.push(format!("portfolio {id} cannot be checked: {error}"));
            }
        }
        Ok(Response::new(pb::CheckLedgerResponse {
            balanced: findings.problems.is_empty(),
            transactions: findings.transactions,
            problems: findings.problems,
        }))
    }
}

/// The owner that a request names; the caller when it names none.
fn owner(caller: &Identity, text: &str) -> Result<UserId, Problem> {
    if !text.is_empty() {
        return parse("owner_id", text);
    }
    caller.user_id().ok_or_else(|| Problem::invalid("owner_id", "", "a user's id when a service asks"))
}

/// A text of at least `shortest` and at most [`LONGEST_TEXT`] characters, without control characters.
fn text<'a>(field: &str, text: &'a str, shortest: usize) -> Result<&'a str, Problem> {
    let length = text.chars().count();
    if !(shortest..=LONGEST_TEXT).contains(&length) || text.chars().any(char::is_control) {
        let allowed = format!("{shortest} to {LONGEST_TEXT} characters without control characters");
        return Err(Problem::invalid(field, text, allowed));
    }
    Ok(text)
}

/// A fraction from 0 to 1 that may be left out.
fn share(field: &str, text: &str) -> Result<Option<Decimal>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    parse_decimal(field, text, Some(Decimal::ZERO..=Decimal::ONE)).map(Some)
}

fn pairs(weights: &[moneta_contracts::common::Weight]) -> Result<impl Iterator<Item = (&str, &str)>, Problem> {
    let weights = convert::list("target", weights).map_err(Problem::from)?;
    Ok(weights.iter().map(|weight| (weight.symbol.as_str(), weight.weight.as_str())))
}
