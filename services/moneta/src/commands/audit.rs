//! `moneta audit …`: the audit log in a data directory, whether or not a process writes to it.
use crate::{
    Error, Result,
    cli::{Audit, Common},
    output, settings,
};
use moneta_compliance::{audit, store::Store};
use moneta_kit::keys::KeyRing;
use serde_json::json;
use std::io::Write;

/// Verifies or exports the log.
pub async fn run(command: Audit) -> Result<()> {
    match command {
        Audit::Verify { common } => {
            let found = audit::verify(&open(&common).await?).await?;
            if common.json {
                output::json(&json!({
                    "valid": found.valid, "entries": found.entries, "head": found.head, "problem": found.problem,
                }))?;
            }
            if !found.valid {
                return Err(Error::Failed(format!("the audit log does not verify: {}", found.problem)));
            }
            if !common.json {
                println!("{} entries verify; head {}", found.entries, found.head);
            }
            Ok(())
        }
        Audit::Export { out, common } => {
            let store = open(&common).await?;
            let mut target: Box<dyn Write + Send> = match &out {
                Some(path) => Box::new(std::io::BufWriter::new(std::fs::File::create(path)?)),
                None => Box::new(output::Stdout),
            };
            let entries = audit::export(&store, target.as_mut()).await?;
            target.flush()?;
            eprintln!("{entries} entries exported");
            Ok(())
        }
    }
}

async fn open(common: &Common) -> Result<Store> {
    let config = settings::load(common)?;
    let folder = settings::existing_data_dir(&config)?;
    let keys = KeyRing::load(&folder, config.global()?.keys.master.as_deref())?;
    let db = super::database(&config, &moneta_compliance::SERVICE).await?;
    Ok(Store::open(db, keys).await?)
}
