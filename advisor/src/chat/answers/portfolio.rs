//! What the portfolio is, was and why it moved.
use super::{Reply, Turn, no_portfolio};
use crate::{Result, cycle::percent};
use moneta_contracts::{
    convert,
    portfolio::{AttributionRequest, DriftRequest, PerformanceRequest, TransactionsRequest},
};
use moneta_types::{Money, Quantity};
use rust_decimal::Decimal;

impl Turn<'_> {
    pub(super) async fn portfolio_value(&self) -> Result<Reply> {
        let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
        let value = convert::money("value", portfolio.value)?;
        let cash = convert::money("cash", portfolio.cash)?;
        let invested = convert::money("net_contributions", portfolio.net_contributions)?;
        let gain = value.checked_sub(invested)?;
        let stale = if portfolio.prices_stale { " Some prices are older than usual." } else { "" };
        let worth = if portfolio.holdings.is_empty() {
            format!("is worth {value}, all of it in cash")
        } else if portfolio.valued_on.is_empty() {
            format!("is worth {value}, of which {cash} is cash")
        } else {
            format!("is worth {value} at the prices of {}, of which {cash} is cash", portfolio.valued_on)
        };
        let text = format!(
            "Your portfolio \"{}\" {worth}. You have paid in {invested} on balance, so it has {} {}.{stale}",
            portfolio.name,
            if gain.is_negative() { "lost" } else { "gained" },
            absolute(gain)?,
        );
        Ok(Reply::say(text)
            .figure("value", value, "portfolio.GetPortfolio")
            .figure("cash", cash, "portfolio.GetPortfolio")
            .figure("net contributions", invested, "portfolio.GetPortfolio"))
    }

    pub(super) async fn holdings(&self) -> Result<Reply> {
        let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
        if portfolio.holdings.is_empty() {
            let cash = convert::money("cash", portfolio.cash)?;
            return Ok(Reply::say(format!("Your portfolio holds no instruments, only {cash} in cash.")).figure(
                "cash",
                cash,
                "portfolio.GetPortfolio",
            ));
        }
        let wanted = self.entities.symbols();
        let mut lines = Vec::new();
        let mut reply = Reply::default();
        for holding in &portfolio.holdings {
            if !wanted.is_empty() && !wanted.contains(&holding.symbol.as_str()) {
                continue;
            }
            let quantity: Quantity = convert::quantity("quantity", holding.quantity)?;
            let value = convert::money("market_value", holding.market_value.clone())?;
            let gain = convert::money("unrealised_gain", holding.unrealised_gain.clone())?;
            lines.push(format!("{quantity} {} worth {value} (unrealised {gain})", holding.symbol));
            reply = reply.figure(&holding.symbol, value, "portfolio.GetPortfolio");
        }
        reply.text = if lines.is_empty() {
            format!("You do not hold {}.", wanted.join(" or "))
        } else {
            format!("You hold {}.", lines.join("; "))
        };
        Ok(reply)
    }

    pub(super) async fn allocation(&self) -> Result<Reply> {
        let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
        let value = convert::money("value", portfolio.value)?;
        let cash = convert::money("cash", portfolio.cash)?;
        let target = |symbol: &str| {
            portfolio.target.iter().find(|target| target.symbol == symbol).and_then(|target| target.weight.parse().ok())
        };
        let mut rows: Vec<(String, Decimal)> = portfolio
            .holdings
            .iter()
            .map(|holding| (holding.symbol.clone(), holding.weight.parse().unwrap_or_default()))
            .collect();
        rows.push(("CASH".to_owned(), cash.fraction_of(value)?.unwrap_or_default()));
        rows.sort_by_key(|row| std::cmp::Reverse(row.1));
        let mut reply = Reply::default();
        let mut parts = Vec::new();
        for (symbol, weight) in &rows {
            let aim: Option<Decimal> = target(symbol);
            let aim = aim.map(|aim| format!(" (target {})", percent(aim))).unwrap_or_default();
            parts.push(format!("{symbol} {}{aim}", percent(*weight)));
            reply = reply.figure(symbol, percent(*weight), "portfolio.GetPortfolio");
        }
        reply.text = format!("Your portfolio of {value} is divided like this: {}.", parts.join(", "));
        Ok(reply)
    }

    pub(super) async fn drift(&self) -> Result<Reply> {
        let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
        if portfolio.target.is_empty() {
            return Ok(Reply::say("No target has been set for your portfolio yet, so there is nothing to drift from."));
        }
        let request = self.call.request(DriftRequest { portfolio_id: portfolio.portfolio_id });
        let drift = self.advisor.ctx.directory.portfolio().drift(request).await?.into_inner();
        let total: Decimal = drift.drift.parse().unwrap_or_default();
        let mut items = drift.items;
        items.sort_by_key(|item| std::cmp::Reverse(item.difference.parse::<Decimal>().unwrap_or_default().abs()));
        let largest: Vec<String> = items
            .iter()
            .take(3)
            .map(|item| {
                let of = |text: &str| percent(text.parse().unwrap_or_default());
                format!("{} at {} against {}", item.symbol, of(&item.weight), of(&item.target))
            })
            .collect();
        let text = format!(
            "Your portfolio is {} away from its target, which is {} the band of {} within which we leave it alone. Furthest off: {}.",
            percent(total),
            if drift.beyond_band { "beyond" } else { "within" },
            percent(drift.band.parse().unwrap_or_default()),
            largest.join("; "),
        );
        Ok(Reply::say(text).figure("drift", percent(total), "portfolio.Drift"))
    }

    pub(super) async fn performance(&self) -> Result<Reply> {
        let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
        let (from, to) = self.period(365);
        let request = PerformanceRequest {
            portfolio_id: portfolio.portfolio_id,
            from: from.map(|date| date.to_string()).unwrap_or_default(),
            to: to.to_string(),
        };
        let answer = self.advisor.ctx.directory.portfolio().performance(self.call.request(request)).await?.into_inner();
        let of = |text: &str| percent(text.parse().unwrap_or_default());
        let start = convert::money("start_value", answer.start_value)?;
        let end = convert::money("end_value", answer.end_value)?;
        let flows = convert::money("net_flows", answer.net_flows)?;
        let mut text = format!(
            "From {} to {} your portfolio went from {start} to {end}, with {flows} paid in on balance. Its time-weighted \
             return was {}, and its deepest fall from a high was {}.",
            answer.from,
            answer.to,
            of(&answer.time_weighted_return),
            of(&answer.max_drawdown),
        );
        if !answer.volatility.is_empty() {
            text.push_str(&format!(" Its volatility was {} a year.", of(&answer.volatility)));
        }
        if let [only] = answer.money_weighted_returns.as_slice() {
            text.push_str(&format!(" On your own money that is {} a year.", of(only)));
        }
        Ok(Reply::say(text)
            .figure("time-weighted return", of(&answer.time_weighted_return), "portfolio.Performance")
            .figure("end value", end, "portfolio.Performance")
            .figure("maximum drawdown", of(&answer.max_drawdown), "portfolio.Performance"))
    }

    pub(super) async fn why_moved(&self) -> Result<Reply> {
        let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
        let (from, to) = self.period(7);
        let request = AttributionRequest {
            portfolio_id: portfolio.portfolio_id,
            from: from.map(|date| date.to_string()).unwrap_or_default(),
            to: to.to_string(),
        };
        let answer = self.advisor.ctx.directory.portfolio().attribution(self.call.request(request)).await?.into_inner();
        let start = convert::money("start_value", answer.start_value)?;
        let end = convert::money("end_value", answer.end_value)?;
        let flows = convert::money("net_flows", answer.net_flows)?;
        let costs = convert::money("costs", answer.costs)?;
        let mut items = answer
            .items
            .iter()
            .map(|item| Ok((item, convert::money("price_effect", item.price_effect.clone())?)))
            .collect::<Result<Vec<_>>>()?;
        items.sort_by_key(|(_, effect)| std::cmp::Reverse(effect.minor_units().abs()));
        let change = end.checked_sub(start)?;
        let mut reply = Reply::default();
        let mut parts = Vec::new();
        for (item, effect) in items.iter().filter(|(_, effect)| !effect.is_zero()).take(4) {
            let moved = percent(item.price_return.parse().unwrap_or_default());
            parts.push(format!("{} {effect} (its price moved {moved})", item.symbol));
            reply = reply.figure(&item.symbol, effect, "portfolio.Attribution");
        }
        let rest =
            items.iter().skip(4).try_fold(Money::zero(end.currency()), |sum, (_, effect)| sum.checked_add(*effect))?;
        if !rest.is_zero() {
            parts.push(format!("everything else {rest}"));
        }
        let mut text = format!(
            "From {} to {} your portfolio {} {}, from {start} to {end}.",
            answer.from,
            answer.to,
            if change.is_negative() { "fell by" } else { "rose by" },
            absolute(change)?,
        );
        if !parts.is_empty() {
            text.push_str(&format!(" What moved it: {}.", parts.join(", ")));
        }
        if !flows.is_zero() {
            text.push_str(&format!(" Payments in and out came to {flows}."));
        }
        if !costs.is_zero() {
            text.push_str(&format!(" Trading costs took {}.", absolute(costs)?));
        }
        reply.text = text;
        Ok(reply.figure("change", change, "portfolio.Attribution"))
    }

    pub(super) async fn transactions(&self) -> Result<Reply> {
        let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
        let page = moneta_contracts::common::Page { limit: 5, cursor: String::new() };
        let request = TransactionsRequest { portfolio_id: portfolio.portfolio_id, page: Some(page) };
        let listed =
            self.advisor.ctx.directory.portfolio().transactions(self.call.request(request)).await?.into_inner();
        if listed.transactions.is_empty() {
            return Ok(Reply::say("Nothing has been booked on your portfolio yet."));
        }
        let mut reply = Reply::default();
        let mut lines = Vec::new();
        for item in &listed.transactions {
            let amount = convert::money("amount", item.amount.clone())?;
            let what =
                if item.symbol.is_empty() { item.kind.clone() } else { format!("{} {}", item.kind, item.symbol) };
            lines.push(format!("{}: {what} {amount}", item.date));
            reply = reply.figure(&format!("{} {what}", item.date), amount, "portfolio.Transactions");
        }
        reply.text = format!("Your latest bookings: {}.", lines.join("; "));
        Ok(reply)
    }
}

pub(super) fn absolute(amount: Money) -> Result<Money> {
    Ok(if amount.is_negative() { amount.negated()? } else { amount })
}

/// Items as people list them: "one, two and three".
pub(super) fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
