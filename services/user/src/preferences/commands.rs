//! Reading and setting preferences.
use super::{KNOWN, check, consent_version};
use crate::{
    App, Result,
    access::{Consent, DOCUMENTS},
};
use moneta_contracts::{events::ProfileChanged, user as pb};
use moneta_kit::{identity::Identity, store::Tx};
use moneta_types::{Cause, UserId};
use std::collections::{BTreeMap, HashMap};

impl App {
    /// Every known preference with its value.
    pub async fn get_preferences(&self, caller: &Identity, user_id: &str) -> Result<pb::Preferences> {
        let stored = self.visible(caller, user_id).await?;
        self.effective(stored.account.user_id).await
    }

    /// Sets the given preferences and leaves the others. All of them are checked before any is written.
    pub async fn set_preferences(
        &self,
        caller: &Identity,
        request: pb::SetPreferencesRequest,
        cause: Cause,
    ) -> Result<pb::Preferences> {
        let user = self.changeable(caller, &request.user_id).await?.account.user_id;
        let mut given: BTreeMap<&'static str, &str> = BTreeMap::new();
        for (key, value) in &request.values {
            given.insert(check(key, value)?.key, value);
        }
        let before = self.effective(user).await?;
        given.retain(|key, value| {
            // What was accepted in an older version is accepted anew.
            let outdated = before.consents.iter().any(|consent| {
                consent.document == *key && !consent.decision.is_empty() && consent.decided_version != consent.version
            });
            outdated || before.values.get(*key).is_none_or(|old| old != value)
        });
        if !given.is_empty() {
            let mut tx = self.store.begin().await?;
            for (key, value) in &given {
                self.decide(&mut tx, user, key, value).await?;
            }
            let fields = given.keys().map(|key| format!("preferences.{key}")).collect();
            let event = ProfileChanged { user_id: user, fields };
            tx.publish_as(&event, cause.part("preferences"), &caller.subject, &self.clock).await?;
            tx.commit().await?;
        }
        self.effective(user).await
    }

    /// Sets one preference; a consent is recorded with the version in force and the time.
    pub(crate) async fn decide(&self, tx: &mut Tx, user: UserId, key: &str, value: &str) -> Result<()> {
        self.store.set_preference(tx, user, key, value).await?;
        if let Some(version) = consent_version(key) {
            let consent = Consent {
                document: key.to_owned(),
                version: version.to_owned(),
                decision: value.to_owned(),
                at: self.clock.now(),
            };
            self.store.record_consent(tx, user, &consent).await?;
        }
        Ok(())
    }

    async fn effective(&self, user: UserId) -> Result<pb::Preferences> {
        let mut values: HashMap<String, String> =
            KNOWN.iter().map(|known| (known.key.to_owned(), known.default.to_owned())).collect();
        // What an older version kept and nothing reads is not shown.
        let stored = self.store.preferences(user).await?;
        values.extend(stored.into_iter().filter(|(key, _)| KNOWN.iter().any(|known| known.key == key)));
        let decided = self.store.consents(user).await?;
        let consents = DOCUMENTS.iter().map(|(document, version)| {
            let last = decided.iter().rfind(|consent| consent.document == *document);
            pb::Consent {
                document: (*document).to_owned(),
                version: (*version).to_owned(),
                decision: last.map(|consent| consent.decision.clone()).unwrap_or_default(),
                decided_version: last.map(|consent| consent.version.clone()).unwrap_or_default(),
                decided_micros: last.map(|consent| consent.at.micros()).unwrap_or_default(),
            }
        });
        Ok(pb::Preferences { values, consents: consents.collect() })
    }
}
