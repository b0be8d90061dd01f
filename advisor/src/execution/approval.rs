//! What an approval binds to, and the answer to trading's question whether an order is covered by one.
use crate::{
    Advisor, Result,
    cycle::{DecisionRecord, Snapshot, decimal, percent},
    mandate::Autonomy,
    recommendation::{Recommendation, Status},
};
use moneta_contracts::{
    advisor::{CheckApprovalRequest, CheckApprovalResponse},
    convert,
    portfolio::{GetPortfolioRequest, PortfolioView},
    user::GetQuestionnaireRequest,
};
use moneta_kit::{
    client::Call,
    problem::parse,
    quarantine::{self, CLIENT, Unit},
};
use moneta_types::{Cause, Quantity, Symbol, UserId};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// What is said while the adviser has not taken in what has happened to a client's portfolio.
const SET_ASIDE: &str = "what has happened to the portfolio is not taken into account yet";

impl Advisor {
    /// Whether events of the client were missed: nothing is carried out for him until they are made up for.
    async fn is_set_aside(&self, client: UserId) -> Result<bool> {
        Ok(quarantine::is_held(self.store.db(), &Unit::new(CLIENT, client)).await?)
    }

    /// Why a proposal no longer is what was computed, if so.
    pub(super) async fn stale_because(
        &self,
        item: &Recommendation,
        record: &DecisionRecord,
        cause: Cause,
    ) -> Result<Option<String>> {
        if item.expires <= self.ctx.clock.now() {
            return Ok(Some(format!("the proposal expired on {}", item.expires.date())));
        }
        if self.store.is_erased(item.owner_id).await? {
            return Ok(Some("the client's data were erased".to_owned()));
        }
        if self.is_set_aside(item.owner_id).await? {
            return Ok(Some(SET_ASIDE.to_owned()));
        }
        let snapshot = &record.inputs.snapshot;
        let mandate = self.mandate_of(item.portfolio_id, item.owner_id, snapshot.currency).await?;
        if mandate.version != item.mandate_version {
            return Ok(Some("the mandate changed after the proposal was computed".to_owned()));
        }
        let call = Call::for_user(&self.ctx, item.owner_id, cause);
        let request = GetQuestionnaireRequest { user_id: item.owner_id.to_string(), version: 0 };
        let answers = self.ctx.directory.user().get_questionnaire(call.request(request)).await?.into_inner();
        if answers.version != item.questionnaire {
            return Ok(Some("the suitability questionnaire changed after the proposal was computed".to_owned()));
        }
        // The event of the change may be on its way still, so the portfolio itself is asked.
        let request = GetPortfolioRequest { portfolio_id: item.portfolio_id.to_string() };
        let portfolio = self.ctx.directory.portfolio().get_portfolio(call.request(request)).await?.into_inner();
        if !is_same(snapshot, &portfolio)? {
            return Ok(Some("the portfolio changed after the proposal was computed".to_owned()));
        }
        let symbols = record.results.trades.iter().map(|trade| trade.symbol.to_string()).collect();
        let prices = self.latest_prices(&call, symbols).await?;
        let tolerance = decimal(self.config.price_tolerance);
        for trade in &record.results.trades {
            let Some(now) = prices.get(trade.symbol.as_str()) else {
                return Ok(Some(format!("there is no price for {}", trade.symbol)));
            };
            let moved = (now.value() / trade.reference_price.value() - Decimal::ONE).abs();
            if moved > tolerance {
                return Ok(Some(format!(
                    "the price of {} moved from {} to {now}, beyond {}",
                    trade.symbol,
                    trade.reference_price,
                    percent(tolerance)
                )));
            }
        }
        Ok(None)
    }

    /// Trading asks: is this order part of a proposal that was approved, or that the mandate lets the agent carry out?
    ///
    /// Covered is the order that the adviser itself has written down and not had an answer for yet, and no second one
    /// like it: who repeats an order of a recommendation under a key of his own is refused.
    pub(crate) async fn check_approval(&self, request: &CheckApprovalRequest) -> Result<CheckApprovalResponse> {
        let refuse = |reason: String| Ok(CheckApprovalResponse { approved: false, reason });
        let id = parse("recommendation_id", &request.recommendation_id)?;
        let Some(item) = self.store.recommendation(id).await? else {
            return refuse(format!("there is no recommendation {id}"));
        };
        if item.portfolio_id.to_string() != request.portfolio_id {
            return refuse("the recommendation is for another portfolio".to_owned());
        }
        if self.is_set_aside(item.owner_id).await? {
            return refuse(SET_ASIDE.to_owned());
        }
        if item.status != Status::Executing {
            return refuse(format!("the recommendation is {}", item.status.as_str()));
        }
        if item.proposal_digest != request.proposal_digest {
            return refuse("the approval was given for another proposal".to_owned());
        }
        let agent = item.autonomy == Autonomy::Discretionary.as_str();
        if agent != (request.origin == "agent") {
            return refuse(format!("origin {:?} does not fit a proposal under {:?}", request.origin, item.autonomy));
        }
        let record = self.record_of(&item).await?;
        let mandate = self.mandate_of(item.portfolio_id, item.owner_id, record.inputs.snapshot.currency).await?;
        if mandate.paused {
            return refuse("the agent is paused".to_owned());
        }
        if agent && mandate.version != item.mandate_version {
            return refuse("the mandate changed after the proposal was computed".to_owned());
        }
        let quantity = convert::positive_quantity("quantity", request.quantity)?;
        let planned = item.orders.iter().find(|order| {
            record
                .results
                .trades
                .get(order.trade)
                .is_some_and(|trade| trade.symbol.as_str() == request.symbol && trade.side.as_str() == request.side)
        });
        match planned {
            Some(order) if order.quantity != quantity => {
                refuse(format!("the proposal calls for {} {} {}", request.side, order.quantity, request.symbol))
            }
            Some(order) if order.is_sent() => {
                refuse(format!("the order to {} {} of this proposal was sent before", request.side, request.symbol))
            }
            Some(_) => Ok(CheckApprovalResponse { approved: true, reason: String::new() }),
            None => refuse(format!("{} {quantity} {} is not due in the proposal", request.side, request.symbol)),
        }
    }
}

/// Whether a portfolio holds what it held; its version also grows with its target, which changes nothing here.
fn is_same(snapshot: &Snapshot, portfolio: &PortfolioView) -> Result<bool> {
    let mut held = BTreeMap::new();
    for holding in &portfolio.holdings {
        let symbol: Symbol = parse("holding.symbol", &holding.symbol)?;
        let quantity: Quantity = convert::quantity("holding.quantity", holding.quantity)?;
        held.insert(symbol, quantity);
    }
    held.retain(|_, quantity| !quantity.is_zero());
    let then: BTreeMap<_, _> = snapshot
        .holdings
        .iter()
        .filter(|holding| !holding.quantity.is_zero())
        .map(|holding| (holding.symbol.clone(), holding.quantity))
        .collect();
    Ok(convert::money("cash", portfolio.cash.clone())? == snapshot.cash && held == then)
}
