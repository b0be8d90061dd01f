//! Questionnaires in the store: versions are added, never changed.
use super::{Store, StoredAccount};
use crate::{
    Error, Result,
    account::Vault,
    questionnaire::{Answers, Capacity, Questionnaire, Score},
};
use moneta_kit::{
    args,
    store::{Row, Tx},
};
use moneta_types::{Cause, RiskProfile, Timestamp, UserId};
use rust_decimal::Decimal;

const COLUMNS: &str =
    "user_id, version, submitted, answers_sealed, risk_tolerance, capacity_for_loss, volatility_ceiling";

/// What is stored as a new version.
pub struct NewQuestionnaire<'a> {
    /// The answers.
    pub answers: &'a Answers,
    /// What follows from them.
    pub score: Score,
    /// When, platform clock.
    pub submitted: Timestamp,
    /// The request: the same request makes no second version.
    pub cause: Cause,
}

/// Which version a submission made.
#[derive(Debug, Clone, Copy)]
pub enum Added {
    /// A new one.
    Now(u32),
    /// One that was made under the same cause before.
    Before(u32),
}

impl Store {
    /// Adds the next version and answers its number; nothing when this request has added its version before.
    pub async fn add_questionnaire(
        &self,
        tx: &mut Tx,
        stored: &StoredAccount,
        new: NewQuestionnaire<'_>,
    ) -> Result<Added> {
        let user = stored.account.user_id;
        let vault = stored.vault.as_ref().ok_or(Error::Erased)?;
        let before = tx
            .fetch_optional(
                "SELECT version FROM questionnaires WHERE cause = $1 AND user_id = $2",
                args![new.cause, user],
            )
            .await?;
        if let Some(before) = before {
            return Ok(Added::Before(number(before.int("version")?)?));
        }
        let row = tx
            .fetch_one(
                "SELECT COALESCE(MAX(version), 0) + 1 AS version FROM questionnaires WHERE user_id = $1",
                args![user],
            )
            .await?;
        let version = number(row.int("version")?)?;
        let sealed = vault.seal(&field(version), &serde_json::to_string(new.answers)?)?;
        tx.execute(
            "INSERT INTO questionnaires (user_id, version, submitted, answers_sealed, risk_tolerance, capacity_for_loss, \
             volatility_ceiling, cause) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            args![
                user,
                version,
                new.submitted,
                sealed,
                new.score.tolerance.as_str(),
                new.score.capacity.as_str(),
                new.score.volatility_ceiling.to_string(),
                new.cause
            ],
        )
        .await?;
        Ok(Added::Now(version))
    }

    /// A version of a user's questionnaire, 0 for the newest.
    pub async fn questionnaire(&self, stored: &StoredAccount, version: u32) -> Result<Option<Questionnaire>> {
        let user = stored.account.user_id;
        let row = if version == 0 {
            let sql = format!("SELECT {COLUMNS} FROM questionnaires WHERE user_id = $1 ORDER BY version DESC LIMIT 1");
            self.db.fetch_optional(&sql, args![user]).await?
        } else {
            let sql = format!("SELECT {COLUMNS} FROM questionnaires WHERE user_id = $1 AND version = $2");
            self.db.fetch_optional(&sql, args![user, version]).await?
        };
        row.map(|row| read(&row, user, stored.vault.as_ref())).transpose()
    }

    /// Every version of a user's questionnaire, oldest first.
    pub async fn questionnaires(&self, stored: &StoredAccount) -> Result<Vec<Questionnaire>> {
        let user = stored.account.user_id;
        let sql = format!("SELECT {COLUMNS} FROM questionnaires WHERE user_id = $1 ORDER BY version");
        let rows = self.db.fetch_all(&sql, args![user]).await?;
        rows.iter().map(|row| read(row, user, stored.vault.as_ref())).collect()
    }
}

fn read(row: &Row, user: UserId, vault: Option<&Vault>) -> Result<Questionnaire> {
    let version = number(row.int("version")?)?;
    let answers = match (vault, row.opt_blob("answers_sealed")?) {
        (Some(vault), Some(sealed)) => Some(serde_json::from_str(&vault.unseal(&field(version), &sealed)?)?),
        _ => None,
    };
    let tolerance = row.text("risk_tolerance")?;
    Ok(Questionnaire {
        user_id: user,
        version,
        submitted: row.get("submitted")?,
        answers,
        score: Score {
            tolerance: tolerance
                .parse::<RiskProfile>()
                .map_err(|_| Error::Stored { column: "risk_tolerance", value: tolerance })?,
            capacity: Capacity::from_stored(&row.text("capacity_for_loss")?)?,
            volatility_ceiling: row.get::<Decimal>("volatility_ceiling")?,
        },
    })
}

fn field(version: u32) -> String {
    format!("questionnaire/{version}")
}

fn number(value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::Stored { column: "version", value: value.to_string() })
}
