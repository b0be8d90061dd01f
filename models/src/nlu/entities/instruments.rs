//! Instruments by name, ticker or alias, from a catalogue that the caller gives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::{Error, Result};

use super::tokens::{Token, tokens};

/// Tickers that are also everyday words: only their capitals count.
const EVERYDAY: &[&str] = &[
    "a", "all", "am", "an", "any", "are", "as", "at", "be", "big", "can", "cash", "cost", "do", "fast", "for", "fund",
    "go", "has", "he", "how", "i", "in", "it", "key", "life", "low", "main", "me", "my", "new", "no", "now", "of",
    "on", "one", "open", "or", "out", "own", "pay", "real", "see", "size", "so", "the", "to", "two", "up", "us", "we",
    "well", "what", "why", "you",
];

/// An instrument that texts may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The ticker, which stands in the answers.
    pub symbol: String,
    /// The full name.
    pub name: String,
    /// Other names, any case.
    pub aliases: Vec<String>,
}

/// The instruments that texts may name, ready to be looked up.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Words of a name to the symbols that bear it.
    names: BTreeMap<Vec<String>, BTreeSet<String>>,
    symbols: BTreeSet<String>,
    longest: usize,
}

#[derive(Deserialize)]
struct Row {
    symbol: String,
    name: String,
    aliases: String,
}

/// What a place in a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Possible symbols; one when it is clear.
    pub symbols: Vec<String>,
    /// Tokens that the name takes.
    pub tokens: usize,
    /// Whether it was written as it is in the catalogue.
    pub exact: bool,
}

impl Catalogue {
    /// Indexes the entries.
    pub fn new(entries: impl IntoIterator<Item = CatalogueEntry>) -> Self {
        let mut catalogue = Self::default();
        for entry in entries {
            for name in entry.aliases.iter().chain([&entry.name]) {
                let words: Vec<String> = tokens(name).into_iter().map(|token| token.word).collect();
                if !words.is_empty() {
                    catalogue.longest = catalogue.longest.max(words.len());
                    catalogue.names.entry(words).or_default().insert(entry.symbol.clone());
                }
            }
            catalogue.symbols.insert(entry.symbol);
        }
        catalogue
    }

    /// Reads a CSV file with the columns `symbol`, `name` and `aliases` (separated by `|`); others are ignored.
    ///
    /// # Errors
    /// A file that cannot be read or lacks a column.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::file(path))?;
        let rows = csv::Reader::from_reader(bytes.as_slice()).into_deserialize().map(|row| {
            let Row { symbol, name, aliases } =
                row.map_err(|error| Error::format(path.display().to_string(), error))?;
            let aliases = aliases.split('|').filter(|alias| !alias.is_empty()).map(str::to_owned).collect();
            Ok(CatalogueEntry { symbol, name, aliases })
        });
        Ok(Self::new(rows.collect::<Result<Vec<_>>>()?))
    }

    /// The longest name that starts at the first token.
    pub(super) fn find(&self, tokens: &[Token]) -> Option<Found> {
        for length in (1..=self.longest.min(tokens.len())).rev() {
            let words: Vec<String> = tokens[..length].iter().map(|token| token.word.clone()).collect();
            if let Some(symbols) = self.names.get(&words) {
                // A name of one everyday word counts only when the ticker's capitals are written.
                if length > 1 || !EVERYDAY.contains(&words[0].as_str()) {
                    return Some(Found { symbols: symbols.iter().cloned().collect(), tokens: length, exact: true });
                }
            }
        }
        let token = tokens.first()?;
        let ticker = token.written.trim_end_matches("'s");
        let upper = ticker.to_uppercase();
        if self.symbols.contains(&upper) && (ticker == upper || !EVERYDAY.contains(&token.word.as_str())) {
            return Some(Found { symbols: vec![upper], tokens: 1, exact: true });
        }
        self.mistyped(token)
    }

    /// A single word of five letters or more that is one slip away from exactly one instrument.
    fn mistyped(&self, token: &Token) -> Option<Found> {
        if token.word.chars().count() < 5 || !token.word.chars().all(char::is_alphabetic) {
            return None;
        }
        let close = self
            .names
            .iter()
            .filter(|(words, _)| words.len() == 1 && words[0].chars().count() >= 5 && one_slip(&words[0], &token.word));
        let symbols: BTreeSet<String> = close.flat_map(|(_, symbols)| symbols.iter().cloned()).collect();
        (symbols.len() == 1).then(|| Found { symbols: symbols.into_iter().collect(), tokens: 1, exact: false })
    }
}

/// Whether one insertion, deletion, substitution or swap of neighbours turns one word into the other. The first letter
/// must agree: people seldom mistype it, and many words differ only there.
fn one_slip(left: &str, right: &str) -> bool {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.first() != right.first() {
        return false;
    }
    let prefix = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[prefix..], &right[prefix..]);
    match left.len().abs_diff(right.len()) {
        0 => {
            let swap = left.len() >= 2 && left[0] == right[1] && left[1] == right[0] && left[2..] == right[2..];
            // A changed last letter is more often another word ("apply") than a slip.
            left.is_empty() || (left.len() > 1 && left[1..] == right[1..]) || swap
        }
        1 if left.len() > right.len() => left[1..] == *right,
        1 => *left == right[1..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let entry = |symbol: &str, name: &str, aliases: &[&str]| CatalogueEntry {
            symbol: symbol.into(),
            name: name.into(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        };
        Catalogue::new([
            entry("AAPL", "Apple Inc.", &["apple"]),
            entry("JNJ", "Johnson & Johnson", &["j&j"]),
            entry("SIZE", "Size factor ETF", &["size factor"]),
            entry("AAA", "First Bank", &["the bank"]),
            entry("BBB", "Second Bank", &["the bank"]),
        ])
    }

    fn found(text: &str) -> Option<(String, usize, bool)> {
        catalogue().find(&tokens(text)).map(|found| (found.symbols.join("|"), found.tokens, found.exact))
    }

    #[test]
    fn names_tickers_and_slips_are_found() {
        assert_eq!(found("apple's price"), Some(("AAPL".into(), 1, true)));
        assert_eq!(found("Johnson & Johnson shares"), Some(("JNJ".into(), 3, true)));
        assert_eq!(found("jnj"), Some(("JNJ".into(), 1, true)));
        assert_eq!(found("aplpe"), Some(("AAPL".into(), 1, false)));
        assert_eq!(found("maple"), None);
        assert_eq!(found("apply"), None);
    }

    #[test]
    fn a_ticker_that_is_a_word_needs_its_capitals() {
        assert_eq!(found("size of it"), None);
        assert_eq!(found("SIZE"), Some(("SIZE".into(), 1, true)));
    }

    #[test]
    fn a_shared_alias_names_every_candidate() {
        assert_eq!(found("the bank"), Some(("AAA|BBB".into(), 2, true)));
    }
}
