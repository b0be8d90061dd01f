//! The audit log in the store: entries are added, never changed, and the head is sealed with each of them.
use super::Store;
use crate::{
    Error, Result,
    audit::{Anchor, Entry, GENESIS},
};
use moneta_kit::{
    args,
    keys::{KeyRing, UserKey},
    store::{Args, Row, Tx},
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What the sealed head is bound to.
const HEAD: &[u8] = b"compliance/audit-head";

/// The end of the log as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of entries.
    pub sequence: u64,
    /// The hash of the last one.
    pub hash: String,
}

/// Which entries are wanted; empty texts do not filter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whom they concern.
    pub user_id: String,
    /// The event's type.
    pub event_type: String,
    /// The aggregate's key.
    pub subject: String,
    /// Leave out what compliance itself does, and who of the house looked (POCA section 333A).
    pub without_surveillance: bool,
    /// Only entries before this sequence; 0 for the newest.
    pub before: u64,
}

const COLUMNS: &str = "sequence, at, event_id, event_type, subject, actor, user_id, payload, previous_hash, hash";

/// The key that heads are sealed with, made once.
pub(super) async fn sealing_key(tx: &mut Tx, keys: &KeyRing) -> Result<UserKey> {
    if let Some(row) = tx.fetch_optional("SELECT wrapped_key FROM audit_head WHERE id = 1", args![]).await? {
        return Ok(keys.unwrap(&row.blob("wrapped_key")?)?);
    }
    let wrapped = keys.new_user_key()?;
    let key = keys.unwrap(&wrapped)?;
    let sealed = seal(keys, &key, &Head { sequence: 0, hash: GENESIS.to_owned() })?;
    tx.execute("INSERT INTO audit_head (id, wrapped_key, sealed) VALUES (1, $1, $2)", args![wrapped, sealed]).await?;
    Ok(key)
}

fn seal(keys: &KeyRing, key: &UserKey, head: &Head) -> Result<Vec<u8>> {
    Ok(keys.seal(key, serde_json::to_string(head)?.as_bytes(), HEAD)?)
}

/// What refuses changes of entries, as the first migration made it: name, event and words.
const TRIGGERS: [(&str, &str, &str); 2] = [
    ("audit_entries_are_never_changed", "UPDATE", "audit entries are never changed"),
    ("audit_entries_are_never_removed", "DELETE", "audit entries are never removed"),
];

async fn insert(tx: &mut Tx, entry: &Entry) -> Result<()> {
    tx.execute(
        "INSERT INTO audit_entries (sequence, at, event_id, event_type, subject, actor, user_id, payload, previous_hash, \
         hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        args![
            entry.sequence,
            entry.at,
            entry.event_id,
            entry.event_type,
            entry.subject,
            entry.actor,
            entry.user_id,
            entry.payload,
            entry.previous_hash,
            entry.hash
        ],
    )
    .await?;
    Ok(())
}

impl Store {
    /// The sequence and hash of the last entry, inside the transaction that adds the next.
    pub async fn head(&self, tx: &mut Tx) -> Result<(u64, String)> {
        let row = tx
            .fetch_optional("SELECT sequence, hash FROM audit_entries ORDER BY sequence DESC LIMIT 1", args![])
            .await?;
        row.map_or(Ok((0, GENESIS.to_owned())), |row| Ok((row.get("sequence")?, row.text("hash")?)))
    }

    /// Adds an entry and seals the new head.
    pub async fn append(&self, tx: &mut Tx, entry: &Entry) -> Result<()> {
        insert(tx, entry).await?;
        let sealed = seal(&self.keys, &self.seal, &Head { sequence: entry.sequence, hash: entry.hash.clone() })?;
        tx.execute("UPDATE audit_head SET sealed = $1 WHERE id = 1", args![sealed]).await?;
        Ok(())
    }

    /// Puts entries back in the place of what stands there, and takes out what is beyond the sealed end; how many those were.
    /// The triggers refuse this, so they are out of the way for the length of the transaction.
    pub async fn put_back(&self, tx: &mut Tx, entries: &[Entry], end: u64) -> Result<u64> {
        for trigger in TRIGGERS {
            tx.execute(&format!("DROP TRIGGER IF EXISTS {}", trigger.0), args![]).await?;
        }
        for entry in entries {
            tx.execute("DELETE FROM audit_entries WHERE sequence = $1", args![entry.sequence]).await?;
        }
        let removed = tx.execute("DELETE FROM audit_entries WHERE sequence > $1", args![end]).await?;
        for entry in entries {
            insert(tx, entry).await?;
        }
        for (name, event, refusal) in TRIGGERS {
            let sql = format!(
                "CREATE TRIGGER {name} BEFORE {event} ON audit_entries BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
            );
            tx.execute(&sql, args![]).await?;
        }
        Ok(removed)
    }

    /// The head as it was sealed; an error of the key when it was not sealed by this platform.
    pub async fn sealed_head(&self) -> Result<Option<Head>> {
        let Some(row) = self.db.fetch_optional("SELECT sealed FROM audit_head WHERE id = 1", args![]).await? else {
            return Ok(None);
        };
        let opened = self.keys.open(&self.seal, &row.blob("sealed")?, HEAD)?;
        Ok(Some(serde_json::from_slice(&opened)?))
    }

    /// The entries of some events, by the events' ids.
    pub async fn entries_of(&self, events: &[&str]) -> Result<HashMap<String, Entry>> {
        if events.is_empty() {
            return Ok(HashMap::new());
        }
        let mut args = Args::new();
        let places = events.iter().map(|event| {
            args.push(*event);
            format!("${}", args.len())
        });
        let places = places.collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT {COLUMNS} FROM audit_entries WHERE event_id IN ({places})");
        let rows = self.db.fetch_all(&sql, args).await?;
        let entries = rows.iter().map(read);
        entries.map(|entry| entry.map(|entry| (entry.event_id.clone(), entry))).collect()
    }

    /// Entries after a sequence that tell of anything but anchors.
    pub async fn news_after(&self, sequence: u64) -> Result<u64> {
        let sql = "SELECT COUNT(*) AS n FROM audit_entries WHERE sequence > $1 \
                   AND event_type <> 'compliance.audit_anchored.v1'";
        Ok(self.db.fetch_one(sql, args![sequence]).await?.get("n")?)
    }

    /// Every anchor, oldest first.
    pub async fn anchors(&self) -> Result<Vec<Anchor>> {
        self.anchors_where("1 = 1").await
    }

    /// The anchors that the webhook has not taken, oldest first.
    pub async fn anchors_to_post(&self) -> Result<Vec<Anchor>> {
        self.anchors_where("posted = 0").await
    }

    /// The webhook has taken an anchor.
    pub async fn posted(&self, anchor: u64) -> Result<()> {
        let mut tx = self.db.begin().await?;
        tx.execute("UPDATE audit_anchors SET posted = 1 WHERE anchor = $1", args![anchor]).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn anchors_where(&self, condition: &'static str) -> Result<Vec<Anchor>> {
        let sql = format!(
            "SELECT anchor, entries, head, at, previous, digest FROM audit_anchors WHERE {condition} ORDER BY anchor"
        );
        let rows = self.db.fetch_all(&sql, args![]).await?;
        let anchor = |row: &Row| {
            Ok(Anchor {
                anchor: row.get("anchor")?,
                entries: row.get("entries")?,
                head: row.text("head")?,
                at: row.get("at")?,
                previous: row.text("previous")?,
                digest: row.text("digest")?,
            })
        };
        rows.iter().map(anchor).collect()
    }

    /// Remembers an anchor.
    pub async fn add_anchor(&self, tx: &mut Tx, anchor: &Anchor) -> Result<()> {
        tx.execute(
            "INSERT INTO audit_anchors (anchor, entries, head, at, previous, digest) VALUES ($1, $2, $3, $4, $5, $6)",
            args![anchor.anchor, anchor.entries, anchor.head, anchor.at, anchor.previous, anchor.digest],
        )
        .await?;
        Ok(())
    }

    /// Entries after a sequence, in order.
    pub async fn entries_after(&self, sequence: u64, limit: u32) -> Result<Vec<Entry>> {
        let sql = format!("SELECT {COLUMNS} FROM audit_entries WHERE sequence > $1 ORDER BY sequence LIMIT $2");
        let rows = self.db.fetch_all(&sql, args![sequence, limit]).await?;
        rows.iter().map(read).collect()
    }

    /// The newest entries that a filter lets through.
    pub async fn entries(&self, filter: &Filter, limit: u32) -> Result<Vec<Entry>> {
        let mut sql = format!("SELECT {COLUMNS} FROM audit_entries WHERE 1 = 1");
        let mut args = Args::new();
        for (column, value) in
            [("user_id", &filter.user_id), ("event_type", &filter.event_type), ("subject", &filter.subject)]
        {
            if !value.is_empty() {
                args.push(value);
                sql.push_str(&format!(" AND {column} = ${}", args.len()));
            }
        }
        if filter.without_surveillance {
            sql.push_str(" AND event_type NOT LIKE 'compliance.%' AND event_type <> 'kit.staff_read.v1'");
        }
        if filter.before > 0 {
            args.push(&filter.before);
            sql.push_str(&format!(" AND sequence < ${}", args.len()));
        }
        args.push(&limit);
        sql.push_str(&format!(" ORDER BY sequence DESC LIMIT ${}", args.len()));
        let rows = self.db.fetch_all(&sql, args).await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<Entry> {
    Ok(Entry {
        sequence: row.get("sequence").map_err(Error::from)?,
        at: row.get("at")?,
        event_id: row.text("event_id")?,
        event_type: row.text("event_type")?,
        subject: row.text("subject")?,
        actor: row.text("actor")?,
        user_id: row.text("user_id")?,
        payload: row.text("payload")?,
        previous_hash: row.text("previous_hash")?,
        hash: row.text("hash")?,
    })
}
