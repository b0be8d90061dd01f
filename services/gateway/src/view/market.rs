//! Instruments, prices, the state of the market and of the replay.
use super::{Time, view};
use moneta_contracts::market_data as pb;

view! {
    /// Something that can be held, or that others are compared with.
    Instrument of pb::Instrument {
        symbol: String,
        name: String,
        /// share, fund, index or cash
        kind: String,
        currency: String,
        tradable: bool,
        /// Names that people use.
        aliases: Vec<String>,
        /// Complex in the sense of COBS 10A.
        complex: bool,
    }
}

view! {
    /// The latest price of an instrument.
    LatestPrice of pb::LatestPrice {
        symbol: String,
        /// The close.
        price: Option<String>,
        date: String,
        as_of [as_of_micros]: Option<Time>,
        age_seconds: i64,
        /// Older than the limit.
        stale: bool,
        previous_close: Option<String>,
        /// Shares, 20 days; 0 when unknown.
        average_daily_volume: i64,
    }
}

view! {
    /// One trading day of an instrument; prices are decimal text in its currency.
    Bar of pb::Bar {
        symbol: String,
        date: String,
        open: String,
        high: String,
        low: String,
        close: String,
        adj_close: String,
        /// Shares; 0 when the source has none.
        volume: i64,
    }
}

view! {
    /// The state of the market.
    MarketState of pb::MarketStateResponse {
        reference_symbol: String,
        /// The last closed trading day.
        last_date: Option<String>,
        session_closed: bool,
        /// Decimal fraction below the 21-day high, 0 or more.
        fall_from_peak: Option<String>,
    }
}

view! {
    /// The state of the replay.
    ReplayStatus of pb::ReplayStatusResponse {
        active: bool,
        date: Option<String>,
        phase: Option<String>,
        until: Option<String>,
        days_done: u32,
        days_total: u32,
    }
}
