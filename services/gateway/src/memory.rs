//! The last good answers, shown with their age when the service that gave them is down. Never used for orders or limits.
use crate::{Error, Result};
use moneta_types::{Timestamp, UserId, WallClock};
use std::{
    any::Any,
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

/// Whose answer it is, to what.
type Key = (UserId, String);
type Kept = (Timestamp, Arc<dyn Any + Send + Sync>);

/// Answers by user and question.
pub(crate) struct Memory {
    wall: Arc<dyn WallClock>,
    most: usize,
    answers: Mutex<HashMap<Key, Kept>>,
}

/// An answer and, when it is not fresh, its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Aged<T> {
    pub answer: T,
    /// Seconds since it was given; none when it is fresh.
    pub stale_seconds: Option<u64>,
}

impl Memory {
    pub(crate) fn new(wall: Arc<dyn WallClock>, most: usize) -> Self {
        Self { wall, most, answers: Mutex::default() }
    }

    /// Asks; remembers a good answer, and falls back on the last one when the service does not answer.
    pub(crate) async fn fresh_or_last<T: Clone + Send + Sync + 'static>(
        &self,
        user: UserId,
        question: String,
        ask: impl Future<Output = Result<T>>,
    ) -> Result<Aged<T>> {
        let outcome = ask.await;
        let now = self.wall.now();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(answer) => {
                if answers.len() >= self.most
                    && !answers.contains_key(&(user, question.clone()))
                    && let Some(oldest) = answers.iter().min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone())
                {
                    answers.remove(&oldest);
                }
                answers.insert((user, question), (now, Arc::new(answer.clone())));
                Ok(Aged { answer, stale_seconds: None })
            }
            Err(error) if error.is_outage() => {
                let kept = answers.get(&(user, question)).cloned();
                drop(answers);
                let last = kept.and_then(|(at, answer)| Some((at, answer.downcast_ref::<T>()?.clone())));
                let (at, answer) = last.ok_or(error)?;
                let age = u64::try_from(now.seconds_since(at)).unwrap_or_default();
                Ok(Aged { answer, stale_seconds: Some(age) })
            }
            // Whoever may not see it any more does not see it from memory.
            Err(error) => {
                answers.remove(&(user, question));
                Err(error)
            }
        }
    }

    /// Forgets everything about a user (erasure).
    pub(crate) fn forget(&self, user: UserId) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).retain(|(owner, _), _| *owner != user);
    }
}

impl Error {
    /// An outage, for tests of what follows from one.
    #[cfg(test)]
    pub(crate) fn outage() -> Self {
        moneta_kit::problem::Problem::unavailable("unavailable", "down").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moneta_kit::problem::Problem;
    use std::sync::atomic::{AtomicI64, Ordering};
    use uuid::Uuid;

    #[derive(Debug, Default)]
    struct HandClock(AtomicI64);

    impl WallClock for HandClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::SeqCst))
        }
    }

    fn anna() -> UserId {
        UserId::from_uuid(Uuid::from_u128(1))
    }

    async fn ask(memory: &Memory, user: UserId, outcome: Result<u8>) -> Result<Aged<u8>> {
        memory.fresh_or_last(user, "portfolio".to_owned(), async { outcome }).await
    }

    #[tokio::test]
    async fn an_outage_is_answered_with_the_last_answer_and_its_age() {
        let clock = Arc::new(HandClock::default());
        let memory = Memory::new(clock.clone(), 10);
        assert!(ask(&memory, anna(), Err(Error::outage())).await.is_err(), "nothing is known yet");
        assert_eq!(ask(&memory, anna(), Ok(7)).await.unwrap(), Aged { answer: 7, stale_seconds: None });
        clock.0.store(90_000_000, Ordering::SeqCst);
        let last = ask(&memory, anna(), Err(Error::outage())).await.unwrap();
        assert_eq!(last, Aged { answer: 7, stale_seconds: Some(90) });
        let bert = UserId::from_uuid(Uuid::from_u128(2));
        assert!(ask(&memory, bert, Err(Error::outage())).await.is_err(), "another user's answer is not his");
    }

    #[tokio::test]
    async fn a_refusal_is_passed_on_and_forgets_the_answer() {
        let memory = Memory::new(Arc::new(HandClock::default()), 10);
        ask(&memory, anna(), Ok(7)).await.unwrap();
        assert!(ask(&memory, anna(), Err(Problem::not_found("portfolio", 1).into())).await.is_err());
        assert!(ask(&memory, anna(), Err(Error::outage())).await.is_err());
    }

    #[tokio::test]
    async fn no_more_answers_are_kept_than_configured() {
        let memory = Memory::new(Arc::new(HandClock::default()), 2);
        for nth in 1..=5 {
            ask(&memory, UserId::from_uuid(Uuid::from_u128(nth)), Ok(7)).await.unwrap();
        }
        assert_eq!(memory.answers.lock().unwrap().len(), 2);
    }
}
