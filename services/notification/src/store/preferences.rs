//! Preferences in the store.
use super::{QUIET_FROM, QUIET_TO, Store};
use crate::{
    Result,
    inbox::Channel,
    preferences::{Preferences, QuietHours},
};
use moneta_kit::args;
use moneta_types::UserId;

impl Store {
    /// A user's preferences.
    pub async fn preferences(&self, user: UserId) -> Result<Preferences> {
        let mut found = Preferences::default();
        let rows = self
            .db
            .fetch_all("SELECT topic, channel, enabled FROM preferences WHERE user_id = $1", args![user])
            .await?;
        for row in &rows {
            found.set.insert((row.text("topic")?, row.text("channel")?), row.get("enabled")?);
        }
        let quiet = self
            .db
            .fetch_optional("SELECT quiet_from, quiet_to FROM quiet_hours WHERE user_id = $1", args![user])
            .await?;
        if let Some(row) = quiet {
            let from = self.keys.open_text(user, QUIET_FROM, &row.text("quiet_from")?)?;
            let to = self.keys.open_text(user, QUIET_TO, &row.text("quiet_to")?)?;
            found.quiet = QuietHours::parse(&from, &to);
        }
        Ok(found)
    }

    /// Sets what is given; `quiet` is nothing when the quiet hours stay, `Some(None)` when there are to be none.
    pub async fn set_preferences(
        &self,
        user: UserId,
        switched: &[(&'static str, Channel, bool)],
        quiet: Option<Option<&QuietHours>>,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        for (topic, channel, enabled) in switched {
            tx.execute(
                "INSERT INTO preferences (user_id, topic, channel, enabled) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (user_id, topic, channel) DO UPDATE SET enabled = excluded.enabled",
                args![user, *topic, channel.as_str(), *enabled],
            )
            .await?;
        }
        match quiet {
            None => {}
            Some(None) => {
                tx.execute("DELETE FROM quiet_hours WHERE user_id = $1", args![user]).await?;
            }
            Some(Some(quiet)) => {
                tx.execute(
                    "INSERT INTO quiet_hours (user_id, quiet_from, quiet_to) VALUES ($1, $2, $3) \
                     ON CONFLICT (user_id) DO UPDATE SET quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to",
                    args![
                        user,
                        self.keys.seal_text(user, QUIET_FROM, &quiet.from())?,
                        self.keys.seal_text(user, QUIET_TO, &quiet.to())?
                    ],
                )
                .await?;
            }
        }
        Ok(tx.commit().await?)
    }
}
