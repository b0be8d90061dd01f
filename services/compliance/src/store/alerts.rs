//! Alerts in the store.
use super::Store;
use crate::{Error, Result};
use moneta_contracts::compliance as pb;
use moneta_kit::{
    args,
    store::{Args, Row, Tx},
};
use moneta_types::{AlertId, Timestamp, UserId};

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
    /// As it is told.
    pub view: pb::Alert,
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
        rows.iter().map(read).collect()
    }

    /// Resolves an open alert: whether this did it, and the alert as it then stands. The first resolution stays.
    pub async fn resolve_alert(
        &self,
        tx: &mut Tx,
        alert: AlertId,
        resolution: &str,
        by: &str,
        at: Timestamp,
    ) -> Result<(bool, Alert)> {
        let resolved = tx
            .execute(
                "UPDATE alerts SET status = 'resolved', resolution = $1, resolved_by = $2, resolved = $3 \
                 WHERE alert_id = $4 AND status = 'open'",
                args![resolution, by, at, alert],
            )
            .await?;
        let sql = format!("SELECT {COLUMNS} FROM alerts WHERE alert_id = $1");
        let row = tx.fetch_optional(&sql, args![alert]).await?;
        let row = row.ok_or_else(|| Error::NotFound { what: "alert", id: alert.to_string() })?;
        Ok((resolved > 0, read(&row)?))
    }
}

fn read(row: &Row) -> Result<Alert> {
    Ok(Alert {
        position: row.get("position")?,
        view: pb::Alert {
            alert_id: row.text("alert_id")?,
            rule_id: row.text("rule_id")?,
            user_id: row.text("user_id")?,
            severity: row.text("severity")?,
            message: row.text("message")?,
            status: row.text("status")?,
            raised_micros: row.int("raised")?,
            resolution: row.text("resolution")?,
            resolved_by: row.text("resolved_by")?,
            resolved_micros: row.int("resolved")?,
        },
    })
}
