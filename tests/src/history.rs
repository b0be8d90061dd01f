//! What a data directory says has happened: read from the services' databases while nothing runs on them, to compare runs.
use moneta_contracts::events::{Event as _, SessionChanged, SessionEnded};
use moneta_kit::{
    args,
    keys::KeyRing,
    service::ServiceDef,
    store::{Db, Durability, sqlite_url},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// A table, and the columns that tell what happened. Positions in a list are left out: two events that do not depend on each
/// other may come in either order. Password hashes are left out: they are random by design.
struct Kept {
    service: &'static ServiceDef,
    table: &'static str,
    columns: &'static [&'static str],
    /// Texts that are sealed with a user's key: opened, because the sealed ones are random by design.
    sealed: Option<Sealed>,
}

/// Sealed columns of a table.
struct Sealed {
    /// The column that says whose key it is.
    owner: &'static str,
    /// Each column, and what it is sealed as.
    texts: &'static [(&'static str, &'static str)],
}

/// Sessions are random by design as well, and live in real time: whoever raises the autonomy of the agent confirms it with a
/// sign-in, and does so again after a crash.
const SESSIONS: [&str; 2] = [SessionChanged::TYPE, SessionEnded::TYPE];

const KEPT: &[Kept] = &[
    Kept {
        service: &moneta_trading::SERVICE,
        table: "orders",
        columns: &[
            "order_id",
            "client_order_id",
            "owner_id",
            "portfolio_id",
            "symbol",
            "side",
            "quantity_nanos",
            "limit_price",
            "origin",
            "recommendation_id",
            "proposal_digest",
            "decision_id",
            "reserved_minor",
            "status",
            "created_micros",
        ],
        sealed: Some(Sealed {
            owner: "owner_id",
            texts: &[("idempotency_key", "order.key"), ("reason", "order.reason")],
        }),
    },
    Kept {
        service: &moneta_trading::SERVICE,
        table: "fills",
        columns: &[
            "execution_id",
            "order_id",
            "line",
            "quantity_nanos",
            "price",
            "commission_minor",
            "spread_minor",
            "at_micros",
            "date",
            "remaining_nanos",
            "booked",
        ],
        sealed: None,
    },
    Kept {
        service: &moneta_portfolio::SERVICE,
        table: "transactions",
        columns: &[
            "transaction_id",
            "portfolio_id",
            "kind",
            "at_micros",
            "date",
            "symbol",
            "quantity_nanos",
            "price",
            "cash_minor",
            "commission_minor",
            "spread_minor",
            "realised_minor",
            "order_id",
            "execution_id",
        ],
        sealed: None,
    },
    Kept {
        service: &moneta_portfolio::SERVICE,
        table: "postings",
        columns: &["transaction_id", "line", "account", "amount_minor"],
        sealed: None,
    },
    Kept {
        service: &moneta_portfolio::SERVICE,
        table: "lots",
        columns: &["portfolio_id", "lot_id", "symbol", "opened", "quantity_nanos", "cost_minor"],
        sealed: None,
    },
    Kept {
        service: &moneta_portfolio::SERVICE,
        table: "valuations",
        columns: &["portfolio_id", "date", "value_minor", "cash_minor", "day_return", "twr_index"],
        sealed: None,
    },
    Kept {
        service: &moneta_notification::SERVICE,
        table: "notifications",
        columns: &["notification_id", "user_id", "topic", "event_id", "created"],
        sealed: Some(Sealed {
            owner: "user_id",
            texts: &[("title", "notification.title"), ("body", "notification.body")],
        }),
    },
    Kept {
        service: &moneta_notification::SERVICE,
        table: "deliveries",
        columns: &["notification_id", "channel", "status"],
        sealed: None,
    },
    Kept {
        service: &moneta_advisor::SERVICE,
        table: "decisions",
        columns: &["decision_id", "portfolio_id", "at", "date", "outcome", "digest", "recommendation_id", "record"],
        sealed: None,
    },
    Kept {
        service: &moneta_advisor::SERVICE,
        table: "recommendations",
        columns: &[
            "recommendation_id",
            "portfolio_id",
            "decision_id",
            "status",
            "summary",
            "proposal_digest",
            "issued",
        ],
        sealed: Some(Sealed { owner: "owner_id", texts: &[("status_reason", "recommendation.reason")] }),
    },
    Kept {
        service: &moneta_compliance::SERVICE,
        table: "alerts",
        columns: &["alert_id", "rule_id", "user_id", "message"],
        sealed: None,
    },
    Kept {
        service: &moneta_compliance::SERVICE,
        table: "audit_entries",
        columns: &["event_id", "event_type", "subject", "actor", "at"],
        sealed: None,
    },
];

/// The rows of the tables, each row as text, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    tables: BTreeMap<&'static str, Vec<String>>,
    /// Ids that rows of several people share: the events that they are about.
    shared: BTreeSet<String>,
}

impl History {
    /// Reads a data directory.
    pub async fn of(data: &Path) -> Self {
        let (mut tables, mut shared) = (BTreeMap::new(), BTreeSet::new());
        let keys = KeyRing::load(data, None).unwrap();
        for kept in KEPT {
            let name = kept.service.name;
            let url = sqlite_url(&data.join(name).join(format!("{name}.db")));
            let db = Db::open_with(&url, name, kept.service.migrations, Durability::Process).await.unwrap();
            let row =
                kept.columns.iter().map(|column| format!("quote({column})")).collect::<Vec<_>>().join(" || ' ' || ");
            let (only, sessions) = match kept.table {
                "audit_entries" => (" WHERE event_type NOT IN ($1, $2)", args![SESSIONS[0], SESSIONS[1]]),
                _ => ("", args![]),
            };
            let (owner, texts) = kept.sealed.as_ref().map_or(("''", &[][..]), |sealed| (sealed.owner, sealed.texts));
            let columns: String = texts.iter().map(|(column, _)| format!(", {column}")).collect();
            let sql = format!("SELECT {row} AS told, {owner} AS owner{columns} FROM {}{only}", kept.table);
            let mut told = Vec::new();
            for row in db.fetch_all(&sql, sessions).await.unwrap() {
                let mut line = row.text("told").unwrap();
                for (column, field) in texts {
                    let text = keys.open_text(row.get("owner").unwrap(), field, &row.text(column).unwrap()).unwrap();
                    line.push_str(&format!(" {column} {text:?}"));
                }
                told.push(line);
            }
            told.sort();
            tables.insert(kept.table, told);
            if kept.columns.contains(&"event_id") {
                let events = db.fetch_all(&format!("SELECT event_id FROM {}", kept.table), args![]).await.unwrap();
                shared.extend(events.iter().map(|row| row.text("event_id").unwrap().to_owned()));
            }
            db.close().await;
        }
        Self { tables, shared }
    }

    /// Every id that a row speaks of, but for those of events: people, portfolios, orders, decisions and all else that is
    /// somebody's.
    pub fn ids(&self) -> BTreeSet<String> {
        let rows = self.tables.values().flatten();
        rows.flat_map(|row| ids_in(row)).filter(|id| !self.shared.contains(id)).collect()
    }

    /// How many rows a table has.
    pub fn count(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, Vec::len)
    }

    /// How many rows each table has, for the report.
    pub fn summary(&self) -> String {
        self.tables.iter().map(|(table, rows)| format!("{table} {}", rows.len())).collect::<Vec<_>>().join(", ")
    }

    /// What the other history lacks and what it has too much, one line each; empty when they are the same.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for (table, rows) in &self.tables {
            let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
            for row in rows {
                *counts.entry(row).or_default() += 1;
            }
            for row in other.tables.get(table).into_iter().flatten() {
                *counts.entry(row).or_default() -= 1;
            }
            for (row, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
                let what = if count > 0 { "lost" } else { "not expected" };
                let shown: String = row.chars().take(600).collect();
                found.push(format!("{table}: {what}: {shown}"));
            }
        }
        found
    }
}

/// The UUIDs of a text.
pub fn ids_in(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_ascii_hexdigit() && character != '-')
        .filter(|word| word.len() == 36 && uuid::Uuid::try_parse(word).is_ok())
        .map(str::to_owned)
}
