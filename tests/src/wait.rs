//! Waiting for something that another process will do: the only place where tests let time pass.
use std::time::Duration;

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Tries until the probe answers, at most for about `patience`, and panics with `what` when it never does.
///
/// # Panics
/// When the probe has answered nothing for so long.
pub async fn eventually<T>(what: &str, patience: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let tries = patience.as_millis().div_ceil(PAUSE.as_millis()).max(1);
    for _ in 0..tries {
        if let Some(found) = probe().await {
            return found;
        }
        moneta_kit::entropy::pause(PAUSE).await;
    }
    panic!("{what}: not so after {tries} tries, {} ms apart", PAUSE.as_millis());
}
