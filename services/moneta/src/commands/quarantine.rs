//! `moneta quarantine …`: what is set aside because its own work failed, and how it comes back.
//!
//! The command asks; the running service does it, with the code and in the transactions of its daily work, and writes it
//! into the audit log.
use crate::{
    Error, Result, SERVICES,
    cli::{Aside, Common, Quarantine},
    output, settings,
};
use moneta_kit::{
    bus::Envelope,
    entropy,
    quarantine::{self, Entry, Request, Unit},
    store::Db,
};
use std::time::Duration;

/// How often to look whether a service has done what was asked, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const LOOKS: u32 = 120;

/// Longest reason for skipping an event, and name of who does it, characters.
const LONGEST_TEXT: usize = 300;

/// Lists, shows, repairs, skips and releases.
pub async fn run(command: Quarantine) -> Result<()> {
    match command {
        Quarantine::List { common } => list(&common).await,
        Quarantine::Show(aside) => show(&aside).await,
        Quarantine::Retry { aside, by } => ask_all(&aside, &Request::Retry, &by).await,
        Quarantine::Skip { aside, event, reason, by } => skip(&aside, event, &reason, &by).await,
        Quarantine::Release { aside, by } => ask_all(&aside, &Request::Release, &by).await,
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

/// Every service that has set a unit aside, of those that are asked for.
async fn find(aside: &Aside) -> Result<Vec<(Db, Entry)>> {
    let unit = Unit::new(&aside.kind, &aside.id);
    let mut found = Vec::new();
    for db in databases(&aside.common).await? {
        if aside.service.as_deref().is_none_or(|name| name == db.service())
            && let Some(entry) = entry(&db, &unit).await?
        {
            found.push((db, entry));
        }
    }
    if found.is_empty() {
        let place = aside.service.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
        let (kind, id) = (&aside.kind, &aside.id);
        return Err(Error::Failed(format!("no {kind} {id}{place} is in quarantine; see `moneta quarantine list`")));
    }
    Ok(found)
}

async fn entry(db: &Db, unit: &Unit) -> Result<Option<Entry>> {
    Ok(quarantine::list(db).await?.into_iter().find(|entry| entry.unit == *unit))
}

async fn show(aside: &Aside) -> Result<()> {
    let mut shown = Vec::new();
    for (db, entry) in find(aside).await? {
        let missed: Vec<_> =
            quarantine::missed(&db, &entry.unit).await?.into_iter().map(|missed| missed.envelope).collect();
        let skipped = quarantine::skipped(&db, &entry.unit).await?;
        if aside.common.json {
            shown.push(serde_json::json!({ "entry": entry, "missed": missed, "skipped": skipped }));
            continue;
        }
        println!("{} {} of {}, since {}", entry.unit.kind, entry.unit.id, entry.service, entry.since);
        println!("tried {} times; the last time: {}", entry.attempts, entry.error);
        output::rows(false, &missed, &["missed event", "type", "time"], |event| {
            vec![event.id.to_string(), event.event_type.clone(), event.time.to_string()]
        })?;
        if !skipped.is_empty() {
            output::rows(false, &skipped, &["skipped event", "type", "time", "by", "why"], |skipped| {
                let Envelope { id, event_type, time, .. } = &skipped.envelope;
                let (by, reason) = (skipped.by.clone(), skipped.reason.clone());
                vec![id.to_string(), event_type.clone(), time.to_string(), by, reason]
            })?;
        }
    }
    if aside.common.json { output::json(&shown) } else { Ok(()) }
}

/// Gives up one event: the one that is named, or the first that was missed.
async fn skip(aside: &Aside, event: Option<String>, reason: &str, by: &str) -> Result<()> {
    for (field, text) in [("--reason", reason), ("--by", by)] {
        let length = text.chars().count();
        if !(1..=LONGEST_TEXT).contains(&length) || text.trim().is_empty() || text.chars().any(char::is_control) {
            let allowed = format!("1 to {LONGEST_TEXT} characters without control characters");
            return Err(Error::Usage(format!("{field} {text:?} is not valid: {allowed}")));
        }
    }
    let found = find(aside).await?;
    let [(db, entry)] = found.as_slice() else {
        let services: Vec<_> = found.iter().map(|(db, _)| db.service()).collect();
        return Err(Error::Usage(format!("say which with --service: {} have set it aside", services.join(" and "))));
    };
    let event_id = match event {
        Some(event) => event,
        None => {
            let missed = quarantine::missed(db, &entry.unit).await?;
            let first =
                missed.first().ok_or_else(|| Error::Failed("it missed nothing that could be skipped".to_owned()))?;
            first.envelope.id.to_string()
        }
    };
    let request = Request::Skip { event_id: event_id.clone(), reason: reason.to_owned() };
    ask(db, &entry.unit, &request, by).await?;
    if quarantine::skipped(db, &entry.unit).await?.iter().any(|skipped| skipped.envelope.id.to_string() == event_id) {
        return Ok(());
    }
    Err(Error::Failed(format!("{} {} missed no event {event_id}", entry.unit.kind, entry.unit.id)))
}

async fn ask_all(aside: &Aside, request: &Request, by: &str) -> Result<()> {
    for (db, entry) in find(aside).await? {
        ask(&db, &entry.unit, request, by).await?;
    }
    Ok(())
}

/// Asks the running service, and waits until it has done it.
async fn ask(db: &Db, unit: &Unit, request: &Request, by: &str) -> Result<()> {
    quarantine::request(db, unit, request, by).await?;
    for _ in 0..LOOKS {
        match entry(db, unit).await? {
            None => {
                println!("{} {} of {} is released", unit.kind, unit.id, db.service());
                return Ok(());
            }
            Some(entry) if !entry.requested.is_empty() => entropy::pause(LOOK_EVERY).await,
            Some(entry) if is_done(request, &entry) => {
                println!("{} {} of {}: {}", unit.kind, unit.id, db.service(), entry.error);
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

/// Whether a unit that is still held has had done what was asked for.
fn is_done(request: &Request, entry: &Entry) -> bool {
    match request {
        Request::Retry => entry.missed == 0,
        Request::Release => false,
        Request::Skip { .. } => true,
    }
}
