//! Whose query is worked when. A query holds a thread while it is parsed and validated, and that thread waits with it for the
//! services, so a client may not hoard them: it has a few, and the others keep theirs.
use crate::{Error, Result};
use moneta_kit::problem::Problem;
use moneta_types::UserId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Queries that are worked at once.
const MOST: usize = 64;
/// Queries of one person that are worked at once. A page sends one at a time.
const MOST_A_USER: usize = 8;
/// When to come back, for who has too many.
const SOON: Duration = Duration::from_secs(1);

/// Every turn that there is.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    taken: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// A turn, given back when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _shared: OwnedSemaphorePermit,
    _own: Own,
}

#[derive(Debug)]
struct Own {
    taken: Arc<Mutex<HashMap<UserId, usize>>>,
    user: UserId,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(MOST)), taken: Arc::default() }
    }

    /// A turn for a person; refused when he has too many, waited for when all others have.
    pub(super) async fn take(&self, user: UserId) -> Result<Turn> {
        let own = self.own(user)?;
        let shared = Arc::clone(&self.all).acquire_owned().await.map_err(Problem::internal)?;
        Ok(Turn { _shared: shared, _own: own })
    }

    fn own(&self, user: UserId) -> Result<Own> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(user).or_default();
        if *count == MOST_A_USER {
            return Err(Error::TooMany(SOON));
        }
        *count += 1;
        Ok(Own { taken: Arc::clone(&self.taken), user })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use uuid::Uuid;

    #[tokio::test]
    async fn one_person_has_a_few_turns_and_another_gets_his_all_the_same() {
        let turns = Turns::new();
        let (anna, bert) = (UserId::from_uuid(Uuid::from_u128(1)), UserId::from_uuid(Uuid::from_u128(2)));
        let mut hers = Vec::new();
        for _ in 0..MOST_A_USER {
            hers.push(turns.take(anna).await.unwrap());
        }
        assert!(matches!(turns.take(anna).await, Err(Error::TooMany(_))));
        drop(turns.take(bert).await.unwrap());
        hers.pop();
        hers.push(turns.take(anna).await.unwrap());
        hers.clear();
        assert!(turns.taken.lock().unwrap().is_empty(), "nobody is remembered who has none");
    }

    #[tokio::test]
    async fn who_finds_no_turn_free_waits_for_one() {
        let turns = Turns::new();
        let everybody = (0..MOST).map(|nth| turns.take(UserId::from_uuid(Uuid::from_u128(nth as u128))));
        let mut held = futures::future::try_join_all(everybody).await.unwrap();
        let late = UserId::from_uuid(Uuid::from_u128(9_999));
        let mut waiting = Box::pin(turns.take(late));
        assert!(waiting.as_mut().now_or_never().is_none());
        held.pop();
        waiting.await.unwrap();
    }
}
