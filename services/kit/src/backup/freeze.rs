//! Copies of every store as of one instant: see the argument in the module above.
use super::{Error, Result};
use crate::{
    args,
    data_dir::StoreFile,
    entropy::{self, SystemClock},
    store::{Bare, ErrorKind, sqlite_url},
};
use moneta_types::{Timestamp, WallClock as _};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// How long one store is waited for. A writer that waits for a neighbour whose store is held already would never end, so
/// everything is let go then and tried again.
const PATIENCE_MS: u32 = 400;
const PAUSE: Duration = Duration::from_millis(300);
/// How long it is tried.
const LONGEST: Duration = Duration::from_secs(60);
/// How often a copy is asked whether it has begun.
const LOOK: Duration = Duration::from_millis(1);

/// Copies every store into a folder, each to the place of its number; the instant whose state the copies hold.
pub(super) async fn copy(stores: &[StoreFile], into: &Path) -> Result<Timestamp> {
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
    let mut copies = Vec::with_capacity(stores.len());
    for (nth, store) in stores.iter().enumerate() {
        let target = place(into, nth);
        let path = store.path.clone();
        copies.push((target.clone(), tokio::spawn(copy_one(path, target))));
    }
    for (target, copy) in &copies {
        begun(target, copy).await;
    }
    for mut bare in held {
        let _ = bare.rollback().await;
        bare.close().await;
    }
    for ((_, copy), store) in copies.into_iter().zip(stores) {
        let failed = |source| Error::Store { path: store.path.clone(), source };
        match copy.await {
            Ok(done) => done.map_err(failed)?,
            Err(_) => return Err(failed(crate::store::Error::Broken)),
        }
    }
    Ok(instant)
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
        held.push(take.await.map_err(|source| Error::Store { path: store.path.clone(), source })?);
    }
    Ok(held)
}

/// `VACUUM INTO` reads one snapshot and leaves out what is deleted.
async fn copy_one(from: PathBuf, to: PathBuf) -> crate::store::Result<()> {
    let mut bare = Bare::open(&sqlite_url(&from)).await?;
    bare.fetch_all("VACUUM INTO $1", args![to.to_string_lossy().into_owned()]).await?;
    bare.close().await;
    Ok(())
}

/// Waits until a copy has begun to read: it writes nothing before, and is through otherwise.
async fn begun(target: &Path, copy: &JoinHandle<crate::store::Result<()>>) {
    while !copy.is_finished() && std::fs::metadata(target).map_or(0, |file| file.len()) == 0 {
        entropy::pause(LOOK).await;
    }
}
