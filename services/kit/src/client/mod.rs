//! Clients of the services: a directory that knows where each is, and the call that says who asks, why and how long.
mod breaker;
mod holds;
mod pages;
mod transport;

pub use breaker::{Breaker, BreakerConfig};
pub use holds::not_held;
pub use pages::every_page;
pub use transport::Transport;

use crate::{
    identity::{CAUSE_HEADER, Tokens},
    service::ServiceContext,
};
use moneta_contracts::{
    advisor::advisor_client::AdvisorClient,
    compliance::compliance_client::ComplianceClient,
    market_data::market_data_client::MarketDataClient,
    notification::notification_client::NotificationClient,
    portfolio::portfolio_client::PortfolioClient,
    trading::trading_client::TradingClient,
    user::{accounts_client::AccountsClient, user_client::UserClient},
};
use moneta_types::{Cause, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tonic::metadata::MetadataValue;

/// Names of the services that have a gRPC contract.
pub const SERVICES: [&str; 7] =
    ["market-data", "user", "portfolio", "trading", "compliance", "notification", "advisor"];

/// Largest answer that a client accepts, bytes: long histories go beyond tonic's 4 MiB.
const LARGEST_ANSWER: usize = 64 << 20;

/// How services call each other.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientConfig {
    /// Deadline of a call that names none, milliseconds.
    pub deadline_ms: u64,
    /// Attempts at a service that does not answer.
    pub attempts: u32,
    /// Longest pause before the second attempt, milliseconds; doubles with every further one, and is jittered.
    pub pause_ms: u64,
    /// Longest wait for a connection, milliseconds.
    pub connect_timeout_ms: u64,
    /// Calls that the circuit breaker looks back at.
    pub breaker_window: usize,
    /// Calls before the circuit breaker may open.
    pub breaker_minimum: usize,
    /// Share of failures at which it opens, decimal fraction.
    pub breaker_failure_share: f64,
    /// How long it stays open, milliseconds.
    pub breaker_open_ms: u64,
    /// Calls that are let through afterwards.
    pub breaker_trial_calls: usize,
    /// Callers that must have waited in vain, with no answer to anybody in between, for it to open.
    pub breaker_callers: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            deadline_ms: 5_000,
            attempts: 3,
            pause_ms: 50,
            connect_timeout_ms: 1_000,
            breaker_window: 100,
            // The usual minimum of 100 would never be reached at our rates.
            breaker_minimum: 10,
            breaker_failure_share: 0.5,
            breaker_open_ms: 3_000,
            breaker_trial_calls: 3,
            breaker_callers: 3,
        }
    }
}

impl ClientConfig {
    const fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    const fn pause(&self) -> Duration {
        Duration::from_millis(self.pause_ms)
    }

    const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    fn breaker(&self) -> BreakerConfig {
        BreakerConfig {
            window: self.breaker_window.max(1),
            minimum: self.breaker_minimum.max(1),
            failure_share: self.breaker_failure_share,
            open_for: Duration::from_millis(self.breaker_open_ms),
            trial_calls: self.breaker_trial_calls.max(1),
            callers: self.breaker_callers.max(1),
        }
    }
}

/// Knows the way to every service.
#[derive(Debug, Clone)]
pub struct Directory(Arc<[Transport]>);

macro_rules! clients {
    ($($method:ident $client:ident $service:literal;)*) => {$(
        #[doc = concat!("A client of ", $service, ".")]
        pub fn $method(&self) -> $client<Transport> {
            $client::new(self.transport_or_absent($service)).max_decoding_message_size(LARGEST_ANSWER)
        }
    )*};
}

impl Directory {
    pub(crate) fn new(transports: Vec<Transport>) -> Self {
        Self(transports.into())
    }

    clients! {
        market_data MarketDataClient "market-data";
        user UserClient "user";
        accounts AccountsClient "user";
        portfolio PortfolioClient "portfolio";
        trading TradingClient "trading";
        compliance ComplianceClient "compliance";
        notification NotificationClient "notification";
        advisor AdvisorClient "advisor";
    }

    /// The way to a service by its name.
    pub fn transport(&self, service: &str) -> Option<Transport> {
        self.0.iter().find(|transport| transport.service() == service).cloned()
    }

    /// A service that nobody knows is one that never answers.
    fn transport_or_absent(&self, service: &'static str) -> Transport {
        self.transport(service).unwrap_or_else(|| Transport::local(service, &ClientConfig::default()))
    }
}

/// Who calls, why, and how long the answer may take.
#[derive(Debug, Clone)]
pub struct Call {
    authorization: Option<String>,
    cause: Cause,
    deadline: Option<Duration>,
    once: bool,
}

impl Call {
    /// As the service itself, for the platform.
    pub fn service(context: &ServiceContext, cause: Cause) -> Self {
        Self::as_service(&context.tokens, context.name, None, cause)
    }

    /// As the service, on behalf of a user.
    pub fn for_user(context: &ServiceContext, user: UserId, cause: Cause) -> Self {
        Self::as_service(&context.tokens, context.name, Some(user), cause)
    }

    /// As the caller of a request that is being answered: same token, same cause.
    pub fn forward<T>(request: &tonic::Request<T>) -> Self {
        let authorization =
            request.metadata().get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self { authorization, cause: crate::identity::cause(request), deadline: None, once: false }
    }

    /// As the bearer of an access token.
    pub fn bearer(token: &str, cause: Cause) -> Self {
        Self { authorization: Some(format!("Bearer {token}")), cause, deadline: None, once: false }
    }

    /// As nobody, for the methods that need no caller (registration, login).
    pub const fn anonymous(cause: Cause) -> Self {
        Self { authorization: None, cause, deadline: None, once: false }
    }

    pub(crate) fn as_service(tokens: &Tokens, name: &str, user: Option<UserId>, cause: Cause) -> Self {
        match tokens.issue_service(name, user) {
            Ok(token) => Self::bearer(&token, cause),
            Err(error) => {
                // The call goes out without a token and is refused there, which tells the caller.
                tracing::error!(service = name, %error, "cannot make a service token");
                Self::anonymous(cause)
            }
        }
    }

    /// The same call with a deadline of its own.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The same call for another cause.
    #[must_use]
    pub const fn because(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }

    /// The same call, never tried a second time; for what is not idempotent by its cause.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Why the call is made.
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// A request with this call's metadata.
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let metadata = request.metadata_mut();
        if let Some(value) = self.authorization.as_deref().and_then(|text| MetadataValue::try_from(text).ok()) {
            metadata.insert("authorization", value);
        }
        if let Ok(value) = MetadataValue::try_from(self.cause.to_string()) {
            metadata.insert(CAUSE_HEADER, value);
        }
        if self.once {
            metadata.insert(transport::ONCE_HEADER, MetadataValue::from_static("1"));
        }
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        request
    }
}
