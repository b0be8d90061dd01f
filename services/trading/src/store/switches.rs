//! Kill switches in the store.
use super::Reader;
use crate::{
    Error, Result,
    controls::{KillSwitch, Scope},
};
use moneta_kit::{args, store::Tx};
use moneta_types::InternalNote;

/// Engages a switch; `false` when it is engaged already, and nothing is changed.
pub async fn engage(tx: &mut Tx, switch: &KillSwitch) -> Result<bool> {
    let added = tx
        .execute(
            "INSERT INTO kill_switches (scope, target, reason, engaged_by, at_micros) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (scope, target) DO NOTHING",
            args![switch.scope.as_str(), switch.target, switch.reason.for_staff(), switch.by, switch.at],
        )
        .await?;
    Ok(added == 1)
}

/// Releases a switch; `false` when it was not engaged.
pub async fn release(tx: &mut Tx, scope: Scope, target: &str) -> Result<bool> {
    let removed =
        tx.execute("DELETE FROM kill_switches WHERE scope = $1 AND target = $2", args![scope.as_str(), target]).await?;
    Ok(removed == 1)
}

/// Every engaged switch.
pub async fn engaged(reader: &mut Reader<'_>) -> Result<Vec<KillSwitch>> {
    let rows = reader
        .all("SELECT scope, target, reason, engaged_by, at_micros FROM kill_switches ORDER BY scope, target", args![])
        .await?;
    rows.iter()
        .map(|row| {
            let scope = row.text("scope")?;
            Ok(KillSwitch {
                scope: Scope::named(&scope).ok_or(Error::Stored { what: "scope", value: scope })?,
                target: row.text("target")?,
                reason: InternalNote::stored(row.text("reason")?),
                by: row.text("engaged_by")?,
                at: row.get("at_micros")?,
            })
        })
        .collect()
}
