//! What commands print: a table for people, JSON for programs. Who closes the pipe has read enough, and that is no error.
use crate::{Error, Result};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write},
    sync::{LazyLock, OnceLock},
};
use tokio::sync::watch;

/// Whether nobody reads standard output any more.
static CLOSED: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// What became of standard output when it could not be written, but for a reader that went away.
static FAILED: OnceLock<String> = OnceLock::new();

/// Writes to standard output, for the `print!` and `println!` of this program.
pub fn print(text: Arguments<'_>) {
    let _ = Stdout.write_fmt(text);
}

/// Writes to standard error, for the `eprint!` and `eprintln!` of this program; that nobody reads it changes nothing.
pub fn complain(text: Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}

/// Completes when nobody reads standard output any more.
pub async fn closed() {
    if CLOSED.subscribe().wait_for(|closed| *closed).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Whether nobody reads standard output any more.
pub fn is_closed() -> bool {
    *CLOSED.borrow()
}

/// Ok when everything that was printed is where it was printed to. On a full disk it is not, and a file that was cut off must
/// not be taken for a whole one.
pub fn whole() -> Result<()> {
    let _ = Stdout.flush();
    FAILED.get().map_or(Ok(()), |error| Err(Error::Failed(format!("the answer could not be written whole: {error}"))))
}

/// Standard output that remembers that it was closed, or failed. Each write is passed on at once, as lines to a terminal are.
#[derive(Debug)]
pub struct Stdout;

impl Stdout {
    fn note<T>(outcome: io::Result<T>) -> io::Result<T> {
        match &outcome {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                CLOSED.send_replace(true);
            }
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                let _ = FAILED.set(error.to_string());
            }
            _ => {}
        }
        outcome
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::note(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::note(io::stdout().flush())
    }
}

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
