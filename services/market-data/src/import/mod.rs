//! Bringing in history: everything is read and checked first, then put in place in one transaction.
//!
//! Series are written to the object store under their digests, where nothing refers to them yet; one transaction then
//! points at them. A crash before its commit leaves the old history and some unreferenced objects, which the next import
//! removes. Importing the same files again writes the same objects and changes no row.

mod instruments;
mod parse;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use moneta_kit::entropy::SystemClock;
use moneta_kit::store::{Db, Tx};
use moneta_types::{Currency, Date, Symbol, WallClock as _};
use serde::Serialize;

use crate::bar::Series;
use crate::error::{Error, Result};
use crate::instrument::Instrument;
use crate::objects::{self, Objects};
use crate::sanity::{self, Fault};
use crate::store::{self, Store};
use parse::{Place, Places};

/// What files do not say.
#[derive(Debug, Clone)]
pub struct Options {
    /// Currency of symbols that no instruments file names; they are taken for shares.
    pub currency: Currency,
    /// The last day that history can have.
    pub today: Date,
    /// Leaps of a price that are genuine, by symbol and date.
    pub allow_jumps: BTreeSet<(Symbol, Date)>,
}

impl Default for Options {
    fn default() -> Self {
        Options { currency: Currency::Usd, today: SystemClock.now().date(), allow_jumps: BTreeSet::new() }
    }
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Instruments that are new or changed.
    pub instruments: usize,
    /// What became of each series, by symbol.
    pub series: Vec<SeriesReport>,
    /// Columns that were not understood and not used, as `file: column`.
    pub ignored_columns: Vec<String>,
    /// Moves that look like a split for which the series is not adjusted; for a person to look at.
    pub probable_splits: Vec<String>,
}

/// What became of one series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeriesReport {
    /// The instrument.
    pub symbol: Symbol,
    /// Bars that the files hold.
    pub read: usize,
    /// Dates that were not there before.
    pub added: usize,
    /// Dates whose bar is another than before.
    pub changed: usize,
    /// First date of the series as it now is.
    pub first: Date,
    /// Last date of the series as it now is.
    pub last: Date,
}

/// What files hold, checked.
#[derive(Debug, Default)]
struct Contents {
    instruments: BTreeMap<Symbol, Instrument>,
    series: BTreeMap<Symbol, Series>,
    places: Places,
    currencies: BTreeMap<Symbol, (Currency, Place)>,
    ignored_columns: Vec<String>,
}

/// Imports into the market-data service's database and object store, whether or not the service runs.
#[derive(Clone)]
pub struct Importer {
    store: Store,
    objects: Objects,
}

impl Importer {
    /// An importer into `db`, with objects in the service's data directory.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder of objects cannot be made.
    pub fn open(db: Db, data_dir: &Path) -> Result<Self> {
        Ok(Importer { store: Store::new(db), objects: Objects::local(&data_dir.join(objects::FOLDER))? })
    }

    /// Imports CSV and Parquet files, and those in folders; all of it or nothing.
    ///
    /// # Errors
    /// The first thing that is wrong in the files, by file, line, column and value; or a failure to store.
    pub async fn import(&self, paths: &[PathBuf], options: Options) -> Result<Report> {
        let (owned, today) = (paths.to_vec(), options.today);
        let contents = tokio::task::spawn_blocking(move || read(&owned, today)).await.map_err(|_| Error::Reader)??;
        let (tx, report) = self.stage(contents, options).await?;
        tx.commit().await?;
        self.sweep().await?;
        Ok(report)
    }

    /// Writes the objects and the transaction that points at them, and leaves the commit to the caller.
    async fn stage(&self, contents: Contents, options: Options) -> Result<(Tx, Report)> {
        let mut tx = self.store.begin().await?;
        let mut report = Report { ignored_columns: contents.ignored_columns, ..Report::default() };
        let mut known = store::instruments_in(&mut tx).await?;
        let named = |symbol: &Symbol| contents.currencies.get(symbol).map(|(currency, _)| *currency);
        let unnamed: Vec<Instrument> = contents
            .series
            .keys()
            .filter(|symbol| !known.contains_key(symbol) && !contents.instruments.contains_key(symbol))
            .map(|symbol| Instrument::unnamed(symbol.clone(), named(symbol).unwrap_or(options.currency)))
            .collect();
        let stored = store::series_in(&mut tx).await?;
        for (symbol, instrument) in &contents.instruments {
            // Prices that are there already would change their meaning.
            let before = known.get(symbol).filter(|_| stored.contains_key(symbol)).map(|known| known.currency);
            if let Some(before) = before.filter(|before| *before != instrument.currency) {
                return Err(Error::CurrencyChange { symbol: symbol.clone(), before, given: instrument.currency });
            }
        }
        for instrument in contents.instruments.into_values().chain(unnamed) {
            if known.get(&instrument.symbol) != Some(&instrument) {
                store::put_instrument(&mut tx, &instrument).await?;
                report.instruments += 1;
                known.insert(instrument.symbol.clone(), instrument);
            }
        }
        for (symbol, (given, place)) in &contents.currencies {
            if let Some(instrument) = known.get(symbol).filter(|instrument| instrument.currency != *given) {
                let allowed = format!("{}, the currency of {symbol}", instrument.currency);
                return Err(place.refuse(Fault { field: "currency", value: given.to_string(), allowed }));
            }
        }
        for (symbol, date) in &options.allow_jumps {
            store::allow_jump(&mut tx, symbol, *date).await?;
        }
        let allowed = store::allowed_jumps(&mut tx).await?;
        for (symbol, newer) in contents.series {
            let current = match stored.get(&symbol) {
                Some(record) => self.objects.get(record).await?,
                None => Series::default(),
            };
            let (merged, added, changed) = current.merge(&newer);
            if let Some(places) = contents.places.get(&symbol) {
                check_jumps(&symbol, &merged, places, &allowed, &mut report.probable_splits)?;
            }
            let (Some(first), Some(last)) = (merged.all().first(), merged.all().last()) else { continue };
            report.series.push(SeriesReport {
                symbol: symbol.clone(),
                read: newer.all().len(),
                added,
                changed,
                first: first.date,
                last: last.date,
            });
            if added + changed > 0 {
                let object = self.objects.put(&symbol, &merged).await?;
                store::put_series(&mut tx, &object, &merged).await?;
            }
        }
        Ok((tx, report))
    }

    /// Removes objects that no series refers to. It holds the writer's turn, so that no other import is between writing
    /// its objects and pointing at them.
    async fn sweep(&self) -> Result<()> {
        let mut tx = self.store.begin().await?;
        let used: BTreeSet<String> =
            store::series_in(&mut tx).await?.into_values().map(|stored| stored.object).collect();
        for object in self.objects.list().await? {
            if !used.contains(&object) {
                self.objects.delete(&object).await?;
            }
        }
        Ok(tx.rollback().await?)
    }
}

/// Refuses leaps between neighbouring days of a series as it will be, at the days that the files bring or follow.
fn check_jumps(
    symbol: &Symbol,
    merged: &Series,
    places: &BTreeMap<Date, Place>,
    allowed: &BTreeSet<(Symbol, Date)>,
    splits: &mut Vec<String>,
) -> Result<()> {
    for pair in merged.all().windows(2) {
        let [before, bar] = pair else { continue };
        let Some(place) = places.get(&bar.date).or_else(|| places.get(&before.date)) else { continue };
        if allowed.contains(&(symbol.clone(), bar.date)) {
            continue;
        }
        if let Some(fault) = sanity::jump(before, bar) {
            let hint =
                format!("{}; a genuine leap is let through by --allow-jumps {symbol}:{}", fault.allowed, bar.date);
            return Err(place.refuse(Fault { allowed: hint, ..fault }));
        }
        if let Some(ratio) = sanity::unadjusted_split(before, bar) {
            let (from, to) = (before.adj_close, bar.adj_close);
            splits.push(format!("{symbol} {}: {from} to {to}, probably a {ratio} split not adjusted for", bar.date));
        }
    }
    Ok(())
}

/// Reads and checks all files; a symbol's bars may come from several of them.
fn read(paths: &[PathBuf], today: Date) -> Result<Contents> {
    let mut contents = Contents::default();
    let mut bars = parse::Bars::new(today);
    for file in table::files(paths)? {
        let table = table::read(&file)?;
        if instruments::describes(&table) {
            for instrument in instruments::parse(&table)? {
                contents.instruments.insert(instrument.symbol.clone(), instrument);
            }
        } else {
            contents.ignored_columns.extend(bars.add(&table)?);
        }
    }
    contents.currencies = std::mem::take(&mut bars.currencies);
    (contents.series, contents.places) = bars.into_series();
    Ok(contents)
}

#[cfg(test)]
mod tests;
