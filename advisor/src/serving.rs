//! The models that the adviser asks: loaded from the registry into the model server, and kept in step with it.
//!
//! A promotion by any process (the command line included) is noticed through the registry's revision; the new champion
//! is warmed up before it takes traffic and the old one is drained. Versions that decision records pin are loaded when
//! a replay asks for them.
use crate::{
    Config, Error, Result,
    cycle::{ForecastRow, ModelUse, settle},
};
use moneta_feature_pipeline::FeatureVector;
use moneta_inference::{Access, ModelServer, ModelSource, ModelState, ModelStatus, ServerOptions};
use moneta_kit::{
    entropy::{SystemClock, pause},
    keys,
    problem::Problem,
    service::ServiceContext,
};
use moneta_model_store::registry::{Alias, ModelRef, Registry, Selector, VersionId};
use moneta_models::{
    ModelManifest,
    forecast::{self, Forecaster},
    manifest::FileRole,
    nlu::{NluModel, SentenceTokenizer, ServedEncoder},
    risk::{self, RiskInput, RiskModel},
};
use moneta_types::WallClock as _;
use ndarray::Array2;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio_stream::StreamExt as _;

/// Name of the NLU model in the registry and on the model server.
pub const NLU: &str = "nlu";

/// Where a checked-out version keeps the files that its definition takes from the assets folder.
const EXTERNAL: &str = "external";

/// Pause before a champion that did not load is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Pause between two looks at whether every champion is still served.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The models that are served.
#[derive(Clone)]
pub struct Models {
    server: Arc<ModelServer>,
    registry: Registry,
    assets: PathBuf,
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Models").field("assets", &self.assets).finish_non_exhaustive()
    }
}

/// The NLU model of one version.
pub struct Language {
    /// The version in the registry.
    pub version: String,
    /// The intent head.
    pub head: NluModel,
    /// The sentence encoder, asked through the model server.
    pub encoder: ServedEncoder,
    /// SHA-256 of the encoder's weights, hex: embeddings of another encoder cannot be compared with its own.
    pub encoder_digest: String,
}

/// Answers of the forecast model.
#[derive(Debug)]
pub struct Forecasts {
    /// Which bytes answered.
    pub model: ModelUse,
    /// One row an instrument.
    pub rows: Vec<ForecastRow>,
}

/// Answer of the risk model for a covariance.
#[derive(Debug)]
pub struct Covariance {
    /// Which bytes answered.
    pub model: ModelUse,
    /// Daily covariance, row-major.
    pub covariance: Vec<f64>,
}

/// Tail risk of one portfolio, one day, positive decimal fractions.
#[derive(Debug, Clone, Copy)]
pub struct TailRisk {
    /// Value at risk at 95 %.
    pub value_at_risk_95: f64,
    /// Expected shortfall at 95 %.
    pub expected_shortfall_95: f64,
}

impl Models {
    /// Opens the registry under the data directory, registers the platform's own models where there are none, and loads
    /// the champions.
    pub async fn open(ctx: &ServiceContext, config: &Config, hosts: &[String]) -> Result<Self> {
        let own = config.onnxruntime.as_path();
        let fetched = || format!("onnxruntime/libonnxruntime{}", std::env::consts::DLL_SUFFIX);
        let library = if own.as_os_str().is_empty() { config.assets.join(fetched()) } else { own.to_path_buf() };
        let mut options = ServerOptions::new(library, unix_millis);
        options.onnxruntime_sha256 = Some(config.onnxruntime_sha256.clone()).filter(|digest| !digest.is_empty());
        let (token, path) = keys::token(&ctx.root_dir, "inference")?;
        options.access = Access::new(Some(&token), hosts);
        options.kept = moneta_models::CATALOGUE.iter().map(|name| (*name).to_owned()).collect();
        tracing::info!(token = %path.display(), "the model server is read-only without the token in this file");
        options.architectures = moneta_models::architectures();
        let registry = Registry::open(ctx.root_dir.join("models"), ctx.clock.clone()).await?;
        let models = Self { server: ModelServer::new(options), registry, assets: config.assets.clone() };
        models.bootstrap(&config.models).await?;
        models.follow_champions().await?;
        Ok(models)
    }

    /// The model server, for its protocol listeners.
    pub fn server(&self) -> Arc<ModelServer> {
        Arc::clone(&self.server)
    }

    /// The registry.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Registers and promotes each model of the models folder that never had a champion: a first start that was cut off after
    /// the registration is finished by the next.
    async fn bootstrap(&self, folder: &Path) -> Result<()> {
        for name in moneta_models::CATALOGUE {
            let history = self.registry.history(Some(name)).await?;
            if history.iter().all(|change| change.alias != Alias::Champion) {
                let registered = self.registry.register(&folder.join(name), Some(&self.assets), "moneta").await?;
                let reference = ModelRef { model: (*name).to_owned(), selector: Selector::Number(registered.number) };
                let manifest = ModelManifest::load(&folder.join(name))?;
                self.registry.record_metrics(&reference, "model.toml", manifest.metrics.clone(), "moneta").await?;
                self.registry.promote(&reference, Alias::Champion, "moneta").await?;
            }
        }
        Ok(())
    }

    /// Brings what is served in step with the registry's champions. A model whose champion does not load keeps the old
    /// one in service and holds no other model up; the first such error is returned at the end.
    pub async fn follow_champions(&self) -> Result<()> {
        let mut first = Ok(());
        for name in moneta_models::CATALOGUE {
            let followed = self.follow_champion(name).await;
            if first.is_ok() {
                first = followed;
            }
        }
        first
    }

    async fn follow_champion(&self, name: &str) -> Result<()> {
        let reference = ModelRef { model: name.to_owned(), selector: Selector::Alias(Alias::Champion) };
        let champion = self.registry.resolve(&reference).await?;
        let version = champion.version.hex().to_owned();
        let served = self.server.aliases(name).get("champion").cloned();
        if served.as_deref() == Some(version.as_str()) && self.is_ready(name, &version) {
            return Ok(());
        }
        self.ensure_loaded(name, &champion.version).await?;
        self.server.set_alias(name, "champion", &version)?;
        tracing::info!(model = name, version, "champion served");
        if let Some(old) = served.filter(|old| *old != version) {
            self.server.unload(name, &old).await?;
        }
        Ok(())
    }

    /// Follows the registry until the process stops.
    pub async fn watch(self, shutdown: tokio_util::sync::CancellationToken) {
        let mut revisions = match self.registry.watch().await {
            Ok(revisions) => revisions,
            Err(error) => {
                tracing::error!(%error, "promotions cannot be followed; restart to serve a new champion");
                return;
            }
        };
        let mut behind = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                revision = revisions.next() => if revision.is_none() { return },
                () = pause(TRY_AGAIN), if behind => {}
                // Whatever took a model away, it comes back.
                () = pause(LOOK_AGAIN), if !behind => {
                    if moneta_models::CATALOGUE.iter().all(|name| self.check(name).is_ok()) {
                        continue;
                    }
                    tracing::error!("a model that the adviser works with is not served; loading it again");
                }
            }
            behind = match self.follow_champions().await {
                Ok(()) => false,
                Err(error) => {
                    tracing::error!(%error, "a champion could not be followed; the old one stays in service");
                    true
                }
            };
        }
    }

    /// The version of a model that answers now.
    pub fn champion(&self, name: &str) -> Result<String> {
        let champion = self.server.aliases(name).get("champion").cloned();
        champion.ok_or_else(|| Error::ModelMissing(format!("no version of {name} is served; it is being loaded again")))
    }

    /// The NLU model of a version: head, and encoder behind the model server.
    pub async fn language(&self, version: &str, timeout: Duration) -> Result<Language> {
        let folder = self.registry.checkout(&version_id(version)?).await?;
        let manifest = ModelManifest::load(&folder)?;
        let tokenizer = manifest.bytes_of(FileRole::Tokenizer, &folder, &folder.join(EXTERNAL))?;
        let tokenizer = SentenceTokenizer::open(&tokenizer)?;
        let weights = manifest.external.iter().find(|file| file.role == FileRole::Weights);
        Ok(Language {
            version: version.to_owned(),
            head: NluModel::load(&folder)?,
            encoder: ServedEncoder::new(tokenizer, self.server(), NLU, timeout),
            encoder_digest: weights.and_then(|file| file.sha256.clone()).unwrap_or_default(),
        })
    }

    /// Loads the version that a decision record pins, unless it is loaded.
    pub async fn ensure_pinned(&self, model: &ModelUse) -> Result<()> {
        self.ensure_loaded(&model.name, &version_id(&model.version)?).await
    }

    async fn ensure_loaded(&self, name: &str, version: &VersionId) -> Result<()> {
        let text = version.hex().to_owned();
        if self.is_ready(name, &text) {
            return Ok(());
        }
        let folder = self.registry.checkout(version).await?;
        let source = self.source(&folder, version)?;
        Ok(self.server.load(name, &text, source).await?)
    }

    /// The server also lists versions that it no longer serves; those are loaded again.
    fn is_ready(&self, name: &str, version: &str) -> bool {
        let ready = |status: &ModelStatus| {
            status.model == name && status.version == version && status.state == ModelState::Ready
        };
        self.server.models().iter().any(ready)
    }

    /// Whether a model takes requests now; the error says which does not.
    pub fn check(&self, name: &str) -> Result<()> {
        let champion = self.champion(name)?;
        if self.is_ready(name, &champion) {
            return Ok(());
        }
        Err(Error::ModelMissing(format!("the champion of {name} is not loaded; it is being loaded again")))
    }

    fn source(&self, folder: &Path, version: &VersionId) -> Result<ModelSource> {
        let manifest = ModelManifest::load(folder)?;
        Ok(manifest.source(folder, &folder.join(EXTERNAL), version.hex())?)
    }

    /// Forecasts for any number of instruments of one day.
    pub async fn forecast(
        &self,
        version: Option<&str>,
        assets: &[FeatureVector],
        market: &FeatureVector,
    ) -> Result<Forecasts> {
        let inputs = Forecaster::encode(assets, market)?;
        let answer = self.server.infer(forecast::MODEL, version, inputs, None).await?;
        let decoded = Forecaster::decode(
            assets,
            answer.output(forecast::network::LOG_VARIANCE)?,
            answer.output(forecast::network::QUANTILES)?,
        )?;
        let rows = decoded
            .iter()
            .map(|forecast| {
                let month = forecast.horizons.last();
                let quantile = |level: f64| month.and_then(|horizon| horizon.quantile(level)).unwrap_or(0.0);
                ForecastRow {
                    volatility: forecast.horizons.iter().map(|horizon| settle(horizon.volatility_annual())).collect(),
                    mean_21d: settle(month.map_or(0.0, forecast::HorizonForecast::mean)),
                    quantiles_21d: [0.05, 0.25, 0.5, 0.75, 0.95].map(|level| settle(quantile(level))).to_vec(),
                }
            })
            .collect();
        Ok(Forecasts { model: model_use(forecast::MODEL, &answer), rows })
    }

    /// Daily covariance of the instruments.
    pub async fn covariance(
        &self,
        version: Option<&str>,
        names: &[String],
        returns: &Array2<f64>,
    ) -> Result<Covariance> {
        let weights = vec![0.0; names.len()];
        let input = RiskInput::new(names.to_vec(), returns.view(), &weights)?;
        let answer = self.server.infer(risk::MODEL, version, input.encode()?, None).await?;
        let report = risk::RiskReport::decode(&input, &answer.outputs)?;
        Ok(Covariance { model: model_use(risk::MODEL, &answer), covariance: report.covariance })
    }

    /// Tail risk of weights over the instruments.
    pub async fn tail_risk(
        &self,
        version: Option<&str>,
        names: &[String],
        returns: &Array2<f64>,
        weights: &[f64],
    ) -> Result<TailRisk> {
        let input = RiskInput::new(names.to_vec(), returns.view(), weights)?;
        let report = RiskModel::report(&self.server, version, &input, None).await?;
        Ok(TailRisk { value_at_risk_95: report.var_95, expected_shortfall_95: report.es_95 })
    }
}

fn model_use(name: &str, answer: &moneta_inference::Inference) -> ModelUse {
    ModelUse { name: name.to_owned(), version: answer.version.clone(), digest: answer.digest.clone() }
}

/// The registry's id of a version as the model server names it: the bare digest.
fn version_id(version: &str) -> Result<VersionId> {
    let known = format!("sha256:{version}").parse();
    Ok(known.map_err(|_| Problem::invalid("version", version, "a version of the registry, 64 hexadecimal digits"))?)
}

/// Milliseconds since 1970 on the machine's clock, for the model server's statistics.
fn unix_millis() -> u64 {
    u64::try_from(SystemClock.now().micros() / 1_000).unwrap_or_default()
}
