//! Portfolios: holdings, performance, transactions, drift, plans, attribution.
use super::{Money, Time, Weight, view};
use moneta_contracts::portfolio as pb;
use serde::Serialize;
use utoipa::ToSchema;

view! {
    /// A portfolio with its holdings at the latest prices.
    Portfolio of pb::PortfolioView {
        portfolio_id: String,
        owner_id: String,
        name: String,
        currency: String,
        /// Grows with every change.
        version: u64,
        cash: Option<Money>,
        /// Cash and market value.
        value: Option<Money>,
        holdings: Vec<Holding>,
        /// Target allocation, CASH included; empty when none is set.
        target: Vec<Weight>,
        /// Day of the prices used.
        valued_on: Option<String>,
        net_contributions: Option<Money>,
        prices_stale: bool,
    }
}

view! {
    /// What is held of one instrument.
    Holding of pb::Holding {
        symbol: String,
        quantity: Option<String>,
        /// Of the open lots, costs included.
        cost_basis: Option<Money>,
        /// Latest close.
        price: Option<String>,
        price_date: Option<String>,
        market_value: Option<Money>,
        unrealised_gain: Option<Money>,
        /// Decimal fraction of the portfolio's value.
        weight: String,
        lots: Vec<Lot>,
    }
}

view! {
    /// What was bought at one time.
    Lot of pb::Lot {
        lot_id: String,
        opened: String,
        quantity: Option<String>,
        cost: Option<Money>,
    }
}

view! {
    /// Performance over a period.
    Performance of pb::PerformanceResponse {
        from: String,
        to: String,
        start_value: Option<Money>,
        end_value: Option<Money>,
        net_flows: Option<Money>,
        /// Decimal fraction over the period.
        time_weighted_return: String,
        /// Null under a year.
        time_weighted_annualised: Option<String>,
        /// Annual; every root is given, none when none exists.
        money_weighted_returns: Vec<String>,
        /// Decimal fraction, 0 or more.
        max_drawdown: String,
        /// Annualised, decimal fraction; null under 21 days.
        volatility: Option<String>,
        series: Vec<ValuePoint>,
        /// Days that could not be valued and never will be; the return of the day after spans them.
        not_valued: Vec<String>,
    }
}

view! {
    /// The value at the end of a day.
    ValuePoint of pb::ValuePoint {
        date: String,
        value: Option<Money>,
        net_contributions: Option<Money>,
        /// 1 at the beginning of the period.
        twr_index: String,
    }
}

view! {
    /// A booked transaction.
    Transaction of pb::Transaction {
        transaction_id: String,
        /// deposit, withdrawal, buy, sell, commission, dividend, split or correction
        kind: String,
        at [at_micros]: Option<Time>,
        date: String,
        symbol: Option<String>,
        /// Signed: buys are positive.
        quantity: Option<String>,
        price: Option<String>,
        /// Effect on cash, signed.
        amount: Option<Money>,
        realised_gain: Option<Money>,
        order_id: Option<String>,
        execution_id: Option<String>,
        note: Option<String>,
        postings: Vec<Posting>,
    }
}

view! {
    /// One side of a transaction in the ledger; debits are positive, and all postings of a transaction sum to zero.
    Posting of pb::Posting {
        account: String,
        amount: Option<Money>,
    }
}

view! {
    /// How far the portfolio is from its target.
    Drift of pb::DriftResponse {
        /// Half the sum of all differences, decimal fraction.
        drift: String,
        items: Vec<DriftItem>,
        beyond_band: bool,
        band: String,
    }
}

view! {
    /// How far one instrument is from its target.
    DriftItem of pb::DriftItem {
        symbol: String,
        weight: String,
        target: String,
        difference: String,
    }
}

view! {
    /// Trades that would bring the portfolio back to its target.
    RebalancePlan of pb::RebalancePlanResponse {
        portfolio_version: u64,
        trades: Vec<PlannedTrade>,
        drift_before: String,
        drift_after: String,
        turnover: String,
        total_cost: Option<Money>,
    }
}

view! {
    /// One trade of a plan.
    PlannedTrade of pb::PlannedTrade {
        symbol: String,
        side: String,
        quantity: Option<String>,
        reference_price: Option<String>,
        estimated_value: Option<Money>,
        /// Half the spread and the commission.
        estimated_cost: Option<Money>,
        /// Realised gain of the lots that would be sold.
        estimated_gain: Option<Money>,
    }
}

view! {
    /// Why the value moved: start + flows + the effects of prices + costs = end.
    Attribution of pb::AttributionResponse {
        from: String,
        to: String,
        start_value: Option<Money>,
        end_value: Option<Money>,
        net_flows: Option<Money>,
        /// Zero or below.
        costs: Option<Money>,
        items: Vec<AttributionItem>,
    }
}

view! {
    /// What the price of one instrument did to the value.
    AttributionItem of pb::AttributionItem {
        symbol: String,
        price_effect: Option<Money>,
        contribution: String,
        price_return: String,
    }
}

view! {
    /// A deposit or withdrawal that was booked.
    CashMovement of pb::CashMovementResponse {
        transaction_id: String,
        /// Cash afterwards.
        cash: Option<Money>,
        version: u64,
    }
}

/// A thing that may be shown from memory.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Shown<T> {
    #[serde(flatten)]
    pub thing: T,
    /// Seconds since this was true; present only when the service does not answer and the last known state is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_seconds: Option<u64>,
}
