//! `moneta events …`: the event log in a data directory.
use crate::{
    Error, Result,
    cli::{Common, Dead, Events},
    output, settings,
};
use moneta_kit::{
    bus::{EmbeddedBus, EmbeddedOptions, EventBus, Published},
    problem::parse,
};
use moneta_types::EventId;
use std::time::Duration;

/// Events read at a time.
const BATCH: u32 = 500;

/// Shows events and dead letters.
pub async fn run(command: Events) -> Result<()> {
    match command {
        Events::Tail { lines, follow, common } => tail(lines, follow, &common).await,
        Events::Dead(Dead::List { group, common }) => {
            let letters = open(&common).await?.dead_letters(group.as_deref()).await?;
            output::rows(common.json, &letters, &["group", "event", "type", "attempts", "error"], |letter| {
                vec![
                    letter.group.clone(),
                    letter.envelope.id.to_string(),
                    letter.envelope.event_type.clone(),
                    letter.attempts.to_string(),
                    letter.error.clone(),
                ]
            })
        }
        Events::Dead(Dead::Requeue { group, event, common }) => {
            let id: EventId = parse("event", &event)?;
            if !open(&common).await?.requeue(&group, id).await? {
                return Err(Error::Failed(format!("{group} has no dead letter {id}")));
            }
            println!("{id} is handed to {group} again");
            Ok(())
        }
    }
}

async fn tail(lines: usize, follow: bool, common: &Common) -> Result<()> {
    let bus = open(common).await?;
    let end = bus.backlog().await?.end;
    let mut after = end.saturating_sub(lines as u64);
    loop {
        let batch = bus.read(after, BATCH).await?;
        for event in &batch {
            after = event.sequence;
            print_event(event, common.json)?;
        }
        if !batch.is_empty() {
            continue;
        }
        if !follow {
            return Ok(());
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            // Another process writes; there is nothing to be woken by.
            () = moneta_kit::entropy::pause(Duration::from_millis(250)) => {}
        }
    }
}

fn print_event(event: &Published, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(&event.envelope)?);
    } else {
        let envelope = &event.envelope;
        println!(
            "{:>7} {} {} {} {}",
            event.sequence, envelope.time, envelope.event_type, envelope.subject, envelope.data
        );
    }
    Ok(())
}

async fn open(common: &Common) -> Result<EmbeddedBus> {
    let config = settings::load(common)?;
    let folder = settings::existing_data_dir(&config)?;
    let bus = folder.join("bus");
    if !bus.join("bus.db").is_file() {
        return Err(Error::Usage(format!("there is no event log in the data directory {}", folder.display())));
    }
    Ok(EmbeddedBus::open(&bus, EmbeddedOptions::default()).await?)
}
