//! The dashboard: a person's first screen.
use crate::{
    App, Result,
    auth::Caller,
    memory::Aged,
    rest::{portfolio_of, portfolios_of, recommendations_of},
    view::{
        Account, Drift, Mandate, MarketState, Notification, Order, Performance, Portfolio, Recommendation,
        ReplayStatus, Show as _,
    },
};
use async_graphql::Object;
use moneta_contracts::{advisor, common, market_data, notification, portfolio, trading, user};

/// Most items of a list on the dashboard.
const MOST: u32 = 100;

/// What a part costs that a service is asked for, where a plain field costs 1. A query is refused above
/// `gateway.graphql_complexity`, so one request cannot become hundreds of calls by asking for one part under many names.
const CALL: usize = 20;

/// What it costs to open a dashboard: two calls, before any part of it is asked for.
pub(super) const OPEN: usize = 2 * CALL;

/// A person's first screen.
pub(crate) struct Dashboard {
    app: App,
    caller: Caller,
    /// Every portfolio, and the one that is shown; asked for once, because most parts need its id.
    portfolios: Result<Aged<Vec<Portfolio>>>,
    shown: Result<Option<Aged<Portfolio>>>,
}

impl Dashboard {
    pub(super) async fn open(app: App, caller: Caller, portfolio_id: Option<String>) -> Self {
        let portfolios = portfolios_of(&app, &caller.call, caller.user).await;
        let shown = Self::choose(&app, &caller, &portfolios, portfolio_id).await;
        Self { app, caller, portfolios, shown }
    }

    async fn choose(
        app: &App,
        caller: &Caller,
        portfolios: &Result<Aged<Vec<Portfolio>>>,
        id: Option<String>,
    ) -> Result<Option<Aged<Portfolio>>> {
        let known = portfolios.clone()?;
        let found =
            known.answer.into_iter().find(|portfolio| id.as_ref().is_none_or(|id| portfolio.portfolio_id == *id));
        match (found, id) {
            (Some(portfolio), _) => Ok(Some(Aged { answer: portfolio, stale_seconds: known.stale_seconds })),
            // Staff look at clients' portfolios; for everybody else another's portfolio does not exist.
            (None, Some(id)) => portfolio_of(app, &caller.call, caller.user, id).await.map(Some),
            (None, None) => Ok(None),
        }
    }

    fn portfolio_id(&self) -> Result<Option<String>> {
        Ok(self.shown.clone()?.map(|shown| shown.answer.portfolio_id))
    }

    fn page(first: Option<u32>) -> Option<common::Page> {
        Some(common::Page { limit: first.unwrap_or(20).clamp(1, MOST), cursor: String::new() })
    }
}

#[Object]
impl Dashboard {
    /// The caller's account.
    #[graphql(complexity = "CALL + child_complexity")]
    async fn user(&self) -> async_graphql::Result<Account> {
        Ok(account(&self.app, &self.caller).await?)
    }

    /// The caller's portfolios.
    async fn portfolios(&self) -> async_graphql::Result<Vec<Portfolio>> {
        Ok(self.portfolios.clone()?.answer)
    }

    /// The portfolio that is shown; null when the caller has none.
    async fn portfolio(&self) -> async_graphql::Result<Option<Portfolio>> {
        Ok(self.shown.clone()?.map(|shown| shown.answer))
    }

    /// Seconds since the portfolio was as shown; null when it is fresh.
    async fn stale_seconds(&self) -> async_graphql::Result<Option<u64>> {
        Ok(self.shown.clone()?.and_then(|shown| shown.stale_seconds))
    }

    /// Performance of the portfolio, since its beginning unless a period is given.
    #[graphql(complexity = "CALL + child_complexity")]
    async fn performance(
        &self,
        from: Option<String>,
        to: Option<String>,
    ) -> async_graphql::Result<Option<Performance>> {
        let Some(portfolio_id) = self.portfolio_id()? else { return Ok(None) };
        Ok(Some(performance(&self.app, &self.caller, portfolio_id, from, to).await?))
    }

    /// How far the portfolio is from its target.
    #[graphql(complexity = "CALL + child_complexity")]
    async fn drift(&self) -> async_graphql::Result<Option<Drift>> {
        let Some(portfolio_id) = self.portfolio_id()? else { return Ok(None) };
        Ok(Some(drift(&self.app, &self.caller, portfolio_id).await?))
    }

    /// Recommendations for the portfolio, newest first.
    #[graphql(complexity = "CALL + child_complexity")]
    async fn recommendations(
        &self,
        first: Option<u32>,
        status: Option<String>,
    ) -> async_graphql::Result<Vec<Recommendation>> {
        let Some(portfolio_id) = self.portfolio_id()? else { return Ok(Vec::new()) };
        let request = advisor::ListRecommendationsRequest {
            portfolio_id,
            status: status.unwrap_or_default(),
            page: Self::page(first),
            owner_id: String::new(),
        };
        let found = recommendations_of(&self.app, &self.caller.call, self.caller.user, request).await?;
        Ok(found.answer.items)
    }

    /// Orders of the portfolio, newest first.
    #[graphql(complexity = "CALL + child_complexity")]
    async fn orders(&self, first: Option<u32>, status: Option<String>) -> async_graphql::Result<Vec<Order>> {
        let Some(portfolio_id) = self.portfolio_id()? else { return Ok(Vec::new()) };
        let request =
            trading::ListOrdersRequest { portfolio_id, status: status.unwrap_or_default(), page: Self::page(first) };
        Ok(orders(&self.app, &self.caller, request).await?)
    }

    /// The inbox, newest first.
    #[graphql(complexity = "CALL + child_complexity")]
    async fn notifications(
        &self,
        first: Option<u32>,
        unread: Option<bool>,
    ) -> async_graphql::Result<Vec<Notification>> {
        let request = notification::ListNotificationsRequest {
            user_id: String::new(),
            page: Self::page(first),
            unread_only: unread.unwrap_or_default(),
        };
        Ok(notifications(&self.app, &self.caller, request).await?)
    }

    /// What the agent may do by itself.
    #[graphql(complexity = "CALL + child_complexity")]
    async fn mandate(&self) -> async_graphql::Result<Option<Mandate>> {
        let Some(portfolio_id) = self.portfolio_id()? else { return Ok(None) };
        Ok(Some(mandate(&self.app, &self.caller, portfolio_id).await?))
    }

    /// The state of the market.
    #[graphql(complexity = "CALL + child_complexity")]
    async fn market(&self) -> async_graphql::Result<MarketState> {
        Ok(market(&self.app, &self.caller).await?)
    }

    /// The state of the replay.
    #[graphql(complexity = "CALL + child_complexity")]
    async fn replay(&self) -> async_graphql::Result<ReplayStatus> {
        Ok(replay(&self.app).await?)
    }
}

// Each part as one call. The errors stay our own type until GraphQL takes them, so that their codes are not lost.

async fn account(app: &App, caller: &Caller) -> Result<Account> {
    let request = caller.call.request(user::GetAccountRequest { user_id: caller.user.to_string() });
    Ok(Account::show(app.directory().user().get_account(request).await?.into_inner()))
}

async fn performance(
    app: &App,
    caller: &Caller,
    portfolio_id: String,
    from: Option<String>,
    to: Option<String>,
) -> Result<Performance> {
    let request =
        portfolio::PerformanceRequest { portfolio_id, from: from.unwrap_or_default(), to: to.unwrap_or_default() };
    Ok(Performance::show(app.directory().portfolio().performance(caller.call.request(request)).await?.into_inner()))
}

async fn drift(app: &App, caller: &Caller, portfolio_id: String) -> Result<Drift> {
    let request = caller.call.request(portfolio::DriftRequest { portfolio_id });
    Ok(Drift::show(app.directory().portfolio().drift(request).await?.into_inner()))
}

async fn orders(app: &App, caller: &Caller, request: trading::ListOrdersRequest) -> Result<Vec<Order>> {
    let found = app.directory().trading().list_orders(caller.call.request(request)).await?.into_inner();
    Ok(Vec::show(found.orders))
}

async fn notifications(
    app: &App,
    caller: &Caller,
    request: notification::ListNotificationsRequest,
) -> Result<Vec<Notification>> {
    let found = app.directory().notification().list_notifications(caller.call.request(request)).await?.into_inner();
    Ok(Vec::show(found.notifications))
}

async fn mandate(app: &App, caller: &Caller, portfolio_id: String) -> Result<Mandate> {
    let request = caller.call.request(advisor::GetMandateRequest { portfolio_id });
    Ok(Mandate::show(app.directory().advisor().get_mandate(request).await?.into_inner()))
}

async fn market(app: &App, caller: &Caller) -> Result<MarketState> {
    let request = caller.call.request(market_data::MarketStateRequest {});
    Ok(MarketState::show(app.directory().market_data().market_state(request).await?.into_inner()))
}

async fn replay(app: &App) -> Result<ReplayStatus> {
    let request = app.platform().request(market_data::ReplayStatusRequest {});
    Ok(ReplayStatus::show(app.directory().market_data().replay_status(request).await?.into_inner()))
}
