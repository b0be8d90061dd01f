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
    if !own.is_file() {
        return Ok(config);
    }
    Ok(config.over_file(&own)?)
}

/// The data directory, which must exist.
pub fn existing_data_dir(config: &Config) -> Result<PathBuf> {
    let folder = config.global()?.data_dir;
    if !folder.is_dir() {
        return Err(Error::Usage(format!(
            "there is no data directory {}; name one with --data-dir, or make one with `moneta demo`",
            folder.display()
        )));
    }
    Ok(folder)
}

/// Writes what the data directory was made with, for later commands on it.
pub fn remember(folder: &Path, text: &str) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let (path, temporary) = (folder.join("moneta.toml"), folder.join(".moneta.toml.new"));
    if !path.exists() {
        std::fs::write(&temporary, text)?;
        std::fs::rename(&temporary, &path)?;
    }
    Ok(())
}
