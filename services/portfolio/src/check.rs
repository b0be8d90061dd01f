//! Verifies every invariant of the ledger against what is stored, reading each figure in two ways.
use crate::{
    Result,
    ledger::{Account, CostBasis},
    portfolio::Portfolio,
    store::{self, Reader},
};
use moneta_kit::{args, store::Tx};
use moneta_types::{Money, PortfolioId};
use std::collections::BTreeMap;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Transactions looked at.
    pub transactions: u64,
    /// What does not hold; empty when all is well.
    pub problems: Vec<String>,
}

impl Findings {
    fn expect_equal(&mut self, portfolio: PortfolioId, what: &str, kept: i64, summed: i64) {
        if kept != summed {
            self.problems.push(format!("portfolio {portfolio}: {what} is {kept} but the ledger sums to {summed}"));
        }
    }
}

/// Checks one portfolio within a transaction, so that all figures are of one moment.
pub async fn check(tx: &mut Tx, portfolio: PortfolioId, basis: CostBasis, findings: &mut Findings) -> Result<()> {
    let state = store::existing(tx, portfolio, basis).await?;
    let accounts = store::account_balances(&mut Reader::Within(tx), portfolio).await?;
    unbalanced(tx, portfolio, findings).await?;
    let row = tx
        .fetch_one(
            "SELECT COUNT(*) AS count, CAST(COALESCE(SUM(cash_minor), 0) AS BIGINT) AS cash, \
             CAST(COALESCE(SUM(realised_minor), 0) AS BIGINT) AS realised, COALESCE(MAX(seq), 0) AS last \
             FROM transactions WHERE portfolio_id = $1",
            args![portfolio],
        )
        .await?;
    let count = row.int("count")?;
    findings.transactions += u64::try_from(count).unwrap_or(0);
    let balance = |account: Account| accounts.get(&account).copied().unwrap_or(0);
    let cash = state.book.cash.minor_units();
    findings.expect_equal(portfolio, "cash", cash, balance(Account::Cash));
    findings.expect_equal(portfolio, "the sum of flows of cash", row.int("cash")?, balance(Account::Cash));
    findings.expect_equal(
        portfolio,
        "contributions",
        state.book.contributions.minor_units(),
        -balance(Account::Contributions),
    );
    findings.expect_equal(
        portfolio,
        "realised gain",
        row.int("realised")?,
        -(balance(Account::RealisedGain) + balance(Account::Commission)),
    );
    findings.expect_equal(portfolio, "the number of transactions", i64::try_from(state.seq).unwrap_or(-1), count);
    findings.expect_equal(portfolio, "the last place in the ledger", row.int("last")?, count);
    if cash < 0 {
        findings.problems.push(format!("portfolio {portfolio}: cash is below zero: {}", state.book.cash));
    }
    holdings(tx, &state, &accounts, findings).await
}

async fn unbalanced(tx: &mut Tx, portfolio: PortfolioId, findings: &mut Findings) -> Result<()> {
    let rows = tx
        .fetch_all(
            "SELECT t.transaction_id AS id, CAST(COALESCE(SUM(p.amount_minor), 0) AS BIGINT) AS total, \
             COUNT(p.line) AS lines FROM transactions t \
             LEFT JOIN postings p ON p.transaction_id = t.transaction_id WHERE t.portfolio_id = $1 \
             GROUP BY t.transaction_id HAVING COALESCE(SUM(p.amount_minor), 0) <> 0 OR COUNT(p.line) < 2",
            args![portfolio],
        )
        .await?;
    for row in rows {
        let (id, total, lines) = (row.text("id")?, row.int("total")?, row.int("lines")?);
        findings.problems.push(format!("transaction {id}: {lines} postings sum to {total}, not to zero"));
    }
    Ok(())
}

/// Lots against the securities' accounts (cost) and against what was traded (quantity).
async fn holdings(
    tx: &mut Tx,
    state: &Portfolio,
    accounts: &BTreeMap<Account, i64>,
    findings: &mut Findings,
) -> Result<()> {
    let rows = tx
        .fetch_all(
            "SELECT symbol, CAST(SUM(quantity_nanos) AS BIGINT) AS traded FROM transactions \
             WHERE portfolio_id = $1 AND symbol IS NOT NULL GROUP BY symbol",
            args![state.id],
        )
        .await?;
    let mut traded = BTreeMap::new();
    for row in rows {
        traded.insert(row.get("symbol")?, row.int("traded")?);
    }
    for symbol in state.book.lots.keys() {
        traded.entry(symbol.clone()).or_insert(0);
    }
    for (symbol, traded) in &traded {
        let held = state.book.quantity(symbol)?.nanos();
        findings.expect_equal(state.id, &format!("the quantity of {symbol} in lots"), held, *traded);
        let cost =
            Money::sum(state.book.currency(), state.book.lots.get(symbol).into_iter().flatten().map(|lot| lot.cost))?;
        let booked = accounts.get(&Account::Securities(symbol.clone())).copied().unwrap_or(0);
        findings.expect_equal(state.id, &format!("the cost of {symbol} in lots"), cost.minor_units(), booked);
    }
    Ok(())
}
