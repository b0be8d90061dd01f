//! Copies of every store as of one instant: see the argument in the module above.
use super::{Error, Result};
use crate::{
    args,
    data_dir::StoreFile,
    entropy::{self, SystemClock},
    store::{Bare, ErrorKind, Snapshot, sqlite_url},
};
use moneta_types::{Timestamp, WallClock as _};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long one store is waited for. A writer that waits for a neighbour whose store is held already would never end, so
/// everything is let go then and tried again.
const PATIENCE_MS: u32 = 400;
const PAUSE: Duration = Duration::from_millis(300);
/// How long it is tried.
const LONGEST: Duration = Duration::from_secs(60);

/// Copies every store into a folder, each to the place of its number; the instant whose state the copies hold.
pub(super) async fn copy(stores: &[StoreFile], into: &Path) -> Result<Timestamp> {
    // Opened before anything is held, so that nobody waits for it.
    let mut snapshots = Vec::with_capacity(stores.len());
    for store in stores {
        snapshots.push(Snapshot::open(&store.path).await.map_err(at(store))?);
    }
    let started = Instant::now();
    let held = loop {
        match hold(stores).await {
            Ok(held) => break held,
            Err(Error::Store { source, .. }) if source.kind() == ErrorKind::Busy => {
                if started.elapsed() > LONGEST {
                    return Err(Error::Busy { seconds: LONGEST.as_secs() });
                }
                entropy::pause(PAUSE + entropy::jitter(PAUSE)).await;
            }
            Err(error) => return Err(error),
        }
    };
    let instant = SystemClock.now();
    let mut begun = Ok(());
    for (snapshot, store) in snapshots.iter_mut().zip(stores) {
        begun = snapshot.begin().await.map_err(at(store));
        if begun.is_err() {
            break;
        }
    }
    for mut bare in held {
        let _ = bare.rollback().await;
        bare.close().await;
    }
    begun?;
    for (nth, (snapshot, store)) in snapshots.into_iter().zip(stores).enumerate() {
        snapshot.copy_to(&place(into, nth)).await.map_err(at(store))?;
    }
    Ok(instant)
}

fn at(store: &StoreFile) -> impl FnOnce(crate::store::Error) -> Error + '_ {
    |source| Error::Store { path: store.path.clone(), source }
}

/// Where the copy of a store lies.
pub(super) fn place(into: &Path, nth: usize) -> PathBuf {
    into.join(format!("{nth}.copy"))
}

async fn hold(stores: &[StoreFile]) -> Result<Vec<Bare>> {
    let mut held = Vec::with_capacity(stores.len());
    for store in stores {
        let take = async {
            let mut bare = Bare::open(&sqlite_url(&store.path)).await?;
            bare.fetch_all(&format!("PRAGMA busy_timeout = {PATIENCE_MS}"), args![]).await?;
            bare.begin().await?;
            Ok(bare)
        };
        held.push(take.await.map_err(at(store))?);
    }
    Ok(held)
}
