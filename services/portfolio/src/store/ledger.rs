//! Transactions, postings and lots in the store.
use super::{Reader, save_head};
use crate::{
    Result,
    ledger::{Account, Posting, Transaction},
    portfolio::Portfolio,
};
use moneta_kit::{
    args,
    store::{Row, Tx},
};
use moneta_types::{Currency, ExecutionId, Money, PortfolioId, Symbol, TransactionId};
use std::collections::BTreeMap;

/// A transaction with its place in the portfolio's ledger, from 1.
#[derive(Debug, Clone)]
pub struct Booked {
    /// Place in the ledger.
    pub seq: u64,
    /// What was booked.
    pub transaction: Transaction,
}

/// Writes a transaction and the state that it leads to.
pub async fn book(tx: &mut Tx, portfolio: &mut Portfolio, booked: &Transaction) -> Result<()> {
    portfolio.seq += 1;
    save_head(tx, portfolio).await?;
    tx.execute(
        "INSERT INTO transactions (transaction_id, portfolio_id, seq, kind, at_micros, date, symbol, quantity_nanos, \
         price, cash_minor, commission_minor, spread_minor, realised_minor, order_id, execution_id, client_reference, \
         note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        args![
            booked.id,
            portfolio.id,
            portfolio.seq,
            booked.kind.as_str(),
            booked.at,
            booked.date,
            booked.symbol,
            booked.quantity,
            booked.price,
            booked.cash,
            booked.commission,
            booked.spread,
            booked.realised_gain,
            booked.order_id,
            booked.execution_id,
            booked.client_reference,
            booked.note
        ],
    )
    .await?;
    for (line, posting) in booked.postings().iter().enumerate() {
        tx.execute(
            "INSERT INTO postings (transaction_id, line, account, amount_minor) VALUES ($1, $2, $3, $4)",
            args![booked.id, line, posting.account.to_string(), posting.amount],
        )
        .await?;
    }
    if let Some(symbol) = &booked.symbol {
        save_lots(tx, portfolio, symbol).await?;
    }
    Ok(())
}

async fn save_lots(tx: &mut Tx, portfolio: &Portfolio, symbol: &Symbol) -> Result<()> {
    tx.execute("DELETE FROM lots WHERE portfolio_id = $1 AND symbol = $2", args![portfolio.id, symbol]).await?;
    for lot in portfolio.book.lots.get(symbol).into_iter().flatten() {
        tx.execute(
            "INSERT INTO lots (portfolio_id, lot_id, symbol, opened, opened_micros, quantity_nanos, cost_minor) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            args![portfolio.id, lot.id, symbol, lot.opened, lot.opened_at, lot.quantity, lot.cost],
        )
        .await?;
    }
    Ok(())
}

const COLUMNS: &str = "SELECT transaction_id, seq, kind, at_micros, date, symbol, quantity_nanos, price, cash_minor, \
                       commission_minor, spread_minor, realised_minor, order_id, execution_id, client_reference, note \
                       FROM transactions";

/// Whether an execution is booked, in any portfolio.
pub async fn has_execution(tx: &mut Tx, execution: ExecutionId) -> Result<bool> {
    let row =
        tx.fetch_optional("SELECT transaction_id FROM transactions WHERE execution_id = $1", args![execution]).await?;
    Ok(row.is_some())
}

/// A transaction by its id, which derives from what caused it: for a cash movement, from the caller's reference.
pub async fn transaction(
    reader: &mut Reader<'_>,
    portfolio: &Portfolio,
    id: TransactionId,
) -> Result<Option<Transaction>> {
    let sql = format!("{COLUMNS} WHERE portfolio_id = $1 AND transaction_id = $2");
    match reader.optional(&sql, args![portfolio.id, id]).await? {
        Some(row) => Ok(Some(read(reader, &row, portfolio.book.currency()).await?.transaction)),
        None => Ok(None),
    }
}

/// Up to `limit` transactions before a place in the ledger, newest first.
pub async fn transactions(
    reader: &mut Reader<'_>,
    portfolio: &Portfolio,
    before: u64,
    limit: u32,
) -> Result<Vec<Booked>> {
    let sql = format!("{COLUMNS} WHERE portfolio_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3");
    let rows = reader.all(&sql, args![portfolio.id, before, limit]).await?;
    let mut booked = Vec::with_capacity(rows.len());
    for row in &rows {
        booked.push(read(reader, row, portfolio.book.currency()).await?);
    }
    Ok(booked)
}

/// The transactions after place `from` up to and including place `to`, without their postings, in order.
pub async fn since(
    reader: &mut Reader<'_>,
    portfolio: PortfolioId,
    currency: Currency,
    from: u64,
    to: u64,
) -> Result<Vec<Booked>> {
    let sql = format!("{COLUMNS} WHERE portfolio_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq");
    let rows = reader.all(&sql, args![portfolio, from, to]).await?;
    rows.iter().map(|row| head(row, currency)).collect()
}

async fn read(reader: &mut Reader<'_>, row: &Row, currency: Currency) -> Result<Booked> {
    let mut booked = head(row, currency)?;
    let rows = reader
        .all(
            "SELECT account, amount_minor FROM postings WHERE transaction_id = $1 ORDER BY line",
            args![booked.transaction.id],
        )
        .await?;
    let postings = rows
        .iter()
        .map(|row| {
            let amount = Money::from_minor(row.int("amount_minor")?, currency);
            Ok(Posting { account: row.text("account")?.parse()?, amount })
        })
        .collect::<Result<Vec<_>>>()?;
    booked.transaction = booked.transaction.balanced(postings)?;
    Ok(booked)
}

fn head(row: &Row, currency: Currency) -> Result<Booked> {
    let id: TransactionId = row.get("transaction_id")?;
    let money = |column: &str| -> Result<Money> { Ok(Money::from_minor(row.int(column)?, currency)) };
    let kind = row.text("kind")?.parse()?;
    let mut transaction = Transaction::draft(id, kind, row.get("at_micros")?, row.get("date")?, money("cash_minor")?);
    transaction.symbol = row.get("symbol")?;
    transaction.quantity = row.get("quantity_nanos")?;
    transaction.price = row.get("price")?;
    transaction.commission = money("commission_minor")?;
    transaction.spread = money("spread_minor")?;
    transaction.realised_gain = row.opt_int("realised_minor")?.map(|minor| Money::from_minor(minor, currency));
    transaction.order_id = row.get("order_id")?;
    transaction.execution_id = row.get("execution_id")?;
    transaction.client_reference = row.opt_text("client_reference")?;
    transaction.note = row.text("note")?;
    Ok(Booked { seq: row.get("seq")?, transaction })
}

/// Balance of every account of a portfolio in minor units, summed from its postings.
pub async fn account_balances(reader: &mut Reader<'_>, portfolio: PortfolioId) -> Result<BTreeMap<Account, i64>> {
    let rows = reader
        .all(
            "SELECT p.account AS account, CAST(SUM(p.amount_minor) AS BIGINT) AS balance FROM postings p \
             JOIN transactions t ON t.transaction_id = p.transaction_id WHERE t.portfolio_id = $1 GROUP BY p.account",
            args![portfolio],
        )
        .await?;
    rows.iter().map(|row| Ok((row.text("account")?.parse()?, row.int("balance")?))).collect()
}
