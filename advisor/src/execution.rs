//! From an approved recommendation to orders: sales first, purchases once the sales have come to their end and their
//! proceeds are booked. Orders carry idempotency keys derived from the recommendation, so a crash between any two lines
//! doubles nothing: the next daily look sends what is missing under the same keys.
use crate::{
    Advisor, Result,
    cycle::{DecisionRecord, PlannedTrade, closed, decimal},
    mandate::Autonomy,
    recommendation::{Recommendation, Status},
    store::{Slice, Store},
};
use moneta_contracts::{
    advisor::{CheckApprovalRequest, CheckApprovalResponse},
    common, convert,
    events::{PortfolioValued, Side},
    market_data::LatestPricesRequest,
    portfolio::GetPortfolioRequest,
    trading::{GetOrderRequest, SubmitOrderRequest},
    user::GetQuestionnaireRequest,
};
use moneta_kit::{
    client::Call,
    problem::{Problem, parse},
};
use moneta_types::{Cause, Money, OrderId, Quantity};
use rust_decimal::Decimal;

/// Order states after which nothing more is filled.
const ENDED: [&str; 5] = ["denied", "rejected", "filled", "canceled", "expired"];

impl Advisor {
    /// Checks that an open recommendation still is what the client saw: proposal, prices, portfolio, answers, mandate.
    pub(crate) async fn approve(&self, mut item: Recommendation, digest: &str, cause: Cause) -> Result<Recommendation> {
        if digest != item.proposal_digest {
            return Err(Problem::conflict(
                "proposal_changed",
                "proposal_digest is not that of this recommendation; look at the proposal again",
            )
            .into());
        }
        if matches!(item.status, Status::Approved | Status::Executing | Status::Executed) {
            return Ok(item);
        }
        if item.status != Status::Open {
            return Err(Problem::precondition(
                "recommendation_closed",
                format!("the recommendation is {}: {}", item.status.as_str(), item.status_reason),
            )
            .into());
        }
        if item.autonomy == Autonomy::Advise.as_str() {
            return Err(Problem::precondition(
                "advice_only",
                "the mandate says that Moneta only advises here; place orders yourself or change the mandate's autonomy",
            )
            .into());
        }
        let record = self.record_of(&item).await?;
        if let Some(reason) = self.stale_because(&item, &record, cause).await? {
            let mut tx = self.store.begin().await?;
            Store::move_to(&mut tx, &mut item, Status::Lapsed, &reason).await?;
            tx.publish(&closed(&item), cause, &self.ctx.clock).await?;
            tx.commit().await?;
            return Err(Problem::precondition("recommendation_lapsed", reason).into());
        }
        self.execute(item, "approved by the client", cause).await
    }

    /// Closes an open recommendation because the client does not want it; declining again changes nothing.
    pub(crate) async fn decline(&self, item: &mut Recommendation, reason: &str) -> Result<()> {
        if item.status == Status::Declined {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        Store::move_to(&mut tx, item, Status::Declined, reason).await?;
        tx.publish(&closed(item), Cause::new(item.id.uuid()).part("decline"), &self.ctx.clock).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Approves and begins to carry out: sales now, purchases now where there are no sales.
    pub(crate) async fn execute(&self, mut item: Recommendation, why: &str, cause: Cause) -> Result<Recommendation> {
        let record = self.record_of(&item).await?;
        let mut tx = self.store.begin().await?;
        Store::move_to(&mut tx, &mut item, Status::Approved, why).await?;
        tx.publish(&closed(&item), cause.part("approved"), &self.ctx.clock).await?;
        Store::move_to(&mut tx, &mut item, Status::Executing, why).await?;
        tx.commit().await?;
        self.send_due_orders(&mut item, &record, cause).await?;
        Ok(item)
    }

    /// Sends what is due of every executing recommendation of the portfolio, and closes those that came to their end.
    /// Whether any is still under way.
    pub(crate) async fn continue_execution(&self, event: &PortfolioValued, cause: Cause) -> Result<bool> {
        let executing = self
            .store
            .recommendations(Some(event.portfolio_id), None, Some(Status::Executing), Slice::newest(50))
            .await?;
        let mut under_way = false;
        for mut item in executing {
            let record = self.record_of(&item).await?;
            self.send_due_orders(&mut item, &record, cause).await?;
            if self.all_ended(&item, &record, cause).await? {
                let mut tx = self.store.begin().await?;
                Store::move_to(&mut tx, &mut item, Status::Executed, "every order came to its end").await?;
                tx.publish(&closed(&item), cause.part("executed"), &self.ctx.clock).await?;
                tx.commit().await?;
            } else {
                under_way = true;
            }
        }
        Ok(under_way)
    }

    async fn send_due_orders(&self, item: &mut Recommendation, record: &DecisionRecord, cause: Cause) -> Result<()> {
        let trades = &record.results.trades;
        let sales: Vec<usize> = of_side(trades, Side::Sell);
        for &index in &sales {
            self.send(item, index, trades[index].quantity, record, cause).await?;
        }
        for &index in &sales {
            if !self.ended(item, index, cause).await? {
                return Ok(());
            }
        }
        let purchases: Vec<usize> =
            of_side(trades, Side::Buy).into_iter().filter(|index| order_of(item, *index).is_none()).collect();
        if purchases.is_empty() {
            return Ok(());
        }
        let affordable = self.affordable_share(item, trades, &purchases, cause).await?;
        for index in purchases {
            let quantity = scaled(trades[index].quantity, affordable)?;
            if quantity.is_positive() {
                self.send(item, index, quantity, record, cause).await?;
            }
        }
        Ok(())
    }

    /// The share of the purchases that the cash in hand pays for, leaving the cash that must stay; at most one.
    async fn affordable_share(
        &self,
        item: &Recommendation,
        trades: &[PlannedTrade],
        purchases: &[usize],
        cause: Cause,
    ) -> Result<Decimal> {
        let call = Call::for_user(&self.ctx, item.owner_id, cause);
        let request = GetPortfolioRequest { portfolio_id: item.portfolio_id.to_string() };
        let portfolio = self.ctx.directory.portfolio().get_portfolio(call.request(request)).await?.into_inner();
        let cash = convert::money("cash", portfolio.cash)?;
        let value = convert::money("value", portfolio.value)?;
        let wanted = purchases.iter().try_fold(Money::zero(cash.currency()), |sum, &index| {
            sum.checked_add(trades[index].estimated_value)?.checked_add(trades[index].estimated_cost)
        })?;
        let spendable = cash.checked_sub(value.times(decimal(self.config.min_cash / 2.0))?)?;
        if !spendable.is_positive() || !wanted.is_positive() {
            return Ok(Decimal::ZERO);
        }
        Ok((spendable.amount() / wanted.amount()).min(Decimal::ONE))
    }

    async fn send(
        &self,
        item: &mut Recommendation,
        index: usize,
        quantity: Quantity,
        record: &DecisionRecord,
        cause: Cause,
    ) -> Result<()> {
        if order_of(item, index).is_some() {
            return Ok(());
        }
        let trade = &record.results.trades[index];
        let currency = record.inputs.snapshot.currency;
        let agent = item.autonomy == Autonomy::Discretionary.as_str();
        let request = SubmitOrderRequest {
            portfolio_id: item.portfolio_id.to_string(),
            symbol: trade.symbol.to_string(),
            side: trade.side.as_str().to_owned(),
            quantity: Some(quantity.into()),
            order_type: "market".to_owned(),
            limit_price: None,
            idempotency_key: format!("recommendation/{}/{index}", item.id),
            origin: if agent { "agent" } else { "recommendation" }.to_owned(),
            recommendation_id: item.id.to_string(),
            proposal_digest: item.proposal_digest.clone(),
            time_in_force: "day".to_owned(),
            expected_price: Some(common::Price::of(trade.reference_price, currency)),
            decision_id: item.decision_id.to_string(),
            warning_acknowledged: true,
        };
        let call = Call::for_user(&self.ctx, item.owner_id, cause.part(&format!("order/{}/{index}", item.id)));
        let order = self.ctx.directory.trading().submit_order(call.request(request)).await?.into_inner();
        let order_id: OrderId = parse("order_id", &order.order_id)?;
        let mut tx = self.store.begin().await?;
        Store::keep_order(&mut tx, item.id, index, order_id).await?;
        tx.commit().await?;
        item.orders.push((index, order_id));
        Ok(())
    }

    async fn ended(&self, item: &Recommendation, index: usize, cause: Cause) -> Result<bool> {
        let Some(order) = order_of(item, index) else { return Ok(false) };
        let call = Call::for_user(&self.ctx, item.owner_id, cause);
        let request = GetOrderRequest { order_id: order.to_string() };
        let order = self.ctx.directory.trading().get_order(call.request(request)).await?.into_inner();
        Ok(ENDED.contains(&order.status.as_str()))
    }

    async fn all_ended(&self, item: &Recommendation, record: &DecisionRecord, cause: Cause) -> Result<bool> {
        let trades = &record.results.trades;
        let sales = of_side(trades, Side::Sell);
        for (index, _) in &item.orders {
            if !self.ended(item, *index, cause).await? {
                return Ok(false);
            }
        }
        // Purchases without an order were found unaffordable after the sales had ended.
        Ok(sales.iter().all(|index| order_of(item, *index).is_some()))
    }

    /// The decision record behind a recommendation.
    pub(crate) async fn record_of(&self, item: &Recommendation) -> Result<DecisionRecord> {
        let stored = self.store.decision(item.decision_id).await?;
        Ok(stored.ok_or_else(|| Problem::not_found("decision", item.decision_id))?.record)
    }

    /// Why a proposal no longer is what was computed, if so.
    async fn stale_because(
        &self,
        item: &Recommendation,
        record: &DecisionRecord,
        cause: Cause,
    ) -> Result<Option<String>> {
        if item.expires <= self.ctx.clock.now() {
            return Ok(Some(format!("the proposal expired on {}", item.expires.date())));
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
        let symbols = record.results.trades.iter().map(|trade| trade.symbol.to_string()).collect();
        let prices = self
            .ctx
            .directory
            .market_data()
            .latest_prices(call.request(LatestPricesRequest { symbols }))
            .await?
            .into_inner()
            .prices;
        let tolerance = decimal(self.config.price_tolerance);
        for trade in &record.results.trades {
            let Some(latest) = prices.iter().find(|price| price.symbol == trade.symbol.as_str()) else {
                return Ok(Some(format!("there is no price for {}", trade.symbol)));
            };
            let now = convert::price("price", latest.price.clone())?;
            let moved = (now.value() / trade.reference_price.value() - Decimal::ONE).abs();
            if moved > tolerance {
                return Ok(Some(format!(
                    "the price of {} moved from {} to {now}, beyond {}",
                    trade.symbol,
                    trade.reference_price,
                    crate::cycle::percent(tolerance)
                )));
            }
        }
        Ok(None)
    }

    /// Trading asks: is this order part of a proposal that was approved, or that the mandate lets the agent carry out?
    pub(crate) async fn check_approval(&self, request: &CheckApprovalRequest) -> Result<CheckApprovalResponse> {
        let refuse = |reason: String| Ok(CheckApprovalResponse { approved: false, reason });
        let id = parse("recommendation_id", &request.recommendation_id)?;
        let Some(item) = self.store.recommendation(id).await? else {
            return refuse(format!("there is no recommendation {id}"));
        };
        if item.portfolio_id.to_string() != request.portfolio_id {
            return refuse("the recommendation is for another portfolio".to_owned());
        }
        if !matches!(item.status, Status::Approved | Status::Executing) {
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
        if agent {
            let mandate = self.mandate_of(item.portfolio_id, item.owner_id, record.inputs.snapshot.currency).await?;
            if mandate.paused || mandate.autonomy != Autonomy::Discretionary {
                return refuse("the mandate no longer lets the agent act".to_owned());
            }
        }
        let quantity = convert::positive_quantity("quantity", request.quantity)?;
        let covered = record.results.trades.iter().any(|trade| {
            trade.symbol.as_str() == request.symbol && trade.side.as_str() == request.side && quantity <= trade.quantity
        });
        if !covered {
            return refuse(format!("{} {quantity} {} is not in the proposal", request.side, request.symbol));
        }
        Ok(CheckApprovalResponse { approved: true, reason: String::new() })
    }
}

fn of_side(trades: &[PlannedTrade], side: Side) -> Vec<usize> {
    (0..trades.len()).filter(|&index| trades[index].side == side).collect()
}

fn order_of(item: &Recommendation, index: usize) -> Option<OrderId> {
    item.orders.iter().find(|(trade, _)| *trade == index).map(|(_, order)| *order)
}

/// A quantity times a share of at most one, rounded down to four decimals.
fn scaled(quantity: Quantity, share: Decimal) -> Result<Quantity> {
    if share >= Decimal::ONE {
        return Ok(quantity);
    }
    let units = (quantity.units() * share).round_dp_with_strategy(4, rust_decimal::RoundingStrategy::ToZero);
    Ok(Quantity::exact(units)?)
}
