//! The list of instruments: `symbol,name,kind,currency`, and optionally `aliases` (separated by `|`) and `complex`.

use moneta_types::Currency;

use super::parse::symbol;
use super::table::{Table, normal};
use crate::error::Result;
use crate::instrument::{Instrument, KINDS, Kind};

/// Whether a table is a list of instruments: it has kinds, and no prices.
pub(super) fn describes(table: &Table) -> bool {
    let has = |wanted: &str| table.header.iter().any(|name| normal(name) == wanted);
    has("kind") && !has("close")
}

/// The instruments of a table.
pub(super) fn parse(table: &Table) -> Result<Vec<Instrument>> {
    let symbols = table.required("symbol", &["symbol", "ticker"])?;
    let names = table.required("name", &["name"])?;
    let kinds = table.required("kind", &["kind"])?;
    let currencies = table.required("currency", &["currency"])?;
    let aliases = table.column("aliases", &["aliases"])?;
    let complex = table.column("complex", &["complex"])?;
    let mut instruments: Vec<Instrument> = Vec::with_capacity(table.rows.len());
    for (line, cells) in &table.rows {
        let text = |column: usize| cells.get(column).map(String::as_str).unwrap_or_default();
        let refuse = |column, allowed: &str| table.refuse(*line, column, text(column), allowed);
        let symbol = symbol(table, *line, symbols, cells)?;
        if instruments.iter().any(|known| known.symbol == symbol) {
            return Err(refuse(symbols, "one row a symbol"));
        }
        if text(names).is_empty() {
            return Err(refuse(names, "a name"));
        }
        let kind: Kind = text(kinds).parse().map_err(|_| refuse(kinds, KINDS))?;
        let currency: Currency =
            text(currencies).parse().map_err(|_| refuse(currencies, "an ISO 4217 code that Moneta keeps money in"))?;
        let complex = match complex.map(text) {
            None | Some("" | "false") => false,
            Some("true") => true,
            Some(_) => return Err(refuse(complex.unwrap_or_default(), "true, false or nothing")),
        };
        let aliases = aliases.map(text).unwrap_or_default();
        instruments.push(Instrument {
            symbol,
            name: text(names).to_owned(),
            kind,
            currency,
            aliases: aliases
                .split('|')
                .map(|alias| alias.trim().to_lowercase())
                .filter(|alias| !alias.is_empty())
                .collect(),
            complex,
        });
    }
    Ok(instruments)
}
