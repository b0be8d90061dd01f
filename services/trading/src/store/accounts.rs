//! Cash of portfolios as their events tell it, and which executions they have booked.
use super::Reader;
use crate::Result;
use moneta_kit::{args, store::Tx};
use moneta_types::{ExecutionId, Money, PortfolioId};
use std::collections::BTreeMap;

/// Keeps a portfolio's cash, unless a later version is known.
pub async fn save_account(tx: &mut Tx, portfolio: PortfolioId, cash: Money, version: u64) -> Result<()> {
    tx.execute(
        "INSERT INTO accounts (portfolio_id, currency, cash_minor, version) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (portfolio_id) DO UPDATE SET cash_minor = excluded.cash_minor, version = excluded.version \
         WHERE excluded.version > accounts.version",
        args![portfolio, cash.currency(), cash, version],
    )
    .await?;
    Ok(())
}

/// The portfolio has booked an execution: its cash and holdings show it from now on.
pub async fn mark_booked(tx: &mut Tx, execution: ExecutionId) -> Result<()> {
    tx.execute("UPDATE fills SET booked = 1 WHERE execution_id = $1", args![execution]).await?;
    Ok(())
}

/// Cash of every account: what the portfolio said last, and what executions have changed since. An account whose figures
/// do not add up is left out, and buys nothing; it hides none of the others.
pub async fn cash_of_accounts(reader: &mut Reader<'_>) -> Result<BTreeMap<PortfolioId, Money>> {
    let rows = reader.all("SELECT portfolio_id, currency, cash_minor FROM accounts", args![]).await?;
    let mut cash = BTreeMap::new();
    for row in rows {
        let portfolio = row.get("portfolio_id")?;
        match row.money("cash_minor", "currency") {
            Ok(known) => drop(cash.insert(portfolio, known)),
            Err(error) => tracing::error!(%portfolio, %error, "the cash of an account cannot be read"),
        }
    }
    for portfolio in super::portfolios_behind(reader).await? {
        match with_unbooked(reader, portfolio, cash.get(&portfolio).copied()).await {
            Ok(Some(known)) => {
                cash.insert(portfolio, known);
            }
            Ok(None) => {}
            Err(error) if error.retryable() => return Err(error),
            Err(error) => {
                tracing::error!(%portfolio, %error, "the cash of an account does not add up");
                cash.remove(&portfolio);
            }
        }
    }
    Ok(cash)
}

async fn with_unbooked(
    reader: &mut Reader<'_>,
    portfolio: PortfolioId,
    mut cash: Option<Money>,
) -> Result<Option<Money>> {
    for fill in super::unbooked_fills(reader, portfolio).await? {
        cash = Some(cash.unwrap_or(Money::zero(fill.cash.currency())).checked_add(fill.cash)?);
    }
    Ok(cash)
}
