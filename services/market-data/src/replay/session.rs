//! One phase of one day at a time.

use std::sync::Arc;
use std::time::Duration;

use moneta_contracts::events::{self, BarClosed, Event as _, SessionClosed};
use moneta_kit::bus::Quiet;
use moneta_kit::quarantine::{self, Unit};
use moneta_kit::store::Tx;
use moneta_types::{Cause, Clock, Date, Timestamp};
use tokio::sync::Mutex;

use super::source::{BarSource, TradingDay};
use crate::bar::closes_at;
use crate::error::{Error, Result};
use crate::falls::FallRule;
use crate::history::History;
use crate::sanity;
use crate::store::{self, Phase, Position, Store};

/// From the bars to the close of the session: what the bars cause happens in between.
const SESSION_CLOSES_AFTER: Duration = Duration::from_secs(5 * 60);

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The bars of this day were published.
    Bars(Date),
    /// The session of this day was closed.
    SessionClosed(Date),
    /// There is no further day.
    Finished,
}

/// How far the feed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last phase that was published.
    pub position: Option<Position>,
    /// Trading days whose bars were published.
    pub days_done: usize,
    /// Trading days of the source.
    pub days_total: usize,
}

/// The feed's position, and how it moves.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    store: Store,
    history: History,
    source: Box<dyn BarSource>,
    rule: FallRule,
    clock: Clock,
    quiet: Quiet,
    /// One step at a time, whoever asks.
    turn: Mutex<()>,
}

/// When the session of a date closes.
pub fn session_closes_at(date: Date) -> Timestamp {
    closes_at(date).plus(SESSION_CLOSES_AFTER)
}

impl Session {
    /// A feed from `source`; the clock is brought to where the feed stood when it was last stopped.
    ///
    /// # Errors
    /// [`Error::Store`] when the position cannot be read.
    pub async fn resume(
        store: Store,
        history: History,
        source: Box<dyn BarSource>,
        rule: FallRule,
        clock: Clock,
        quiet: Quiet,
    ) -> Result<Self> {
        if let Some(position) = store.position().await? {
            clock.advance_to(moment(position));
        }
        Ok(Session(Arc::new(Inner { store, history, source, rule, clock, quiet, turn: Mutex::new(()) })))
    }

    /// Begins a live feed at the newest day that is over; nothing if it has begun, or if there is no history yet.
    ///
    /// # Errors
    /// [`Error::Store`] when the position cannot be kept.
    pub async fn begin_at_newest(&self) -> Result<()> {
        let _turn = self.0.turn.lock().await;
        if self.0.store.position().await?.is_some() {
            return Ok(());
        }
        let all = self.0.history.all().await?;
        let now = self.0.clock.now();
        let newest = all.values().filter_map(|series| series.visible(now).last()).map(|bar| bar.date).max();
        if let Some(date) = newest {
            let mut tx = self.0.store.begin().await?;
            store::put_position(&mut tx, Position { date, phase: Phase::SessionClosed }).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Waits until the platform is at rest, and takes the next phase.
    ///
    /// # Errors
    /// [`Error::NoReference`] when the market reference has no bars; [`Error::Store`] and [`Error::Objects`].
    pub async fn advance(&self) -> Result<Step> {
        let _turn = self.0.turn.lock().await;
        self.rest().await;
        match self.0.store.position().await? {
            Some(Position { date, phase: Phase::Bars }) => self.close_session(date).await,
            position => self.publish_bars(position.map(|position| position.date)).await,
        }
    }

    /// A replay, which must give the same bytes again, waits until everything has had its effect. A live market waits for
    /// nobody: what a phase caused is given the time that lies between two phases anyway, and what fails until then (an
    /// event that is parked, a consumer that is down) catches up by itself.
    async fn rest(&self) {
        if self.0.clock.is_replay() {
            self.0.quiet.wait().await;
        } else if !self.0.quiet.settled(SESSION_CLOSES_AFTER).await {
            tracing::warn!("the market goes on although consumers have not come to its end");
        }
    }

    /// How far the feed is.
    ///
    /// # Errors
    /// [`Error::Store`] and [`Error::Objects`].
    pub async fn progress(&self) -> Result<Progress> {
        let position = self.0.store.position().await?;
        let (days_done, days_total) = self.0.source.progress(position.map(|position| position.date)).await?;
        Ok(Progress { position, days_done, days_total })
    }

    async fn publish_bars(&self, after: Option<Date>) -> Result<Step> {
        let Some(day) = self.0.source.next_day(after).await? else { return Ok(Step::Finished) };
        let date = day.date;
        let reference = self.0.history.series(&self.0.rule.reference).await?;
        if reference.all().is_empty() {
            return Err(Error::NoReference(self.0.rule.reference.clone()));
        }
        self.0.clock.advance_to(closes_at(date));
        let visible = reference.visible(closes_at(date));
        // A day on which the reference did not trade moves no market.
        let falls = match visible.last() {
            Some(bar) if bar.date == date => self.0.rule.on_newest(visible),
            _ => Vec::new(),
        };
        let position = Position { date, phase: Phase::Bars };
        let mut tx = self.0.store.begin().await?;
        store::put_position(&mut tx, position).await?;
        let bars = self.believed(&mut tx, day, cause(position)).await?;
        let trusted = bars.iter().any(|bar| bar.symbol == self.0.rule.reference);
        tx.publish(&BarClosed { date, bars }, cause(position), &self.0.clock).await?;
        for fall in falls.iter().filter(|_| trusted) {
            tx.publish(fall, cause(position), &self.0.clock).await?;
        }
        tx.commit().await?;
        Ok(Step::Bars(date))
    }

    /// The bars of a day that are believed. An instrument whose bar is not is set aside, without the day: it has no bar
    /// until its history is put right and it is released.
    async fn believed(&self, tx: &mut Tx, day: TradingDay, cause: Cause) -> Result<Vec<events::Bar>> {
        let held = quarantine::held(tx, store::INSTRUMENT).await?;
        let allowed = store::allowed_jumps(tx).await?;
        let all = self.0.history.all().await?;
        let mut bars = Vec::with_capacity(day.bars.len());
        for bar in day.bars {
            if held.contains(bar.symbol.as_str()) {
                continue;
            }
            let series = all.get(&bar.symbol);
            let known = series.and_then(|series| series.on(day.date));
            let leap = || {
                let before = series?.before(day.date)?;
                let genuine = allowed.contains(&(bar.symbol.clone(), day.date));
                sanity::jump(before, known?).filter(|_| !genuine)
            };
            let Some(fault) = known.and_then(sanity::range).or_else(leap) else {
                bars.push(bar);
                continue;
            };
            let unit = Unit::new(store::INSTRUMENT, &bar.symbol);
            let why = format!("{} {} on {} is not believed: {}", fault.field, fault.value, day.date, fault.allowed);
            quarantine::hold(tx, &unit, "", BarClosed::TYPE, &why, cause, &self.0.clock).await?;
        }
        Ok(bars)
    }

    async fn close_session(&self, date: Date) -> Result<Step> {
        self.0.clock.advance_to(session_closes_at(date));
        let position = Position { date, phase: Phase::SessionClosed };
        let mut tx = self.0.store.begin().await?;
        store::put_position(&mut tx, position).await?;
        tx.publish(&SessionClosed { date }, cause(position), &self.0.clock).await?;
        tx.commit().await?;
        Ok(Step::SessionClosed(date))
    }
}

/// The clock of a replay at a position.
fn moment(position: Position) -> Timestamp {
    match position.phase {
        Phase::Bars => closes_at(position.date),
        Phase::SessionClosed => session_closes_at(position.date),
    }
}

/// Every id that a phase of a day brings about comes from this.
fn cause(position: Position) -> Cause {
    Cause::named(&format!("market-data/{}/{}", position.date, position.phase.as_str()))
}
