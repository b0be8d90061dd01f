//! `moneta quarantine …`: what is set aside because its own work failed, and how it comes back.
//!
//! The command asks; the running service does it, with the code and in the transactions of its daily work, and writes it
//! into the audit log.
use crate::{
    Error, Result, SERVICES,
    cli::{Common, Quarantine},
    output, settings,
};
use moneta_kit::{
    entropy,
    quarantine::{self, Entry, Request, Unit},
    store::Db,
};
use std::time::Duration;

/// How often to look whether a service has done what was asked, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOKS: u32 = 120;

/// Lists, shows, repairs and releases.
pub async fn run(command: Quarantine) -> Result<()> {
    match command {
        Quarantine::List { common } => list(&common).await,
        Quarantine::Show { kind, id, common } => show(&Unit::new(&kind, id), &common).await,
        Quarantine::Retry { kind, id, by, common } => ask(&Unit::new(&kind, id), Request::Retry, &by, &common).await,
        Quarantine::Release { kind, id, by, common } => {
            ask(&Unit::new(&kind, id), Request::Release, &by, &common).await
        }
    }
}

/// The databases that are there; none is made by looking.
async fn databases(common: &Common) -> Result<Vec<Db>> {
    let config = settings::load(common)?;
    let folder = settings::existing_data_dir(&config)?;
    let global = config.global()?;
    let mut found = Vec::new();
    for service in SERVICES {
        let file = folder.join(service.name).join(format!("{}.db", service.name));
        if global.service(service.name).store.is_some() || file.is_file() {
            found.push(super::database(&config, service).await?);
        }
    }
    Ok(found)
}

async fn list(common: &Common) -> Result<()> {
    let mut held = Vec::new();
    for db in databases(common).await? {
        held.extend(quarantine::list(&db).await?);
    }
    let header = ["service", "kind", "id", "since", "attempts", "missed", "why"];
    output::rows(common.json, &held, &header, |entry| {
        vec![
            entry.service.clone(),
            entry.unit.kind.clone(),
            entry.unit.id.clone(),
            entry.since.to_string(),
            entry.attempts.to_string(),
            entry.missed.to_string(),
            entry.error.clone(),
        ]
    })
}

async fn find(unit: &Unit, common: &Common) -> Result<(Db, Entry)> {
    for db in databases(common).await? {
        if let Some(entry) = entry(&db, unit).await? {
            return Ok((db, entry));
        }
    }
    Err(Error::Failed(format!("no {} {} is in quarantine; see `moneta quarantine list`", unit.kind, unit.id)))
}

async fn entry(db: &Db, unit: &Unit) -> Result<Option<Entry>> {
    Ok(quarantine::list(db).await?.into_iter().find(|entry| entry.unit == *unit))
}

async fn show(unit: &Unit, common: &Common) -> Result<()> {
    let (db, entry) = find(unit, common).await?;
    let missed = quarantine::missed(&db, unit).await?;
    let events: Vec<_> = missed.iter().map(|missed| &missed.envelope).collect();
    if common.json {
        return output::json(&serde_json::json!({"entry": entry, "missed": events}));
    }
    println!("{} {} of {}, since {}", unit.kind, unit.id, entry.service, entry.since);
    println!("tried {} times; the last time: {}", entry.attempts, entry.error);
    output::rows(false, &events, &["missed event", "type", "time"], |event| {
        vec![event.id.to_string(), event.event_type.clone(), event.time.to_string()]
    })
}

async fn ask(unit: &Unit, request: Request, by: &str, common: &Common) -> Result<()> {
    let (db, _) = find(unit, common).await?;
    quarantine::request(&db, unit, request, by).await?;
    for _ in 0..LOOKS {
        match entry(&db, unit).await? {
            None => {
                println!("{} {} is released", unit.kind, unit.id);
                return Ok(());
            }
            Some(entry) if !entry.requested.is_empty() => entropy::pause(LOOK_EVERY).await,
            Some(entry) if request == Request::Retry && entry.missed == 0 => {
                println!("{} {}: {}", unit.kind, unit.id, entry.error);
                return Ok(());
            }
            Some(entry) => return Err(Error::Failed(format!("{} {}: {}", unit.kind, unit.id, entry.error))),
        }
    }
    let service = db.service();
    Err(Error::Failed(format!(
        "{service} has not done it yet; it will when a process with it runs on this data directory"
    )))
}
