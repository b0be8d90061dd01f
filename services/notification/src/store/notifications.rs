//! Notifications in the store.
use super::{BODY, DETAIL, Store, TITLE};
use crate::{
    Result,
    inbox::{Draft, NewDelivery, Stored},
};
use moneta_contracts::notification as pb;
use moneta_kit::{
    args,
    store::{Args, Row, Tx},
};
use moneta_types::{NotificationId, Timestamp, UserId};

const COLUMNS: &str =
    "notification_id, position, user_id, topic, title, body, link, event_id, mandatory, created, read_at";

/// Only what went to the inbox is in the inbox.
const IN_INBOX: &str = "EXISTS (SELECT 1 FROM deliveries d WHERE d.notification_id = notifications.notification_id \
                        AND d.channel = 'inbox' AND d.status = 'delivered')";

impl Store {
    /// Adds a notification with its deliveries; false when it is there already.
    pub async fn add(&self, tx: &mut Tx, draft: &Draft, deliveries: &[NewDelivery], now: Timestamp) -> Result<bool> {
        let row = tx.fetch_one("SELECT COALESCE(MAX(position), 0) + 1 AS position FROM notifications", args![]).await?;
        let added = tx
            .execute(
                "INSERT INTO notifications (notification_id, position, user_id, topic, title, body, link, event_id, mandatory, \
                 created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (notification_id) DO NOTHING",
                args![
                    draft.notification_id,
                    row.int("position")?,
                    draft.user_id,
                    draft.topic.id,
                    self.keys.seal_text(draft.user_id, TITLE, &draft.text.title)?,
                    self.keys.seal_text(draft.user_id, BODY, &draft.text.body)?,
                    draft.text.link,
                    draft.event_id,
                    draft.topic.mandatory.is_some(),
                    now
                ],
            )
            .await?;
        if added == 0 {
            return Ok(false);
        }
        for delivery in deliveries {
            tx.execute(
                "INSERT INTO deliveries (notification_id, channel, status, attempts, at, detail, not_before, retry_at) \
                 VALUES ($1, $2, $3, 0, $4, $5, $6, 0)",
                args![
                    draft.notification_id,
                    delivery.channel.as_str(),
                    delivery.status.as_str(),
                    now,
                    self.keys.seal_text(draft.user_id, DETAIL, &delivery.detail)?,
                    delivery.not_before
                ],
            )
            .await?;
        }
        Ok(true)
    }

    /// A user's inbox before a position (0: from the newest), newest first.
    pub async fn inbox(&self, user: UserId, unread_only: bool, before: u64, limit: u32) -> Result<Vec<Stored>> {
        let mut sql = format!("SELECT {COLUMNS} FROM notifications WHERE user_id = $1 AND {IN_INBOX}");
        let mut args: Args = args![user];
        if unread_only {
            sql.push_str(" AND read_at IS NULL");
        }
        if before > 0 {
            args.push(&before);
            sql.push_str(&format!(" AND position < ${}", args.len()));
        }
        args.push(&limit);
        sql.push_str(&format!(" ORDER BY position DESC LIMIT ${}", args.len()));
        let mut found = Vec::new();
        for row in self.db.fetch_all(&sql, args).await? {
            found.push(self.read(&row).await?);
        }
        Ok(found)
    }

    /// How many a user has not read.
    pub async fn unread(&self, user: UserId) -> Result<u32> {
        let sql = format!(
            "SELECT COUNT(*) AS unread FROM notifications WHERE user_id = $1 AND read_at IS NULL AND {IN_INBOX}"
        );
        Ok(self.db.fetch_one(&sql, args![user]).await?.get("unread")?)
    }

    /// A notification.
    pub async fn notification(&self, id: NotificationId) -> Result<Option<Stored>> {
        let sql = format!("SELECT {COLUMNS} FROM notifications WHERE notification_id = $1");
        match self.db.fetch_optional(&sql, args![id]).await? {
            Some(row) => Ok(Some(self.read(&row).await?)),
            None => Ok(None),
        }
    }

    /// Marks a notification as read, once.
    pub async fn mark_read(&self, id: NotificationId, at: Timestamp) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.execute(
            "UPDATE notifications SET read_at = $1 WHERE notification_id = $2 AND read_at IS NULL",
            args![at, id],
        )
        .await?;
        Ok(tx.commit().await?)
    }

    /// Whether a user's data were erased; his keys end before this service hears of it.
    pub async fn is_erased(&self, user: UserId) -> Result<bool> {
        if self.keys.is_destroyed(user) {
            return Ok(true);
        }
        let row = self.db.fetch_optional("SELECT user_id FROM erased_users WHERE user_id = $1", args![user]).await?;
        Ok(row.is_some())
    }

    /// Removes everything about a user, for good.
    pub async fn forget(&self, tx: &mut Tx, user: UserId) -> Result<()> {
        for statement in [
            "DELETE FROM deliveries WHERE notification_id IN (SELECT notification_id FROM notifications WHERE user_id = $1)",
            "DELETE FROM notifications WHERE user_id = $1",
            "DELETE FROM preferences WHERE user_id = $1",
            "DELETE FROM quiet_hours WHERE user_id = $1",
            "DELETE FROM valuations WHERE owner_id = $1",
            "INSERT INTO erased_users (user_id) VALUES ($1) ON CONFLICT (user_id) DO NOTHING",
        ] {
            tx.execute(statement, args![user]).await?;
        }
        Ok(())
    }

    async fn read(&self, row: &Row) -> Result<Stored> {
        let id: NotificationId = row.get("notification_id")?;
        let user_id: UserId = row.get("user_id")?;
        let rows = self
            .db
            .fetch_all(
                "SELECT channel, status, attempts, at, detail FROM deliveries WHERE notification_id = $1 ORDER BY channel DESC",
                args![id],
            )
            .await?;
        let mut deliveries = Vec::with_capacity(rows.len());
        for delivery in &rows {
            deliveries.push(pb::Delivery {
                channel: delivery.text("channel")?,
                status: delivery.text("status")?,
                attempts: delivery.get("attempts")?,
                at_micros: delivery.int("at")?,
                detail: self.keys.open_text(user_id, DETAIL, &delivery.text("detail")?)?,
            });
        }
        Ok(Stored {
            position: row.get("position")?,
            user_id,
            view: pb::NotificationView {
                notification_id: id.to_string(),
                user_id: user_id.to_string(),
                topic: row.text("topic")?,
                title: self.keys.open_text(user_id, TITLE, &row.text("title")?)?,
                body: self.keys.open_text(user_id, BODY, &row.text("body")?)?,
                created_micros: row.int("created")?,
                read: row.opt_int("read_at")?.is_some(),
                deliveries,
                event_id: row.text("event_id")?,
                mandatory: row.get("mandatory")?,
                link: row.text("link")?,
            },
        })
    }
}
