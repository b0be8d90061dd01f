//! What the portfolio service keeps, and how it is read back. One transaction of the store a change.
mod ledger;
mod valuations;

pub use ledger::{Booked, account_balances, book, has_execution, since, transaction, transactions};
pub use valuations::{last_valuation, save_valuation, valuation_lines, valuations};

use crate::{
    Error, Result,
    allocation::Target,
    ledger::{Book, CostBasis, Lot},
    portfolio::{Closes, Portfolio},
};
use moneta_contracts::events::Bar;
use moneta_kit::{
    args,
    store::{Args, Db, Row, Tx},
};
use moneta_types::{Currency, Date, Money, PortfolioId, Price, Symbol, UserId};
use std::collections::BTreeMap;

/// Reads either what is committed or what a transaction sees.
pub enum Reader<'a> {
    /// Committed state.
    Committed(&'a Db),
    /// Within a transaction.
    Within(&'a mut Tx),
}

impl Reader<'_> {
    async fn all(&mut self, sql: &str, args: Args) -> Result<Vec<Row>> {
        Ok(match self {
            Self::Committed(db) => db.fetch_all(sql, args).await?,
            Self::Within(tx) => tx.fetch_all(sql, args).await?,
        })
    }

    async fn optional(&mut self, sql: &str, args: Args) -> Result<Option<Row>> {
        Ok(match self {
            Self::Committed(db) => db.fetch_optional(sql, args).await?,
            Self::Within(tx) => tx.fetch_optional(sql, args).await?,
        })
    }
}

const COLUMNS: &str = "SELECT portfolio_id, owner_id, name, currency, version, last_seq, cash_minor, \
                       contributions_minor, created_micros FROM portfolios";

/// A portfolio; nothing when there is none of that id.
///
/// Its rows are read one after the other, so outside a transaction the version is read again at the end, and everything
/// once more when it moved meanwhile.
pub async fn load(reader: &mut Reader<'_>, id: PortfolioId, basis: CostBasis) -> Result<Option<Portfolio>> {
    loop {
        let Some(row) = reader.optional(&format!("{COLUMNS} WHERE portfolio_id = $1"), args![id]).await? else {
            return Ok(None);
        };
        let portfolio = complete(reader, &row, basis).await?;
        if matches!(reader, Reader::Within(_)) || version(reader, id).await? == Some(portfolio.version) {
            return Ok(Some(portfolio));
        }
    }
}

/// A portfolio that must be there.
pub async fn existing(tx: &mut Tx, id: PortfolioId, basis: CostBasis) -> Result<Portfolio> {
    load(&mut Reader::Within(tx), id, basis)
        .await?
        .ok_or_else(|| Error::NotFound { what: "portfolio", id: id.to_string() })
}

/// Ids of portfolios, of one owner or of all, in the order they were opened.
pub async fn ids(reader: &mut Reader<'_>, owner: Option<UserId>) -> Result<Vec<PortfolioId>> {
    let rows = match owner {
        Some(owner) => {
            let sql = "SELECT portfolio_id FROM portfolios WHERE owner_id = $1 ORDER BY created_micros, portfolio_id";
            reader.all(sql, args![owner]).await?
        }
        None => {
            reader.all("SELECT portfolio_id FROM portfolios ORDER BY created_micros, portfolio_id", args![]).await?
        }
    };
    rows.iter().map(|row| Ok(row.get("portfolio_id")?)).collect()
}

async fn version(reader: &mut Reader<'_>, id: PortfolioId) -> Result<Option<u64>> {
    let row = reader.optional("SELECT version FROM portfolios WHERE portfolio_id = $1", args![id]).await?;
    Ok(row.map(|row| row.get("version")).transpose()?)
}

async fn complete(reader: &mut Reader<'_>, row: &Row, basis: CostBasis) -> Result<Portfolio> {
    let id: PortfolioId = row.get("portfolio_id")?;
    let currency: Currency = row.get("currency")?;
    let mut lots: BTreeMap<Symbol, Vec<Lot>> = BTreeMap::new();
    let sql = "SELECT lot_id, symbol, opened, opened_micros, quantity_nanos, cost_minor FROM lots \
               WHERE portfolio_id = $1 ORDER BY symbol, opened_micros, lot_id";
    for row in reader.all(sql, args![id]).await? {
        lots.entry(row.get("symbol")?).or_default().push(Lot {
            id: row.text("lot_id")?,
            opened: row.get("opened")?,
            opened_at: row.get("opened_micros")?,
            quantity: row.get("quantity_nanos")?,
            cost: Money::from_minor(row.int("cost_minor")?, currency),
        });
    }
    let rows =
        reader.all("SELECT symbol, weight FROM targets WHERE portfolio_id = $1 ORDER BY symbol", args![id]).await?;
    let pairs = rows.iter().map(|row| Ok((row.text("symbol")?, row.text("weight")?))).collect::<Result<Vec<_>>>()?;
    let target = if pairs.is_empty() {
        None
    } else {
        Some(Target::parse(pairs.iter().map(|(symbol, weight)| (symbol.as_str(), weight.as_str())))?)
    };
    Ok(Portfolio {
        id,
        owner: row.get("owner_id")?,
        name: row.text("name")?,
        version: row.get("version")?,
        seq: row.get("last_seq")?,
        book: Book {
            cash: row.money("cash_minor", "currency")?,
            contributions: row.money("contributions_minor", "currency")?,
            lots,
            basis,
        },
        target,
        created: row.get("created_micros")?,
    })
}

/// Writes a new portfolio.
pub async fn insert(tx: &mut Tx, portfolio: &Portfolio, reference: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO portfolios (portfolio_id, owner_id, name, currency, client_reference, version, last_seq, \
         cash_minor, contributions_minor, created_micros) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        args![
            portfolio.id,
            portfolio.owner,
            portfolio.name,
            portfolio.book.currency(),
            reference,
            portfolio.version,
            portfolio.seq,
            portfolio.book.cash,
            portfolio.book.contributions,
            portfolio.created
        ],
    )
    .await?;
    Ok(())
}

/// Writes the head of a changed portfolio with the next version.
async fn save_head(tx: &mut Tx, portfolio: &mut Portfolio) -> Result<()> {
    let next = portfolio.version + 1;
    let changed = tx
        .execute(
            "UPDATE portfolios SET version = $1, last_seq = $2, cash_minor = $3, contributions_minor = $4 \
             WHERE portfolio_id = $5 AND version = $6",
            args![
                next,
                portfolio.seq,
                portfolio.book.cash,
                portfolio.book.contributions,
                portfolio.id,
                portfolio.version
            ],
        )
        .await?;
    if changed != 1 {
        return Err(Error::Raced { portfolio: portfolio.id.to_string() });
    }
    portfolio.version = next;
    Ok(())
}

/// Writes the target of a portfolio.
pub async fn save_target(tx: &mut Tx, portfolio: &mut Portfolio, source: &str) -> Result<()> {
    save_head(tx, portfolio).await?;
    tx.execute("DELETE FROM targets WHERE portfolio_id = $1", args![portfolio.id]).await?;
    for (symbol, weight) in portfolio.target.iter().flat_map(Target::pairs) {
        tx.execute(
            "INSERT INTO targets (portfolio_id, symbol, weight) VALUES ($1, $2, $3)",
            args![portfolio.id, symbol, weight],
        )
        .await?;
    }
    tx.execute("UPDATE portfolios SET target_source = $1 WHERE portfolio_id = $2", args![source, portfolio.id]).await?;
    Ok(())
}

/// Removes what an erased user has written in his own words, and his references. Figures stay, as the law demands.
pub async fn forget(tx: &mut Tx, owner: UserId) -> Result<()> {
    tx.execute(
        "UPDATE transactions SET note = '', client_reference = NULL \
         WHERE portfolio_id IN (SELECT portfolio_id FROM portfolios WHERE owner_id = $1)",
        args![owner],
    )
    .await?;
    let sql =
        "UPDATE portfolios SET name = '', client_reference = portfolio_id, target_source = NULL WHERE owner_id = $1";
    tx.execute(sql, args![owner]).await?;
    Ok(())
}

/// The latest closes.
pub async fn closes(reader: &mut Reader<'_>) -> Result<Closes> {
    let rows = reader.all("SELECT symbol, date, close FROM closes", args![]).await?;
    let by_symbol = rows
        .iter()
        .map(|row| Ok((row.get("symbol")?, (row.get("date")?, row.get("close")?))))
        .collect::<Result<_>>()?;
    Ok(Closes { by_symbol })
}

/// Keeps the closes of a day, unless later ones are known.
pub async fn save_closes(tx: &mut Tx, date: Date, bars: &[Bar]) -> Result<()> {
    for bars in bars.chunks(ROWS) {
        let mut args = Args::new();
        for bar in bars {
            args.push(&bar.symbol);
            args.push(&date);
            args.push(&bar.close);
        }
        let sql = format!(
            "INSERT INTO closes (symbol, date, close) VALUES {} ON CONFLICT (symbol) DO UPDATE \
             SET date = excluded.date, close = excluded.close WHERE excluded.date >= closes.date",
            placeholders(bars.len(), 3)
        );
        tx.execute(&sql, args).await?;
    }
    Ok(())
}

/// Most rows written by one statement.
const ROWS: usize = 100;

/// "($1, $2), ($3, $4)" for two rows of two columns.
fn placeholders(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let numbers: Vec<String> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", numbers.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Keeps the price of an execution for an instrument that has no close yet, so that whatever is held can be valued.
pub async fn save_first_price(tx: &mut Tx, symbol: &Symbol, date: Date, price: Price) -> Result<()> {
    tx.execute(
        "INSERT INTO closes (symbol, date, close) VALUES ($1, $2, $3) ON CONFLICT (symbol) DO NOTHING",
        args![symbol, date, price],
    )
    .await?;
    Ok(())
}
