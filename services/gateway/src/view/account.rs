//! Accounts, sessions, questionnaires, notifications.
use super::{Show, Time, view};
use moneta_contracts::{notification as notifications, user as pb};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

view! {
    /// A person's account.
    Account of pb::Account {
        user_id: String,
        email: String,
        display_name: String,
        /// investor, adviser, compliance, model-ops, admin
        roles: Vec<String>,
        base_currency: String,
        /// active, locked or erased
        status: String,
        created_at [created_micros]: Option<Time>,
        /// Needs particular care (PRIN 2A): changes wording and gates.
        vulnerable: bool,
        time_zone: String,
    }
}

view! {
    /// A session. The refresh token is good for one use.
    Session of pb::Session {
        access_token: String,
        refresh_token: String,
        /// Seconds for which the access token is good.
        expires_in: i64,
        user_id: String,
        /// The password was given out by somebody else: this session can do nothing but change it (PUT /me/password).
        password_change_only: bool,
    }
}

/// The person's account and preferences.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Me {
    #[serde(flatten)]
    pub account: Account,
    pub preferences: BTreeMap<String, String>,
    /// Every document that can be consented to, with what was last decided on it.
    pub consents: Vec<Consent>,
    /// Whom to turn to; null where the house has named nobody.
    pub contact: Option<String>,
}

view! {
    /// A document, and what the person last decided on it. It is decided with PUT /preferences.
    Consent of pb::Consent {
        /// terms_of_service, privacy_notice or algorithm_disclosure
        document: String,
        /// The version in force.
        version: String,
        /// accepted or withdrawn; null: nothing yet.
        decision: Option<String>,
        /// The version that was decided on.
        decided_version: Option<String>,
        decided_at [decided_micros]: Option<Time>,
    }
}

view! {
    /// A version of the suitability questionnaire, and what follows from it.
    Questionnaire of pb::Questionnaire {
        user_id: String,
        version: u32,
        submitted_at [submitted_micros]: Option<Time>,
        answers: Option<Answers>,
        /// cautious, balanced or adventurous
        risk_tolerance: String,
        /// low, medium or high
        capacity_for_loss: String,
        /// Annualised volatility, decimal fraction.
        volatility_ceiling: String,
    }
}

view! {
    /// The answers of a questionnaire.
    Answers of pb::Answers {
        horizon_years: u32,
        objective: String,
        experience: String,
        instruments_known: Vec<String>,
        reaction_to_fall: String,
        annual_income: String,
        liquid_assets: String,
        emergency_months: String,
        loss_bearable: String,
        risk_score: u32,
        understands_risk: bool,
    }
}

/// What was erased, and what the law makes us keep.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Erasure {
    pub erased_at: Time,
    pub retained: Vec<Retained>,
    /// What becomes of the bytes that are left, and when.
    pub remains: &'static str,
}

const REMAINS: &str = "The keys of what was personal are destroyed, so that nobody can read it here any more. Each service overwrites \
                       the bytes that are left in its own files as soon as it hears of the erasure: within seconds, and where a \
                       reader holds an older state, as soon as that has ended. Backups from before are not changed: the operator \
                       removes them when their time is over.";

impl Show<pb::EraseUserResponse> for Erasure {
    fn show(source: pb::EraseUserResponse) -> Self {
        Self { erased_at: Show::show(source.erased_micros), retained: Show::show(source.retained), remains: REMAINS }
    }
}

view! {
    /// What the law makes us keep of an erased user, by his id alone.
    Retained of pb::Retained {
        what: String,
        /// The rule.
        why: String,
        /// The day on which the duty to keep the last of it ends (ISO date); null: it has no end.
        until: Option<String>,
    }
}

view! {
    /// A message to the user.
    Notification of notifications::NotificationView {
        notification_id: String,
        topic: String,
        title: String,
        body: String,
        created_at [created_micros]: Option<Time>,
        read: bool,
        deliveries: Vec<Delivery>,
        /// The event that it tells about.
        event_id: Option<String>,
        /// It cannot be switched off.
        mandatory: bool,
        /// A path in the page.
        link: Option<String>,
    }
}

view! {
    /// How a message went out on one channel.
    Delivery of notifications::Delivery {
        /// inbox or email
        channel: String,
        /// pending, deferred, delivered, failed or suppressed
        status: String,
        attempts: u32,
        at [at_micros]: Option<Time>,
        detail: Option<String>,
    }
}

/// One page of the inbox.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Inbox {
    pub items: Vec<Notification>,
    /// To be sent as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
    /// Messages that were not read, on all pages.
    pub unread: u32,
}

impl Show<notifications::ListNotificationsResponse> for Inbox {
    fn show(source: notifications::ListNotificationsResponse) -> Self {
        Self {
            items: Show::show(source.notifications),
            next_cursor: Show::show(source.next_cursor),
            unread: source.unread,
        }
    }
}

view! {
    /// What is sent on which channel.
    NotificationPreferences of notifications::Preferences {
        topics: Vec<TopicPreference>,
        /// Local time from which nothing but the mandatory is sent ("22:00").
        quiet_from: Option<String>,
        quiet_to: Option<String>,
    }
}

view! {
    /// Whether a topic is sent on a channel.
    TopicPreference of notifications::TopicPreference {
        topic: String,
        channel: String,
        enabled: bool,
        mandatory: bool,
        description: String,
    }
}
