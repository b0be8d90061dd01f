//! Where the configuration comes from: compiled-in defaults, the data directory's own `moneta.toml` (what a demo was
//! started with), the `moneta.toml` that is named or lies in the working directory, the environment, and flags.
use crate::{Error, Result, cli::Common};
use moneta_kit::config::Config;
use std::path::{Path, PathBuf};

/// The configuration for a command.
pub fn load(common: &Common) -> Result<Config> {
    let file = match &common.config {
        Some(path) => Some(path.clone()),
        None => Some(PathBuf::from("moneta.toml")).filter(|path| path.is_file()),
    };
    let config = Config::load(file.as_deref())?;
    let config = match &common.data_dir {
        Some(folder) => config.with("data_dir", folder),
        None => config,
    };
    let own = config.global()?.data_dir.join("moneta.toml");
    let config = if own.is_file() { config.over_file(&own)? } else { config };
    check(&config)?;
    Ok(config)
}

/// Reads a section, which fails on a key that is not known.
type Read = fn(&Config) -> moneta_kit::config::Result<()>;

/// Every section of a service.
const SECTIONS: &[(&str, Read)] = &[
    ("market-data", |config| config.section::<moneta_market_data::Config>("market-data").map(drop)),
    ("portfolio", |config| config.section::<moneta_portfolio::Config>("portfolio").map(drop)),
    ("trading", |config| config.section::<moneta_trading::Config>("trading").map(drop)),
    ("compliance", |config| config.section::<moneta_compliance::Config>("compliance").map(drop)),
    ("user", |config| config.section::<moneta_user::Config>("user").map(drop)),
    ("notification", |config| config.section::<moneta_notification::Config>("notification").map(drop)),
    ("advisor", |config| config.section::<moneta_advisor::Config>("advisor").map(drop)),
    ("inference", |config| config.section::<moneta_advisor::InferenceConfig>("inference").map(drop)),
    ("gateway", |config| config.section::<moneta_gateway::Config>("gateway").map(drop)),
];

/// Every command reads the whole configuration, so that a mistyped name never lies there unnoticed, whatever the command.
fn check(config: &Config) -> Result<()> {
    let names: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
    config.check_sections(&names)?;
    for (_, read) in SECTIONS {
        read(config)?;
    }
    let services: Vec<String> = crate::SERVICES.iter().map(|def| def.name.replace('-', "_")).collect();
    match config.global()?.services.keys().find(|name| !services.contains(name)) {
        Some(name) => {
            Err(moneta_kit::config::Error::UnknownService { name: name.clone(), allowed: services.join(", ") }.into())
        }
        None => Ok(()),
    }
}

/// The data directory, which must exist.
pub fn existing_data_dir(config: &Config) -> Result<PathBuf> {
    let folder = config.global()?.data_dir;
    if !folder.is_dir() {
        return Err(Error::Usage(format!(
            "there is no data directory {}; name one with --data-dir, or make one with `moneta run` or `moneta demo`",
            folder.display()
        )));
    }
    moneta_kit::data_dir::check_presence(&folder)?;
    Ok(folder)
}

/// The data directory for a command that may be the first to put something into it: the one of the configuration is made,
/// but one that a flag names must be there, because it may be mistyped.
pub fn data_dir_to_fill(config: &Config, common: &Common) -> Result<PathBuf> {
    if common.data_dir.is_some() {
        return existing_data_dir(config);
    }
    let folder = config.global()?.data_dir;
    moneta_kit::files::make_folder(&folder)?;
    Ok(folder)
}

/// Writes what the data directory was made with, for later commands on it.
pub fn remember(folder: &Path, text: &str) -> Result<()> {
    moneta_kit::files::make_folder(folder)?;
    let path = folder.join("moneta.toml");
    if !path.exists() {
        moneta_kit::files::write_whole(&path, text.as_bytes())?;
    }
    Ok(())
}
