//! Holds that cover orders: those that compliance tells of, and the kill switches for one client, which begin here.
use super::Reader;
use crate::{Error, Result, order::Intent};
use moneta_kit::{
    args,
    store::{Row, Tx},
};
use moneta_types::{ClientText, HoldId, PortfolioId, Timestamp, UserId};

/// A hold on a client's orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id at compliance.
    pub id: HoldId,
    /// Whose orders.
    pub owner: UserId,
    /// In which portfolio; nothing: in all of his.
    pub portfolio: Option<PortfolioId>,
    /// What he is told.
    pub client_text: ClientText,
    /// Who placed it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Whether it is the kill switch for this client.
    pub kill_switch: bool,
}

impl Hold {
    /// Whether it stops an order.
    pub fn stops(&self, intent: &Intent) -> bool {
        self.owner == intent.owner && self.portfolio.is_none_or(|portfolio| portfolio == intent.portfolio)
    }
}

/// Keeps a hold; `false` when it is known. One that was released stays released, whatever order the news come in.
pub async fn keep_hold(tx: &mut Tx, hold: &Hold) -> Result<bool> {
    let added = tx
        .execute(
            "INSERT INTO holds (hold_id, owner_id, portfolio_id, client_text, placed_by, at_micros, active, kill_switch) \
             VALUES ($1, $2, $3, $4, $5, $6, 1, $7) ON CONFLICT (hold_id) DO NOTHING",
            args![
                hold.id,
                hold.owner,
                hold.portfolio.map(|id| id.to_string()).unwrap_or_default(),
                hold.client_text.as_str(),
                hold.by,
                hold.at,
                hold.kill_switch
            ],
        )
        .await?;
    Ok(added == 1)
}

/// Ends a hold. When the news of its end come before those of its beginning, the end is remembered, and it never begins.
pub async fn end_hold(tx: &mut Tx, id: HoldId, owner: UserId) -> Result<()> {
    tx.execute(
        "INSERT INTO holds (hold_id, owner_id, portfolio_id, client_text, placed_by, at_micros, active, kill_switch) \
         VALUES ($1, $2, '', $3, '', 0, 0, 0) ON CONFLICT (hold_id) DO UPDATE SET active = 0",
        args![id, owner, ClientText::ContactUs.as_str()],
    )
    .await?;
    Ok(())
}

/// Whether a hold stands, as a reader sees it.
pub async fn is_active(reader: &mut Reader<'_>, id: HoldId) -> Result<bool> {
    let sql = "SELECT hold_id FROM holds WHERE hold_id = $1 AND active = 1";
    Ok(reader.optional(sql, args![id]).await?.is_some())
}

/// Active holds, of an owner or of all.
pub async fn active_holds(reader: &mut Reader<'_>, owner: Option<UserId>) -> Result<Vec<Hold>> {
    let columns = "SELECT hold_id, owner_id, portfolio_id, client_text, placed_by, at_micros, kill_switch FROM holds WHERE active = 1";
    let rows = match owner {
        Some(owner) => reader.all(&format!("{columns} AND owner_id = $1 ORDER BY hold_id"), args![owner]).await?,
        None => reader.all(&format!("{columns} ORDER BY hold_id"), args![]).await?,
    };
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Hold> {
    let portfolio = row.text("portfolio_id")?;
    let told = row.text("client_text")?;
    Ok(Hold {
        id: row.get("hold_id")?,
        owner: row.get("owner_id")?,
        portfolio: if portfolio.is_empty() { None } else { Some(portfolio.parse()?) },
        client_text: told.parse().map_err(|_| Error::Stored { what: "client text", value: told })?,
        by: row.text("placed_by")?,
        at: row.get("at_micros")?,
        kill_switch: row.get("kill_switch")?,
    })
}
