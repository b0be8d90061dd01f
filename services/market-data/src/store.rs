//! The service's database: instruments, which object holds each series, and how far the feed has come.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use moneta_kit::args;
use moneta_kit::quarantine;
use moneta_kit::store::{Db, Row, Tx};
use moneta_types::{Date, Symbol};

use crate::bar::Series;
use crate::error::{Error, Result};
use crate::instrument::Instrument;
use crate::objects::StoredSeries;

/// What an instrument is called in quarantine.
pub const INSTRUMENT: &str = "instrument";

/// The two phases of a trading day, as the replay protocol has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The day's bars are published.
    Bars,
    /// Everything that the bars caused is booked, and the session is closed.
    SessionClosed,
}

impl Phase {
    /// The name in the contract and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Bars => "bars",
            Phase::SessionClosed => "session_closed",
        }
    }
}

impl FromStr for Phase {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "bars" => Ok(Phase::Bars),
            "session_closed" => Ok(Phase::SessionClosed),
            _ => Err(Error::Stored { what: "feed phase", value: text.to_owned() }),
        }
    }
}

/// How far the feed has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub date: Date,
    pub phase: Phase,
}

/// Reads; writes go through a transaction.
#[derive(Clone)]
pub struct Store(Db);

const INSTRUMENTS: &str = "SELECT symbol, name, kind, currency, aliases, complex FROM instruments ORDER BY symbol";
const SERIES: &str = "SELECT symbol, object, sha256 FROM series ORDER BY symbol";

impl Store {
    pub fn new(db: Db) -> Self {
        Store(db)
    }

    pub async fn begin(&self) -> Result<Tx> {
        Ok(self.0.begin().await?)
    }

    /// Every instrument, by symbol.
    pub async fn instruments(&self) -> Result<Vec<Instrument>> {
        self.0.fetch_all(INSTRUMENTS, args![]).await?.iter().map(instrument).collect()
    }

    /// Every stored series, by symbol.
    pub async fn series(&self) -> Result<Vec<StoredSeries>> {
        self.0.fetch_all(SERIES, args![]).await?.iter().map(stored_series).collect()
    }

    /// Instruments that are set aside because a bar of theirs is not believed.
    pub async fn distrusted(&self) -> Result<BTreeSet<String>> {
        let held = quarantine::list(&self.0).await?;
        Ok(held.into_iter().filter(|entry| entry.unit.kind == INSTRUMENT).map(|entry| entry.unit.id).collect())
    }

    /// How far the feed has come; `None` before the first day.
    pub async fn position(&self) -> Result<Option<Position>> {
        let row = self.0.fetch_optional("SELECT date, phase FROM feed WHERE id = 1", args![]).await?;
        row.map(|row| Ok(Position { date: row.get("date")?, phase: row.text("phase")?.parse()? })).transpose()
    }

    /// The first day of the feed; `None` before it.
    pub async fn started(&self) -> Result<Option<Date>> {
        let row = self.0.fetch_optional("SELECT started FROM feed WHERE id = 1", args![]).await?;
        Ok(row.map(|row| row.get("started")).transpose()?)
    }
}

/// Stored series by symbol, seen inside the transaction.
pub async fn series_in(tx: &mut Tx) -> Result<BTreeMap<Symbol, StoredSeries>> {
    let rows = tx.fetch_all(SERIES, args![]).await?;
    rows.iter().map(stored_series).map(|stored| stored.map(|stored| (stored.symbol.clone(), stored))).collect()
}

/// Instruments by symbol, seen inside the transaction.
pub async fn instruments_in(tx: &mut Tx) -> Result<BTreeMap<Symbol, Instrument>> {
    let rows = tx.fetch_all(INSTRUMENTS, args![]).await?;
    rows.iter().map(instrument).map(|known| known.map(|known| (known.symbol.clone(), known))).collect()
}

/// Notes that a leap of a price on a day is genuine.
pub async fn allow_jump(tx: &mut Tx, symbol: &Symbol, date: Date) -> Result<()> {
    let sql = "INSERT INTO allowed_jumps (symbol, date) VALUES ($1, $2) ON CONFLICT (symbol, date) DO NOTHING";
    tx.execute(sql, args![symbol, date]).await?;
    Ok(())
}

/// Leaps that are known to be genuine.
pub async fn allowed_jumps(tx: &mut Tx) -> Result<BTreeSet<(Symbol, Date)>> {
    let rows = tx.fetch_all("SELECT symbol, date FROM allowed_jumps", args![]).await?;
    rows.iter().map(|row| Ok((row.get("symbol")?, row.get("date")?))).collect()
}

pub async fn put_instrument(tx: &mut Tx, instrument: &Instrument) -> Result<()> {
    tx.execute(
        "INSERT INTO instruments (symbol, name, kind, currency, aliases, complex) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (symbol) DO UPDATE SET name = excluded.name, kind = excluded.kind, currency = excluded.currency, \
         aliases = excluded.aliases, complex = excluded.complex",
        args![
            &instrument.symbol,
            instrument.name.as_str(),
            instrument.kind.as_str(),
            instrument.currency,
            instrument.aliases.join("|"),
            instrument.complex
        ],
    )
    .await?;
    Ok(())
}

pub async fn put_series(tx: &mut Tx, stored: &StoredSeries, series: &Series) -> Result<()> {
    let (Some(first), Some(last)) = (series.all().first(), series.all().last()) else { return Ok(()) };
    tx.execute(
        "INSERT INTO series (symbol, object, sha256, bars, first_date, last_date) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (symbol) DO UPDATE SET object = excluded.object, sha256 = excluded.sha256, bars = excluded.bars, \
         first_date = excluded.first_date, last_date = excluded.last_date",
        args![
            &stored.symbol,
            stored.object.as_str(),
            stored.sha256.as_str(),
            series.all().len() as i64,
            first.date,
            last.date
        ],
    )
    .await?;
    Ok(())
}

pub async fn put_position(tx: &mut Tx, position: Position) -> Result<()> {
    tx.execute(
        "INSERT INTO feed (id, date, phase, started) VALUES (1, $1, $2, $1) \
         ON CONFLICT (id) DO UPDATE SET date = excluded.date, phase = excluded.phase",
        args![position.date, position.phase.as_str()],
    )
    .await?;
    Ok(())
}

fn instrument(row: &Row) -> Result<Instrument> {
    let aliases = row.text("aliases")?;
    Ok(Instrument {
        symbol: row.get("symbol")?,
        name: row.text("name")?,
        kind: row.text("kind")?.parse()?,
        currency: row.get("currency")?,
        aliases: aliases.split('|').filter(|alias| !alias.is_empty()).map(str::to_owned).collect(),
        complex: row.get("complex")?,
    })
}

fn stored_series(row: &Row) -> Result<StoredSeries> {
    Ok(StoredSeries { symbol: row.get("symbol")?, object: row.text("object")?, sha256: row.text("sha256")? })
}
