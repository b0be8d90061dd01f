//! The queue before a model's instances, and the forming of batches out of it.
//!
//! An idle instance takes at once whatever is waiting, up to the batch limit; requests gather while the instances are
//! busy. Only when the last batches show that several callers are at work may an instance wait a little for them, so a
//! lone caller never pays for batching.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{NamedTensor, Result};

/// A request that waits for an instance.
pub(crate) struct Job {
    /// Inputs in the signature's order, checked.
    pub inputs: Vec<NamedTensor>,
    /// Rows of the batch axis; 1 for a model that is not batchable.
    pub rows: usize,
    /// Where the answer goes. Closed once the caller has given up, by cancellation or because its time ran out.
    pub reply: oneshot::Sender<Result<Answer>>,
    /// When it joined the queue, for the statistics.
    pub enqueued: Instant,
}

/// What an instance sends back.
pub(crate) struct Answer {
    /// Outputs in the signature's order.
    pub outputs: Vec<NamedTensor>,
    /// Time spent waiting.
    pub queue: Duration,
    /// Time the backend ran.
    pub compute: Duration,
    /// Rows that ran together.
    pub batch_rows: usize,
}

/// Why a request was not admitted; the request comes back.
pub(crate) enum Refused {
    Full,
    Closed(Job),
}

pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    limit: usize,
    max_rows: usize,
    max_delay: Duration,
    mergeable: bool,
}

struct State {
    /// By priority, then in order of arrival.
    waiting: BTreeMap<(u32, u64), Job>,
    sequence: u64,
    closed: bool,
    /// Requests in the last batch: how many callers seem to be at work.
    concurrency: usize,
}

impl Queue {
    pub(crate) fn new(limit: usize, max_rows: usize, max_delay: Duration, mergeable: bool) -> Self {
        let state = State { waiting: BTreeMap::new(), sequence: 0, closed: false, concurrency: 1 };
        Queue { state: Mutex::new(state), arrived: Condvar::new(), limit, max_rows, max_delay, mergeable }
    }

    /// Admits a request, or refuses it at once. Priority 1 goes first, 0 (none given) last.
    pub(crate) fn push(&self, priority: u32, job: Job) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed(job));
        }
        if state.waiting.len() >= self.limit {
            state.waiting.retain(|_, waiting| !waiting.reply.is_closed());
            if state.waiting.len() >= self.limit {
                return Err(Refused::Full);
            }
        }
        let order = (priority.wrapping_sub(1), state.sequence);
        state.sequence += 1;
        state.waiting.insert(order, job);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes the next batch, waiting for one; `None` once the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            while state.waiting.is_empty() {
                if state.closed {
                    return None;
                }
                state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if self.mergeable && !self.max_delay.is_zero() {
                state = self.gather(state);
            }
            let batch = self.next_batch(&mut state);
            if !batch.is_empty() {
                state.concurrency = batch.len();
                // Another instance may have been told of a request that is now gone while others still wait.
                if !state.waiting.is_empty() {
                    self.arrived.notify_one();
                }
                return Some(batch);
            }
        }
    }

    /// Refuses further requests; those that wait are still served.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Waits at most `max_delay` for as many requests as the last batch had.
    fn gather<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let enough = |state: &mut State| {
            let rows: usize = state.waiting.values().map(|job| job.rows).sum();
            state.waiting.len() >= state.concurrency || rows >= self.max_rows || state.closed
        };
        let waited = self.arrived.wait_timeout_while(state, self.max_delay, |state| !enough(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The first request and those after it that can run with it. Requests nobody waits for any more are dropped.
    fn next_batch(&self, state: &mut State) -> Vec<Job> {
        state.waiting.retain(|_, job| !job.reply.is_closed());
        let Some((_, first)) = state.waiting.pop_first() else { return Vec::new() };
        let mut rows = first.rows;
        let mut batch = vec![first];
        if self.mergeable {
            let mut chosen = Vec::new();
            for (&order, job) in &state.waiting {
                if rows >= self.max_rows {
                    break;
                }
                if rows + job.rows <= self.max_rows && same_trailing_axes(&batch[0].inputs, &job.inputs) {
                    rows += job.rows;
                    chosen.push(order);
                }
            }
            batch.extend(chosen.into_iter().filter_map(|order| state.waiting.remove(&order)));
        }
        batch
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn same_trailing_axes(left: &[NamedTensor], right: &[NamedTensor]) -> bool {
    left.iter().zip(right).all(|(left, right)| left.tensor.shape().get(1..) == right.tensor.shape().get(1..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    fn job(rows: usize, width: usize) -> (Job, oneshot::Receiver<Result<Answer>>) {
        let (reply, answer) = oneshot::channel();
        let tensor = Tensor::new([rows, width], vec![0.0f32; rows * width]).unwrap();
        (Job { inputs: vec![NamedTensor::new("x", tensor)], rows, reply, enqueued: Instant::now() }, answer)
    }

    fn queue(limit: usize, max_rows: usize) -> Queue {
        Queue::new(limit, max_rows, Duration::ZERO, true)
    }

    fn push(queue: &Queue, priority: u32, job: Job) -> bool {
        queue.push(priority, job).is_ok()
    }

    fn rows(batch: &[Job]) -> Vec<usize> {
        batch.iter().map(|job| job.rows).collect()
    }

    #[test]
    fn a_batch_takes_what_waits_up_to_the_limit_and_only_equal_shapes() {
        let queue = queue(10, 4);
        let jobs = [(1, 2), (1, 3), (2, 2), (2, 2), (1, 2)].map(|(rows, width)| job(rows, width));
        let (jobs, _answers): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
        assert!(jobs.into_iter().all(|job| push(&queue, 0, job)));
        assert_eq!(rows(&queue.take().unwrap()), [1, 2, 1]);
        assert_eq!(rows(&queue.take().unwrap()), [1]);
        assert_eq!(rows(&queue.take().unwrap()), [2]);
    }

    #[test]
    fn priority_one_goes_first_and_none_last() {
        let queue = queue(10, 1);
        let mut answers = Vec::new();
        for (priority, width) in [(0, 1), (2, 2), (1, 3)] {
            let (job, answer) = job(1, width);
            answers.push(answer);
            assert!(push(&queue, priority, job));
        }
        let order: Vec<usize> = (0..3).map(|_| queue.take().unwrap()[0].inputs[0].tensor.len()).collect();
        assert_eq!(order, [3, 2, 1]);
    }

    #[test]
    fn a_full_queue_refuses_until_a_caller_gives_up() {
        let queue = queue(1, 4);
        let (first, answer) = job(1, 1);
        assert!(push(&queue, 0, first));
        assert!(matches!(queue.push(0, job(1, 1).0), Err(Refused::Full)));
        drop(answer);
        let (third, _answer) = job(3, 1);
        assert!(push(&queue, 0, third));
        assert_eq!(rows(&queue.take().unwrap()), [3]);
    }

    #[test]
    fn a_closed_queue_refuses_new_requests_and_gives_out_those_that_wait() {
        let queue = queue(4, 4);
        let (first, _answer) = job(1, 1);
        assert!(push(&queue, 0, first));
        queue.close();
        assert!(matches!(queue.push(0, job(1, 1).0), Err(Refused::Closed(_))));
        assert_eq!(rows(&queue.take().unwrap()), [1]);
        assert!(queue.take().is_none());
    }

    #[test]
    fn a_lone_caller_never_waits_for_company() {
        let queue = Queue::new(4, 8, Duration::from_secs(3600), true);
        for _ in 0..3 {
            let (lone, _answer) = job(1, 1);
            assert!(push(&queue, 0, lone));
            assert_eq!(queue.take().unwrap().len(), 1);
        }
    }

    #[test]
    fn after_concurrent_callers_a_batch_waits_for_as_many_again() {
        let queue = std::sync::Arc::new(Queue::new(8, 8, Duration::from_secs(3600), true));
        let mut answers = Vec::new();
        for _ in 0..2 {
            let (job, answer) = job(1, 1);
            answers.push(answer);
            assert!(push(&queue, 0, job));
        }
        assert_eq!(queue.take().unwrap().len(), 2);
        let taker = std::thread::spawn({
            let queue = std::sync::Arc::clone(&queue);
            move || queue.take().map(|batch| batch.len())
        });
        for _ in 0..2 {
            let (job, answer) = job(1, 1);
            answers.push(answer);
            assert!(push(&queue, 0, job));
        }
        assert_eq!(taker.join().unwrap(), Some(2));
    }
}
