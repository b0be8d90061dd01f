//! Planning, sending and following the orders of a recommendation that is being carried out.
use super::of_side;
use crate::{
    Advisor, Error, Result,
    cycle::{DecisionRecord, decimal},
    mandate::Autonomy,
    recommendation::{PlannedOrder, Recommendation, Status},
    store::Store,
};
use moneta_contracts::{
    common, convert,
    events::Side,
    market_data::LatestPricesRequest,
    portfolio::GetPortfolioRequest,
    trading::{GetOrderRequest, Order, SubmitOrderRequest},
};
use moneta_kit::{client::Call, problem::parse};
use moneta_types::{Cause, Money, OrderId, Price, Quantity};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Order states after which nothing more is filled.
const ENDED: [&str; 5] = ["denied", "rejected", "filled", "canceled", "expired"];

impl Advisor {
    /// Sends what is due of an executing recommendation and closes it when everything came to its end. Whether it is
    /// closed.
    pub(super) async fn carry_on(
        &self,
        item: &mut Recommendation,
        record: &DecisionRecord,
        cause: Cause,
    ) -> Result<bool> {
        if let Some(reason) = self.stopped_because(item, record).await? {
            let Some(states) = self.ended(item, cause, |order| order.order.is_some()).await? else { return Ok(false) };
            let why = format!("{reason} before every order was sent; {}", counted(&states));
            self.close(item, Status::Lapsed, &why, cause).await?;
            return Ok(true);
        }
        let trades = &record.results.trades;
        self.send_planned(item, record, cause).await?;
        if item.orders.len() < trades.len() {
            if self.ended(item, cause, |_| true).await?.is_none() {
                return Ok(false);
            }
            self.plan_purchases(item, record, cause).await?;
            self.send_planned(item, record, cause).await?;
        }
        let Some(states) = self.ended(item, cause, |_| true).await? else { return Ok(false) };
        let why = format!("every order came to its end: {}", counted(&states));
        self.close(item, Status::Executed, &why, cause).await?;
        Ok(true)
    }

    /// Why nothing more may be sent, if so: orders that are out run to their end.
    async fn stopped_because(&self, item: &Recommendation, record: &DecisionRecord) -> Result<Option<&'static str>> {
        if item.orders.len() == record.results.trades.len() && item.orders.iter().all(PlannedOrder::is_sent) {
            return Ok(None);
        }
        if self.store.is_erased(item.owner_id).await? {
            return Ok(Some("the client's data were erased"));
        }
        let mandate = self.mandate_of(item.portfolio_id, item.owner_id, record.inputs.snapshot.currency).await?;
        let by_agent = item.autonomy == Autonomy::Discretionary.as_str();
        Ok(if mandate.paused {
            Some("the agent was paused")
        } else if by_agent && mandate.version != item.mandate_version {
            Some("the mandate changed")
        } else {
            None
        })
    }

    /// Writes down every purchase with the quantity that the cash in hand pays for, leaving the cash that must stay.
    async fn plan_purchases(&self, item: &mut Recommendation, record: &DecisionRecord, cause: Cause) -> Result<()> {
        let trades = &record.results.trades;
        let purchases = of_side(trades, Side::Buy);
        let call = Call::for_user(&self.ctx, item.owner_id, cause);
        let request = GetPortfolioRequest { portfolio_id: item.portfolio_id.to_string() };
        let portfolio = self.ctx.directory.portfolio().get_portfolio(call.request(request)).await?.into_inner();
        let cash = convert::money("cash", portfolio.cash)?;
        let value = convert::money("value", portfolio.value)?;
        let symbols = purchases.iter().map(|&index| trades[index].symbol.to_string()).collect();
        let latest = self.latest_prices(&call, symbols).await?;
        let mut wanted = Money::zero(cash.currency());
        for &index in &purchases {
            let trade = &trades[index];
            // Prices may have risen while the sales were worked.
            let price = latest.get(trade.symbol.as_str()).copied().unwrap_or(trade.reference_price);
            let price = price.max(trade.reference_price);
            wanted = wanted
                .checked_add(price.value_of(trade.quantity, cash.currency())?)?
                .checked_add(trade.estimated_cost)?;
        }
        let spendable = cash.checked_sub(value.times(decimal(self.config.min_cash / 2.0))?)?;
        let share = match spendable.is_positive() && wanted.is_positive() {
            true => (spendable.amount() / wanted.amount()).min(Decimal::ONE),
            false => Decimal::ZERO,
        };
        let mut tx = self.store.begin().await?;
        for index in purchases {
            let quantity = scaled(trades[index].quantity, share)?;
            let refusal = if quantity.is_positive() { "" } else { "the cash in hand does not pay for it" };
            Store::plan_order(&mut tx, item.id, index, quantity, refusal).await?;
        }
        tx.commit().await?;
        item.orders = self.store.planned_orders(item.id).await?;
        Ok(())
    }

    /// Latest prices by symbol.
    pub(super) async fn latest_prices(&self, call: &Call, symbols: Vec<String>) -> Result<BTreeMap<String, Price>> {
        let request = call.request(LatestPricesRequest { symbols });
        let prices = self.ctx.directory.market_data().latest_prices(request).await?.into_inner().prices;
        prices.into_iter().map(|latest| Ok((latest.symbol, convert::price("price", latest.price)?))).collect()
    }

    /// Sends every order that is written down and not sent.
    async fn send_planned(&self, item: &mut Recommendation, record: &DecisionRecord, cause: Cause) -> Result<()> {
        for position in 0..item.orders.len() {
            if item.orders[position].is_sent() {
                continue;
            }
            let sent = self.send(item, &item.orders[position], record, cause).await;
            let planned = &mut item.orders[position];
            let mut tx = self.store.begin().await?;
            match sent {
                Ok(order) => {
                    Store::keep_order(&mut tx, item.id, planned.trade, order).await?;
                    planned.order = Some(order);
                }
                Err(Error::Service(status)) if is_final(status.code()) => {
                    tracing::warn!(recommendation = %item.id, trade = planned.trade, %status, "trading takes no such order");
                    Store::refuse_order(&mut tx, item.id, planned.trade, status.message()).await?;
                    planned.refusal = status.message().to_owned();
                }
                Err(error) => return Err(error),
            }
            tx.commit().await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        item: &Recommendation,
        planned: &PlannedOrder,
        record: &DecisionRecord,
        cause: Cause,
    ) -> Result<OrderId> {
        let trade = &record.results.trades[planned.trade];
        let currency = record.inputs.snapshot.currency;
        let agent = item.autonomy == Autonomy::Discretionary.as_str();
        let request = SubmitOrderRequest {
            portfolio_id: item.portfolio_id.to_string(),
            symbol: trade.symbol.to_string(),
            side: trade.side.as_str().to_owned(),
            quantity: Some(planned.quantity.into()),
            order_type: "market".to_owned(),
            limit_price: None,
            idempotency_key: format!("recommendation/{}/{}", item.id, planned.trade),
            origin: if agent { "agent" } else { "recommendation" }.to_owned(),
            recommendation_id: item.id.to_string(),
            proposal_digest: item.proposal_digest.clone(),
            time_in_force: "day".to_owned(),
            expected_price: Some(common::Price::of(trade.reference_price, currency)),
            decision_id: item.decision_id.to_string(),
            // Advice is checked for suitability; nobody was warned, so nobody acknowledged.
            warning_acknowledged: false,
        };
        let part = cause.part(&format!("order/{}/{}", item.id, planned.trade));
        let call = Call::for_user(&self.ctx, item.owner_id, part);
        let order = self.ctx.directory.trading().submit_order(call.request(request)).await?.into_inner();
        Ok(parse("order_id", &order.order_id)?)
    }

    /// How the orders ended that `wanted` picks; `None` while one of them is unsent or may still be filled.
    async fn ended(
        &self,
        item: &Recommendation,
        cause: Cause,
        wanted: impl Fn(&PlannedOrder) -> bool,
    ) -> Result<Option<Vec<String>>> {
        let call = Call::for_user(&self.ctx, item.owner_id, cause);
        let mut states = Vec::new();
        for planned in item.orders.iter().filter(|order| wanted(order)) {
            let Some(order) = planned.order else {
                if planned.refusal.is_empty() {
                    return Ok(None);
                }
                states.push("not sent".to_owned());
                continue;
            };
            let request = GetOrderRequest { order_id: order.to_string() };
            let order: Order = self.ctx.directory.trading().get_order(call.request(request)).await?.into_inner();
            if !ENDED.contains(&order.status.as_str()) {
                return Ok(None);
            }
            states.push(order.status);
        }
        Ok(Some(states))
    }
}

/// Whether trading will answer the same however often it is asked.
const fn is_final(code: tonic::Code) -> bool {
    matches!(code, tonic::Code::InvalidArgument | tonic::Code::AlreadyExists | tonic::Code::NotFound)
}

/// "2 filled, 1 denied".
fn counted(states: &[String]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    if counts.is_empty() {
        return "no order was sent".to_owned();
    }
    counts.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}

/// A quantity times a share of at most one, rounded down to four decimals.
fn scaled(quantity: Quantity, share: Decimal) -> Result<Quantity> {
    if share >= Decimal::ONE {
        return Ok(quantity);
    }
    let units = (quantity.units() * share).round_dp_with_strategy(4, rust_decimal::RoundingStrategy::ToZero);
    Ok(Quantity::exact(units)?)
}

#[cfg(test)]
mod tests {
    use super::{counted, scaled};

    #[test]
    fn a_share_is_rounded_down_to_what_can_be_traded() {
        let quantity = "10".parse().unwrap();
        assert_eq!(scaled(quantity, "0.33333333".parse().unwrap()).unwrap().to_string(), "3.3333");
        assert_eq!(scaled(quantity, "1".parse().unwrap()).unwrap(), quantity);
        assert!(scaled(quantity, "0".parse().unwrap()).unwrap().is_zero());
    }

    #[test]
    fn ends_are_counted_by_their_names() {
        let states = ["filled", "denied", "filled"].map(str::to_owned);
        assert_eq!(counted(&states), "1 denied, 2 filled");
        assert_eq!(counted(&[]), "no order was sent");
    }
}
