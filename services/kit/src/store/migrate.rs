//! Migrations: numbered, one text an engine, applied once in order; what was applied may never change afterwards.
use super::{Tx, error::Error, error::Result};
use crate::args;
use moneta_types::Timestamp;
use sha2::{Digest as _, Sha256};

/// One step of a database's schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// From 1, without gaps.
    pub version: u32,
    /// What it does ("orders").
    pub name: &'static str,
    /// Statements for SQLite; a semicolon at the end of a line separates them.
    pub sqlite: &'static str,
    /// The same for PostgreSQL.
    pub postgres: &'static str,
}

/// Makes the array of [`Migration`]s from the calling crate's files: `kit::migrations!["0001_orders", "0002_fills"]` reads
/// `migrations/sqlite/0001_orders.sql` and `migrations/postgres/0001_orders.sql`, and so on.
#[macro_export]
macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        &[$($crate::store::Migration {
            version: $crate::store::version_of($name),
            name: $name,
            sqlite: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres/", $name, ".sql")),
        }),*]
    };
}

/// The number that a migration's name begins with ("0002_fills" is 2); 0, which no database accepts, when there is none.
pub const fn version_of(name: &str) -> u32 {
    let bytes = name.as_bytes();
    let (mut version, mut at) = (0, 0);
    while at < bytes.len() && at < 9 && bytes[at].is_ascii_digit() {
        version = version * 10 + (bytes[at] - b'0') as u32;
        at += 1;
    }
    version
}

/// Tables that kit adds to every service's database.
const KIT_SQLITE: &str = "
CREATE TABLE IF NOT EXISTS schema_version (
    version BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    applied_at BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    envelope TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS inbox (
    consumer TEXT NOT NULL,
    event_id TEXT NOT NULL,
    PRIMARY KEY (consumer, event_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kit_state (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quarantine (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    since BIGINT NOT NULL,
    error TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    requested TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE TABLE IF NOT EXISTS quarantine_missed (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    place BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    envelope TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (kind, id, place),
    UNIQUE (kind, id, event_id)
);
CREATE TABLE IF NOT EXISTS quarantine_skipped (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    envelope TEXT NOT NULL,
    reason TEXT NOT NULL,
    skipped_by TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (kind, id, event_id)
);
";

pub(super) async fn kit_tables(tx: &mut Tx) -> Result<()> {
    for statement in statements(KIT_SQLITE) {
        tx.execute(statement, args![]).await?;
    }
    Ok(())
}

pub(super) async fn apply(tx: &mut Tx, service: &str, migrations: &[Migration], now: Timestamp) -> Result<()> {
    let fault = |version, reason| Error::Migration { service: service.to_owned(), version, reason };
    for (migration, expected) in migrations.iter().zip(1..) {
        if migration.version != expected {
            return Err(fault(migration.version, "versions must count up from 1 without gaps"));
        }
    }
    let applied = tx.fetch_all("SELECT version, digest FROM schema_version ORDER BY version", args![]).await?;
    for row in &applied {
        let version: u32 = row.get("version")?;
        let Some(known) = migrations.iter().find(|migration| migration.version == version) else {
            return Err(fault(version, "the database is newer than this program"));
        };
        if row.text("digest")? != digest(known) {
            return Err(fault(version, "was changed after it had been applied; add a new migration instead"));
        }
    }
    for migration in &migrations[applied.len().min(migrations.len())..] {
        for statement in statements(migration.sqlite) {
            tx.execute(statement, args![]).await?;
        }
        tx.execute(
            "INSERT INTO schema_version (version, name, digest, applied_at) VALUES ($1, $2, $3, $4)",
            args![migration.version, migration.name, digest(migration), now],
        )
        .await?;
    }
    Ok(())
}

fn digest(migration: &Migration) -> String {
    hex::encode(Sha256::digest(migration.sqlite.as_bytes()))
}

/// Splits a text at semicolons that end a line; lines that are only a comment are dropped.
fn statements(text: &str) -> Vec<&str> {
    text.split(";\n")
        .map(|statement| statement.trim().trim_end_matches(';'))
        .filter(|statement| {
            statement.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with("--"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_number_that_the_name_begins_with() {
        assert_eq!(version_of("0012_fills"), 12);
        assert_eq!(version_of("fills"), 0);
    }

    #[test]
    fn statements_end_where_a_semicolon_ends_a_line() {
        let text = "-- orders\nCREATE TABLE a (x TEXT DEFAULT ';');\n\nCREATE TABLE b (y TEXT);\n-- done\n";
        let found = statements(text);
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with("(x TEXT DEFAULT ';')"));
        assert_eq!(found[1], "CREATE TABLE b (y TEXT)");
    }
}
