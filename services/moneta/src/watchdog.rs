//! Ends the process when it was told to stop and does not.
//!
//! Telling a process to stop needs its runtime, and a runtime whose threads are all held never hears it. This thread has a
//! runtime of its own, so that SIGTERM and Ctrl-C always end the process: after a while, or at once when told twice.
use moneta_kit::entropy;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long a stop in order may take. What is in hand then is taken up again at the next start, as after a crash.
const GRACE: Duration = Duration::from_secs(60);

/// Begins to watch. Without it the process only stops in order, so a failure to begin is told and no more.
pub fn start() {
    let watched = std::thread::Builder::new().name("moneta-watchdog".to_owned()).spawn(|| {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(watch()),
            Err(error) => tracing::warn!(%error, "nobody watches over the end of this process"),
        }
    });
    if let Err(error) = watched {
        tracing::warn!(%error, "nobody watches over the end of this process");
    }
}

async fn watch() {
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "nobody watches over the end of this process");
            return;
        }
    };
    told(&mut terminate, &mut interrupt).await;
    let why = tokio::select! {
        () = entropy::pause(GRACE) => "it did not stop in time",
        () = told(&mut terminate, &mut interrupt) => "it was told twice",
    };
    eprintln!("moneta: {why}: ended by force; what was in hand is taken up again at the next start");
    std::process::exit(1);
}

async fn told(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
