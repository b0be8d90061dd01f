//! Holds in the store.
use super::{HOLD_REASON, RELEASE_REASON, Store};
use crate::{
    Error, Result,
    hold::{Hold, Release, Severity},
};
use moneta_kit::{
    args,
    store::{Args, Row, Tx},
};
use moneta_types::{HeldAction, HoldId, InternalNote, UserId};

const COLUMNS: &str = "SELECT position, hold_id, user_id, portfolio_id, reference, covers, severity, reason, client_text, \
                       placed_by, placed, active, released_by, released, release_reason FROM holds";

impl Store {
    /// Adds a hold.
    pub async fn add_hold(&self, tx: &mut Tx, hold: &Hold) -> Result<()> {
        tx.execute(
            "INSERT INTO holds (hold_id, position, user_id, portfolio_id, reference, covers, severity, reason, client_text, \
             placed_by, placed, active, released_by, released, release_reason) \
             SELECT $1, COALESCE(MAX(position), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, '', 0, '' FROM holds",
            args![
                hold.id,
                hold.user,
                hold.portfolio.map(|id| id.to_string()).unwrap_or_default(),
                hold.reference,
                hold.covers.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(","),
                hold.severity.as_str(),
                self.seal(hold.user, HOLD_REASON, hold.reason.for_staff())?,
                hold.client_text.as_str(),
                hold.placed_by,
                hold.placed
            ],
        )
        .await?;
        Ok(())
    }

    /// The hold that stands where a new one would: itself, or an active one of the same user, portfolio and reference.
    pub async fn standing_hold(&self, tx: &mut Tx, hold: &Hold) -> Result<Option<Hold>> {
        let sql = format!(
            "{COLUMNS} WHERE hold_id = $1 OR (user_id = $2 AND portfolio_id = $3 AND reference = $4 AND reference <> '' \
             AND active = 1)"
        );
        let portfolio = hold.portfolio.map(|id| id.to_string()).unwrap_or_default();
        let row = tx.fetch_optional(&sql, args![hold.id, hold.user, portfolio, hold.reference]).await?;
        row.as_ref().map(|row| self.read_hold(row)).transpose()
    }

    /// A hold.
    pub async fn hold(&self, tx: &mut Tx, id: HoldId) -> Result<Option<Hold>> {
        let row = tx.fetch_optional(&format!("{COLUMNS} WHERE hold_id = $1"), args![id]).await?;
        row.as_ref().map(|row| self.read_hold(row)).transpose()
    }

    /// Ends an active hold.
    pub async fn release_hold(&self, tx: &mut Tx, hold: &Hold, release: &Release) -> Result<()> {
        tx.execute(
            "UPDATE holds SET active = 0, released_by = $1, released = $2, release_reason = $3 WHERE hold_id = $4 \
             AND active = 1",
            args![release.by, release.at, self.seal(hold.user, RELEASE_REASON, release.reason.for_staff())?, hold.id],
        )
        .await?;
        Ok(())
    }

    /// Fills in the beginning of a hold whose end was known first.
    pub async fn complete_hold(&self, tx: &mut Tx, hold: &Hold) -> Result<()> {
        tx.execute(
            "UPDATE holds SET reason = $1, placed_by = $2, placed = $3 WHERE hold_id = $4 AND placed_by = ''",
            args![hold.reason.for_staff(), hold.placed_by, hold.placed, hold.id],
        )
        .await?;
        Ok(())
    }

    /// Active holds on a user, oldest first.
    pub async fn active_holds(&self, user: UserId) -> Result<Vec<Hold>> {
        let sql = format!("{COLUMNS} WHERE user_id = $1 AND active = 1 ORDER BY position");
        self.db.fetch_all(&sql, args![user]).await?.iter().map(|row| self.read_hold(row)).collect()
    }

    /// The newest holds with their positions, of a user or of all and of one status or of both, before a position (0: from
    /// the newest).
    pub async fn holds(
        &self,
        user: Option<UserId>,
        active: Option<bool>,
        before: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Hold)>> {
        let mut sql = format!("{COLUMNS} WHERE 1 = 1");
        let mut args = Args::new();
        if let Some(user) = user {
            args.push(&user);
            sql.push_str(&format!(" AND user_id = ${}", args.len()));
        }
        if let Some(active) = active {
            args.push(&active);
            sql.push_str(&format!(" AND active = ${}", args.len()));
        }
        if before > 0 {
            args.push(&before);
            sql.push_str(&format!(" AND position < ${}", args.len()));
        }
        args.push(&limit);
        sql.push_str(&format!(" ORDER BY position DESC LIMIT ${}", args.len()));
        let rows = self.db.fetch_all(&sql, args).await?;
        rows.iter().map(|row| Ok((row.get("position")?, self.read_hold(row)?))).collect()
    }

    /// Whether a critical alert on a user waits for its resolution.
    pub async fn has_open_critical_alert(&self, user: UserId) -> Result<bool> {
        let sql =
            "SELECT 1 AS found FROM alerts WHERE user_id = $1 AND status = 'open' AND severity = 'critical' LIMIT 1";
        Ok(self.db.fetch_optional(sql, args![user]).await?.is_some())
    }

    fn read_hold(&self, row: &Row) -> Result<Hold> {
        let unknown = |what| move |_| Error::Stored { what };
        let portfolio = row.text("portfolio_id")?;
        let active: bool = row.get("active")?;
        let user: UserId = row.get("user_id")?;
        let note = |field, column| -> Result<InternalNote> {
            Ok(InternalNote::stored(self.keys.open_text(user, field, &row.text(column)?)?))
        };
        let release = Release {
            by: row.text("released_by")?,
            at: row.get("released")?,
            reason: note(RELEASE_REASON, "release_reason")?,
        };
        Ok(Hold {
            id: row.get("hold_id")?,
            user,
            portfolio: if portfolio.is_empty() { None } else { Some(portfolio.parse()?) },
            reference: row.text("reference")?,
            covers: row
                .text("covers")?
                .split(',')
                .map(str::parse::<HeldAction>)
                .collect::<Result<_, _>>()
                .map_err(unknown("action"))?,
            severity: Severity::named(&row.text("severity")?).ok_or(Error::Stored { what: "severity" })?,
            reason: note(HOLD_REASON, "reason")?,
            client_text: row.text("client_text")?.parse().map_err(unknown("client text"))?,
            placed_by: row.text("placed_by")?,
            placed: row.get("placed")?,
            release: (!active).then_some(release),
        })
    }
}
