//! How a process hears of sessions that ended elsewhere: it reads the event log beside the consumer groups, so that nothing
//! waits for it and it waits for nothing.
use super::{LONGEST_ACCESS_SECONDS, Tokens, ended::seconds};
use crate::{
    bus::{self, EventBus, Published},
    entropy,
};
use moneta_contracts::events::{Event as _, SessionEnded};
use std::{sync::Arc, time::Duration};

/// How often to look. Whoever ends a session publishes it at once, so others know well within a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Events read at once.
const BATCH: u32 = 500;

/// Takes in what ended within the life of an access token; the position after which to go on.
pub(crate) async fn fill(bus: &dyn EventBus, tokens: &Tokens) -> bus::Result<u64> {
    let oldest = tokens.now_seconds().saturating_sub(LONGEST_ACCESS_SECONDS);
    let (mut before, mut newest) = (u64::MAX, 0);
    loop {
        let batch = bus.read_type_before(SessionEnded::TYPE, before, BATCH).await?;
        let Some(last) = batch.last() else { break };
        before = last.sequence;
        newest = newest.max(batch.first().map_or(0, |first| first.sequence));
        let mut past = false;
        for published in &batch {
            if let Some(event) = read(published) {
                past |= seconds(event.at) < oldest;
                tokens.end(&event);
            }
        }
        // Events of one moment may stand a little out of order; a whole batch of margin is more than that.
        if past {
            break;
        }
    }
    Ok(newest)
}

/// Takes in what ends from now on.
pub(crate) async fn watch(bus: Arc<dyn EventBus>, tokens: Tokens, mut after: u64) {
    tokens.heard();
    loop {
        // Another process may have written, and nobody wakes this one for it.
        entropy::pause(LOOK_EVERY).await;
        match bus.read_type_after(SessionEnded::TYPE, after, BATCH).await {
            Ok(batch) => {
                for published in &batch {
                    after = published.sequence;
                    if let Some(event) = read(published) {
                        tokens.end(&event);
                    }
                }
                tokens.heard();
            }
            Err(error) => {
                tracing::warn!(error = %crate::problem::chain(&error), "cannot hear which sessions have ended");
            }
        }
    }
}

fn read(published: &Published) -> Option<SessionEnded> {
    match published.envelope.decode::<SessionEnded>() {
        Ok(event) => Some(event),
        Err(error) => {
            tracing::error!(error = %crate::problem::chain(&error), "an ended session cannot be read");
            None
        }
    }
}
