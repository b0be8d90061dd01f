//! Events that came while the audit log was damaged. They are in the event log as well; here they keep their order, and a mark
//! under a key of the platform says that the recorder put them here.
use super::Store;
use crate::{Error, Result};
use moneta_kit::{
    args,
    bus::Envelope,
    store::{Args, Row, Tx},
};
use std::collections::HashMap;

impl Store {
    /// Keeps an event for later; once.
    pub async fn set_aside(&self, event: &Envelope) -> Result<()> {
        let (id, text) = (event.id.to_string(), serde_json::to_string(event)?);
        let mark = self.mark.tag(&[id.as_bytes(), text.as_bytes()]).to_vec();
        let mut tx = self.db.begin().await?;
        tx.execute(
            "INSERT INTO audit_waiting (event_id, position, envelope, mark) \
             SELECT $1, COALESCE(MAX(position), 0) + 1, $2, $3 FROM audit_waiting WHERE 1 = 1 \
             ON CONFLICT (event_id) DO NOTHING",
            args![id, text, mark],
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// How many events wait.
    pub async fn waiting(&self) -> Result<u64> {
        Ok(self.db.fetch_one("SELECT COUNT(*) AS n FROM audit_waiting", args![]).await?.get("n")?)
    }

    /// The oldest events that wait.
    pub async fn longest_waiting(&self, limit: u32) -> Result<Vec<Envelope>> {
        let sql = "SELECT event_id, envelope, mark FROM audit_waiting ORDER BY position LIMIT $1";
        let rows = self.db.fetch_all(sql, args![limit]).await?;
        let changed = || Error::Damaged { problem: "an event that waits to be recorded was changed".to_owned() };
        rows.iter().map(|row| self.read_waiting(row)?.ok_or_else(changed)).collect()
    }

    /// Those of some events that wait, by their ids; one whose mark is wrong does not.
    pub async fn waiting_of(&self, events: &[&str]) -> Result<HashMap<String, Envelope>> {
        if events.is_empty() {
            return Ok(HashMap::new());
        }
        let mut args = Args::new();
        let places = events.iter().map(|event| {
            args.push(*event);
            format!("${}", args.len())
        });
        let places = places.collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT event_id, envelope, mark FROM audit_waiting WHERE event_id IN ({places})");
        let rows = self.db.fetch_all(&sql, args).await?;
        let mut found = HashMap::new();
        for row in &rows {
            if let Some(event) = self.read_waiting(row)? {
                found.insert(event.id.to_string(), event);
            }
        }
        Ok(found)
    }

    /// An event is recorded, and waits no longer.
    pub async fn waits_no_longer(&self, tx: &mut Tx, event: &Envelope) -> Result<()> {
        tx.execute("DELETE FROM audit_waiting WHERE event_id = $1", args![event.id]).await?;
        Ok(())
    }

    fn read_waiting(&self, row: &Row) -> Result<Option<Envelope>> {
        let (id, text) = (row.text("event_id")?, row.text("envelope")?);
        let ours = self.mark.verify(&[id.as_bytes(), text.as_bytes()], &row.blob("mark")?);
        Ok(if ours { Some(serde_json::from_str(&text)?) } else { None })
    }
}
