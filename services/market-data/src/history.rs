//! Every series, read once and kept until an import replaces it.
//!
//! The database says which object is current on every read, so an import by another process is seen at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use moneta_feature_pipeline::Bar;
use moneta_feature_pipeline::polars::prelude::DataFrame;
use moneta_kit::store::Db;
use moneta_types::{Date, Price, Symbol};
use rust_decimal::prelude::ToPrimitive as _;
use tokio::sync::Mutex;

use crate::bar::Series;
use crate::error::{Error, Result};
use crate::objects::{self, Objects, StoredSeries};
use crate::store::Store;

/// What was read, with the digest of the object it was read from.
type Cache = HashMap<Symbol, (String, Arc<Series>)>;

/// The stored history.
#[derive(Clone)]
pub struct History {
    store: Store,
    objects: Objects,
    cache: Arc<Mutex<Cache>>,
}

impl History {
    pub fn new(store: Store, objects: Objects) -> Self {
        History { store, objects, cache: Arc::default() }
    }

    /// The series of one instrument; empty when it has none.
    pub async fn series(&self, symbol: &Symbol) -> Result<Arc<Series>> {
        Ok(self.all().await?.remove(symbol).unwrap_or_default())
    }

    /// Every series, by symbol.
    ///
    /// # Errors
    /// [`Error::Damaged`] when stored bytes are not what was written; [`Error::Store`] and [`Error::Objects`].
    pub async fn all(&self) -> Result<BTreeMap<Symbol, Arc<Series>>> {
        match self.load().await {
            // An import of another process may have removed the object between the two reads: the new record names another.
            Err(Error::Objects(object_store::Error::NotFound { .. })) => self.load().await,
            other => other,
        }
    }

    /// The days on which any of these instruments trades, in order.
    pub async fn trading_days(&self, symbols: &[Symbol]) -> Result<BTreeSet<Date>> {
        let all = self.all().await?;
        let chosen = symbols.iter().filter_map(|symbol| all.get(symbol));
        Ok(chosen.flat_map(|series| series.all().iter().map(|bar| bar.date)).collect())
    }

    async fn load(&self) -> Result<BTreeMap<Symbol, Arc<Series>>> {
        let stored = self.store.series().await?;
        let mut cache = self.cache.lock().await;
        let mut all = BTreeMap::new();
        for record in stored {
            let series = match cache.get(&record.symbol) {
                Some((sha256, series)) if *sha256 == record.sha256 => series.clone(),
                _ => self.read(&mut cache, &record).await?,
            };
            all.insert(record.symbol, series);
        }
        Ok(all)
    }

    async fn read(&self, cache: &mut Cache, record: &StoredSeries) -> Result<Arc<Series>> {
        let series = Arc::new(self.objects.get(record).await?);
        cache.insert(record.symbol.clone(), (record.sha256.clone(), series.clone()));
        Ok(series)
    }
}

/// Every stored series as one frame of bars, for features over the whole history.
///
/// # Errors
/// [`Error::Damaged`] when stored bytes are not what was written; [`Error::Store`], [`Error::Objects`], [`Error::Polars`].
pub async fn bars_frame(db: Db, data_dir: &Path) -> Result<DataFrame> {
    let history = History::new(Store::new(db), Objects::local(&data_dir.join(objects::FOLDER))?);
    let all = history.all().await?;
    let float = |price: Price| price.value().to_f64().unwrap_or(f64::NAN);
    let rows: Vec<(&str, Bar)> = all
        .iter()
        .flat_map(|(symbol, series)| series.all().iter().map(move |bar| (symbol.as_str(), bar)))
        .map(|(symbol, bar)| {
            let row = Bar {
                date: bar.date,
                open: Some(float(bar.open)),
                high: Some(float(bar.high)),
                low: Some(float(bar.low)),
                close: float(bar.close),
                adj_close: float(bar.adj_close),
                volume: (bar.volume > 0).then_some(bar.volume as f64),
            };
            (symbol, row)
        })
        .collect();
    Ok(moneta_feature_pipeline::frame::bars_frame(&rows)?)
}
