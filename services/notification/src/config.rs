//! What can be configured of the notification service: section `notification`.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The configuration, with its defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The mail server; without one, e-mail is suppressed, and each notification says so.
    pub smtp: Smtp,
    /// How delivery is tried.
    pub delivery: Delivery,
}

/// The mail server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Smtp {
    /// Its name; empty: there is none.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: Tls,
    /// User name, when it asks for one.
    pub username: String,
    /// Password, when it asks for one.
    pub password: String,
    /// Who the messages come from.
    pub from: String,
    /// The right-hand side of message ids.
    pub message_id_domain: String,
    /// Seconds that a conversation with the server may take.
    pub timeout_seconds: u64,
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            tls: Tls::Starttls,
            username: String::new(),
            password: String::new(),
            from: "Moneta <no-reply@moneta.example>".to_owned(),
            message_id_domain: "moneta.example".to_owned(),
            timeout_seconds: 20,
        }
    }
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// In the clear: for a relay on the same machine.
    None,
    /// STARTTLS is required (RFC 3207).
    Starttls,
}

/// How delivery is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// Attempts before a delivery has failed.
    pub attempts: u32,
    /// Milliseconds before the second attempt; doubles with each further one.
    pub backoff_ms: u64,
    /// The longest wait in milliseconds.
    pub backoff_max_ms: u64,
    /// Milliseconds between looks at what has become due.
    pub poll_ms: u64,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { attempts: 6, backoff_ms: 5_000, backoff_max_ms: 600_000, poll_ms: 1_000 }
    }
}
