//! Where trading days come from.

use std::collections::BTreeSet;

use async_trait::async_trait;
use moneta_contracts::events;
use moneta_types::{Clock, Date, Symbol};

use crate::bar::closes_at;
use crate::error::Result;
use crate::history::History;
use crate::store::Store;

/// A trading day and every bar that closed on it.
#[derive(Debug, Clone, PartialEq)]
pub struct TradingDay {
    /// Its date.
    pub date: Date,
    /// By symbol.
    pub bars: Vec<events::Bar>,
}

/// Something that knows which trading day comes next.
///
/// A source answers the same day for the same `after` for as long as nothing is imported, and never a day that is not
/// over. It keeps no position: the caller's transaction does.
#[async_trait]
pub trait BarSource: Send + Sync {
    /// The first trading day after `after` (from the beginning of the source without it); `None` when there is none yet.
    async fn next_day(&self, after: Option<Date>) -> Result<Option<TradingDay>>;

    /// Trading days up to `date` and in all, for showing progress.
    async fn progress(&self, date: Option<Date>) -> Result<(usize, usize)>;
}

/// Stored history between two dates, whatever time it is: the replay moves the clock to the day.
pub struct ReplaySource {
    days: StoredDays,
    from: Date,
    until: Option<Date>,
}

/// Stored history up to the machine's time: a day is there once it is over and an import has brought it.
pub struct LiveSource {
    days: StoredDays,
    clock: Clock,
}

impl ReplaySource {
    /// Days from `from` to `until`, both included; without `until`, to the end of what is stored.
    pub fn new(store: Store, history: History, reference: Symbol, from: Date, until: Option<Date>) -> Self {
        ReplaySource { days: StoredDays { store, history, reference }, from, until }
    }

    fn covers(&self, date: Date) -> bool {
        date >= self.from && self.until.is_none_or(|until| date <= until)
    }
}

impl LiveSource {
    /// Days that are over by `clock`.
    pub fn new(store: Store, history: History, reference: Symbol, clock: Clock) -> Self {
        LiveSource { days: StoredDays { store, history, reference }, clock }
    }
}

#[async_trait]
impl BarSource for ReplaySource {
    async fn next_day(&self, after: Option<Date>) -> Result<Option<TradingDay>> {
        let after = after.max(self.from.pred_opt());
        match self.days.next_date(after).await? {
            Some(date) if self.covers(date) => self.days.day(date).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn progress(&self, date: Option<Date>) -> Result<(usize, usize)> {
        let days = self.days.dates().await?;
        let covered = days.iter().filter(|day| self.covers(**day));
        Ok((covered.clone().filter(|day| Some(**day) <= date).count(), covered.count()))
    }
}

#[async_trait]
impl BarSource for LiveSource {
    async fn next_day(&self, after: Option<Date>) -> Result<Option<TradingDay>> {
        match self.days.next_date(after).await? {
            Some(date) if closes_at(date) <= self.clock.now() => self.days.day(date).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn progress(&self, date: Option<Date>) -> Result<(usize, usize)> {
        let days = self.days.dates().await?;
        Ok((days.iter().filter(|day| Some(**day) <= date).count(), days.len()))
    }
}

/// The days on which something tradable or the market reference has a bar. References of other markets, which trade on
/// other days, do not make a trading day, but their bars are told on the days that are.
struct StoredDays {
    store: Store,
    history: History,
    reference: Symbol,
}

impl StoredDays {
    async fn calendar(&self) -> Result<Vec<Symbol>> {
        let instruments = self.store.instruments().await?;
        let tradable = instruments.into_iter().filter(|instrument| instrument.kind.is_tradable());
        Ok(tradable.map(|instrument| instrument.symbol).chain([self.reference.clone()]).collect())
    }

    async fn dates(&self) -> Result<BTreeSet<Date>> {
        self.history.trading_days(&self.calendar().await?).await
    }

    async fn next_date(&self, after: Option<Date>) -> Result<Option<Date>> {
        let all = self.history.all().await?;
        let calendar = self.calendar().await?;
        Ok(calendar.iter().filter_map(|symbol| all.get(symbol)?.next_date(after)).min())
    }

    async fn day(&self, date: Date) -> Result<TradingDay> {
        let all = self.history.all().await?;
        let bars = all.iter().filter_map(|(symbol, series)| Some(series.on(date)?.event(symbol))).collect();
        Ok(TradingDay { date, bars })
    }
}
