//! Delivery by e-mail: when, how often it is tried, and what a message looks like.
mod mailer;
mod worker;

pub use mailer::{Mailer, Sent};
pub use worker::Worker;

use std::sync::Arc;
use tokio::sync::Notify;

/// The way from a notification that was written to the worker that sends it.
#[derive(Clone)]
pub struct Outgoing {
    configured: bool,
    written: Arc<Notify>,
}

impl Outgoing {
    /// A way to a worker; `configured` when there is a mail server.
    pub fn new(configured: bool) -> Self {
        Self { configured, written: Arc::new(Notify::new()) }
    }

    /// Whether there is a mail server.
    pub const fn is_configured(&self) -> bool {
        self.configured
    }

    /// Something was written.
    pub fn wake(&self) {
        self.written.notify_one();
    }

    /// Waits until something was written.
    pub async fn written(&self) {
        self.written.notified().await;
    }
}

/// A notification's text as an e-mail carries it.
pub fn email_body(body: &str, mandatory: bool) -> String {
    let footer = if mandatory {
        "You are told this because you must be; it cannot be switched off."
    } else {
        "You can choose what you are told: say in the chat which messages to turn off, or on."
    };
    format!("{body}\n\n--\nMoneta\n{footer}\n")
}
