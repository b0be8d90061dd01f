//! Writes the whole log as JSON lines, one entry a line, oldest first, with everything that is needed to verify it elsewhere.
use crate::{Result, store::Store};
use std::io::Write;

/// Entries that are read at a time.
const BATCH: u32 = 1000;

/// Writes every entry; the number that was written.
pub async fn export(store: &Store, to: &mut (dyn Write + Send)) -> Result<u64> {
    let mut sequence = 0;
    loop {
        let batch = store.entries_after(sequence, BATCH).await?;
        let Some(last) = batch.last() else {
            to.flush()?;
            return Ok(sequence);
        };
        sequence = last.sequence;
        for entry in &batch {
            serde_json::to_writer(&mut *to, &entry.as_json())?;
            to.write_all(b"\n")?;
        }
    }
}
