//! Writes the whole log as JSON lines, one entry a line, oldest first, with everything that is needed to verify it elsewhere:
//! the last line is a statement of how many entries there are and how they end, signed with the platform's key.
use super::{Anchor, Chain, Entry, Verification, canonical_json};
use crate::{Error, Result, store::Store};
use moneta_kit::attest::{Attestor, is_signed};
use moneta_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{BufRead, Read as _, Write};

/// Entries that are read at a time.
const BATCH: u32 = 1000;

/// Longest line of an export, bytes. The largest event is a day's bars of the whole market.
const LONGEST_LINE: u64 = 64 << 20;

/// The last line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Entries before it.
    pub entries: u64,
    /// The hash of the last one.
    pub head: String,
    /// When it was made, real time.
    pub exported_at: Timestamp,
    /// The key that checks the signature, hexadecimal; compare it with what the platform's operator gave out.
    pub public_key: String,
    /// Ed25519, hexadecimal, over the canonical JSON of the other members.
    pub signature: String,
}

impl Statement {
    fn signed_text(&self) -> String {
        canonical_json(&json!({
            "entries": self.entries, "head": self.head, "exported_at": self.exported_at, "public_key": self.public_key,
        }))
    }
}

/// Writes every entry and the statement, which is also returned.
pub async fn export(
    store: &Store,
    attestor: &Attestor,
    at: Timestamp,
    to: &mut (dyn Write + Send),
) -> Result<Statement> {
    let mut chain = Chain::new();
    loop {
        let batch = store.entries_after(chain.entries(), BATCH).await?;
        if batch.is_empty() {
            break;
        }
        for entry in batch {
            serde_json::to_writer(&mut *to, &entry.as_json())?;
            to.write_all(b"\n")?;
            // What is signed must hold.
            chain.push(entry).map_err(|problem| Error::Damaged { problem })?;
        }
    }
    let mut statement = Statement {
        entries: chain.entries(),
        head: chain.head().to_owned(),
        exported_at: at,
        public_key: attestor.public_key(),
        signature: String::new(),
    };
    statement.signature = attestor.sign(&statement.signed_text());
    serde_json::to_writer(&mut *to, &json!({ "statement": statement }))?;
    to.write_all(b"\n")?;
    to.flush()?;
    Ok(statement)
}

/// Verifies an export without the platform: the chain, the statement at its end, and anchors when there are some. With a
/// key, the statement must be signed with that one.
pub fn verify_export(from: &mut dyn BufRead, anchors: Option<Vec<Anchor>>, key: Option<&str>) -> Result<Verification> {
    let mut chain = anchors.map_or_else(Chain::new, Chain::with_anchors);
    let outcome = follow(from, &mut chain, key)?;
    Ok(Verification::of(&chain, outcome))
}

fn follow(from: &mut dyn BufRead, chain: &mut Chain, key: Option<&str>) -> Result<Result<(), String>> {
    let mut statement: Option<Statement> = None;
    for number in 1_u64.. {
        let mut line = Vec::new();
        if (&mut *from).take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if statement.is_some() {
            return Ok(Err(format!("line {number} stands after the statement, which ends an export")));
        }
        let value: Value = match serde_json::from_slice(&line) {
            Ok(value) => value,
            Err(error) => return Ok(Err(format!("line {number} is not JSON: {error}"))),
        };
        if let Some(found) = value.get("statement") {
            statement = serde_json::from_value(found.clone()).ok();
            if statement.is_none() {
                return Ok(Err(format!("line {number} is not a statement: it was changed")));
            }
            continue;
        }
        let Some(entry) = Entry::from_json(&value) else {
            return Ok(Err(format!("line {number} is not an entry: it was changed or cut off")));
        };
        if let Err(problem) = chain.push(entry) {
            return Ok(Err(format!("line {number}: {problem}")));
        }
    }
    let Some(statement) = statement else {
        return Ok(Err("the statement at the end is missing: the export was cut off".to_owned()));
    };
    if (statement.entries, statement.head.as_str()) != (chain.entries(), chain.head()) {
        return Ok(Err(format!(
            "the statement is of {} entries that end with {}, but {} were read: lines were removed or added",
            statement.entries,
            statement.head,
            chain.entries()
        )));
    }
    if !is_signed(&statement.public_key, &statement.signed_text(), &statement.signature) {
        return Ok(Err("the statement's signature does not hold: it was changed".to_owned()));
    }
    if key.is_some_and(|key| !key.eq_ignore_ascii_case(&statement.public_key)) {
        let told =
            format!("the statement is signed with key {}, which is not the one that was given", statement.public_key);
        return Ok(Err(told));
    }
    Ok(chain.finish())
}
