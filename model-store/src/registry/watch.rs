//! Noticing changes that any process made: the registry's revision, polled.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::WatchStream;

use super::Registry;
use super::rows;
use crate::error::Result;

/// One row read by its key, ten times a second: too cheap to matter, and a promotion is seen well within 250 ms.
const POLL: Duration = Duration::from_millis(100);

impl Registry {
    /// The number of changes recorded so far.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn revision(&self) -> Result<u64> {
        rows::revision(&self.inner.db).await
    }

    /// The revision now, and again whenever any process registers, evaluates, promotes or rolls back. Changes that come
    /// faster than they are read are told as one. The polling ends when the stream is dropped.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store) when the first read fails; later failures are logged and tried again.
    pub async fn watch(&self) -> Result<WatchStream<u64>> {
        let (sender, receiver) = watch::channel(self.revision().await?);
        let registry = self.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(POLL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = sender.closed() => return,
                    _ = ticks.tick() => {}
                }
                match registry.revision().await {
                    Ok(revision) => {
                        sender.send_if_modified(|last| std::mem::replace(last, revision) != revision);
                    }
                    Err(error) => tracing::warn!(%error, "reading the model registry's revision failed; trying again"),
                }
            }
        });
        Ok(WatchStream::new(receiver))
    }
}
