//! One file a command.
mod audit;
mod chat;
mod config;
mod decisions;
mod demo;
mod events;
mod features;
mod market;
mod models;
mod run;

use crate::{
    Result,
    cli::{Cli, Command},
};

/// Runs the command.
pub async fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Run(args) => run::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Chat(args) => chat::run(args).await,
        Command::Models(command) => models::run(command).await,
        Command::Features(command) => features::run(command).await,
        Command::Market(command) => market::run(command).await,
        Command::Decisions(command) => decisions::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Events(command) => events::run(command).await,
        Command::Config(command) => config::run(command),
    }
}

/// Opens a service's database in the data directory, whether or not a process runs on it.
pub async fn database(
    config: &moneta_kit::config::Config,
    service: &moneta_kit::service::ServiceDef,
) -> Result<moneta_kit::store::Db> {
    let global = config.global()?;
    let url = match global.service(service.name).store {
        Some(url) => url,
        None => {
            let folder = global.data_dir.join(service.name);
            std::fs::create_dir_all(&folder)?;
            moneta_kit::store::sqlite_url(&folder.join(format!("{}.db", service.name)))
        }
    };
    Ok(moneta_kit::store::Db::open(&url, service.name, service.migrations).await?)
}
