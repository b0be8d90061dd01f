//! Where the configuration comes from: compiled-in defaults, the data directory's own `moneta.toml` (what a demo was
//! started with), the `moneta.toml` that is named or lies in the working directory, the environment, and flags.
use crate::{Error, Result, cli::Common};
use moneta_kit::config::{Config, Global};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
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

/// A section of the configuration: how it is read, what it is unless configured, and what may stand in it.
struct Section {
    name: &'static str,
    read: fn(&Config, &str) -> moneta_kit::config::Result<()>,
    over_defaults: fn(Config, &str) -> Config,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

const fn section<T: Default + Serialize + DeserializeOwned + JsonSchema>(name: &'static str) -> Section {
    Section {
        name,
        read: |config, name| config.section::<T>(name).map(drop),
        over_defaults: |config, name| config.with_defaults(name, T::default()),
        schema: |generator| generator.subschema_for::<T>(),
    }
}

/// Every section beside [`Global`]'s. With it, the whole configuration: what is not here or there is refused.
const SECTIONS: &[Section] = &[
    section::<moneta_market_data::Config>("market-data"),
    section::<moneta_portfolio::Config>("portfolio"),
    section::<moneta_trading::Config>("trading"),
    section::<moneta_compliance::Config>("compliance"),
    section::<moneta_user::Config>("user"),
    section::<moneta_notification::Config>("notification"),
    section::<moneta_advisor::Config>("advisor"),
    section::<moneta_advisor::InferenceConfig>("inference"),
    section::<moneta_gateway::Config>("gateway"),
];

/// The same configuration with the default of everything that it leaves out.
pub fn over_defaults(config: Config) -> Config {
    SECTIONS.iter().fold(config, |config, section| (section.over_defaults)(config, section.name))
}

/// What may stand in `moneta.toml`, as JSON Schema (draft 2020-12): for editors, and for whoever writes a deployment.
pub fn schema() -> Result<serde_json::Value> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let sections: Vec<(String, Schema)> =
        SECTIONS.iter().map(|section| (section.name.replace('-', "_"), (section.schema)(&mut generator))).collect();
    let mut root = serde_json::to_value(generator.into_root_schema_for::<Global>())?;
    root["title"] = "moneta.toml".into();
    root["description"] = "The configuration of Moneta.".into();
    root["additionalProperties"] = false.into();
    for (name, schema) in sections {
        root["properties"][name] = serde_json::to_value(schema)?;
    }
    Ok(root)
}

/// Every command reads the whole configuration, so that a mistyped name never lies there unnoticed, whatever the command.
fn check(config: &Config) -> Result<()> {
    let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
    config.check_sections(&names)?;
    for section in SECTIONS {
        (section.read)(config, section.name)?;
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
    moneta_kit::data_dir::check_secrets(&folder, &config.global()?)?;
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
    existing_data_dir(config)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows the references of the schema to every key that can be configured.
    fn keys(schema: &serde_json::Value, root: &serde_json::Value, path: &str, found: &mut Vec<(String, bool)>) {
        let schema = match schema["$ref"].as_str() {
            Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        };
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let described = property["description"].is_string() || property["$ref"].is_string();
            found.push((path.clone(), described));
            keys(property, root, &path, found);
        }
    }

    fn printed(value: &toml::Value, path: &str, found: &mut Vec<String>) {
        for (name, value) in value.as_table().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            printed(value, &path, found);
            found.push(path);
        }
    }

    #[test]
    fn the_schema_describes_every_key_that_is_printed_and_allows_no_other() {
        let schema = schema().unwrap();
        let mut known = Vec::new();
        keys(&schema, &schema, "", &mut known);
        let silent: Vec<_> = known.iter().filter(|(_, described)| !described).collect();
        assert!(silent.is_empty(), "without a description: {silent:?}");
        let text = over_defaults(Config::default()).print_masked().unwrap();
        let mut there = Vec::new();
        printed(&toml::Value::Table(text.parse().unwrap()), "", &mut there);
        assert!(there.len() > 100, "{} keys", there.len());
        let unknown: Vec<_> = there.iter().filter(|path| known.iter().all(|(known, _)| known != *path)).collect();
        assert!(unknown.is_empty(), "not in the schema: {unknown:?}");
        assert_eq!(schema["additionalProperties"], false);
        for definition in schema["$defs"].as_object().unwrap().values().filter(|one| one["properties"].is_object()) {
            assert_eq!(definition["additionalProperties"], false, "{definition}");
        }
    }
}
