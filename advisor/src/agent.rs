//! The rebalancing agent: it looks at every portfolio once a day, after the day's valuation, and goes as far as the
//! mandate allows. It acts on events alone, so a replay of the same events takes the same steps.
use crate::{
    Advisor, Result,
    cycle::{Cycle, MarketView, Outcome, Snapshot, Trigger, float, snapshot, volatility},
    mandate::Autonomy,
    market::Day,
    recommendation::{Recommendation, Status},
    store::Store,
};
use async_trait::async_trait;
use moneta_contracts::{
    events::{BarClosed, Event as _, MarketMoved, PortfolioUpdated, PortfolioValued, TradeExecuted, UserErased},
    portfolio::{GetPortfolioRequest, PortfolioView},
    user::GetQuestionnaireRequest,
};
use moneta_kit::{
    bus::{Envelope, Handler, HandlerError},
    client::Call,
    problem::parse_decimal,
};
use moneta_types::{Cause, Date, UserId};
use ndarray::{Array1, Array2};
use rust_decimal::Decimal;
use std::sync::Arc;

/// The events that the agent reads.
pub const TYPES: &[&str] = &[
    BarClosed::TYPE,
    MarketMoved::TYPE,
    TradeExecuted::TYPE,
    PortfolioUpdated::TYPE,
    PortfolioValued::TYPE,
    UserErased::TYPE,
];

/// Name under which the inbox records what the agent took in.
const CONSUMER: &str = "advisor";

/// Name under which the inbox records that a day's review was finished.
const REVIEWED: &str = "advisor/review";

/// Handles the adviser's events.
#[derive(Debug)]
pub struct Agent {
    advisor: Arc<Advisor>,
}

impl Agent {
    /// The agent of an adviser.
    pub const fn new(advisor: Arc<Advisor>) -> Self {
        Self { advisor }
    }
}

#[async_trait]
impl Handler for Agent {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        let advisor = &self.advisor;
        match event.event_type.as_str() {
            BarClosed::TYPE => advisor.follow_bars(&event.decode()?).await?,
            MarketMoved::TYPE => advisor.note_market_fall(event, &event.decode()?).await?,
            TradeExecuted::TYPE => advisor.note_trade(event, &event.decode()?).await?,
            PortfolioUpdated::TYPE => advisor.reconsider(event, &event.decode()?).await?,
            PortfolioValued::TYPE => advisor.review_once(event, &event.decode()?).await?,
            UserErased::TYPE => advisor.erase(event, &event.decode()?).await?,
            _ => {}
        }
        Ok(())
    }
}

impl Advisor {
    async fn note_market_fall(&self, envelope: &Envelope, event: &MarketMoved) -> Result<()> {
        let mut tx = self.store.begin().await?;
        if tx.first_time(CONSUMER, envelope.id).await? {
            Store::keep_market_fall(&mut tx, event.date).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn note_trade(&self, envelope: &Envelope, event: &TradeExecuted) -> Result<()> {
        let value = event.price.value_of(event.quantity, event.currency)?;
        let mut tx = self.store.begin().await?;
        if tx.first_time(CONSUMER, envelope.id).await? {
            Store::keep_turnover(&mut tx, event.execution_id, event.portfolio_id, event.at, value).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// The portfolio is no longer the one that open proposals were computed for: they lapse, and the next review looks
    /// at it anew.
    async fn reconsider(&self, envelope: &Envelope, event: &PortfolioUpdated) -> Result<()> {
        if event.change == "target" {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        if !tx.first_time(CONSUMER, envelope.id).await? {
            return Ok(());
        }
        let why = format!("the portfolio changed ({}) after it was computed", event.change);
        let older = |item: &Recommendation| item.portfolio_version < event.version;
        self.close_open(&mut tx, event.portfolio_id, Status::Lapsed, &why, envelope.cause(), older).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A user's personal data are gone: the key of the conversations is destroyed and nothing more is proposed or done.
    async fn erase(&self, envelope: &Envelope, event: &UserErased) -> Result<()> {
        let mut tx = self.store.begin().await?;
        if !tx.first_time(CONSUMER, envelope.id).await? {
            drop(tx);
            return self.end_traces(event.user_id).await;
        }
        Store::keep_erased(&mut tx, event.user_id, envelope.time).await?;
        Self::forget_user(&mut tx, event.user_id).await?;
        for mut item in Store::standing_of(&mut tx, event.user_id, Status::Open).await? {
            let why = "the client's data were erased";
            self.close_within(&mut tx, &mut item, Status::Lapsed, why, envelope.cause()).await?;
        }
        tx.commit().await?;
        self.end_traces(event.user_id).await
    }

    /// Destroys the keys, which whoever erased the user has done already, and what the database still shows of him in its
    /// log and free pages.
    async fn end_traces(&self, user: UserId) -> Result<()> {
        self.ctx.keys.destroy_user_keys(user)?;
        Ok(self.store.db().scrubbed().await?)
    }

    /// A review that was finished is not begun again. After a crash the log repeats events that were done, on a clock that
    /// has moved on since: what lapsed or ended meanwhile belongs to the later day's review.
    async fn review_once(&self, envelope: &Envelope, event: &PortfolioValued) -> Result<()> {
        if self.store.seen(REVIEWED, envelope.id).await? {
            return Ok(());
        }
        match self.review(envelope, event).await {
            // Tomorrow may know what today does not; trying again today would not.
            Err(reason) if reason.is_no_advice_today() => {
                tracing::warn!(portfolio = %event.portfolio_id, %reason, "no decision today");
            }
            reviewed => reviewed?,
        }
        let mut tx = self.store.begin().await?;
        tx.first_time(REVIEWED, envelope.id).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The daily look at a portfolio.
    ///
    /// An event that is delivered again finds what it led to before and goes on from there: the decision's id derives
    /// from the event, and so do the orders' keys from the recommendation's.
    async fn review(&self, envelope: &Envelope, event: &PortfolioValued) -> Result<()> {
        let cause = envelope.cause();
        if self.store.is_erased(event.owner_id).await? {
            return Ok(());
        }
        self.lapse_expired(event, cause).await?;
        let executing = self.continue_execution(event, cause).await?;
        let decided = self.outcome(Cycle::decision_id(cause, event.portfolio_id)).await?.is_some();
        let mandate = self.mandate_of(event.portfolio_id, event.owner_id, event.value.currency()).await?;
        if executing || mandate.paused || !event.value.is_positive() {
            return Ok(());
        }
        let day = self.today().await?;
        if event.date < day.view.date && !decided {
            // The event is late: the valuation of the day that the market is at follows.
            return Ok(());
        }
        let call = Call::for_user(&self.ctx, event.owner_id, cause);
        let request = GetPortfolioRequest { portfolio_id: event.portfolio_id.to_string() };
        let portfolio = self.ctx.directory.portfolio().get_portfolio(call.request(request)).await?.into_inner();
        let trigger = match decided {
            // The decision stands as it was made; what called for it is in its record.
            true => Some(Trigger::Review),
            false => self.trigger(event, &portfolio, &day, &call, mandate.volatility_ceiling).await?,
        };
        let Some(trigger) = trigger else { return Ok(()) };
        let outcome = self.run_cycle(&Cycle { portfolio, trigger, cause }).await?;
        self.act(outcome, cause).await
    }

    /// Carries out what a discretionary mandate allows.
    async fn act(&self, outcome: Outcome, cause: Cause) -> Result<()> {
        let Some(item) = outcome.recommendation else { return Ok(()) };
        if item.status == Status::Open && item.autonomy == Autonomy::Discretionary.as_str() {
            self.act_on(item, cause).await?;
        }
        Ok(())
    }

    /// What calls for a cycle today, if anything does.
    async fn trigger(
        &self,
        event: &PortfolioValued,
        portfolio: &PortfolioView,
        day: &Day,
        call: &Call,
        mandate_ceiling: Decimal,
    ) -> Result<Option<Trigger>> {
        let questionnaire = GetQuestionnaireRequest { user_id: event.owner_id.to_string(), version: 0 };
        let profile = match self.ctx.directory.user().get_questionnaire(call.request(questionnaire)).await {
            Ok(answer) => answer.into_inner(),
            // Without answers there is no advice, and nothing to look at.
            Err(status) if status.code() == tonic::Code::NotFound => return Ok(None),
            Err(status) => return Err(status.into()),
        };
        let Some(reviewed_on) = self.store.reviewed_on(event.portfolio_id).await? else {
            return Ok(Some(Trigger::First));
        };
        if self.store.market_fell_between(reviewed_on, event.date).await? {
            return Ok(Some(Trigger::MarketFall));
        }
        if days(reviewed_on, event.date) * 5 >= i64::from(self.config.review_days) * 7 {
            return Ok(Some(Trigger::Review));
        }
        if days(reviewed_on, event.date) * 5 < i64::from(self.config.cooldown_days) * 7 {
            return Ok(None);
        }
        let snapshot = snapshot(portfolio, day)?;
        let own = parse_decimal("volatility_ceiling", &profile.volatility_ceiling, None)?;
        if present_volatility(&snapshot, &day.view) > float(own.min(mandate_ceiling)) {
            return Ok(Some(Trigger::Risk));
        }
        let drifted = !portfolio.target.is_empty() && drift(&snapshot, portfolio) > self.config.band * 2.0;
        Ok(drifted.then_some(Trigger::Drift))
    }

    async fn lapse_expired(&self, event: &PortfolioValued, cause: Cause) -> Result<()> {
        let now = self.ctx.clock.now();
        let mut tx = self.store.begin().await?;
        let why = "it was not answered in time";
        let over = |item: &Recommendation| item.expires <= now;
        self.close_open(&mut tx, event.portfolio_id, Status::Lapsed, why, cause, over).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn days(from: Date, to: Date) -> i64 {
    to.signed_duration_since(from).num_days()
}

/// Annualised volatility of a portfolio as it stands.
pub(crate) fn present_volatility(snapshot: &Snapshot, view: &MarketView) -> f64 {
    let count = view.symbols.len();
    let value = float(snapshot.value.amount());
    let mut weights = Array1::<f64>::zeros(count);
    for holding in &snapshot.holdings {
        if let Some(index) = view.position(&holding.symbol) {
            weights[index] = float(holding.value.amount()) / value;
        }
    }
    let covariance = Array2::from_shape_fn((count, count), |(row, column)| view.covariance[row * count + column]);
    volatility(&covariance, &weights)
}

/// Σ|w − target|/2 against the portfolio's stored target.
fn drift(snapshot: &Snapshot, portfolio: &PortfolioView) -> f64 {
    let value = snapshot.value.amount();
    let mut weights: std::collections::BTreeMap<&str, Decimal> = portfolio
        .target
        .iter()
        .map(|target| (target.symbol.as_str(), -target.weight.parse().unwrap_or(Decimal::ZERO)))
        .collect();
    for holding in &snapshot.holdings {
        *weights.entry(holding.symbol.as_str()).or_default() += holding.value.amount() / value;
    }
    *weights.entry(moneta_types::Symbol::CASH).or_default() += snapshot.cash.amount() / value;
    float(weights.values().map(Decimal::abs).sum::<Decimal>()) / 2.0
}
