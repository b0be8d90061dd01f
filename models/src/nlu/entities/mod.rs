//! Amounts, quantities, percentages, instruments, periods and risk levels in a text: a deterministic parser that gives each
//! finding its place and its normalised value, and says so where a text can be read in more than one way.

mod instruments;
mod numbers;
mod periods;
mod tokens;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use instruments::{Catalogue, CatalogueEntry};
pub use numbers::TOO_LONG;
use numbers::{Number, number};
pub use periods::Period;
use periods::period;
use tokens::{Token, tokens};

/// The risk profiles that a text may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskLevel {
    /// Low risk.
    Cautious,
    /// Medium risk.
    Balanced,
    /// High risk.
    Adventurous,
}

/// A normalised value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EntityValue {
    /// Money. The currency is an ISO 4217 code; none when the text names none ("put in 5k").
    Amount {
        /// In major units: pounds, not pence.
        value: Decimal,
        /// ISO 4217.
        currency: Option<String>,
    },
    /// A price that follows "at": the limit of an order.
    Price {
        /// In major units.
        value: Decimal,
        /// ISO 4217.
        currency: Option<String>,
    },
    /// A number of shares or units.
    Quantity {
        /// Shares; fractions are possible.
        value: Decimal,
    },
    /// A part of something: `20%`, "half", "all my".
    Percentage {
        /// 0.2 = 20 %.
        fraction: Decimal,
    },
    /// A currency on its own ("in euros").
    Currency {
        /// ISO 4217.
        code: String,
    },
    /// An instrument of the catalogue.
    Instrument {
        /// Its ticker.
        symbol: String,
        /// False when one letter was corrected: ask back before acting on it.
        exact: bool,
    },
    /// A span of days, both ends included.
    Period {
        /// First day; none means since the beginning.
        from: Option<NaiveDate>,
        /// Last day.
        to: NaiveDate,
    },
    /// A risk profile.
    RiskLevel {
        /// Which.
        level: RiskLevel,
    },
    /// A number of nothing in particular ("order 8842").
    Number {
        /// The number.
        value: Decimal,
    },
}

/// A finding and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// First character, counted in characters from 0.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// As written.
    pub text: String,
    /// What it means.
    pub value: EntityValue,
}

/// A place that can be read in more than one way, or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ambiguity {
    /// First character, counted in characters from 0.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// As written.
    pub text: String,
    /// Why, in words that can be shown to the user.
    pub reason: String,
    /// Possible symbols, where it is an instrument.
    pub candidates: Vec<String>,
}

/// Everything found in a text, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entities {
    /// What is clear.
    pub found: Vec<Entity>,
    /// What has to be asked back.
    pub unclear: Vec<Ambiguity>,
}

impl Entities {
    /// The symbols named, in order, each once.
    pub fn symbols(&self) -> Vec<&str> {
        let mut symbols: Vec<&str> = Vec::new();
        for entity in &self.found {
            if let EntityValue::Instrument { symbol, .. } = &entity.value
                && !symbols.contains(&symbol.as_str())
            {
                symbols.push(symbol);
            }
        }
        symbols
    }
}

/// Finds the entities of a text. Relative periods are seen from `today`.
pub fn extract(text: &str, catalogue: &Catalogue, today: NaiveDate) -> Entities {
    let tokens = tokens(text);
    let mut parser = Parser { tokens: &tokens, characters: text.chars().collect(), catalogue, today };
    let mut entities = Entities::default();
    let mut place = 0;
    while place < tokens.len() {
        place += match parser.at(place) {
            Some(Step { tokens, outcome }) => {
                parser.record(&mut entities, place, tokens, outcome);
                tokens
            }
            None => 1,
        };
    }
    entities
}

struct Parser<'a> {
    tokens: &'a [Token],
    characters: Vec<char>,
    catalogue: &'a Catalogue,
    today: NaiveDate,
}

struct Step {
    tokens: usize,
    outcome: Outcome,
}

enum Outcome {
    Found(EntityValue),
    Unclear(String, Vec<String>),
}

impl Parser<'_> {
    fn word(&self, place: usize) -> &str {
        self.tokens.get(place).map_or("", |token| token.word.as_str())
    }

    fn at(&self, place: usize) -> Option<Step> {
        let rest = &self.tokens[place..];
        if let Some((tokens, found)) = period(rest, self.today) {
            let outcome = match found {
                Ok(Period { from, to }) => Outcome::Found(EntityValue::Period { from, to }),
                Err(reason) => Outcome::Unclear(reason.to_owned(), Vec::new()),
            };
            return Some(Step { tokens, outcome });
        }
        let instrument = || {
            let found = self.catalogue.find(rest)?;
            let outcome = match found.symbols.as_slice() {
                [symbol] => Outcome::Found(EntityValue::Instrument { symbol: symbol.clone(), exact: found.exact }),
                several => Outcome::Unclear("names several instruments".to_owned(), several.to_vec()),
            };
            Some(Step { tokens: found.tokens, outcome })
        };
        self.money(place)
            .or_else(|| self.fraction(place))
            .or_else(instrument)
            .or_else(|| self.numeric(place))
            .or_else(|| self.risk_level(place))
            .or_else(|| {
                let code = currency(self.word(place)).filter(|_| self.word(place).len() > 1)?;
                (code != "GBX").then(|| Step::found(1, EntityValue::Currency { code: code.to_owned() }))
            })
    }

    /// A currency sign or code before a number.
    fn money(&self, place: usize) -> Option<Step> {
        let code = currency(self.word(place)).filter(|code| *code != "GBX")?;
        match number(self.tokens.get(place + 1..)?)? {
            Number::Unclear(reason) => Some(Step::unclear(2, reason)),
            Number::Value { value, tokens, .. } => Some(Step::found(tokens + 1, self.amount(place, value, Some(code)))),
        }
    }

    /// A limit price when "at" stands before, an amount otherwise.
    fn amount(&self, place: usize, value: Decimal, currency: Option<&str>) -> EntityValue {
        let currency = currency.map(str::to_owned);
        if place > 0 && matches!(self.word(place - 1), "at" | "@") {
            EntityValue::Price { value, currency }
        } else {
            EntityValue::Amount { value, currency }
        }
    }

    /// A number and what the words after (or before) it make of it.
    fn numeric(&self, place: usize) -> Option<Step> {
        let (value, length, scaled) = match number(&self.tokens[place..])? {
            Number::Unclear(reason) => return Some(Step::unclear(1, reason)),
            Number::Value { value, tokens, scaled } => (value, tokens, scaled),
        };
        let next = self.word(place + length);
        if let Some(code) = currency(next) {
            let (value, code) = if code == "GBX" { (value / Decimal::ONE_HUNDRED, "GBP") } else { (value, code) };
            return Some(Step::found(length + 1, self.amount(place, value, Some(code))));
        }
        let per_cent = match (next, self.word(place + length + 1)) {
            ("%" | "percent" | "pct", _) => 1,
            ("per", "cent") => 2,
            _ => 0,
        };
        if per_cent > 0 {
            let fraction = (value / Decimal::ONE_HUNDRED).normalize();
            return Some(Step::found(length + per_cent, EntityValue::Percentage { fraction }));
        }
        if is_share_word(next) {
            return Some(Step::found(length + 1, EntityValue::Quantity { value }));
        }
        if place > 0 && self.word(place - 1) == "at" {
            return Some(Step::found(length, EntityValue::Price { value, currency: None }));
        }
        let names = |start: usize| self.tokens.get(start..).and_then(|rest| self.catalogue.find(rest));
        let mut after = place + length;
        while matches!(self.word(after), "more" | "of" | "my" | "the") && names(after).is_none() {
            after += 1;
        }
        // "one" is more often a pronoun than a quantity, except right before an instrument.
        let pronoun = self.word(place) == "one" && after != place + length;
        let before = (1..=3).any(|back| {
            let start = place.checked_sub(back);
            start.and_then(names).is_some_and(|found| found.tokens == back)
        });
        let value = if (names(after).is_some() && !pronoun && !scaled) || (before && !scaled) {
            EntityValue::Quantity { value }
        } else if scaled {
            EntityValue::Amount { value, currency: None }
        } else if self.word(place) == "one" {
            return None;
        } else {
            EntityValue::Number { value }
        };
        Some(Step::found(length, value))
    }

    /// "half", "a quarter of", "two thirds", "all my", "everything".
    fn fraction(&self, place: usize) -> Option<Step> {
        let (parts, length) = match (self.word(place), self.word(place + 1)) {
            ("half", _) => ((1, 2), 1),
            ("a" | "one", "half") => ((1, 2), 2),
            ("a" | "one", part) => ((1, denominator(part)?), 2),
            ("two", "thirds") => ((2, 3), 2),
            ("three", "quarters") => ((3, 4), 2),
            ("quarter" | "third", "of") => ((1, denominator(self.word(place))?), 1),
            ("everything", _) => ((1, 1), 1),
            ("the", "lot") => ((1, 1), 2),
            ("all", next) if matches!(next, "my" | "of" | "the" | "shares") || self.names(place + 1) => ((1, 1), 1),
            ("whole" | "entire", _) => ((1, 1), 1),
            _ => return None,
        };
        let fraction = (Decimal::from(parts.0) / Decimal::from(parts.1)).round_dp(9).normalize();
        // "half a share" is a quantity, "half my shares" a part.
        let after = place + length;
        let shares = match (self.word(after), self.word(after + 1), self.word(after + 2)) {
            ("a", "share" | "unit", _) => 2,
            ("of", "a", "share" | "unit") => 3,
            _ => 0,
        };
        Some(if shares > 0 {
            Step::found(length + shares, EntityValue::Quantity { value: fraction })
        } else {
            Step::found(length, EntityValue::Percentage { fraction })
        })
    }

    fn names(&self, place: usize) -> bool {
        self.tokens.get(place..).is_some_and(|rest| self.catalogue.find(rest).is_some())
    }

    /// A profile's name, or "low", "medium" and "high" where "risk" is near.
    fn risk_level(&self, place: usize) -> Option<Step> {
        let near = |word: &str| (place.saturating_sub(3)..place + 4).any(|other| self.word(other) == word);
        let level = match self.word(place) {
            "cautious" | "conservative" | "defensive" => RiskLevel::Cautious,
            "balanced" | "moderate" => RiskLevel::Balanced,
            "adventurous" | "aggressive" => RiskLevel::Adventurous,
            "low" if near("risk") => RiskLevel::Cautious,
            "medium" if near("risk") => RiskLevel::Balanced,
            "high" if near("risk") => RiskLevel::Adventurous,
            _ => return None,
        };
        Some(Step::found(1, EntityValue::RiskLevel { level }))
    }

    fn record(&mut self, entities: &mut Entities, place: usize, length: usize, outcome: Outcome) {
        let last = (place + length).min(self.tokens.len()) - 1;
        let (start, end) = (self.tokens[place].start, self.tokens[last].end);
        let text: String = self.characters[start..end].iter().collect();
        match outcome {
            Outcome::Found(value) => entities.found.push(Entity { start, end, text, value }),
            Outcome::Unclear(reason, candidates) => {
                entities.unclear.push(Ambiguity { start, end, text, reason, candidates });
            }
        }
    }
}

impl Step {
    fn found(tokens: usize, value: EntityValue) -> Self {
        Self { tokens, outcome: Outcome::Found(value) }
    }

    fn unclear(tokens: usize, reason: &str) -> Self {
        Self { tokens, outcome: Outcome::Unclear(reason.to_owned(), Vec::new()) }
    }
}

fn denominator(word: &str) -> Option<i64> {
    Some(match word {
        "half" => 2,
        "third" => 3,
        "quarter" => 4,
        "fifth" => 5,
        "tenth" => 10,
        _ => return None,
    })
}

fn is_share_word(word: &str) -> bool {
    matches!(word, "share" | "shares" | "unit" | "units" | "stocks")
}

/// ISO 4217 code of a currency word or sign; `GBX` stands for pence. A dollar is taken as US, as the instruments are.
fn currency(word: &str) -> Option<&'static str> {
    Some(match word {
        "£" | "gbp" | "pound" | "pounds" | "quid" | "sterling" => "GBP",
        "$" | "usd" | "dollar" | "dollars" | "bucks" => "USD",
        "€" | "eur" | "euro" | "euros" => "EUR",
        "pence" | "penny" | "gbx" => "GBX",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
