//! Reading and setting preferences.
use super::{KNOWN, check, consent_version};
use crate::{App, Result, access::Consent};
use moneta_contracts::{events::ProfileChanged, user as pb};
use moneta_kit::identity::Identity;
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
        let before = self.effective(user).await?.values;
        given.retain(|key, value| before.get(*key).is_none_or(|old| old != value));
        if !given.is_empty() {
            let mut tx = self.store.begin().await?;
            for (key, value) in &given {
                self.store.set_preference(&mut tx, user, key, value).await?;
                if let Some(version) = consent_version(key) {
                    let consent = Consent {
                        document: (*key).to_owned(),
                        version: version.to_owned(),
                        decision: (*value).to_owned(),
                        at: self.clock.now(),
                    };
                    self.store.record_consent(&mut tx, user, &consent).await?;
                }
            }
            let fields = given.keys().map(|key| format!("preferences.{key}")).collect();
            let event = ProfileChanged { user_id: user, fields };
            tx.publish_as(&event, cause.part("preferences"), &caller.subject, &self.clock).await?;
            tx.commit().await?;
        }
        self.effective(user).await
    }

    async fn effective(&self, user: UserId) -> Result<pb::Preferences> {
        let mut values: HashMap<String, String> =
            KNOWN.iter().map(|known| (known.key.to_owned(), known.default.to_owned())).collect();
        // What an older version kept and nothing reads is not shown.
        let stored = self.store.preferences(user).await?;
        values.extend(stored.into_iter().filter(|(key, _)| KNOWN.iter().any(|known| known.key == key)));
        Ok(pb::Preferences { values })
    }
}
