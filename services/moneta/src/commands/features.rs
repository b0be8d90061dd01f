//! `moneta features …`
use crate::{
    Error, Result,
    cli::{Common, Features},
    output, settings,
};
use moneta_feature_pipeline::{FeatureView, checks, frame, storage};
use serde_json::json;

/// Lists, builds or checks features.
pub async fn run(command: Features) -> Result<()> {
    match command {
        Features::List { common } => {
            let listed: Vec<_> = moneta_feature_pipeline::all()
                .map(|feature| {
                    json!({
                        "name": feature.name, "version": feature.version, "window": feature.window,
                        "formula": feature.formula, "doc": feature.doc,
                    })
                })
                .collect();
            output::rows(common.json, &listed, &["name", "version", "window", "formula"], |feature| {
                ["name", "version", "window", "formula"]
                    .map(|key| feature[key].as_str().map_or_else(|| feature[key].to_string(), str::to_owned))
                    .to_vec()
            })
        }
        Features::Build { out, common } => {
            let (view, bars) = history(&common).await?;
            let stored = storage::write(&out, &view, &view.build_history(&bars)?)?;
            if common.json {
                return output::json(&stored);
            }
            println!("wrote {} rows of {} features to {}", stored.rows, view.features().len(), out.display());
            Ok(())
        }
        Features::Check { common } => {
            let (view, bars) = history(&common).await?;
            let dates = frame::dates(&bars)?;
            let cuts: Vec<_> =
                [4, 3, 2].iter().filter_map(|part| dates.get(dates.len() * (part - 1) / part).copied()).collect();
            let ahead = checks::no_look_ahead(&view, &bars, &cuts)?;
            let online = checks::online_equals_offline(&view, &bars)?;
            let result = json!({
                "features": view.features().len(), "look_ahead": ahead.len(), "online_differs": online.len(),
            });
            if common.json {
                output::json(&result)?;
            }
            if let Some(first) = ahead.iter().chain(&online).next() {
                return Err(Error::Failed(format!(
                    "{} on {} {}: {:?} in the history, {:?} otherwise",
                    first.feature, first.symbol, first.date, first.history, first.other
                )));
            }
            if !common.json {
                println!("{} features: none looks ahead, and online equals offline", view.features().len());
            }
            Ok(())
        }
    }
}

async fn history(common: &Common) -> Result<(FeatureView, moneta_feature_pipeline::polars::prelude::DataFrame)> {
    let config = settings::load(common)?;
    let folder = settings::existing_data_dir(&config)?.join(moneta_market_data::SERVICE.name);
    let market: moneta_market_data::Config = config.section("market-data")?;
    let db = super::database(&config, &moneta_market_data::SERVICE).await?;
    let bars = moneta_market_data::bars_frame(db, &folder).await?;
    let reference = market.reference_symbol;
    Ok((FeatureView::all(Some(&reference)), bars))
}
