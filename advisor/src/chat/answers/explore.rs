//! Prices, outlook, risk, and what would happen if.
use super::{
    Reply, Turn,
    beyond::{Largest, QUANTITY, beyond},
    no_portfolio,
};
use crate::{
    Result,
    cycle::{float, fraction, percent, snapshot, volatility},
};
use moneta_contracts::{
    common, convert,
    market_data::LatestPricesRequest,
    trading::{PreviewOrderResponse, SubmitOrderRequest},
    user::GetQuestionnaireRequest,
};
use moneta_models::nlu::EntityValue;
use moneta_types::{Money, Price, Quantity, bounds};
use ndarray::{Array1, Array2};
use rust_decimal::{Decimal, RoundingStrategy};

impl Turn<'_> {
    pub(super) async fn market_price(&self) -> Result<Reply> {
        let symbols: Vec<String> = self.entities.symbols().into_iter().map(str::to_owned).collect();
        if symbols.is_empty() {
            return Ok(self.unclear().unwrap_or_else(|| Reply::say("Which instrument's price do you want to know?")));
        }
        let request = self.call.request(LatestPricesRequest { symbols });
        let prices = self.advisor.ctx.directory.market_data().latest_prices(request).await?.into_inner().prices;
        let mut reply = Reply::default();
        let mut lines = Vec::new();
        for latest in &prices {
            let price = convert::price("price", latest.price.clone())?;
            let before: Option<Decimal> = latest.previous_close.parse().ok();
            let change = before
                .filter(|before| !before.is_zero())
                .map(|before| format!(", {} on the day before", percent(price.value() / before - Decimal::ONE)))
                .unwrap_or_default();
            let stale = if latest.stale { " (an old price)" } else { "" };
            lines.push(format!("{} closed at {price} on {}{change}{stale}", latest.symbol, latest.date));
            reply = reply.figure(&latest.symbol, price, "market_data.LatestPrices");
        }
        reply.text = format!("{}.", lines.join("; "));
        Ok(reply)
    }

    pub(super) async fn outlook(&self) -> Result<Reply> {
        let day = self.advisor.today().await?;
        let view = &day.view;
        let asked = self.entities.symbols();
        let rows: Vec<usize> = match asked.first() {
            Some(symbol) => view.symbols.iter().position(|known| known.as_str() == *symbol).into_iter().collect(),
            None => Vec::new(),
        };
        let caution = "Nobody knows where prices will go: these are ranges from a model, not promises.";
        let Some(&row) = rows.first() else {
            let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
            let snapshot = snapshot(&portfolio, &day)?;
            if snapshot.holdings.is_empty() {
                return Ok(Reply::say("Your portfolio is all cash, so there is nothing to forecast."));
            }
            let risk = crate::agent::present_volatility(&snapshot, view);
            return Ok(Reply::say(format!(
                "I do not forecast where your portfolio will go, only how much it may move: its forecast volatility is {} a \
                 year. {caution}",
                percent(fraction(risk))
            ))
            .figure("forecast volatility", percent(fraction(risk)), "advisor.MarketView"));
        };
        let forecast = &view.forecasts[row];
        let of = |value: f64| percent(fraction(value));
        let (low, high) = (
            forecast.quantiles_21d.first().copied().unwrap_or(0.0),
            forecast.quantiles_21d.last().copied().unwrap_or(0.0),
        );
        Ok(Reply::say(format!(
            "For {} over the next 21 trading days, the model puts nine cases in ten between {} and {}. {caution}",
            view.symbols[row],
            of(low),
            of(high),
        ))
        .figure("5 % quantile, 21 days", of(low), "advisor.MarketView")
        .figure("95 % quantile, 21 days", of(high), "advisor.MarketView"))
    }

    pub(super) async fn risk_level(&self) -> Result<Reply> {
        let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
        let request = GetQuestionnaireRequest { user_id: self.user.to_string(), version: 0 };
        let profile =
            self.advisor.ctx.directory.user().get_questionnaire(self.call.request(request)).await?.into_inner();
        let day = self.advisor.today().await?;
        let view = &day.view;
        let snapshot = snapshot(&portfolio, &day)?;
        let risk = if snapshot.value.is_positive() { crate::agent::present_volatility(&snapshot, view) } else { 0.0 };
        let ceiling: Decimal = profile.volatility_ceiling.parse().unwrap_or_default();
        let now = fraction(risk);
        let text = format!(
            "Your profile is {} with {} capacity for loss, which sets a limit of {} volatility a year. Your portfolio's forecast \
             is {}, {} that limit.",
            profile.risk_tolerance,
            profile.capacity_for_loss,
            percent(ceiling),
            percent(now),
            if now > ceiling { "above" } else { "within" }
        );
        Ok(Reply::say(text).figure("volatility limit", percent(ceiling), "user.GetQuestionnaire").figure(
            "forecast volatility",
            percent(now),
            "advisor.MarketView",
        ))
    }

    /// What an order would do to cash, weight and risk, without placing it.
    pub(super) async fn what_if(&self, side: &str) -> Result<Reply> {
        let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
        let intent = match self.order_intent(side, &portfolio).await? {
            Ok(intent) => intent,
            Err(reply) => return Ok(reply),
        };
        let preview = self.preview(&intent).await?;
        let day = self.advisor.today().await?;
        let view = &day.view;
        let snapshot = snapshot(&portfolio, &day)?;
        let value = intent.price.value_of(intent.quantity, snapshot.currency)?;
        let cost = preview
            .estimated_cost
            .clone()
            .map_or(Ok(Money::zero(snapshot.currency)), |cost| convert::money("estimated_cost", Some(cost)))?;
        let signed = if side == "sell" { value } else { value.negated()? };
        let cash = snapshot.cash.checked_add(signed)?.checked_sub(cost)?;
        let before = crate::agent::present_volatility(&snapshot, view);
        let after = risk_with(&snapshot, view, &intent.symbol, if side == "sell" { -1.0 } else { 1.0 }, value);
        let mut text = format!(
            "If you {side} {} {} at about {}{}, that is {value}. It would cost about {cost} and leave {cash} in cash. The forecast \
             volatility of your portfolio would go from {} to {} a year.",
            intent.quantity,
            intent.symbol,
            snapshot.currency.sign(),
            intent.price,
            percent(fraction(before)),
            percent(fraction(after)),
        );
        if !preview.allowed {
            text.push_str(&format!(" Such an order would be refused: {}.", failed_reasons(&preview)));
        }
        Ok(Reply::say(text)
            .figure("order value", value, "trading.PreviewOrder")
            .figure("cost", cost, "trading.PreviewOrder")
            .figure("cash after", cash, "portfolio.GetPortfolio")
            .figure("volatility before", percent(fraction(before)), "advisor.MarketView")
            .figure("volatility after", percent(fraction(after)), "advisor.MarketView"))
    }

    /// The order that the user speaks of, or what to ask back.
    pub(super) async fn order_intent(
        &self,
        side: &str,
        portfolio: &moneta_contracts::portfolio::PortfolioView,
    ) -> Result<Result<OrderIntent, Reply>> {
        if let Some(reply) = self.beyond_bounds(Largest::ORDER).or_else(|| self.unclear()) {
            return Ok(Err(reply));
        }
        let symbols = self.entities.symbols();
        let [symbol] = symbols.as_slice() else {
            let text = if symbols.is_empty() {
                format!("Which instrument do you want to {side}? Please give its name or ticker.")
            } else {
                format!("One order at a time, please: {} were named.", symbols.join(" and "))
            };
            return Ok(Err(Reply::say(text)));
        };
        let request = self.call.request(LatestPricesRequest { symbols: vec![(*symbol).to_owned()] });
        let latest = self.advisor.ctx.directory.market_data().latest_prices(request).await?.into_inner().prices;
        let price: Price = convert::price("price", latest.first().and_then(|latest| latest.price.clone()))?;
        let held = portfolio.holdings.iter().find(|holding| holding.symbol == *symbol);
        let held: Quantity =
            held.map_or(Ok(Quantity::ZERO), |holding| convert::quantity("quantity", holding.quantity))?;
        let value = convert::money("value", portfolio.value.clone())?;
        let mut quantity = None;
        let mut limit = None;
        for entity in &self.entities.found {
            let units = match &entity.value {
                EntityValue::Quantity { value } => Some(*value),
                EntityValue::Amount { value, .. } => value.checked_div(price.value()),
                EntityValue::Percentage { fraction } if side == "sell" => held.units().checked_mul(*fraction),
                EntityValue::Percentage { fraction } => {
                    value.amount().checked_mul(*fraction).and_then(|part| part.checked_div(price.value()))
                }
                EntityValue::Price { value, .. } => {
                    limit = Price::new(*value).ok();
                    continue;
                }
                _ => continue,
            };
            let rounded = units.map(|units| units.round_dp_with_strategy(4, RoundingStrategy::ToZero));
            quantity.get_or_insert(rounded);
        }
        let Some(units) = quantity else {
            return Ok(Err(Reply::say(format!(
                "How much {symbol} do you want to {side}? You can say a number of shares, an amount of money or a part, such as half."
            ))));
        };
        if side == "sell" && held.is_zero() {
            return Ok(Err(Reply::say(format!("You do not hold {symbol}, so there is nothing to sell."))));
        }
        let Some(quantity) = units.and_then(|units| Quantity::exact(units.normalize()).ok()) else {
            return Ok(Err(beyond("the quantity", &format!("of {symbol}"), QUANTITY)));
        };
        if !quantity.is_positive() {
            return Ok(Err(Reply::say("That comes to less than a ten-thousandth of a share, which cannot be traded.")));
        }
        if bounds::order_quantity(quantity).is_err() {
            return Ok(Err(beyond("the quantity", &format!("{quantity} {symbol}"), QUANTITY)));
        }
        Ok(Ok(OrderIntent {
            portfolio_id: portfolio.portfolio_id.clone(),
            currency: portfolio.currency.clone(),
            symbol: (*symbol).to_owned(),
            side: side.to_owned(),
            quantity,
            price,
            limit,
        }))
    }

    pub(super) async fn preview(&self, intent: &OrderIntent) -> Result<PreviewOrderResponse> {
        let request = self.call.request(intent.request(format!("preview/{}", self.cause), true));
        Ok(self.advisor.ctx.directory.trading().preview_order(request).await?.into_inner())
    }
}

/// An order that the user speaks of.
#[derive(Debug, Clone)]
pub(super) struct OrderIntent {
    pub portfolio_id: String,
    pub currency: String,
    pub symbol: String,
    pub side: String,
    pub quantity: Quantity,
    pub price: Price,
    pub limit: Option<Price>,
}

impl OrderIntent {
    pub fn request(&self, idempotency_key: String, warning_acknowledged: bool) -> SubmitOrderRequest {
        let price = |price: Price| common::Price { value: price.to_string(), currency: self.currency.clone() };
        SubmitOrderRequest {
            portfolio_id: self.portfolio_id.clone(),
            symbol: self.symbol.clone(),
            side: self.side.clone(),
            quantity: Some(self.quantity.into()),
            order_type: if self.limit.is_some() { "limit" } else { "market" }.to_owned(),
            limit_price: self.limit.map(price),
            idempotency_key,
            origin: "self_directed".to_owned(),
            time_in_force: "day".to_owned(),
            expected_price: Some(price(self.price)),
            warning_acknowledged,
            ..SubmitOrderRequest::default()
        }
    }
}

pub(super) fn failed_reasons(preview: &PreviewOrderResponse) -> String {
    let reasons: Vec<String> = preview
        .verdicts
        .iter()
        .filter(|verdict| verdict.outcome == "fail")
        .map(|verdict| format!("{} ({})", verdict.reasons.join("; "), verdict.citation))
        .collect();
    reasons.join("; ")
}

fn risk_with(
    snapshot: &crate::cycle::Snapshot,
    view: &crate::cycle::MarketView,
    symbol: &str,
    sign: f64,
    change: Money,
) -> f64 {
    let count = view.symbols.len();
    let total = float(snapshot.value.amount());
    let mut weights = Array1::<f64>::zeros(count);
    for holding in &snapshot.holdings {
        if let Some(index) = view.position(&holding.symbol) {
            weights[index] = float(holding.value.amount()) / total;
        }
    }
    if let Some(index) = view.symbols.iter().position(|known| known.as_str() == symbol) {
        weights[index] = (weights[index] + sign * float(change.amount()) / total).max(0.0);
    }
    let covariance = Array2::from_shape_fn((count, count), |(row, column)| view.covariance[row * count + column]);
    volatility(&covariance, &weights)
}
