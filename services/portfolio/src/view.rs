//! From the domain to the contract's messages.
use crate::{
    Result,
    allocation::{Drift, Plan},
    portfolio::{Closes, Portfolio},
    store::Booked,
};
use moneta_contracts::{common, portfolio as pb};
use moneta_types::{Date, Money};
use rust_decimal::Decimal;

/// Decimals of fractions in answers.
const DECIMALS: u32 = 10;

/// A fraction as text, without trailing zeros.
pub fn fraction(value: Decimal) -> String {
    value.round_dp(DECIMALS).normalize().to_string()
}

/// A portfolio at the latest closes.
pub fn portfolio(state: &Portfolio, closes: &Closes, today: Date, stale_after_days: u16) -> Result<pb::PortfolioView> {
    let stocks = state.stocks(closes)?;
    let value = state.value(&stocks)?;
    let currency = state.book.currency();
    let latest = closes.latest();
    let mut stale = false;
    let mut holdings = Vec::with_capacity(stocks.len());
    for (symbol, stock) in &stocks {
        let (date, _) = closes.price(symbol)?;
        stale |= Some(date) < latest || (today - date).num_days() > i64::from(stale_after_days);
        let cost = state.book.cost(symbol)?;
        let lots = state.book.lots.get(symbol).map_or(&[][..], Vec::as_slice);
        holdings.push(pb::Holding {
            symbol: symbol.to_string(),
            quantity: Some(stock.quantity.into()),
            cost_basis: Some(cost.into()),
            price: Some(common::Price::of(stock.price, currency)),
            price_date: date.to_string(),
            market_value: Some(stock.value.into()),
            unrealised_gain: Some(stock.value.checked_sub(cost)?.into()),
            weight: fraction(stock.value.fraction_of(value)?.unwrap_or_default()),
            lots: lots
                .iter()
                .map(|lot| pb::Lot {
                    lot_id: lot.id.clone(),
                    opened: lot.opened.to_string(),
                    quantity: Some(lot.quantity.into()),
                    cost: Some(lot.cost.into()),
                })
                .collect(),
        });
    }
    let target = state.target.iter().flat_map(|target| target.pairs());
    Ok(pb::PortfolioView {
        portfolio_id: state.id.to_string(),
        owner_id: state.owner.to_string(),
        name: state.name.clone(),
        currency: currency.code().to_owned(),
        version: state.version,
        cash: Some(state.book.cash.into()),
        value: Some(value.into()),
        holdings,
        target: target.map(|(symbol, weight)| common::Weight { symbol, weight: weight.to_string() }).collect(),
        valued_on: latest.map(|date| date.to_string()).unwrap_or_default(),
        net_contributions: Some(state.book.contributions.into()),
        prices_stale: stale,
        quarantined: false,
        withdrawing: None,
    })
}

/// A portfolio in quarantine whose worth cannot be told: what it is, and the cash of its book.
pub fn set_aside(state: &Portfolio) -> pb::PortfolioView {
    pb::PortfolioView {
        portfolio_id: state.id.to_string(),
        owner_id: state.owner.to_string(),
        name: state.name.clone(),
        currency: state.book.currency().code().to_owned(),
        version: state.version,
        cash: Some(state.book.cash.into()),
        prices_stale: true,
        quarantined: true,
        ..pb::PortfolioView::default()
    }
}

/// A transaction with its postings.
pub fn transaction(booked: &Booked) -> pb::Transaction {
    let transaction = &booked.transaction;
    let currency = transaction.cash.currency();
    pb::Transaction {
        transaction_id: transaction.id.to_string(),
        kind: transaction.kind.as_str().to_owned(),
        at_micros: transaction.at.micros(),
        date: transaction.date.to_string(),
        symbol: transaction.symbol.as_ref().map(ToString::to_string).unwrap_or_default(),
        quantity: transaction.quantity.map(Into::into),
        price: transaction.price.map(|price| common::Price::of(price, currency)),
        amount: Some(transaction.cash.into()),
        realised_gain: transaction.realised_gain.map(Into::into),
        order_id: transaction.order_id.map(|id| id.to_string()).unwrap_or_default(),
        execution_id: transaction.execution_id.map(|id| id.to_string()).unwrap_or_default(),
        note: transaction.note.clone(),
        postings: transaction
            .postings()
            .iter()
            .map(|posting| pb::Posting { account: posting.account.to_string(), amount: Some(posting.amount.into()) })
            .collect(),
    }
}

/// Drift against a band.
pub fn drift(found: &Drift, band: Decimal) -> pb::DriftResponse {
    pb::DriftResponse {
        drift: fraction(found.drift),
        items: found
            .items
            .iter()
            .map(|item| pb::DriftItem {
                symbol: item.symbol.clone(),
                weight: fraction(item.weight),
                target: fraction(item.target),
                difference: fraction(item.weight - item.target),
            })
            .collect(),
        beyond_band: found.drift > band,
        band: fraction(band),
    }
}

/// A rebalance plan.
pub fn plan(state: &Portfolio, plan: &Plan) -> pb::RebalancePlanResponse {
    let money = |amount: Money| Some(amount.into());
    pb::RebalancePlanResponse {
        portfolio_version: state.version,
        trades: plan
            .trades
            .iter()
            .map(|trade| pb::PlannedTrade {
                symbol: trade.symbol.to_string(),
                side: trade.side.as_str().to_owned(),
                quantity: Some(trade.quantity.into()),
                reference_price: Some(common::Price::of(trade.price, state.book.currency())),
                estimated_value: money(trade.value),
                estimated_cost: money(trade.cost),
                estimated_gain: money(trade.gain),
            })
            .collect(),
        drift_before: fraction(plan.drift_before),
        drift_after: fraction(plan.drift_after),
        turnover: fraction(plan.turnover),
        total_cost: money(plan.total_cost),
    }
}
