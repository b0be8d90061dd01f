//! Hashed word and letter features: what the sentence embedding blurs (buy or sell, approve or decline, a mistyped name)
//! in a fixed number of columns, without a vocabulary to store.
//!
//! A text becomes words, pairs of words and runs of three and four letters inside a word. Each is hashed to a column
//! (FNV-1a, 32 bit), counted as `ln(1 + n)`, weighted by the inverse document frequency of the training data, and scaled
//! to unit length (Weinberger et al. 2009, "Feature hashing for large scale multitask learning").

use std::collections::BTreeMap;

/// A sparse row: (column, value) with ascending columns.
pub type SparseRow = Vec<(usize, f32)>;

/// The features of a text before weighting: (column, `ln(1 + count)`), ascending.
pub fn counts(text: &str, columns: usize) -> SparseRow {
    let mut row: BTreeMap<usize, f32> = BTreeMap::new();
    let mut add = |kind: u8, parts: &[&str]| {
        *row.entry(hash(kind, parts) as usize % columns).or_insert(0.0) += 1.0;
    };
    let words = words(text);
    let mut previous = "^";
    for word in &words {
        add(b'w', &[word]);
        add(b'b', &[previous, word]);
        previous = word;
        let letters: Vec<char> = format!("<{word}>").chars().collect();
        for length in [3, 4] {
            for run in letters.windows(length) {
                add(b'c', &[&run.iter().collect::<String>()]);
            }
        }
    }
    add(b'b', &[previous, "$"]);
    row.into_iter().map(|(column, count)| (column, count.ln_1p())).collect()
}

/// Inverse document frequency a column: `ln((1 + n) / (1 + n_c)) + 1`.
pub fn inverse_document_frequency(rows: &[SparseRow], columns: usize) -> Vec<f32> {
    let mut seen = vec![0_u32; columns];
    rows.iter().flatten().for_each(|&(column, _)| seen[column] += 1);
    let total = rows.len() as f32;
    seen.into_iter().map(|count| ((1.0 + total) / (1.0 + count as f32)).ln() + 1.0).collect()
}

/// Weights a row and scales it to the length `scale`.
pub fn weigh(mut row: SparseRow, inverse_frequency: &[f32], scale: f32) -> SparseRow {
    row.iter_mut().for_each(|(column, value)| *value *= inverse_frequency[*column]);
    let length = row.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|(_, value)| *value *= scale / length);
    }
    row
}

/// Lower-case words; a number is one word `0`, so that the amount does not decide the intent; a currency sign, `%` and `?`
/// stand alone; an apostrophe joins.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    let mut number = false;
    for character in text.to_lowercase().chars() {
        if matches!(character, '\'' | '’') {
            continue;
        }
        let is_number = character.is_numeric();
        if character.is_alphanumeric() && !(open && number != is_number) {
            match words.last_mut() {
                Some(word) if open && !is_number => word.push(character),
                Some(_) if open => {}
                _ => words.push(if is_number { '0' } else { character }.to_string()),
            }
            open = true;
        } else if character.is_alphanumeric() {
            words.push(if is_number { '0' } else { character }.to_string());
        } else {
            open = false;
            if matches!(character, '£' | '$' | '€' | '%' | '?') {
                words.push(character.to_string());
            }
        }
        number = is_number;
    }
    words
}

fn hash(kind: u8, parts: &[&str]) -> u32 {
    let mut state = 0x811c_9dc5_u32;
    let mut step = |byte: u8| state = (state ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    step(kind);
    for part in parts {
        part.bytes().for_each(&mut step);
        step(0);
    }
    // FNV mixes its low bits poorly; folding the high half in spreads them over a power of two of columns.
    state ^ (state >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_split_numbers_signs_and_apostrophes() {
        assert_eq!(words("What's £1,250 of AAPL?"), ["whats", "£", "0", "0", "of", "aapl", "?"]);
        assert_eq!(words("sell 10aapl"), ["sell", "0", "aapl"]);
        assert!(words("  ").is_empty());
    }

    #[test]
    fn the_same_text_gives_the_same_ascending_columns() {
        let row = counts("sell half my Apple", 1024);
        assert_eq!(row, counts("SELL half my apple", 1024));
        assert!(row.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_weighed_row_has_the_length_asked_for() {
        let rows = vec![counts("buy apple", 64), counts("sell apple", 64)];
        let frequency = inverse_document_frequency(&rows, 64);
        let row = weigh(rows[0].clone(), &frequency, 0.7);
        let length = row.iter().map(|(_, v)| v * v).sum::<f32>().sqrt();
        assert!((length - 0.7).abs() < 1e-6);
    }
}
