//! One file a command.
mod audit;
mod backup;
mod chat;
mod config;
mod decisions;
mod demo;
mod events;
mod features;
mod market;
mod models;
mod quarantine;
mod run;
mod staff;

use crate::{
    Error, Result,
    cli::{Cli, Command},
    output,
};

/// Runs the command. One that only answers ends when nobody reads the answer any more; services finish what they have in
/// hand first.
pub async fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Run(args) => run::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        command => tokio::select! {
            answered = answer(command) => answered.and_then(|()| output::whole()),
            () = output::closed() => Ok(()),
        },
    }
}

async fn answer(command: Command) -> Result<()> {
    match command {
        // Handled above.
        Command::Run(_) | Command::Demo(_) => Ok(()),
        Command::Chat(args) => chat::run(args).await,
        Command::Models(command) => models::run(command).await,
        Command::Features(command) => features::run(command).await,
        Command::Market(command) => market::run(command).await,
        Command::Decisions(command) => decisions::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Events(command) => events::run(command).await,
        Command::Quarantine(command) => quarantine::run(command).await,
        Command::Staff(command) => staff::run(command).await,
        Command::Config(command) => config::run(command),
        Command::Backup(args) => backup::take(args).await,
        Command::Restore(args) => backup::restore(args).await,
        Command::VerifyBackup(args) => backup::verify(args).await,
        Command::PruneBackups(args) => backup::prune(args).await,
    }
}

/// Who works on the data directory itself, as the audit log names him.
pub fn operator() -> String {
    let name = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).filter(|name| !name.is_empty());
    name.map_or_else(|| "operator".to_owned(), |name| format!("operator:{name}"))
}

/// Opens a service's database in the data directory, whether or not a process runs on it; it must be there.
pub async fn database(
    config: &moneta_kit::config::Config,
    service: &moneta_kit::service::ServiceDef,
) -> Result<moneta_kit::store::Db> {
    let global = config.global()?;
    let url = match global.service(service.name).store {
        Some(url) => url,
        None => {
            let file = global.data_dir.join(service.name).join(format!("{}.db", service.name));
            if !file.is_file() {
                return Err(Error::Usage(format!(
                    "there is no {} store in the data directory {}: {} is not there; name another with --data-dir",
                    service.name,
                    global.data_dir.display(),
                    file.display()
                )));
            }
            moneta_kit::data_dir::check(&global.data_dir, moneta_kit::data_dir::Entry::Look, &global).await?;
            moneta_kit::store::sqlite_url(&file)
        }
    };
    Ok(moneta_kit::store::Db::open(&url, service.name, service.migrations).await?)
}
