//! What can be configured of the gateway: section `gateway`.
use crate::proxies::Network;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, num::NonZeroU32};

/// The configuration, with its defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of the API and the page; port 0 asks the system.
    pub listen: SocketAddr,
    /// Networks of the proxies in front of the gateway ("10.0.0.0/8"). Of these alone it is believed where a client is
    /// (`X-Forwarded-For`, `Forwarded`); by default of nobody.
    pub trusted_proxies: Vec<Network>,
    /// Whom clients turn to, as the page says it: a telephone number or an e-mail address. Empty: it names nobody.
    pub contact: String,
    /// Largest body of a request, bytes.
    pub body_limit_bytes: usize,
    /// Requests of a signed-in user.
    pub user_rate: Rate,
    /// Requests of an address that did not sign in.
    pub peer_rate: Rate,
    /// Requests of one client (a user, or an address that did not sign in) that are answered at the same time.
    pub requests_at_once: NonZeroU32,
    /// Attempts of an address to sign in, register or refresh a session.
    pub auth_rate: Rate,
    /// How long a page waits for a portfolio or recommendations before it is shown the last known ones, milliseconds.
    pub read_deadline_ms: u64,
    /// How long a turn of the chat, an advice cycle or the replay of a decision may take, milliseconds.
    pub work_deadline_ms: u64,
    /// Answers that are kept to be shown when their service is down.
    pub remembered_answers: usize,
    /// What one GraphQL query may cost: 1 for a field, 20 for a part that a service is asked for.
    pub graphql_complexity: usize,
    /// How deep one GraphQL query may be nested.
    pub graphql_depth: usize,
}

/// So many requests at once, and so many a minute in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests at once, after a pause.
    pub burst: NonZeroU32,
    /// Requests a minute in the long run.
    pub per_minute: NonZeroU32,
}

impl Rate {
    const fn new(burst: u32, per_minute: u32) -> Self {
        match (NonZeroU32::new(burst), NonZeroU32::new(per_minute)) {
            (Some(burst), Some(per_minute)) => Self { burst, per_minute },
            _ => Self { burst: NonZeroU32::MIN, per_minute: NonZeroU32::MIN },
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            trusted_proxies: Vec::new(),
            contact: String::new(),
            body_limit_bytes: 64 << 10,
            user_rate: Rate::new(200, 3_000),
            peer_rate: Rate::new(100, 1_200),
            requests_at_once: NonZeroU32::MIN.saturating_add(63),
            auth_rate: Rate::new(30, 60),
            read_deadline_ms: 3_000,
            work_deadline_ms: 30_000,
            remembered_answers: 1_000,
            graphql_complexity: 600,
            graphql_depth: 16,
        }
    }
}
