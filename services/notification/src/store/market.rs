//! Falls of the market and values of portfolios, until the two meet.
use super::Store;
use crate::Result;
use moneta_contracts::events::{MarketMoved, PortfolioValued};
use moneta_kit::{
    args,
    bus::Envelope,
    store::{Row, Tx},
};
use moneta_types::{Date, EventId, Money, PortfolioId, UserId};
use rust_decimal::Decimal;

/// A fall of the market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketFall {
    /// The event.
    pub event_id: EventId,
    /// The day.
    pub date: Date,
    /// What stands for the market.
    pub reference: String,
    /// one_day or from_peak.
    pub kind: String,
    /// Fraction above zero.
    pub fall: Decimal,
    /// The day it fell from.
    pub from_date: Date,
}

impl MarketFall {
    /// What an event tells.
    pub fn of(event: &Envelope, moved: &MarketMoved) -> Self {
        Self {
            event_id: event.id,
            date: moved.date,
            reference: moved.reference_symbol.to_string(),
            kind: moved.kind.clone(),
            fall: moved.fall,
            from_date: moved.from_date,
        }
    }
}

/// What a portfolio was worth at the end of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Valuation {
    /// The portfolio.
    pub portfolio_id: PortfolioId,
    /// Whose.
    pub owner_id: UserId,
    /// The day.
    pub date: Date,
    /// Cash and market value.
    pub value: Money,
    /// Cash alone.
    pub cash: Money,
}

impl Valuation {
    /// Whether anything but cash is held.
    pub fn is_invested(&self) -> bool {
        self.value != self.cash
    }
}

impl From<&PortfolioValued> for Valuation {
    fn from(valued: &PortfolioValued) -> Self {
        Self {
            portfolio_id: valued.portfolio_id,
            owner_id: valued.owner_id,
            date: valued.date,
            value: valued.value,
            cash: valued.cash,
        }
    }
}

impl Store {
    /// Notes a fall of the market.
    pub async fn note_fall(&self, tx: &mut Tx, fall: &MarketFall) -> Result<()> {
        tx.execute(
            "INSERT INTO market_falls (event_id, date, reference, kind, fall, from_date) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (event_id) DO NOTHING",
            args![fall.event_id, fall.date, fall.reference, fall.kind, fall.fall, fall.from_date],
        )
        .await?;
        Ok(())
    }

    /// The falls of a day.
    pub async fn falls(&self, date: Date) -> Result<Vec<MarketFall>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT event_id, date, reference, kind, fall, from_date FROM market_falls WHERE date = $1 ORDER BY kind, event_id",
                args![date],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(MarketFall {
                    event_id: row.get("event_id")?,
                    date: row.get("date")?,
                    reference: row.text("reference")?,
                    kind: row.text("kind")?,
                    fall: row.get("fall")?,
                    from_date: row.get("from_date")?,
                })
            })
            .collect()
    }

    /// Notes what a portfolio is worth.
    pub async fn note_valuation(&self, tx: &mut Tx, valuation: &Valuation) -> Result<()> {
        tx.execute(
            "INSERT INTO valuations (portfolio_id, owner_id, date, value_minor, cash_minor, currency) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (portfolio_id) DO UPDATE SET date = excluded.date, \
             value_minor = excluded.value_minor, cash_minor = excluded.cash_minor WHERE valuations.date <= excluded.date",
            args![
                valuation.portfolio_id,
                valuation.owner_id,
                valuation.date,
                valuation.value,
                valuation.cash,
                valuation.value.currency()
            ],
        )
        .await?;
        Ok(())
    }

    /// What portfolios were worth at the end of a day, as far as it is their last.
    pub async fn valuations(&self, date: Date) -> Result<Vec<Valuation>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT portfolio_id, owner_id, date, value_minor, cash_minor, currency FROM valuations WHERE date = $1 \
                 ORDER BY portfolio_id",
                args![date],
            )
            .await?;
        // One that cannot be read hides none of the others.
        let readable =
            |row| valuation(row).inspect_err(|error| tracing::error!(%error, "a valuation cannot be read")).ok();
        Ok(rows.iter().filter_map(readable).collect())
    }
}

fn valuation(row: &Row) -> Result<Valuation> {
    Ok(Valuation {
        portfolio_id: row.get("portfolio_id")?,
        owner_id: row.get("owner_id")?,
        date: row.get("date")?,
        value: row.money("value_minor", "currency")?,
        cash: row.money("cash_minor", "currency")?,
    })
}
