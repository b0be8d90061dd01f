//! When the process is told to stop: Ctrl-C, SIGTERM, or the end of whoever reads what it prints.
use crate::output;
use moneta_kit::runner::Running;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears what was sent from the moment at which it was made, also while the services are still starting.
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Begins to hear. Made before anything that takes time, because from then on a signal no longer ends the process by
    /// itself.
    ///
    /// # Errors
    /// When the system does not let signals be heard.
    pub fn hear() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits until somebody says so.
    pub async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = output::closed() => {}
        }
    }

    /// Waits until somebody says so, or a service asks for the end of the process.
    pub async fn told_or(&mut self, running: &Running) {
        tokio::select! {
            () = self.told() => {}
            () = running.stopped() => {}
        }
    }

    /// Waits for work that can be given up at any point, as a crash would; nothing when it was told to stop before.
    pub async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.told() => {
                eprintln!("stopped before it had started; what was begun is taken up again at the next start");
                None
            }
        }
    }
}
