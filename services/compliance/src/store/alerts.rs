//! Alerts in the store.
use super::{RESOLUTION, Store};
use crate::{Error, Result};
use moneta_contracts::compliance as pb;
use moneta_kit::{
    args,
    store::{Args, Row, Tx},
};
use moneta_types::{AlertId, InternalNote, Timestamp, UserId};

/// An alert to store.
#[derive(Debug, Clone)]
pub struct NewAlert {
    /// The alert.
    pub alert_id: AlertId,
    /// The rule that raised it.
    pub rule_id: &'static str,
    /// Whom it concerns.
    pub user_id: Option<UserId>,
    /// info, warning or critical.
    pub severity: &'static str,
    /// What happened.
    pub message: String,
    /// When.
    pub raised: Timestamp,
}

/// A stored alert.
#[derive(Debug, Clone)]
pub struct Alert {
    /// Its place in the list, growing.
    pub position: u64,
    /// What was found, by whom and when; nothing while it is open.
    pub resolution: Option<Resolution>,
    /// Everything else, as it is told.
    view: pb::Alert,
}

/// How an alert was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What was found.
    pub note: InternalNote,
    /// Who says so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Alert {
    /// The rule that raised it.
    pub fn rule_id(&self) -> &str {
        &self.view.rule_id
    }

    /// Whom it concerns.
    pub fn user(&self) -> Option<UserId> {
        self.view.user_id.parse().ok()
    }

    /// As staff see it.
    pub fn staff_view(self) -> pb::Alert {
        let Some(Resolution { note, by, at }) = self.resolution else { return self.view };
        let resolution = note.for_staff().to_owned();
        pb::Alert { resolution, resolved_by: by, resolved_micros: at.micros(), ..self.view }
    }
}

const COLUMNS: &str =
    "position, alert_id, rule_id, user_id, severity, message, status, raised, resolution, resolved_by, resolved";

impl Store {
    /// Adds an alert; false when it is there already.
    pub async fn add_alert(&self, tx: &mut Tx, alert: &NewAlert) -> Result<bool> {
        let position = tx.fetch_one("SELECT COALESCE(MAX(position), 0) + 1 AS position FROM alerts", args![]).await?;
        let added = tx
            .execute(
                "INSERT INTO alerts (alert_id, position, rule_id, user_id, severity, message, status, raised, resolution, \
                 resolved_by) VALUES ($1, $2, $3, $4, $5, $6, 'open', $7, '', '') ON CONFLICT (alert_id) DO NOTHING",
                args![
                    alert.alert_id,
                    position.int("position")?,
                    alert.rule_id,
                    alert.user_id.map(|user| user.to_string()).unwrap_or_default(),
                    alert.severity,
                    alert.message,
                    alert.raised
                ],
            )
            .await?;
        Ok(added > 0)
    }

    /// The newest alerts, of one status or of all, before a position (0: from the newest).
    pub async fn alerts(&self, status: &str, before: u64, limit: u32) -> Result<Vec<Alert>> {
        let mut sql = format!("SELECT {COLUMNS} FROM alerts WHERE 1 = 1");
        let mut args = Args::new();
        if !status.is_empty() {
            args.push(status);
            sql.push_str(&format!(" AND status = ${}", args.len()));
        }
        if before > 0 {
            args.push(&before);
            sql.push_str(&format!(" AND position < ${}", args.len()));
        }
        args.push(&limit);
        sql.push_str(&format!(" ORDER BY position DESC LIMIT ${}", args.len()));
        let rows = self.db.fetch_all(&sql, args).await?;
        rows.iter().map(|row| self.read_alert(row)).collect()
    }

    /// Resolves an open alert: whether this did it, and the alert as it then stands. The first resolution stays.
    pub async fn resolve_alert(&self, tx: &mut Tx, alert: AlertId, resolution: &Resolution) -> Result<(bool, Alert)> {
        let sql = "SELECT user_id FROM alerts WHERE alert_id = $1";
        let concerned = match tx.fetch_optional(sql, args![alert]).await? {
            Some(row) => row.text("user_id")?,
            None => String::new(),
        };
        let words = resolution.note.for_staff();
        let kept = match concerned.as_str() {
            "" => words.to_owned(),
            user => self.seal(user.parse()?, RESOLUTION, words)?,
        };
        let resolved = tx
            .execute(
                "UPDATE alerts SET status = 'resolved', resolution = $1, resolved_by = $2, resolved = $3 \
                 WHERE alert_id = $4 AND status = 'open'",
                args![kept, resolution.by, resolution.at, alert],
            )
            .await?;
        let sql = format!("SELECT {COLUMNS} FROM alerts WHERE alert_id = $1");
        let row = tx.fetch_optional(&sql, args![alert]).await?;
        let row = row.ok_or_else(|| Error::NotFound { what: "alert", id: alert.to_string() })?;
        Ok((resolved > 0, self.read_alert(&row)?))
    }

    fn read_alert(&self, row: &Row) -> Result<Alert> {
        let (user_id, status, kept) = (row.text("user_id")?, row.text("status")?, row.text("resolution")?);
        let resolution = if status == "resolved" {
            let words = match user_id.as_str() {
                "" => kept,
                user => self.keys.open_text(user.parse()?, RESOLUTION, &kept)?,
            };
            Some(Resolution {
                note: InternalNote::stored(words),
                by: row.text("resolved_by")?,
                at: row.get("resolved")?,
            })
        } else {
            None
        };
        Ok(Alert {
            position: row.get("position")?,
            resolution,
            view: pb::Alert {
                alert_id: row.text("alert_id")?,
                rule_id: row.text("rule_id")?,
                user_id,
                severity: row.text("severity")?,
                message: row.text("message")?,
                status,
                raised_micros: row.int("raised")?,
                ..pb::Alert::default()
            },
        })
    }
}
