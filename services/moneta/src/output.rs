//! What commands print: a table for people, JSON for programs.
use crate::Result;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// Prints rows as a table, or the values as JSON.
pub fn rows<T: Serialize>(json: bool, values: &[T], header: &[&str], row: impl Fn(&T) -> Vec<String>) -> Result<()> {
    if json {
        return self::json(&values);
    }
    if values.is_empty() {
        println!("nothing to show");
        return Ok(());
    }
    println!("{}", table(header, values.iter().map(row)));
    Ok(())
}

/// A table with a header.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    table
}

/// Prints a value as JSON.
pub fn json<T: Serialize>(value: &T) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// The first characters of a digest or id.
pub fn short(text: &str) -> String {
    text.strip_prefix("sha256:").unwrap_or(text).chars().take(12).collect()
}
