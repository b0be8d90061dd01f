//! What a loaded version has done: the protocol's statistics and the process's metrics, fed from the same measurements.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use metrics::{Counter, Histogram, counter, histogram};

/// How often something happened, and the time it took altogether.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Number of times.
    pub count: u64,
    /// Nanoseconds altogether.
    pub nanoseconds: u64,
}

impl Span {
    fn add(&mut self, count: u64, time: Duration) {
        self.count += count;
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds = self.nanoseconds.saturating_add(nanoseconds.saturating_mul(count));
    }
}

/// Executions of one batch size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchStatistics {
    /// Joining the inputs.
    pub compute_input: Span,
    /// Running the backend.
    pub compute_infer: Span,
    /// Splitting the outputs.
    pub compute_output: Span,
}

/// What a loaded version has done since it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Unix time of the last request answered, in milliseconds; 0 before the first.
    pub last_inference: u64,
    /// Rows answered.
    pub inference_count: u64,
    /// Runs of the backend.
    pub execution_count: u64,
    /// Requests answered, with their time in the server.
    pub success: Span,
    /// Requests refused, timed out or failed, with their time in the server.
    pub fail: Span,
    /// Time answered requests waited.
    pub queue: Span,
    /// Time answered requests spent in the joining of inputs.
    pub compute_input: Span,
    /// Time answered requests spent in the backend.
    pub compute_infer: Span,
    /// Time answered requests spent in the splitting of outputs.
    pub compute_output: Span,
    /// Executions by number of rows.
    pub batches: BTreeMap<u64, BatchStatistics>,
}

/// One run of the backend.
pub(crate) struct Execution {
    /// Rows that ran together.
    pub rows: usize,
    /// Waiting time of each request.
    pub queue: Vec<Duration>,
    pub compute_input: Duration,
    pub compute_infer: Duration,
    pub compute_output: Duration,
}

/// Why a request got no answer; the `outcome` label of the metrics.
#[derive(Clone, Copy)]
pub(crate) enum Failure {
    Invalid,
    Overloaded,
    Deadline,
    Failed,
}

/// Collects statistics and metrics of one loaded version.
pub(crate) struct Recorder {
    statistics: Mutex<Statistics>,
    unix_millis: fn() -> u64,
    answered: Counter,
    failures: [Counter; 4],
    request_seconds: Histogram,
    queue_seconds: Histogram,
    compute_seconds: Histogram,
    batch_rows: Histogram,
}

impl Recorder {
    pub(crate) fn new(model: &str, version: &str, unix_millis: fn() -> u64) -> Self {
        let labels = [("model", model.to_owned()), ("version", version.to_owned())];
        let requests = |outcome: &'static str| {
            let [model, version] = labels.clone();
            counter!("moneta_inference_requests_total", &[model, version, ("outcome", outcome.to_owned())])
        };
        Recorder {
            statistics: Mutex::default(),
            unix_millis,
            answered: requests("ok"),
            failures: ["invalid", "overloaded", "deadline", "failed"].map(requests),
            request_seconds: histogram!("moneta_inference_request_seconds", &labels),
            queue_seconds: histogram!("moneta_inference_queue_seconds", &labels),
            compute_seconds: histogram!("moneta_inference_compute_seconds", &labels),
            batch_rows: histogram!("moneta_inference_batch_rows", &labels),
        }
    }

    /// A run of the backend that answered all of its requests.
    pub(crate) fn executed(&self, execution: &Execution) {
        let requests = execution.queue.len() as u64;
        {
            let mut statistics = self.statistics.lock().unwrap_or_else(PoisonError::into_inner);
            statistics.last_inference = (self.unix_millis)();
            statistics.inference_count += execution.rows as u64;
            statistics.execution_count += 1;
            for &waited in &execution.queue {
                statistics.queue.add(1, waited);
            }
            statistics.compute_input.add(requests, execution.compute_input);
            statistics.compute_infer.add(requests, execution.compute_infer);
            statistics.compute_output.add(requests, execution.compute_output);
            let batch = statistics.batches.entry(execution.rows as u64).or_default();
            batch.compute_input.add(1, execution.compute_input);
            batch.compute_infer.add(1, execution.compute_infer);
            batch.compute_output.add(1, execution.compute_output);
        }
        for waited in &execution.queue {
            self.queue_seconds.record(waited.as_secs_f64());
        }
        self.compute_seconds.record(execution.compute_infer.as_secs_f64());
        self.batch_rows.record(execution.rows as f64);
    }

    /// A request that got its answer after `time` in the server.
    pub(crate) fn answered(&self, time: Duration) {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner).success.add(1, time);
        self.answered.increment(1);
        self.request_seconds.record(time.as_secs_f64());
    }

    /// A request that got none.
    pub(crate) fn failed(&self, failure: Failure, time: Duration) {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner).fail.add(1, time);
        self.failures[failure as usize].increment(1);
    }

    pub(crate) fn snapshot(&self) -> Statistics {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
