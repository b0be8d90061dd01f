//! What a person notices of Moneta, measured on the program as it was built: start, memory, idleness, a turn of the chat,
//! an advice cycle and the replay in a process of its own; the model server, the features and the event bus in this one.
//!
//! `cargo bench --profile dev --workspace --bench platform` prints one table and leaves nothing behind. Words after `--`
//! choose parts: `-- replay chat`. Needs what `make fetch` brings, and /proc (Linux).
mod api;
mod bus;
mod demo;
mod error;
mod features;
mod inference;
mod process;
mod report;
mod sample;

use error::Error;
use report::Row;
use std::{path::Path, process::ExitCode};

/// The parts, in the order in which they run; those before `inference` need the demo.
const PARTS: [&str; 8] = ["replay", "ready", "idle", "chat", "advice", "inference", "features", "bus"];

/// The repository's root, which is the program's working directory: models, knowledge and `.moneta` lie there.
fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Which parts the command line asks for; cargo adds flags of its own.
fn chosen() -> Result<Vec<String>, Error> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match words.iter().find(|word| !PARTS.contains(&word.as_str())) {
        Some(word) => Err(Error::Part { word: word.clone(), allowed: PARTS.join(", ") }),
        None if words.is_empty() => Ok(PARTS.map(str::to_owned).to_vec()),
        None => Ok(words),
    }
}

async fn measure() -> Result<Vec<Row>, Error> {
    let chosen = chosen()?;
    let wanted = |part: &str| chosen.iter().any(|word| word == part);
    let mut rows = Vec::new();
    if ["replay", "ready", "idle", "chat", "advice", "features"].iter().any(|part| wanted(part)) {
        demo::measure(&wanted, &mut rows).await?;
    }
    if wanted("inference") {
        inference::measure(&mut rows).await?;
    }
    if wanted("bus") {
        bus::measure(&mut rows).await?;
    }
    Ok(rows)
}

#[tokio::main]
async fn main() -> ExitCode {
    eprintln!("{}", report::machine());
    match measure().await {
        Ok(rows) => {
            println!("{}", report::table(&rows));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {}", error::chain(&error));
            ExitCode::from(1)
        }
    }
}
