//! E-mails that are to be sent, in the store.
use super::{BODY, DETAIL, Store, TITLE};
use crate::{Result, inbox::Status};
use moneta_kit::{args, store::Tx};
use moneta_types::{NotificationId, Timestamp, UserId};

/// An e-mail whose time has come.
#[derive(Debug, Clone)]
pub struct Due {
    /// The notification.
    pub notification_id: NotificationId,
    /// Whom it is for.
    pub user_id: UserId,
    /// Its topic.
    pub topic: String,
    /// Its subject.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Whether it is of the mandatory class.
    pub mandatory: bool,
    /// The event it tells about.
    pub event_id: String,
    /// When it was made, platform clock.
    pub created: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Attempts so far, with this one.
    pub attempts: u32,
    /// How far the delivery has come.
    pub status: Status,
    /// What the server said, or why not.
    pub detail: String,
    /// When, platform clock.
    pub at: Timestamp,
    /// No further attempt before this moment of the wall clock.
    pub retry_at: Timestamp,
}

impl Store {
    /// The e-mails whose time has come by both clocks, oldest first.
    pub async fn due(&self, platform: Timestamp, wall: Timestamp, limit: u32) -> Result<Vec<Due>> {
        let rows = self
            .db
            .fetch_all(
                "SELECT n.notification_id, n.user_id, n.topic, n.title, n.body, n.mandatory, n.event_id, n.created, d.attempts \
                 FROM deliveries d JOIN notifications n ON n.notification_id = d.notification_id \
                 WHERE d.channel = 'email' AND d.status IN ('pending', 'deferred') AND d.not_before <= $1 AND d.retry_at <= $2 \
                 ORDER BY n.position LIMIT $3",
                args![platform, wall, limit],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let user_id: UserId = row.get("user_id")?;
                Ok(Due {
                    notification_id: row.get("notification_id")?,
                    user_id,
                    topic: row.text("topic")?,
                    title: self.keys.open_text(user_id, TITLE, &row.text("title")?)?,
                    body: self.keys.open_text(user_id, BODY, &row.text("body")?)?,
                    mandatory: row.get("mandatory")?,
                    event_id: row.text("event_id")?,
                    created: row.get("created")?,
                    attempts: row.get("attempts")?,
                })
            })
            .collect()
    }

    /// Writes how an attempt ended; false when the delivery had come to its end before.
    pub async fn attempted(&self, tx: &mut Tx, due: &Due, attempt: &Attempt) -> Result<bool> {
        let detail = match self.keys.seal_text(due.user_id, DETAIL, &attempt.detail) {
            // His data were erased while it was on its way; the row goes when this service hears of it.
            Err(moneta_kit::keys::Error::Erased { .. }) => String::new(),
            sealed => sealed?,
        };
        let changed = tx
            .execute(
                "UPDATE deliveries SET status = $1, detail = $2, at = $3, retry_at = $4, attempts = $5 \
                 WHERE notification_id = $6 AND channel = 'email' AND status IN ('pending', 'deferred')",
                args![
                    attempt.status.as_str(),
                    detail,
                    attempt.at,
                    attempt.retry_at,
                    attempt.attempts,
                    due.notification_id
                ],
            )
            .await?;
        Ok(changed > 0)
    }
}
