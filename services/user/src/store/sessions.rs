//! Refresh tokens and failed logins in the store. Times here are the wall clock's.
use super::Store;
use crate::{Error, Result, account::Status};
use moneta_contracts::events::SessionEnded;
use moneta_kit::{args, store::Tx};
use moneta_types::{SessionId, Timestamp, UserId};

/// Failed logins of one counter.
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
    /// Its session.
    pub session: SessionId,
    /// Whose session it is.
    pub user: UserId,
    /// Until when it is good.
    pub expires: Timestamp,
    /// Whether it was used before.
    pub used: bool,
    /// Whether the session has ended, or its account is not in use any more.
    pub ended: bool,
    /// The account's generation of tokens.
    pub generation: u32,
    /// The password was given out by somebody else.
    pub must_change_password: bool,
}

/// Why sessions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The user signed out.
    LoggedOut,
    /// A refresh token came a second time.
    RefreshReused,
    /// The password is another one.
    PasswordChanged,
    /// The roles are others.
    RolesChanged,
    /// The account was disabled.
    Disabled,
    /// The personal data were erased.
    Erased,
}

impl Ending {
    /// The name in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged_out",
            Self::RefreshReused => "refresh_reused",
            Self::PasswordChanged => "password_changed",
            Self::RolesChanged => "roles_changed",
            Self::Disabled => "disabled",
            Self::Erased => "erased",
        }
    }
}

/// Failures older than a day are forgotten, so that the table does not grow with what strangers type.
const FORGET_AFTER_MICROS: i64 = 86_400_000_000;

/// Devices that are remembered of one user.
const MOST_DEVICES: i64 = 20;

impl Store {
    /// Forgets the failures of more than a day ago.
    pub async fn tidy_attempts(&self, tx: &mut Tx, now: Timestamp) -> Result<()> {
        let oldest = Timestamp::from_micros(now.micros().saturating_sub(FORGET_AFTER_MICROS));
        tx.execute("DELETE FROM login_attempts WHERE last_at < $1", args![oldest]).await?;
        Ok(())
    }

    /// The failed logins of a counter.
    pub async fn attempts(&self, tx: &mut Tx, key: &str) -> Result<Attempts> {
        let row =
            tx.fetch_optional("SELECT failures, locked_until FROM login_attempts WHERE key = $1", args![key]).await?;
        Ok(match row {
            Some(row) => Attempts {
                failures: u32::try_from(row.int("failures")?).unwrap_or(u32::MAX),
                locked_until: row.get("locked_until")?,
            },
            None => Attempts { failures: 0, locked_until: Timestamp::EPOCH },
        })
    }

    /// Writes the failed logins of a counter.
    pub async fn set_attempts(&self, tx: &mut Tx, key: &str, attempts: Attempts, now: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO login_attempts (key, failures, last_at, locked_until) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at, \
             locked_until = excluded.locked_until",
            args![key, attempts.failures, now, attempts.locked_until],
        )
        .await?;
        Ok(())
    }

    /// Forgets the failed logins of a counter.
    pub async fn clear_attempts(&self, tx: &mut Tx, key: &str) -> Result<()> {
        tx.execute("DELETE FROM login_attempts WHERE key = $1", args![key]).await?;
        Ok(())
    }

    /// Takes one attempt, which was none, off a counter that stood as told before it.
    pub async fn uncount_attempt(&self, tx: &mut Tx, key: &str, before: Attempts) -> Result<()> {
        tx.execute(
            "UPDATE login_attempts SET failures = failures - 1, locked_until = $2 WHERE key = $1 AND failures > 0",
            args![key, before.locked_until],
        )
        .await?;
        Ok(())
    }

    /// Whether a device is known to an account, by its token's hash and the account's e-mail index.
    pub async fn knows_device(&self, tx: &mut Tx, token_hash: &str, email_index: &str) -> Result<bool> {
        let found = tx
            .fetch_optional(
                "SELECT 1 AS known FROM devices d JOIN accounts a ON a.user_id = d.user_id \
                 WHERE d.token_hash = $1 AND a.email_index = $2",
                args![token_hash, email_index],
            )
            .await?;
        Ok(found.is_some())
    }

    /// Remembers a device, and forgets all but the newest of the user's.
    pub async fn remember_device(&self, tx: &mut Tx, token_hash: &str, user: UserId, now: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO devices (token_hash, user_id, seen) VALUES ($1, $2, $3) \
             ON CONFLICT (token_hash) DO UPDATE SET seen = excluded.seen",
            args![token_hash, user, now],
        )
        .await?;
        tx.execute(
            "DELETE FROM devices WHERE user_id = $1 AND token_hash NOT IN \
             (SELECT token_hash FROM devices WHERE user_id = $1 ORDER BY seen DESC, token_hash LIMIT $2)",
            args![user, MOST_DEVICES],
        )
        .await?;
        Ok(())
    }

    /// Begins a session.
    pub async fn begin_session(&self, tx: &mut Tx, session: SessionId, user: UserId, now: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO session_families (family_id, user_id, started) VALUES ($1, $2, $3)",
            args![session, user, now],
        )
        .await?;
        Ok(())
    }

    /// Stores a refresh token's hash.
    pub async fn insert_token(
        &self,
        tx: &mut Tx,
        hash: &str,
        session: SessionId,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<()> {
        tx.execute(
            "INSERT INTO refresh_tokens (token_hash, family_id, issued, expires) VALUES ($1, $2, $3, $4)",
            args![hash, session, now, expires],
        )
        .await?;
        // Tokens that have expired prove nothing any more.
        tx.execute("DELETE FROM refresh_tokens WHERE family_id = $1 AND expires < $2", args![session, now]).await?;
        Ok(())
    }

    /// The refresh token with this hash.
    pub async fn find_token(&self, tx: &mut Tx, hash: &str) -> Result<Option<Found>> {
        let row = tx
            .fetch_optional(
                "SELECT t.family_id, t.expires, t.used, f.user_id, f.ended, a.status, a.token_generation, \
                 a.must_change_password \
                 FROM refresh_tokens t JOIN session_families f ON f.family_id = t.family_id \
                 JOIN accounts a ON a.user_id = f.user_id WHERE t.token_hash = $1",
                args![hash],
            )
            .await?;
        row.map(|row| {
            let active = Status::from_stored(&row.text("status")?)? == Status::Active;
            Ok(Found {
                session: row.get("family_id")?,
                user: row.get("user_id")?,
                expires: row.get("expires")?,
                used: row.opt_int("used")?.is_some(),
                ended: row.opt_int("ended")?.is_some() || !active,
                generation: row.get("token_generation")?,
                must_change_password: row.get("must_change_password")?,
            })
        })
        .transpose()
    }

    /// Marks a refresh token as used.
    pub async fn use_token(&self, tx: &mut Tx, hash: &str, now: Timestamp) -> Result<()> {
        tx.execute("UPDATE refresh_tokens SET used = $1 WHERE token_hash = $2", args![now, hash]).await?;
        Ok(())
    }

    /// Ends a session: none of its tokens is good any more. Nothing when it had ended before. Once the transaction is
    /// committed, the event is to be told to the process's own [`Tokens`](moneta_kit::identity::Tokens) as well.
    pub async fn end_session(
        &self,
        tx: &mut Tx,
        (user_id, session): (UserId, SessionId),
        why: Ending,
        now: Timestamp,
    ) -> Result<Option<SessionEnded>> {
        let ended = tx
            .execute(
                "UPDATE session_families SET ended = $1 WHERE family_id = $2 AND ended IS NULL",
                args![now, session],
            )
            .await?;
        let reason = why.as_str().to_owned();
        Ok((ended > 0).then_some(SessionEnded { user_id, session_id: Some(session), generation: 0, reason, at: now }))
    }

    /// Ends every session of a user, and moves on the generation of his tokens.
    pub async fn end_all_sessions(
        &self,
        tx: &mut Tx,
        user_id: UserId,
        why: Ending,
        now: Timestamp,
    ) -> Result<SessionEnded> {
        tx.execute("UPDATE session_families SET ended = $1 WHERE user_id = $2 AND ended IS NULL", args![now, user_id])
            .await?;
        tx.execute(
            "UPDATE accounts SET token_generation = token_generation + 1, tokens_ended = $1 WHERE user_id = $2",
            args![now, user_id],
        )
        .await?;
        // Whoever had got in may have left a device behind.
        tx.execute("DELETE FROM devices WHERE user_id = $1", args![user_id]).await?;
        let generation = self.generation(tx, user_id).await?;
        Ok(SessionEnded { user_id, session_id: None, generation, reason: why.as_str().to_owned(), at: now })
    }

    /// The generation of a user's tokens, when his account is in use.
    pub async fn generation(&self, tx: &mut Tx, user: UserId) -> Result<u32> {
        let row = tx
            .fetch_optional("SELECT token_generation FROM accounts WHERE user_id = $1", args![user])
            .await?
            .ok_or_else(|| Error::not_found("user", user))?;
        Ok(row.get("token_generation")?)
    }

    /// What has ended since a moment.
    pub async fn ended_since(&self, since: Timestamp) -> Result<Vec<SessionEnded>> {
        let mut events = Vec::new();
        let rows = self
            .db
            .fetch_all("SELECT family_id, user_id, ended FROM session_families WHERE ended > $1", args![since])
            .await?;
        for row in &rows {
            events.push(SessionEnded {
                user_id: row.get("user_id")?,
                session_id: Some(row.get("family_id")?),
                generation: 0,
                reason: String::new(),
                at: row.get("ended")?,
            });
        }
        let rows = self
            .db
            .fetch_all(
                "SELECT user_id, token_generation, tokens_ended FROM accounts WHERE tokens_ended > $1",
                args![since],
            )
            .await?;
        for row in &rows {
            events.push(SessionEnded {
                user_id: row.get("user_id")?,
                session_id: None,
                generation: row.get("token_generation")?,
                reason: String::new(),
                at: row.get("tokens_ended")?,
            });
        }
        Ok(events)
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
