//! Series as Parquet files in the object store, one an instrument, named by their own digest and never changed.
//!
//! Prices are decimal text, because a price is never a binary fraction here; `date` is a Date and `volume` an integer, so
//! any reader of Parquet can look inside.

use std::io::Cursor;
use std::path::Path as FilePath;
use std::sync::Arc;

use moneta_feature_pipeline::polars::prelude::*;
use moneta_types::{Date, Price, Symbol};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};

use crate::bar::{DailyBar, Series};
use crate::error::{Error, Result};

/// Folder of the objects in the service's data directory.
pub(crate) const FOLDER: &str = "objects";

/// Where the objects of all series lie.
const PREFIX: &str = "bars";

/// The object store of this service.
#[derive(Debug, Clone)]
pub struct Objects(Arc<dyn ObjectStore>);

/// A stored series: where, and what its bytes must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSeries {
    /// The instrument.
    pub symbol: Symbol,
    /// The object's name in the store.
    pub object: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

impl Objects {
    /// A local folder, which is made if need be. What is written is on the disk before it is answered.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be made.
    pub fn local(folder: &FilePath) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|source| Error::Io { file: folder.to_owned(), source })?;
        Ok(Objects(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true))))
    }

    /// Writes a series under its digest; writing the same series again changes nothing.
    ///
    /// # Errors
    /// [`Error::Objects`] and [`Error::Polars`].
    pub async fn put(&self, symbol: &Symbol, series: &Series) -> Result<StoredSeries> {
        let bytes = encode(series)?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let object = format!("{PREFIX}/{symbol}/{sha256}.parquet");
        self.0.put(&Path::parse(&object).map_err(object_store::Error::from)?, bytes.into()).await?;
        Ok(StoredSeries { symbol: symbol.clone(), object, sha256 })
    }

    /// Reads a series back.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the bytes are not those that were written; [`Error::Objects`].
    pub async fn get(&self, stored: &StoredSeries) -> Result<Series> {
        let path = Path::parse(&stored.object).map_err(object_store::Error::from)?;
        let bytes = self.0.get(&path).await?.bytes().await?;
        let found = hex::encode(Sha256::digest(&bytes));
        if found != stored.sha256 {
            let detail = format!("sha256 of {} is {found}, recorded {}", stored.object, stored.sha256);
            return Err(Error::Damaged { symbol: stored.symbol.clone(), detail });
        }
        decode(&bytes).map_err(|error| Error::Damaged { symbol: stored.symbol.clone(), detail: error.to_string() })
    }

    /// Every object of a series, by name.
    pub(crate) async fn list(&self) -> Result<Vec<String>> {
        use futures::TryStreamExt;
        let listed: Vec<_> = self.0.list(Some(&Path::from(PREFIX))).try_collect().await?;
        Ok(listed.into_iter().map(|meta| meta.location.to_string()).collect())
    }

    /// Removes an object.
    pub(crate) async fn delete(&self, object: &str) -> Result<()> {
        Ok(self.0.delete(&Path::parse(object).map_err(object_store::Error::from)?).await?)
    }
}

fn encode(series: &Series) -> Result<Vec<u8>> {
    let bars = series.all();
    let dates: Vec<Date> = bars.iter().map(|bar| bar.date).collect();
    let text = |name: &str, price: fn(&DailyBar) -> Price| {
        Column::new(name.into(), bars.iter().map(|bar| price(bar).to_string()).collect::<Vec<_>>())
    };
    let mut frame = DataFrame::new(
        bars.len(),
        vec![
            Column::new("date".into(), dates),
            text("open", |bar| bar.open),
            text("high", |bar| bar.high),
            text("low", |bar| bar.low),
            text("close", |bar| bar.close),
            text("adj_close", |bar| bar.adj_close),
            Column::new("volume".into(), bars.iter().map(|bar| bar.volume).collect::<Vec<_>>()),
        ],
    )?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Uncompressed).finish(&mut frame)?;
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<Series> {
    let frame = ParquetReader::new(Cursor::new(bytes)).finish()?;
    let days = frame.column("date")?.date()?.physical();
    let [open, high, low, close, adj_close] =
        ["open", "high", "low", "close", "adj_close"].map(|name| frame.column(name).and_then(|column| column.str()));
    let (open, high, low, close, adj_close) = (open?, high?, low?, close?, adj_close?);
    let volume = frame.column("volume")?.i64()?;
    let mut bars = Vec::with_capacity(frame.height());
    for row in 0..frame.height() {
        let missing = || Error::Stored { what: "cell", value: format!("row {row}") };
        let close_text = close.get(row).ok_or_else(missing)?;
        let close: Price = close_text.parse()?;
        // Close-only histories repeat one text five times; it is parsed once.
        let price = |column: &StringChunked| -> Result<Price> {
            match column.get(row).ok_or_else(missing)? {
                text if text == close_text => Ok(close),
                text => Ok(text.parse()?),
            }
        };
        let date = days
            .get(row)
            .and_then(|days| Date::default().checked_add_signed(chrono::Duration::days(i64::from(days))))
            .ok_or_else(missing)?;
        bars.push(DailyBar {
            date,
            open: price(open)?,
            high: price(high)?,
            low: price(low)?,
            close,
            adj_close: price(adj_close)?,
            volume: volume.get(row).ok_or_else(missing)?,
        });
    }
    Ok(Series::new(bars))
}
