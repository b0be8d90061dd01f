//! Labelled utterances: reading the two-column file and splitting off the part that is never trained on.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The label of a text that Moneta does not deal with, in our data.
pub const OUT_OF_SCOPE: &str = "out_of_scope";
/// Every label that is read as out of scope, so that public data sets train the same way.
pub const OUT_OF_SCOPE_LABELS: &[&str] = &[OUT_OF_SCOPE, "oos"];

/// An utterance with its intent: one row of a `text,category` file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// What was said.
    pub text: String,
    /// The intent.
    pub category: String,
}

/// A part of the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// What is trained on.
    pub train: Vec<Example>,
    /// What is only ever measured on.
    pub hold_out: Vec<Example>,
}

/// Reads a CSV file with the header `text,category`.
///
/// # Errors
/// A file that cannot be read, a missing column, or an empty cell, named with its line.
pub fn read_examples(path: &Path) -> Result<Vec<Example>> {
    let bytes = std::fs::read(path).map_err(Error::file(path))?;
    parse_examples(&bytes, &path.display().to_string())
}

/// Reads the bytes of a `text,category` file; `name` stands in the errors.
///
/// # Errors
/// As [`read_examples`], except for the file access.
pub fn parse_examples(bytes: &[u8], name: &str) -> Result<Vec<Example>> {
    let mut reader = csv::Reader::from_reader(bytes);
    let headers = reader.headers().map_err(|error| Error::format(name, error))?;
    for column in ["text", "category"] {
        if !headers.iter().any(|header| header == column) {
            return Err(Error::format(name, format!("line 1: column {column} is missing; expected text,category")));
        }
    }
    let mut examples = Vec::new();
    for (index, row) in reader.deserialize().enumerate() {
        let example: Example = row.map_err(|error| Error::format(name, error))?;
        for (column, value) in [("text", &example.text), ("category", &example.category)] {
            if value.trim().is_empty() {
                let record = index + 1;
                return Err(Error::format(name, format!("record {record}: column {column} is empty; expected text")));
            }
        }
        examples.push(example);
    }
    Ok(examples)
}

/// Splits by the hash of the text: about one in five is held out, and an utterance keeps its side for ever, whatever is
/// added to the file around it.
pub fn split_hold_out(examples: &[Example]) -> Split {
    let mut split = Split::default();
    for example in examples {
        let side = if is_held_out(&example.text) { &mut split.hold_out } else { &mut split.train };
        side.push(example.clone());
    }
    split
}

/// Whether an utterance belongs to the part that is never trained on.
pub fn is_held_out(text: &str) -> bool {
    Sha256::digest(text.as_bytes())[0].is_multiple_of(5)
}

/// Whether a label means that the text is out of scope.
pub fn is_out_of_scope_label(label: &str) -> bool {
    OUT_OF_SCOPE_LABELS.contains(&label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_column_is_named() {
        let error = parse_examples(b"text,label\nhi,greeting\n", "x.csv").unwrap_err().to_string();
        assert!(error.contains("column category is missing"), "{error}");
    }

    #[test]
    fn an_empty_cell_is_named_with_its_record() {
        let error = parse_examples(b"text,category\nhi,greeting\n ,greeting\n", "x.csv").unwrap_err().to_string();
        assert!(error.contains("record 2: column text is empty"), "{error}");
    }

    #[test]
    fn the_hold_out_depends_on_the_text_alone() {
        let example = |text: &str| Example { text: text.into(), category: "a".into() };
        let all: Vec<_> = (0..500).map(|i| example(&format!("utterance {i}"))).collect();
        let split = split_hold_out(&all);
        let reversed: Vec<_> = all.iter().rev().cloned().collect();
        let mut other = split_hold_out(&reversed).hold_out;
        other.reverse();
        assert_eq!(split.hold_out, other);
        assert!((60..140).contains(&split.hold_out.len()), "{}", split.hold_out.len());
        assert_eq!(split.hold_out.len() + split.train.len(), 500);
    }
}
