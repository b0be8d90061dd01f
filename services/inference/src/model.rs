//! One loaded version of a model: its instances, each a thread that owns a backend, fed from one queue.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use tracing::{error, info};

use crate::{
    Backend, BackendFactory, Error, ModelSource, NamedTensor, Result, ServingConfig, Signature, Statistics, Tensor,
    backend::without_panic,
    memory::release_free_pages,
    queue::{Answer, Job, Queue},
    statistics::{Execution, Recorder},
};

/// What the instances of a version share.
pub(crate) struct Model {
    pub name: String,
    pub version: String,
    pub digest: String,
    pub platform: String,
    pub signature: Signature,
    pub config: ServingConfig,
    pub queue: Queue,
    pub recorder: Recorder,
}

/// A version with its running instances. Dropping it ends them once the queue is empty.
pub(crate) struct LoadedModel {
    model: Arc<Model>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::ops::Deref for LoadedModel {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

impl LoadedModel {
    /// Builds and warms up every instance; the version can take traffic when this returns.
    pub(crate) async fn start(
        name: &str,
        version: &str,
        source: ModelSource,
        factory: Arc<dyn BackendFactory>,
        unix_millis: fn() -> u64,
    ) -> Result<LoadedModel> {
        let ModelSource { backend, signature, digest, config, warm_up } = source;
        let warm_up = if warm_up.is_empty() { vec![signature.zero_inputs()?] } else { warm_up };
        let warm_up = warm_up.into_iter().map(|inputs| signature.admit(inputs)).collect::<Result<Vec<_>>>()?;
        let queue = Queue::new(config.queue_limit, config.max_batch, config.max_delay, signature.is_batchable());
        let model = Arc::new(Model {
            name: name.to_owned(),
            version: version.to_owned(),
            digest,
            platform: backend.platform(),
            signature,
            config,
            queue,
            recorder: Recorder::new(name, version, unix_millis),
        });
        // From here on a failure or a cancelled load drops this, which ends the threads.
        let loaded = LoadedModel { model, threads: Mutex::default() };
        let warm_up = Arc::new(warm_up);
        let mut started = Vec::with_capacity(config.instances);
        for index in 0..config.instances {
            let (model, factory, warm_up) = (Arc::clone(&loaded.model), Arc::clone(&factory), Arc::clone(&warm_up));
            let (ready, is_ready) = oneshot::channel();
            let thread = std::thread::Builder::new().name(format!("{name}-{index}")).spawn(move || {
                let instance = without_panic(|| build(&model, factory.as_ref(), &warm_up));
                // The factory may hold the model's bytes, which the instance no longer needs.
                drop((factory, warm_up));
                release_free_pages();
                match instance {
                    Ok(backend) => {
                        let _ = ready.send(Ok(()));
                        serve(&model, backend);
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            })?;
            loaded.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
            started.push(is_ready);
        }
        drop((factory, warm_up, backend));
        for is_ready in started {
            is_ready.await.unwrap_or_else(|_| Err(Error::backend("the instance's thread ended")))?;
        }
        info!(model = name, version, digest = loaded.digest, instances = config.instances, "model loaded");
        Ok(loaded)
    }

    /// Serves what waits, ends the threads and frees the model's memory.
    pub(crate) async fn drain(&self) {
        self.queue.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || {
            let joined = threads.into_iter().map(JoinHandle::join).filter(Result::is_err).count() == 0;
            release_free_pages();
            joined
        });
        if !joined.await.unwrap_or(false) {
            error!(model = self.name, version = self.version, "an instance ended with a panic");
        }
        info!(model = self.name, version = self.version, "model unloaded");
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.recorder.snapshot()
    }
}

impl Drop for LoadedModel {
    fn drop(&mut self) {
        self.model.queue.close();
    }
}

fn build(
    model: &Model,
    factory: &dyn BackendFactory,
    warm_up: &[(Vec<NamedTensor>, usize)],
) -> Result<Box<dyn Backend>> {
    let mut backend = factory.create()?;
    for (inputs, rows) in warm_up {
        model.signature.check_outputs(backend.infer(inputs)?, *rows)?;
    }
    Ok(backend)
}

/// The life of an instance: batch after batch until the queue is closed and empty.
fn serve(model: &Model, mut backend: Box<dyn Backend>) {
    while let Some(jobs) = model.queue.take() {
        let (inputs, replies): (Vec<_>, Vec<_>) = jobs.into_iter().map(Waiting::part).unzip();
        execute(model, backend.as_mut(), inputs, replies);
    }
}

/// A request's way back, apart from its inputs.
struct Waiting {
    rows: usize,
    reply: oneshot::Sender<Result<Answer>>,
    queue: Duration,
}

impl Waiting {
    fn part(job: Job) -> (Vec<NamedTensor>, Waiting) {
        let queue = job.enqueued.elapsed();
        (job.inputs, Waiting { rows: job.rows, reply: job.reply, queue })
    }
}

fn execute(model: &Model, backend: &mut dyn Backend, requests: Vec<Vec<NamedTensor>>, waiting: Vec<Waiting>) {
    let rows: Vec<usize> = waiting.iter().map(|request| request.rows).collect();
    match run(model, backend, &requests, &rows) {
        Ok((outputs, mut execution)) => {
            execution.queue = waiting.iter().map(|request| request.queue).collect();
            model.recorder.executed(&execution);
            for (request, outputs) in waiting.into_iter().zip(outputs) {
                let Execution { rows, compute_infer, .. } = execution;
                let answer = Answer { outputs, queue: request.queue, compute: compute_infer, batch_rows: rows };
                // A caller that has given up meanwhile has nobody to tell.
                let _ = request.reply.send(Ok(answer));
            }
        }
        Err(_) if requests.len() > 1 => {
            // One bad request must not fail its neighbours: each runs alone.
            for (request, waiting) in requests.into_iter().zip(waiting) {
                execute(model, backend, vec![request], vec![waiting]);
            }
        }
        Err(error) => {
            error!(model = model.name, version = model.version, %error, "inference failed");
            if let Some(request) = waiting.into_iter().next() {
                let _ = request.reply.send(Err(error.within(&model.name, &model.version)));
            }
        }
    }
}

/// Joins the requests, runs the backend and splits its outputs again.
fn run(
    model: &Model,
    backend: &mut dyn Backend,
    requests: &[Vec<NamedTensor>],
    rows: &[usize],
) -> Result<(Vec<Vec<NamedTensor>>, Execution)> {
    let total: usize = rows.iter().sum();
    let started = Instant::now();
    let joined;
    let inputs = match requests {
        [only] => only,
        several => {
            joined = join(several)?;
            &joined
        }
    };
    let prepared = Instant::now();
    let outputs = without_panic(|| backend.infer(inputs))?;
    let ran = Instant::now();
    let outputs = split(model.signature.check_outputs(outputs, total)?, rows)?;
    let execution = Execution {
        rows: total,
        queue: Vec::new(),
        compute_input: prepared - started,
        compute_infer: ran - prepared,
        compute_output: ran.elapsed(),
    };
    Ok((outputs, execution))
}

/// Input by input, the rows of all requests; every request has the inputs in the signature's order.
fn join(requests: &[Vec<NamedTensor>]) -> Result<Vec<NamedTensor>> {
    let names = requests.first().into_iter().flatten().map(|input| &input.name);
    names
        .enumerate()
        .map(|(index, name)| {
            let parts: Vec<&Tensor> = requests.iter().filter_map(|inputs| Some(&inputs.get(index)?.tensor)).collect();
            Ok(NamedTensor::new(name, Tensor::concat(&parts)?))
        })
        .collect()
}

/// Request by request, its rows of every output.
fn split(outputs: Vec<NamedTensor>, rows: &[usize]) -> Result<Vec<Vec<NamedTensor>>> {
    if rows.len() == 1 {
        return Ok(vec![outputs]);
    }
    let mut answers: Vec<Vec<NamedTensor>> = vec![Vec::with_capacity(outputs.len()); rows.len()];
    for NamedTensor { name, tensor } in outputs {
        for (answer, piece) in answers.iter_mut().zip(tensor.split(rows)?) {
            answer.push(NamedTensor::new(name.clone(), piece));
        }
    }
    Ok(answers)
}
