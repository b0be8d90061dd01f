//! Refresh tokens and failed logins in the store. Times here are the wall clock's.
use super::Store;
use crate::Result;
use moneta_kit::{args, store::Tx};
use moneta_types::{Timestamp, UserId};
use uuid::Uuid;

/// Failed logins for one e-mail index.
#[derive(Debug, Clone, Copy)]
pub struct Attempts {
    /// Failures in a row.
    pub failures: u32,
    /// No attempt is heard before this moment.
    pub locked_until: Timestamp,
}

/// A refresh token that was found.
#[derive(Debug)]
pub struct Found {
    /// Its family.
    pub family: String,
    /// Whose session it is.
    pub user: UserId,
    /// Until when it is good.
    pub expires: Timestamp,
    /// Whether it was used before.
    pub used: bool,
    /// Whether the session has ended.
    pub ended: bool,
}

/// Failures older than a day are forgotten, so that the table does not grow with what strangers type.
const FORGET_AFTER_MICROS: i64 = 86_400_000_000;

impl Store {
    /// The failed logins for an e-mail index.
    pub async fn attempts(&self, tx: &mut Tx, email_index: &str, now: Timestamp) -> Result<Attempts> {
        tx.execute(
            "DELETE FROM login_attempts WHERE last_at < $1",
            args![Timestamp::from_micros(now.micros().saturating_sub(FORGET_AFTER_MICROS))],
        )
        .await?;
        let row = tx
            .fetch_optional(
                "SELECT failures, locked_until FROM login_attempts WHERE email_index = $1",
                args![email_index],
            )
            .await?;
        Ok(match row {
            Some(row) => Attempts {
                failures: u32::try_from(row.int("failures")?).unwrap_or(u32::MAX),
                locked_until: row.get("locked_until")?,
            },
            None => Attempts { failures: 0, locked_until: Timestamp::EPOCH },
        })
    }

    /// Writes the failed logins for an e-mail index.
    pub async fn set_attempts(&self, tx: &mut Tx, email_index: &str, attempts: Attempts, now: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO login_attempts (email_index, failures, last_at, locked_until) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (email_index) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at, \
             locked_until = excluded.locked_until",
            args![email_index, attempts.failures, now, attempts.locked_until],
        )
        .await?;
        Ok(())
    }

    /// Forgets the failed logins for an e-mail index.
    pub async fn clear_attempts(&self, tx: &mut Tx, email_index: &str) -> Result<()> {
        tx.execute("DELETE FROM login_attempts WHERE email_index = $1", args![email_index]).await?;
        Ok(())
    }

    /// Begins a session.
    pub async fn begin_session(&self, tx: &mut Tx, family: Uuid, user: UserId, now: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO session_families (family_id, user_id, started) VALUES ($1, $2, $3)",
            args![family.to_string(), user, now],
        )
        .await?;
        Ok(())
    }

    /// Stores a refresh token's hash.
    pub async fn insert_token(
        &self,
        tx: &mut Tx,
        hash: &str,
        family: &str,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<()> {
        tx.execute(
            "INSERT INTO refresh_tokens (token_hash, family_id, issued, expires) VALUES ($1, $2, $3, $4)",
            args![hash, family, now, expires],
        )
        .await?;
        // Tokens that have expired prove nothing any more.
        tx.execute("DELETE FROM refresh_tokens WHERE family_id = $1 AND expires < $2", args![family, now]).await?;
        Ok(())
    }

    /// The refresh token with this hash.
    pub async fn find_token(&self, tx: &mut Tx, hash: &str) -> Result<Option<Found>> {
        let row = tx
            .fetch_optional(
                "SELECT t.family_id, t.expires, t.used, f.user_id, f.ended FROM refresh_tokens t \
                 JOIN session_families f ON f.family_id = t.family_id WHERE t.token_hash = $1",
                args![hash],
            )
            .await?;
        row.map(|row| {
            Ok(Found {
                family: row.text("family_id")?,
                user: row.get("user_id")?,
                expires: row.get("expires")?,
                used: row.opt_int("used")?.is_some(),
                ended: row.opt_int("ended")?.is_some(),
            })
        })
        .transpose()
    }

    /// Marks a refresh token as used.
    pub async fn use_token(&self, tx: &mut Tx, hash: &str, now: Timestamp) -> Result<()> {
        tx.execute("UPDATE refresh_tokens SET used = $1 WHERE token_hash = $2", args![now, hash]).await?;
        Ok(())
    }

    /// Ends a session: none of its tokens is good any more. False when it had ended before.
    pub async fn end_session(&self, tx: &mut Tx, family: &str, now: Timestamp) -> Result<bool> {
        let ended = tx
            .execute(
                "UPDATE session_families SET ended = $1 WHERE family_id = $2 AND ended IS NULL",
                args![now, family],
            )
            .await?;
        Ok(ended > 0)
    }

    /// When the user's sessions began and ended, oldest first.
    pub async fn sessions(&self, user: UserId) -> Result<Vec<(Timestamp, Option<Timestamp>)>> {
        let rows = self
            .db
            .fetch_all("SELECT started, ended FROM session_families WHERE user_id = $1 ORDER BY started", args![user])
            .await?;
        rows.iter().map(|row| Ok((row.get("started")?, row.opt_int("ended")?.map(Timestamp::from_micros)))).collect()
    }
}
