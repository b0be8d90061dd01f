//! The feed of trading days: each is published in two phases, and the next waits until the platform has come to rest.
//!
//! Day t: when everything is quiet, the clock stands at t's close and one transaction records the position and publishes
//! `bar_closed` (and `market_moved`); when that has settled, the clock stands five minutes later and `session_closed` is
//! published. Position and events are one transaction and event ids derive from the day, so a process that is killed at any
//! point goes on where it was, and nothing is told twice.
//!
//! Days come from a [`BarSource`]: stored history under a replay's clock, or the days that imports bring under the machine's.

mod session;
mod source;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use session::{Progress, Session, Step};
pub use source::{BarSource, LiveSource, ReplaySource, TradingDay};

/// How fast days follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as the platform comes to rest.
    Unbounded,
    /// At least this long between days.
    Interval(Duration),
}

/// A step that failed is tried again after this long, unless trying again makes no sense.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Replays day after day until the source is at its end or `shutdown` is asked for.
pub async fn run(session: Session, pace: Pace, shutdown: CancellationToken) {
    loop {
        let step = tokio::select! {
            step = session.advance() => step,
            () = shutdown.cancelled() => return,
        };
        let pause = match (step, pace) {
            (Ok(Step::Finished), _) => return,
            (Ok(Step::SessionClosed(_)), Pace::Interval(interval)) => interval,
            (Ok(_), _) => continue,
            (Err(error), _) if error.is_retryable() => {
                tracing::warn!(%error, "a step of the feed failed and is tried again");
                RETRY_AFTER
            }
            (Err(error), _) => {
                tracing::error!(%error, "the feed of trading days stands still");
                return;
            }
        };
        if !slept(pause, &shutdown).await {
            return;
        }
    }
}

/// Publishes the days that imports bring, and looks for new ones every `poll`, until `shutdown` is asked for. The history
/// of the first import is where the feed begins, and not news.
pub async fn follow(session: Session, poll: Duration, shutdown: CancellationToken) {
    loop {
        if let Err(error) = session.begin_at_newest().await {
            tracing::warn!(%error, "the feed cannot begin yet");
        }
        run(session.clone(), Pace::Unbounded, shutdown.clone()).await;
        if !slept(poll, &shutdown).await {
            return;
        }
    }
}

/// Whether the pause passed without a call to stop.
async fn slept(pause: Duration, shutdown: &CancellationToken) -> bool {
    tokio::time::timeout(pause, shutdown.cancelled()).await.is_err()
}
