//! Features online: the vector of every registered feature on the newest day, an instrument at a time.
use crate::{
    error::Error,
    report::{Row, Unit},
    sample::Sample,
};
use moneta_feature_pipeline::FeatureView;
use moneta_kit::store::{Db, sqlite_url};
use moneta_market_data::SERVICE;
use std::{path::Path, time::Instant};

const ROUNDS: usize = 40;

/// Measures on the history that a demo imported into its data directory.
pub async fn measure(data_dir: &Path, rows: &mut Vec<Row>) -> Result<(), Error> {
    let folder = data_dir.join(SERVICE.name);
    let url = sqlite_url(&folder.join(format!("{}.db", SERVICE.name)));
    let db = Db::open(&url, SERVICE.name, SERVICE.migrations).await?;
    let bars = moneta_market_data::bars_frame(db.clone(), &folder).await?;
    db.close().await;
    let view = FeatureView::all(Some(&moneta_market_data::Config::default().reference_symbol));
    let state = view.online_from(&bars)?;
    let symbols: Vec<&str> = state.symbols().collect();
    let mut microseconds = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for symbol in &symbols {
            state.vector(symbol)?;
        }
        microseconds.push(started.elapsed().as_secs_f64() * 1e6 / symbols.len() as f64);
    }
    let name = format!("feature vector online, {} features", view.features().len());
    rows.push(Row { name, unit: Unit::Microseconds, sample: Sample::new(microseconds), aim: None });
    Ok(())
}
