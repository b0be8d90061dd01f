//! `moneta audit …`: the audit log in a data directory, whether or not a process writes to it, and exports of it.
use crate::{
    Error, Result,
    cli::{Audit, Common},
    output, settings,
};
use moneta_compliance::{
    audit::{self, Anchor, Verification},
    store::Store,
};
use moneta_contracts::events::AuditExported;
use moneta_kit::{
    attest::Attestor,
    bus::{EmbeddedBus, EmbeddedOptions},
    config::{ClockMode, Config},
    entropy::{SystemClock, fresh_cause},
    keys::KeyRing,
    store::Db,
};
use moneta_types::{Clock, Timestamp, WallClock as _};
use serde_json::json;
use std::{
    fs::File,
    io::{BufReader, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Verifies or exports the log.
pub async fn run(command: Audit) -> Result<()> {
    match command {
        Audit::Verify { export, anchors, key, common } => {
            let anchors = anchors.as_deref().map(audit::read_anchors).transpose();
            let anchors = anchors.map_err(|error| Error::Failed(format!("the audit log does not verify: {error}")))?;
            let found = match export {
                Some(path) => verify_export(&path, anchors, key.as_deref())?,
                None => verify(&common, anchors).await?,
            };
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
        Audit::Export { out, common } => export(out, &common).await,
        Audit::Mend { common } => mend(&common).await,
    }
}

fn verify_export(path: &Path, anchors: Option<Vec<Anchor>>, key: Option<&str>) -> Result<Verification> {
    let file = File::open(path).map_err(|error| Error::Failed(format!("cannot read {}: {error}", path.display())))?;
    Ok(audit::verify_export(&mut BufReader::new(file), anchors, key)?)
}

async fn verify(common: &Common, anchors: Option<Vec<Anchor>>) -> Result<Verification> {
    let config = settings::load(common)?;
    let global = config.global()?;
    let store = open(&config).await?;
    let found = match anchors {
        Some(anchors) => audit::verify_anchored(&store, anchors).await?,
        None => audit::verify(&store).await?,
    };
    if !found.valid {
        return Ok(found);
    }
    let mut others = Vec::new();
    for service in crate::SERVICES.iter().filter(|service| service.name != moneta_compliance::SERVICE.name) {
        if stored(&config, service.name)?.is_none_or(|file| file.exists()) {
            others.push((service.name, super::database(&config, service).await?));
        }
    }
    let bus = EmbeddedBus::open(&global.data_dir.join("bus"), EmbeddedOptions::default()).await?;
    Ok(audit::compare(&store, &bus, &others, found).await?)
}

async fn mend(common: &Common) -> Result<()> {
    let config = settings::load(common)?;
    let store = open(&config).await?;
    let bus = EmbeddedBus::open(&config.global()?.data_dir.join("bus"), EmbeddedOptions::default()).await?;
    let clock = clock(&config).await?;
    let mended = audit::mend(&store, &bus, &super::operator(), fresh_cause(), &clock).await?;
    if common.json {
        return output::json(&json!({
            "restored": mended.restored, "removed": mended.removed, "entries": mended.entries, "head": mended.head,
        }));
    }
    println!(
        "{} entries put back and {} taken out; {} entries, head {}",
        mended.restored, mended.removed, mended.entries, mended.head
    );
    Ok(())
}

async fn export(out: Option<PathBuf>, common: &Common) -> Result<()> {
    let config = settings::load(common)?;
    let global = config.global()?;
    let store = open(&config).await?;
    let attestor = Attestor::load(&global.data_dir)?;
    let mut target: Box<dyn Write + Send> = match &out {
        Some(path) => Box::new(std::io::BufWriter::new(File::create(path)?)),
        None => Box::new(output::Stdout),
    };
    let statement = audit::export(&store, &attestor, SystemClock.now(), target.as_mut()).await?;
    target.flush()?;
    // A copy that left the house is an entry itself; a running process takes it to the log, or the next one does.
    let event = AuditExported { entries: statement.entries, head: statement.head, by: super::operator() };
    let mut tx = store.begin().await?;
    tx.publish_as(&event, fresh_cause(), &super::operator(), &clock(&config).await?).await?;
    tx.commit().await?;
    eprintln!("{} entries exported; statement signed with key {}", statement.entries, statement.public_key);
    Ok(())
}

/// The platform's time, as far as it is known here.
async fn clock(config: &Config) -> Result<Clock> {
    let global = config.global()?;
    if global.clock.mode == ClockMode::Wall {
        return Ok(Clock::wall(Arc::new(SystemClock)));
    }
    let bus = EmbeddedBus::open(&global.data_dir.join("bus"), EmbeddedOptions::default()).await?;
    let start = global.clock.from.map_or(Timestamp::EPOCH, |date| Timestamp::at_hour(date, 0));
    Ok(Clock::replay(moneta_kit::bus::EventBus::latest_time(&bus).await?.unwrap_or(start).max(start)))
}

/// The file of a service's store, when it has one.
fn stored(config: &Config, service: &str) -> Result<Option<PathBuf>> {
    let global = config.global()?;
    let file = global.data_dir.join(service).join(format!("{service}.db"));
    Ok(global.service(service).store.is_none().then_some(file))
}

async fn open(config: &Config) -> Result<Store> {
    let folder = settings::existing_data_dir(config)?;
    let service = moneta_compliance::SERVICE;
    if let Some(file) = stored(config, service.name)?.filter(|file| !file.exists()) {
        let file = file.display();
        return Err(Error::Failed(format!("the audit log does not verify: {file} is missing; {}", audit::REMEDY)));
    }
    let keys = KeyRing::load(&folder, config.global()?.keys.master.as_deref())?;
    let db: Db = super::database(config, &service).await?;
    Ok(Store::open(db, keys).await?)
}
