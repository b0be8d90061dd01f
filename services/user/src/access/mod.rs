//! What a user can ask for about his own data: a copy of everything (GDPR articles 15 and 20), and erasure (article 17).
mod commands;
mod retention;
mod settled;

pub use retention::{Retention, retained};
pub use settled::Obstacle;

use crate::{account::Account, questionnaire::Questionnaire};
use moneta_types::Timestamp;
use serde_json::{Map, Value, json};

/// A consent as it was given or withdrawn.
#[derive(Debug, Clone)]
pub struct Consent {
    /// The document.
    pub document: String,
    /// The document's version.
    pub version: String,
    /// accepted or withdrawn.
    pub decision: String,
    /// When.
    pub at: Timestamp,
}

/// Documents that a user may consent to, with the version in force.
pub const DOCUMENTS: &[(&str, &str)] =
    &[("terms_of_service", "1"), ("privacy_notice", "1"), (crate::preferences::ALGORITHM_DISCLOSURE, "1")];

/// Everything that the user service holds about a user, as JSON.
pub fn export(
    account: &Account,
    questionnaires: &[Questionnaire],
    preferences: &[(String, String)],
    consents: &[Consent],
    sessions: &[(Timestamp, Option<Timestamp>)],
    care: &[(bool, Timestamp)],
    at: Timestamp,
) -> Value {
    let questionnaires: Vec<Value> = questionnaires
        .iter()
        .map(|questionnaire| {
            json!({
                "version": questionnaire.version,
                "submitted": questionnaire.submitted,
                "answers": questionnaire.answers,
                "risk_tolerance": questionnaire.score.tolerance,
                "capacity_for_loss": questionnaire.score.capacity.as_str(),
                "volatility_ceiling": questionnaire.score.volatility_ceiling,
            })
        })
        .collect();
    let preferences: Map<String, Value> =
        preferences.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
    let consents: Vec<Value> = consents
        .iter()
        .map(|consent| {
            json!({
                "document": consent.document,
                "version": consent.version,
                "decision": consent.decision,
                "at": consent.at,
            })
        })
        .collect();
    let sessions: Vec<Value> =
        sessions.iter().map(|(started, ended)| json!({ "started": started, "ended": ended })).collect();
    json!({
        "exported_at": at,
        "account": {
            "user_id": account.user_id,
            "email": account.email,
            "display_name": account.display_name,
            "roles": account.roles.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "base_currency": account.base_currency,
            "status": account.status.as_str(),
            "created": account.created,
            "vulnerable": account.vulnerable,
            "time_zone": account.time_zone.name(),
        },
        "questionnaires": questionnaires,
        "preferences": preferences,
        "consents": consents,
        "sessions": sessions,
        "particular_care": care
            .iter()
            .map(|(vulnerable, at)| json!({ "vulnerable": vulnerable, "at": at }))
            .collect::<Vec<_>>(),
    })
}
