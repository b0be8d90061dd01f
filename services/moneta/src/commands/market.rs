//! `moneta market …`
use crate::{Error, Result, cli::Market, output, settings};
use indicatif::ProgressBar;
use moneta_kit::{
    config::Config,
    store::{Db, sqlite_url},
};
use moneta_market_data::import::{Importer, Options, Report};
use moneta_types::{Date, Symbol};
use std::{path::PathBuf, time::Duration};

/// Imports or lists market history.
pub async fn run(command: Market) -> Result<()> {
    match command {
        Market::Import { files, currency, allow_jumps, common } => {
            let config = settings::load(&common)?;
            settings::data_dir_to_fill(&config, &common)?;
            let allow_jumps = allow_jumps.iter().map(|text| allowed_jump(text)).collect::<Result<_>>()?;
            let options = Options { currency: currency.parse()?, allow_jumps, ..Options::default() };
            let report = import(&config, &files, options).await?;
            if common.json {
                return output::json(&report);
            }
            for column in &report.ignored_columns {
                eprintln!("not used: {column}");
            }
            for split in &report.probable_splits {
                eprintln!("look at: {split}");
            }
            output::rows(false, &report.series, &["symbol", "read", "added", "changed", "from", "to"], |series| {
                vec![
                    series.symbol.to_string(),
                    series.read.to_string(),
                    series.added.to_string(),
                    series.changed.to_string(),
                    series.first.to_string(),
                    series.last.to_string(),
                ]
            })
        }
        Market::List { common } => {
            let config = settings::load(&common)?;
            settings::existing_data_dir(&config)?;
            let db = database(&config).await?;
            let rows = db
                .fetch_all(
                    "SELECT symbol, first_date, last_date, bars FROM series ORDER BY symbol",
                    moneta_kit::args![],
                )
                .await?;
            let listed = rows
                .iter()
                .map(|row| {
                    Ok(serde_json::json!({
                        "symbol": row.text("symbol")?, "from": row.text("first_date")?,
                        "to": row.text("last_date")?, "bars": row.int("bars")?,
                    }))
                })
                .collect::<Result<Vec<_>>>()?;
            output::rows(common.json, &listed, &["symbol", "from", "to", "bars"], |row| {
                ["symbol", "from", "to", "bars"]
                    .map(|key| row[key].as_str().map_or_else(|| row[key].to_string(), str::to_owned))
                    .to_vec()
            })
        }
    }
}

/// Imports files into the market-data service's store, with a spinner; all of it or nothing. The data directory must be
/// there; the store in it is made at the first import.
pub async fn import(config: &Config, files: &[PathBuf], options: Options) -> Result<Report> {
    let folder = config.global()?.data_dir.join(moneta_market_data::SERVICE.name);
    let db = match database(config).await {
        Err(Error::Usage(_)) => {
            let file = folder.join(format!("{}.db", moneta_market_data::SERVICE.name));
            Db::open(&sqlite_url(&file), moneta_market_data::SERVICE.name, moneta_market_data::SERVICE.migrations)
                .await?
        }
        found => found?,
    };
    let importer = Importer::open(db, &folder)?;
    let spinner = ProgressBar::new_spinner().with_message("importing market history");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let report = importer.import(files, options).await;
    spinner.finish_and_clear();
    Ok(report?)
}

fn allowed_jump(text: &str) -> Result<(Symbol, Date)> {
    let usage =
        || Error::Usage(format!("--allow-jumps {text:?} is not valid: a symbol and a date such as AAPL:2020-08-31"));
    let (symbol, date) = text.split_once(':').ok_or_else(usage)?;
    Ok((symbol.parse().map_err(|_| usage())?, date.parse().map_err(|_| usage())?))
}

async fn database(config: &Config) -> Result<Db> {
    super::database(config, &moneta_market_data::SERVICE).await
}
