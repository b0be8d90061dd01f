//! `moneta models …`: the registry in the data directory, whether or not a process serves from it.
use crate::{
    Error, Result,
    cli::{Common, Models},
    output, settings,
};
use async_trait::async_trait;
use indicatif::{ProgressBar, ProgressStyle};
use moneta_inference::{ServerOptions, ServingConfig, open_backend};
use moneta_kit::{
    bus::{EmbeddedBus, EmbeddedOptions, EventBus as _},
    config::ClockMode,
    entropy::SystemClock,
};
use moneta_model_store::registry::{Alias, Evaluator, ExportFormat, GcOptions, ModelFiles, ModelRef, Registry};
use moneta_models::{ModelManifest, forecast, frame, golden::Golden};
use moneta_types::{Clock, Timestamp, WallClock as _};
use std::{collections::BTreeMap, path::Path, path::PathBuf, sync::Arc};

/// Works on the registry.
pub async fn run(command: Models) -> Result<()> {
    match command {
        Models::List { model, common } => {
            let listed = open(&common).await?.list(model.as_deref()).await?;
            output::rows(
                common.json,
                &listed,
                &["model", "no.", "label", "version", "aliases", "registered", "by"],
                |item| {
                    vec![
                        item.model.clone(),
                        item.number.to_string(),
                        item.label.clone(),
                        output::short(item.version.as_str()),
                        item.aliases.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                        item.registered_at.to_string(),
                        item.registered_by.clone(),
                    ]
                },
            )
        }
        Models::Show { model, common } => show(&model, &common).await,
        Models::Register { folder, assets, common } => {
            // What the running process could not read must not become a version that could be promoted.
            ModelManifest::load(&folder)?.validate()?;
            let registered = open(&common).await?.register(&folder, Some(&assets), "operator").await?;
            if common.json {
                return output::json(&registered);
            }
            let word = if registered.created { "registered" } else { "was there already:" };
            println!("{word} {}@{} ({})", registered.model, registered.number, registered.version);
            Ok(())
        }
        Models::Verify { model, common } => {
            let found = open(&common).await?.verify(&reference(&model)?).await?;
            if common.json {
                return output::json(&found);
            }
            println!(
                "{}@{}: {} files, {} bytes, every digest and the signature hold (key {})",
                found.model,
                found.number,
                found.files,
                found.bytes,
                output::short(&found.key_fingerprint)
            );
            Ok(())
        }
        Models::Evaluate { model, assets, common } => {
            let registry = open(&common).await?;
            let evaluator = GoldenCases { assets };
            let evaluation = registry.evaluate(&reference(&model)?, &evaluator, "operator").await?;
            if common.json {
                return output::json(&evaluation);
            }
            let rows = evaluation.metrics.iter().map(|(name, value)| vec![name.clone(), value.to_string()]);
            println!("{}", output::table(&["metric", "value"], rows));
            Ok(())
        }
        Models::Promote { model, alias, actor, common } => {
            let change = open(&common).await?.promote(&reference(&model)?, alias.parse::<Alias>()?, &actor).await?;
            changed(&common, &change)
        }
        Models::Rollback { model, alias, actor, common } => {
            let change = open(&common).await?.rollback(&model, alias.parse::<Alias>()?, &actor).await?;
            changed(&common, &change)
        }
        Models::History { model, on, common } => {
            let mut history = open(&common).await?.history(model.as_deref()).await?;
            if let Some(day) = on {
                // What held an alias on a day is the last change before the day's end.
                let end = Timestamp::at_hour(day, 24);
                let mut held = BTreeMap::new();
                for change in history.into_iter().filter(|change| change.at < end) {
                    held.insert((change.model.clone(), change.alias.to_string()), change);
                }
                history = held.into_values().collect();
            }
            output::rows(common.json, &history, &["when", "model", "alias", "no.", "version", "kind", "by"], |change| {
                vec![
                    change.at.to_string(),
                    change.model.clone(),
                    change.alias.to_string(),
                    change.number.to_string(),
                    output::short(change.version.as_str()),
                    format!("{:?}", change.kind).to_lowercase(),
                    change.actor.clone(),
                ]
            })
        }
        Models::Diff { from, to, common } => diff(&from, &to, &common).await,
        Models::Export { model, folder, common } => {
            open(&common).await?.export(&reference(&model)?, &folder, ExportFormat::Directory).await?;
            println!("exported {model} to {}", folder.display());
            Ok(())
        }
        Models::Gc { dry_run, keep, common } => {
            let report = open(&common).await?.gc(GcOptions { dry_run, keep_unpromoted: keep }).await?;
            if common.json {
                return output::json(&report);
            }
            let word = if dry_run { "would remove" } else { "removed" };
            println!("{word} {} artifacts, {} bytes", report.artifacts.len(), report.bytes);
            Ok(())
        }
        Models::Train { market, out, seed, common } => {
            tokio::task::spawn_blocking(move || train(&market, &out, seed, common.json))
                .await
                .map_err(|error| Error::Failed(error.to_string()))?
        }
    }
}

async fn open(common: &Common) -> Result<Registry> {
    let config = settings::load(common)?;
    settings::data_dir_to_fill(&config, common)?;
    let global = config.global()?;
    let clock = match global.clock.mode {
        ClockMode::Wall => Clock::wall(Arc::new(SystemClock)),
        // A replay's registry tells its history in the replay's time, which stands where the event log ends.
        ClockMode::Replay => {
            let bus = EmbeddedBus::open(&global.data_dir.join("bus"), EmbeddedOptions::default()).await?;
            let start = global.clock.from.map_or(Timestamp::EPOCH, |date| Timestamp::at_hour(date, 0));
            Clock::replay(bus.latest_time().await?.unwrap_or(start).max(start))
        }
    };
    Ok(Registry::open(global.data_dir.join("models"), clock).await?)
}

fn reference(text: &str) -> Result<ModelRef> {
    Ok(text.parse()?)
}

async fn show(model: &str, common: &Common) -> Result<()> {
    let detail = open(common).await?.show(&reference(model)?).await?;
    if common.json {
        return output::json(&detail);
    }
    let summary = &detail.summary;
    println!("{}@{} {} ({})", summary.model, summary.number, summary.label, summary.version);
    println!("registered {} by {}\n", summary.registered_at, summary.registered_by);
    println!("{}\n", detail.card.trim());
    let metrics = detail.metrics.iter().map(|(name, value)| vec![name.clone(), value.to_string()]);
    println!("{}", output::table(&["metric", "value"], metrics));
    let files = detail
        .files
        .iter()
        .map(|file| vec![file.path.clone(), file.size_bytes.to_string(), output::short(&file.sha256)]);
    println!("{}", output::table(&["file", "bytes", "sha256"], files));
    Ok(())
}

async fn diff(from: &str, to: &str, common: &Common) -> Result<()> {
    let diff = open(common).await?.diff(&reference(from)?, &reference(to)?).await?;
    if common.json {
        return output::json(&diff);
    }
    let side = |value: &Option<String>| value.as_deref().map_or("–".to_owned(), output::short);
    let number = |value: &Option<f64>| value.map_or("–".to_owned(), |value| value.to_string());
    let field = |value: &Option<serde_json::Value>| value.as_ref().map_or("–".to_owned(), ToString::to_string);
    let rows = diff
        .files
        .iter()
        .map(|change| vec![change.path.clone(), side(&change.from), side(&change.to)])
        .chain(diff.metrics.iter().map(|change| vec![change.metric.clone(), number(&change.from), number(&change.to)]))
        .chain(diff.definition.iter().map(|change| vec![change.field.clone(), field(&change.from), field(&change.to)]));
    println!("{}", output::table(&["what", from, to], rows));
    Ok(())
}

fn changed(common: &Common, change: &moneta_model_store::registry::AliasChange) -> Result<()> {
    if common.json {
        return output::json(change);
    }
    println!(
        "{} of {} is now version {} ({})",
        change.alias,
        change.model,
        change.number,
        output::short(change.version.as_str())
    );
    Ok(())
}

/// Evaluates a registered model by its own golden cases on a backend of its own, and takes over the figures that its
/// training measured.
struct GoldenCases {
    assets: PathBuf,
}

#[async_trait]
impl Evaluator for GoldenCases {
    fn name(&self) -> &str {
        "golden cases"
    }

    async fn evaluate(
        &self,
        model: &ModelFiles,
    ) -> std::result::Result<BTreeMap<String, f64>, Box<dyn std::error::Error + Send + Sync>> {
        let (folder, assets) = (model.directory.clone(), self.assets.clone());
        tokio::task::spawn_blocking(move || replay_golden(&folder, &assets)).await?
    }
}

fn replay_golden(
    folder: &Path,
    assets: &Path,
) -> std::result::Result<BTreeMap<String, f64>, Box<dyn std::error::Error + Send + Sync>> {
    let manifest = ModelManifest::load(folder)?;
    let mut metrics = manifest.metrics.clone();
    if manifest.name == "nlu" {
        // The encoder's golden cases are texts; its own tests replay them. The figures are those of its training.
        return Ok(metrics);
    }
    let library = assets.join("onnxruntime").join(format!("libonnxruntime{}", std::env::consts::DLL_SUFFIX));
    let mut options =
        ServerOptions::new(library, || u64::try_from(SystemClock.now().micros() / 1_000).unwrap_or_default());
    options.architectures = moneta_models::architectures();
    let source = manifest.source(folder, &folder.join("external"), "")?;
    let mut backend = open_backend(&source.backend, &source.signature, &ServingConfig::default(), &options)?;
    let golden = Golden::load(folder)?;
    golden.replay(backend.as_mut())?;
    metrics.insert("golden_cases".to_owned(), golden.cases.len() as f64);
    Ok(metrics)
}

fn train(market: &Path, out: &Path, seed: u64, json: bool) -> Result<()> {
    let reference = "SP500";
    let bars = frame::read_universe(market, reference)?;
    let config = forecast::TrainConfig { seed, ..forecast::TrainConfig::default() };
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    let trained = forecast::train(&bars, reference, &config, &mut |epoch| bar.set_message(format!("{epoch:?}")))?;
    bar.finish_and_clear();
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("forecast.safetensors"), &trained.weights)?;
    std::fs::write(out.join("config.json"), serde_json::to_vec_pretty(&trained.config)?)?;
    std::fs::write(out.join("metrics.json"), serde_json::to_vec_pretty(&trained.metrics)?)?;
    if json {
        return output::json(&trained.metrics);
    }
    println!("wrote weights, config and metrics to {}", out.display());
    Ok(())
}
