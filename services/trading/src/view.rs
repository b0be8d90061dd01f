//! From the domain to the contract's messages.
use crate::{
    Result,
    controls::{KillSwitch, Scope, Verdict},
    desk::Preview,
    order::{Fill, Order},
    store::Hold,
};
use moneta_contracts::{common, trading as pb};

/// A verdict.
pub fn verdict(verdict: &Verdict) -> common::Verdict {
    common::Verdict {
        rule_id: verdict.rule.clone(),
        citation: verdict.citation.clone(),
        outcome: verdict.outcome.as_str().to_owned(),
        reasons: verdict.reasons.clone(),
    }
}

/// An order.
pub fn order(order: &Order) -> Result<pb::Order> {
    let intent = &order.intent;
    let price = |price| common::Price::of(price, order.currency);
    Ok(pb::Order {
        order_id: order.id.to_string(),
        client_order_id: order.client_order_id.clone(),
        portfolio_id: intent.portfolio.to_string(),
        owner_id: intent.owner.to_string(),
        symbol: intent.symbol.to_string(),
        side: intent.side.as_str().to_owned(),
        quantity: Some(intent.quantity.into()),
        filled: Some(order.filled()?.into()),
        order_type: intent.pricing.as_str().to_owned(),
        limit_price: intent.pricing.limit().map(price),
        status: order.state.as_str().to_owned(),
        origin: intent.origin.as_str().to_owned(),
        recommendation_id: intent.recommendation.map(|id| id.to_string()).unwrap_or_default(),
        decision_id: intent.decision.map(|id| id.to_string()).unwrap_or_default(),
        verdicts: order.verdicts.iter().map(verdict).collect(),
        reason: order.reason.clone(),
        average_price: order.average_price()?.map(price),
        commission: Some(order.commission()?.into()),
        created_micros: order.created.micros(),
        updated_micros: order.updated.micros(),
        version: order.version,
        fills: order.fills.iter().map(|known| fill(order, known)).collect(),
        idempotency_key: intent.key.clone(),
        time_in_force: intent.time_in_force.as_str().to_owned(),
    })
}

fn fill(order: &Order, fill: &Fill) -> pb::Fill {
    pb::Fill {
        execution_id: fill.execution.to_string(),
        quantity: Some(fill.quantity.into()),
        price: Some(common::Price::of(fill.price, order.currency)),
        commission: Some(fill.commission.into()),
        at_micros: fill.at.micros(),
        date: fill.date.to_string(),
    }
}

/// What the controls would say.
pub fn preview(preview: &Preview) -> pb::PreviewOrderResponse {
    pb::PreviewOrderResponse {
        allowed: !preview.verdicts.iter().any(Verdict::failed),
        verdicts: preview.verdicts.iter().map(verdict).collect(),
        estimated_value: preview.value.map(Into::into),
        estimated_cost: preview.cost.map(Into::into),
    }
}

/// Every engaged kill switch, and every hold on a client's orders as the switch that it is; for staff. The reason of a hold
/// stays with compliance.
pub fn switches(engaged: &[KillSwitch], holds: &[Hold]) -> pb::KillSwitchState {
    let switches = engaged.iter().map(|switch| pb::KillSwitchEntry {
        scope: switch.scope.as_str().to_owned(),
        target: switch.target.clone(),
        reason: switch.reason.for_staff().to_owned(),
        by: switch.by.clone(),
        at_micros: switch.at.micros(),
    });
    let held = holds.iter().map(|hold| pb::KillSwitchEntry {
        scope: Scope::Client.as_str().to_owned(),
        target: hold.owner.to_string(),
        reason: hold.client_text.to_string(),
        by: hold.by.clone(),
        at_micros: hold.at.micros(),
    });
    pb::KillSwitchState { engaged: switches.chain(held).collect() }
}
