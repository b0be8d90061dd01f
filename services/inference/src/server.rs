//! The model server: loads, swaps and unloads versions, and answers requests.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    Access, CandleArchitecture, Error, ModelRepository, ModelSource, ModelState, ModelStatus, NamedTensor, Result,
    Tensor, backend,
    catalog::Catalog,
    model::LoadedModel,
    queue::{Answer, Job, Refused},
    signature::invalid,
    statistics::Failure,
};

/// What a server is made from.
#[derive(Clone)]
pub struct ServerOptions {
    /// The ONNX Runtime library; opened when the first ONNX model is loaded.
    pub onnxruntime: PathBuf,
    /// SHA-256 of an ONNX Runtime library of the operator's own, lower-case hex. None: the one that `make up` fetches, whose
    /// digest is compiled in.
    pub onnxruntime_sha256: Option<String>,
    /// The candle networks that models may name.
    pub architectures: Vec<CandleArchitecture>,
    /// Where models come from when a client of the protocol asks to load one. None: such requests are answered as not
    /// supported.
    pub repository: Option<Arc<dyn ModelRepository>>,
    /// Wall clock in milliseconds since the Unix epoch, for the statistics' time of the last inference.
    pub unix_millis: fn() -> u64,
    /// Models that no client of the protocol may unload or replace, token or not: whoever holds the server works with them.
    pub kept: Vec<String>,
    /// What the protocol's listeners demand of a request.
    pub access: Access,
    /// Most bytes of a request over HTTP or gRPC, after decompression. Default 64 MiB.
    pub max_request_bytes: usize,
    /// Most bytes of the JSON of a request, after decompression: read into memory it takes many times as much, where binary
    /// tensors take what they are. Default 16 MiB.
    pub max_json_bytes: usize,
}

impl ServerOptions {
    /// Options with no candle networks and no repository.
    pub fn new(onnxruntime: impl Into<PathBuf>, unix_millis: fn() -> u64) -> Self {
        ServerOptions {
            onnxruntime: onnxruntime.into(),
            onnxruntime_sha256: None,
            architectures: Vec::new(),
            repository: None,
            unix_millis,
            kept: Vec::new(),
            access: Access::default(),
            max_request_bytes: 64 << 20,
            max_json_bytes: 16 << 20,
        }
    }
}

/// A request for an inference.
#[derive(Clone, Debug)]
pub struct InferRequest {
    /// Name of the model.
    pub model: String,
    /// A version or an alias. None: the alias `champion` where it is set, else the version loaded last.
    pub version: Option<String>,
    /// Every input of the signature, in any order.
    pub inputs: Vec<NamedTensor>,
    /// How long the caller waits; None: as long as it takes.
    pub timeout: Option<Duration>,
    /// Order in the queue: 1 first, larger later, 0 (none given) last.
    pub priority: u32,
}

/// The answer to a request, and which bytes gave it.
#[derive(Clone, Debug)]
pub struct Inference {
    /// Name of the model.
    pub model: String,
    /// The version that answered.
    pub version: String,
    /// SHA-256 of that version's bytes in hex.
    pub digest: String,
    /// Outputs in the signature's order.
    pub outputs: Vec<NamedTensor>,
    /// Time the request waited for an instance.
    pub queue: Duration,
    /// Time the backend ran.
    pub compute: Duration,
    /// Rows that ran together, those of other requests included.
    pub batch_rows: usize,
}

impl Inference {
    /// The output of that name.
    ///
    /// # Errors
    /// [`Error::OutputNotFound`] naming the outputs there are.
    pub fn output(&self, name: &str) -> Result<&Tensor> {
        let found = self.outputs.iter().find(|output| output.name == name).map(|output| &output.tensor);
        found.ok_or_else(|| {
            let known = self.outputs.iter().map(|output| output.name.as_str()).collect::<Vec<_>>().join(", ");
            Error::OutputNotFound { output: name.to_owned(), known }
        })
    }
}

/// Serves versions of models to callers in the process, and through the protocol to everybody else.
pub struct ModelServer {
    pub(crate) options: ServerOptions,
    pub(crate) catalog: RwLock<Catalog>,
    /// Loads and unloads of one model follow each other; those of different models run side by side.
    changes: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    stopping: AtomicBool,
}

impl ModelServer {
    /// A server with no models yet.
    pub fn new(options: ServerOptions) -> Arc<ModelServer> {
        Arc::new(ModelServer {
            options,
            catalog: RwLock::default(),
            changes: Mutex::default(),
            stopping: AtomicBool::new(false),
        })
    }

    /// Loads a version and warms it up; it takes traffic once this returns. When the same version with the same digest
    /// is loaded already, fresh instances replace the running ones, which serve what waits before they end.
    ///
    /// # Errors
    /// [`Error::InvalidField`] for a wrong name, signature, digest or setting, [`Error::VersionConflict`] when the version
    /// is loaded with other bytes, and whatever keeps the model from being built; what was loaded before stays as it was.
    pub async fn load(&self, model: &str, version: &str, source: ModelSource) -> Result<()> {
        check_name("model", model)?;
        check_name("version", version)?;
        source.check()?;
        let change = self.change(model);
        let _change = change.lock().await;
        if self.is_stopping() {
            return Err(Error::ShuttingDown);
        }
        {
            let mut catalog = self.write();
            catalog.check_version_name(model, version)?;
            if let Some(loaded) = catalog.loaded(model, version).filter(|loaded| loaded.digest != source.digest) {
                return Err(Error::VersionConflict {
                    model: model.to_owned(),
                    version: version.to_owned(),
                    loaded: loaded.digest.clone(),
                    offered: source.digest,
                });
            }
            catalog.loading(model, version);
        }
        match self.start(model, version, source).await {
            Ok(loaded) => {
                let replaced = self.write().publish(Arc::new(loaded));
                if let Some(replaced) = replaced {
                    replaced.drain().await;
                }
                Ok(())
            }
            Err(error) => {
                let error = error.within(model, version);
                self.write().load_failed(model, version, error.to_string());
                Err(error)
            }
        }
    }

    /// Takes a version out of traffic, serves what waits for it, ends its threads and frees its memory.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], [`Error::VersionNotFound`], or [`Error::AliasInUse`] while an alias points at it.
    pub async fn unload(&self, model: &str, version: &str) -> Result<()> {
        let change = self.change(model);
        let _change = change.lock().await;
        let withdrawn = self.write().withdraw(model, version)?;
        self.finish(vec![withdrawn]).await;
        Ok(())
    }

    /// Unloads every version of a model and forgets its aliases.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`] when no version is loaded.
    pub async fn unload_model(&self, model: &str) -> Result<()> {
        let change = self.change(model);
        let _change = change.lock().await;
        let withdrawn = self.write().withdraw_all(model)?;
        self.finish(withdrawn).await;
        Ok(())
    }

    /// Takes no new work, serves what waits and unloads everything.
    pub async fn shutdown(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        let names = self.read().names();
        for model in names {
            // A model whose versions are all gone already is what is wanted.
            let _ = self.unload_model(&model).await;
        }
    }

    /// Points an alias at a loaded version: requests that name it, or `champion` when they name none, go there from now
    /// on, and none is lost on the way.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], [`Error::VersionNotFound`] when the version is not loaded, [`Error::InvalidField`] for a
    /// name that is no name or is a version.
    pub fn set_alias(&self, model: &str, alias: &str, version: &str) -> Result<()> {
        check_name("alias", alias)?;
        self.write().set_alias(model, alias, version)
    }

    /// Forgets an alias.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`], [`Error::VersionNotFound`] when there is none of that name.
    pub fn remove_alias(&self, model: &str, alias: &str) -> Result<()> {
        self.write().remove_alias(model, alias)
    }

    /// The aliases of a model with the versions they point at.
    pub fn aliases(&self, model: &str) -> BTreeMap<String, String> {
        self.read().aliases(model)
    }

    /// Every version the server knows, by model and version.
    pub fn models(&self) -> Vec<ModelStatus> {
        self.read().status()
    }

    /// Whether the server takes requests.
    pub fn is_ready(&self) -> bool {
        !self.is_stopping()
    }

    /// Answers a request; see [`InferRequest`] for what `version` and `timeout` mean.
    ///
    /// # Errors
    /// Those of [`ModelServer::infer_with`].
    pub async fn infer(
        &self,
        model: &str,
        version: Option<&str>,
        inputs: Vec<NamedTensor>,
        timeout: Option<Duration>,
    ) -> Result<Inference> {
        let (model, version) = (model.to_owned(), version.map(str::to_owned));
        self.infer_with(InferRequest { model, version, inputs, timeout, priority: 0 }).await
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`Error::ModelNotFound`] and [`Error::VersionNotFound`]; [`Error::InvalidInput`] for inputs outside the signature;
    /// [`Error::Overloaded`] at once when the queue is full; [`Error::DeadlineExceeded`] when the caller's time runs out;
    /// [`Error::Execution`] when the model fails.
    pub async fn infer_with(&self, request: InferRequest) -> Result<Inference> {
        let InferRequest { model, version, mut inputs, timeout, priority } = request;
        let arrived = Instant::now();
        loop {
            if self.is_stopping() {
                return Err(Error::ShuttingDown);
            }
            let loaded = self.read().resolve(&model, version.as_deref())?;
            let admitted = loaded.signature.admit(inputs).and_then(|(inputs, rows)| {
                loaded.signature.check_lengths(&inputs, loaded.config.longest)?;
                let most = if loaded.signature.is_batchable() { loaded.config.max_batch } else { rows };
                if rows <= most { Ok((inputs, rows)) } else { Err(too_many_rows(&inputs, rows, most)) }
            });
            let (checked, rows) =
                admitted.inspect_err(|_| loaded.recorder.failed(Failure::Invalid, arrived.elapsed()))?;
            let (reply, answer) = oneshot::channel();
            match loaded.queue.push(priority, Job { inputs: checked, rows, reply, enqueued: Instant::now() }) {
                Ok(()) => return wait(&loaded, answer, timeout, arrived).await,
                Err(Refused::Full) => {
                    loaded.recorder.failed(Failure::Overloaded, arrived.elapsed());
                    return Err(Error::Overloaded { model, limit: loaded.config.queue_limit });
                }
                // The version was unloaded between the look-up and the queue: look again, which finds its successor or
                // says that the version asked for is gone.
                Err(Refused::Closed(job)) => inputs = job.inputs,
            }
        }
    }

    /// Loads the versions and aliases that the repository gives for a model; versions it no longer gives are unloaded.
    ///
    /// # Errors
    /// [`Error::Unsupported`] without a repository, and those of the repository and of [`ModelServer::load`].
    pub async fn load_from_repository(&self, model: &str) -> Result<()> {
        let fetched = self.repository()?.fetch(model).await?;
        let wanted: Vec<String> = fetched.versions.iter().map(|(version, _)| version.clone()).collect();
        for (version, source) in fetched.versions {
            self.load(model, &version, source).await?;
        }
        for (alias, version) in &fetched.aliases {
            self.set_alias(model, alias, version)?;
        }
        for alias in self.aliases(model).keys().filter(|alias| !fetched.aliases.contains_key(*alias)) {
            self.remove_alias(model, alias)?;
        }
        for status in self.models() {
            if status.model == model && status.state == ModelState::Ready && !wanted.contains(&status.version) {
                self.unload(model, &status.version).await?;
            }
        }
        Ok(())
    }

    pub(crate) fn repository(&self) -> Result<&Arc<dyn ModelRepository>> {
        let unsupported = || Error::Unsupported { what: "loading models by name (no model repository)".to_owned() };
        self.options.repository.as_ref().ok_or_else(unsupported)
    }

    pub(crate) fn read(&self) -> std::sync::RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start(&self, model: &str, version: &str, source: ModelSource) -> Result<LoadedModel> {
        let factory = backend::factory(&source.backend, &source.signature, &source.config, &self.options)?;
        LoadedModel::start(model, version, source, factory, self.options.unix_millis).await
    }

    async fn finish(&self, withdrawn: Vec<Arc<LoadedModel>>) {
        for loaded in withdrawn {
            loaded.drain().await;
            self.write().unloaded(&loaded.name, &loaded.version);
        }
    }

    fn change(&self, model: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut changes: MutexGuard<'_, _> = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(changes.entry(model.to_owned()).or_default())
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Catalog> {
        self.catalog.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

/// Waits for the answer, at most as long as the caller does.
async fn wait(
    loaded: &LoadedModel,
    answer: oneshot::Receiver<Result<Answer>>,
    timeout: Option<Duration>,
    arrived: Instant,
) -> Result<Inference> {
    let answer = match timeout {
        None => answer.await,
        // Dropping the receiver tells the instance that nobody waits any more.
        Some(timeout) => match tokio::time::timeout(timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                loaded.recorder.failed(Failure::Deadline, arrived.elapsed());
                return Err(Error::DeadlineExceeded { model: loaded.name.clone(), timeout });
            }
        },
    };
    let answer = answer.unwrap_or_else(|_| Err(Error::backend("the instance's thread ended")));
    match answer {
        Ok(Answer { outputs, queue, compute, batch_rows }) => {
            loaded.recorder.answered(arrived.elapsed());
            let (model, version, digest) = (loaded.name.clone(), loaded.version.clone(), loaded.digest.clone());
            Ok(Inference { model, version, digest, outputs, queue, compute, batch_rows })
        }
        Err(error) => {
            loaded.recorder.failed(Failure::Failed, arrived.elapsed());
            Err(error)
        }
    }
}

fn too_many_rows(inputs: &[NamedTensor], rows: usize, most: usize) -> Error {
    let input = inputs.first().map(|input| input.name.clone()).unwrap_or_default();
    Error::InvalidInput { input, got: format!("{rows} rows"), allowed: format!("at most {most} rows a request") }
}

/// Names travel in URLs and file names, so they are kept to what both take.
fn check_name(field: &str, name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=128).contains(&name.len()) && name.bytes().all(allowed) && name.bytes().any(|byte| byte != b'.') {
        return Ok(());
    }
    Err(invalid(field, &format!("'{name}'"), "1 to 128 letters, digits, '-', '_' and '.', not only dots"))
}
