//! Orders and the kill switch.
use super::{Money, Time, Verdict, view};
use moneta_contracts::trading as pb;

view! {
    /// An order.
    Order of pb::Order {
        order_id: String,
        /// Made before the order went to the broker.
        client_order_id: String,
        portfolio_id: String,
        owner_id: String,
        symbol: String,
        /// buy or sell
        side: String,
        quantity: Option<String>,
        filled: Option<String>,
        /// market or limit
        order_type: String,
        limit_price: Option<String>,
        /// initialized, denied, submitted, accepted, rejected, partially_filled, filled, pending_update, pending_cancel,
        /// canceled, expired or unknown
        status: String,
        /// self_directed, recommendation or agent
        origin: String,
        recommendation_id: Option<String>,
        decision_id: Option<String>,
        verdicts: Vec<Verdict>,
        /// Of a denial, reject or cancel.
        reason: Option<String>,
        average_price: Option<String>,
        commission: Option<Money>,
        created_at [created_micros]: Option<Time>,
        updated_at [updated_micros]: Option<Time>,
        version: u64,
        fills: Vec<Fill>,
        idempotency_key: Option<String>,
        time_in_force: String,
    }
}

view! {
    /// A part of an order that was executed.
    Fill of pb::Fill {
        execution_id: String,
        quantity: Option<String>,
        price: Option<String>,
        commission: Option<Money>,
        at [at_micros]: Option<Time>,
        date: String,
    }
}

view! {
    /// What the controls would say to an order.
    OrderPreview of pb::PreviewOrderResponse {
        allowed: bool,
        verdicts: Vec<Verdict>,
        estimated_value: Option<Money>,
        estimated_cost: Option<Money>,
    }
}

view! {
    /// What is stopped.
    KillSwitch of pb::KillSwitchState {
        engaged: Vec<KillSwitchEntry>,
    }
}

view! {
    /// One stop.
    KillSwitchEntry of pb::KillSwitchEntry {
        /// all, client, agent or instrument
        scope: String,
        target: Option<String>,
        reason: String,
        by: String,
        at [at_micros]: Option<Time>,
    }
}
