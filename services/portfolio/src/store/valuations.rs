//! Valuations in the store.
use super::{ROWS, Reader, placeholders};
use crate::{
    Result,
    performance::{Link, Position},
    valuation::Valuation,
};
use moneta_kit::{
    args,
    store::{Args, Row, Tx},
};
use moneta_types::{Currency, Date, Money, PortfolioId, Symbol};
use std::collections::BTreeMap;

/// Writes the valuation of a day; `false` when that day is valued already, and nothing is changed.
pub async fn save_valuation(
    tx: &mut Tx,
    portfolio: PortfolioId,
    valuation: &Valuation,
    lines: &BTreeMap<Symbol, Position>,
) -> Result<bool> {
    let added = tx
        .execute(
            "INSERT INTO valuations (portfolio_id, date, seq, version, value_minor, cash_minor, contributions_minor, \
             day_return, twr_index, twr_peak) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (portfolio_id, date) DO NOTHING",
            args![
                portfolio,
                valuation.date,
                valuation.seq,
                valuation.version,
                valuation.value,
                valuation.cash,
                valuation.contributions,
                valuation.link.day_return,
                valuation.link.index,
                valuation.link.peak
            ],
        )
        .await?;
    if added == 0 {
        return Ok(false);
    }
    let lines: Vec<_> = lines.iter().collect();
    for lines in lines.chunks(ROWS) {
        let mut args = Args::new();
        for (symbol, line) in lines {
            args.push(&portfolio);
            args.push(&valuation.date);
            args.push(symbol);
            args.push(&line.quantity);
            args.push(&line.price);
            args.push(&line.value);
        }
        let sql = format!(
            "INSERT INTO valuation_lines (portfolio_id, date, symbol, quantity_nanos, price, value_minor) VALUES {}",
            placeholders(lines.len(), 6)
        );
        tx.execute(&sql, args).await?;
    }
    Ok(true)
}

const COLUMNS: &str = "SELECT date, seq, version, value_minor, cash_minor, contributions_minor, day_return, \
                       twr_index, twr_peak FROM valuations";

/// The latest valuation up to and including a day (any day when none is given).
pub async fn last_valuation(
    reader: &mut Reader<'_>,
    portfolio: PortfolioId,
    currency: Currency,
    until: Option<Date>,
) -> Result<Option<Valuation>> {
    let until = until.unwrap_or(Date::MAX).min(LAST_DAY);
    let sql = format!("{COLUMNS} WHERE portfolio_id = $1 AND date <= $2 ORDER BY date DESC LIMIT 1");
    let row = reader.optional(&sql, args![portfolio, until]).await?;
    row.map(|row| read(&row, currency)).transpose()
}

/// Valuations of the days in `[from, to]`, in order.
pub async fn valuations(
    reader: &mut Reader<'_>,
    portfolio: PortfolioId,
    currency: Currency,
    from: Option<Date>,
    to: Option<Date>,
) -> Result<Vec<Valuation>> {
    let from = from.unwrap_or(Date::MIN).max(FIRST_DAY);
    let to = to.unwrap_or(Date::MAX).min(LAST_DAY);
    let sql = format!("{COLUMNS} WHERE portfolio_id = $1 AND date >= $2 AND date <= $3 ORDER BY date");
    let rows = reader.all(&sql, args![portfolio, from, to]).await?;
    rows.iter().map(|row| read(row, currency)).collect()
}

/// What was held at the valuation of a day.
pub async fn valuation_lines(
    reader: &mut Reader<'_>,
    portfolio: PortfolioId,
    currency: Currency,
    date: Date,
) -> Result<BTreeMap<Symbol, Position>> {
    let sql = "SELECT symbol, quantity_nanos, price, value_minor FROM valuation_lines \
               WHERE portfolio_id = $1 AND date = $2";
    let rows = reader.all(sql, args![portfolio, date]).await?;
    rows.iter()
        .map(|row| {
            let value = Money::from_minor(row.int("value_minor")?, currency);
            Ok((row.get("symbol")?, Position { quantity: row.get("quantity_nanos")?, price: row.get("price")?, value }))
        })
        .collect()
}

/// Dates are compared as text, which orders them only while years have four digits.
const FIRST_DAY: Date = day(1, 1, 1);
const LAST_DAY: Date = day(9999, 12, 31);

const fn day(year: i32, month: u32, day: u32) -> Date {
    match Date::from_ymd_opt(year, month, day) {
        Some(date) => date,
        None => Date::MIN,
    }
}

fn read(row: &Row, currency: Currency) -> Result<Valuation> {
    let money = |column: &str| -> Result<Money> { Ok(Money::from_minor(row.int(column)?, currency)) };
    Ok(Valuation {
        date: row.get("date")?,
        seq: row.get("seq")?,
        version: row.get("version")?,
        value: money("value_minor")?,
        cash: money("cash_minor")?,
        contributions: money("contributions_minor")?,
        link: Link { day_return: row.get("day_return")?, index: row.get("twr_index")?, peak: row.get("twr_peak")? },
    })
}
