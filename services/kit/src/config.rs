//! Configuration: compiled-in defaults < `moneta.toml` < `MONETA__SECTION__KEY` < flags.
//!
//! Names are written with underscores (`[market_data]`, `MONETA__MARKET_DATA__…`). A key that nobody knows is an error
//! that names it and where it stands.
use crate::{client::ClientConfig, contact::Contact, net, store::Durability};
use figment::{
    Figment,
    providers::{Env, Format as _, Serialized, Toml},
};
use moneta_types::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that was named cannot be read.
    #[error("cannot read the configuration file {path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A value is not allowed or a key is not known; the message names the key and where it stands.
    #[error("configuration: {0}{hint}", hint = hint(.0))]
    Value(Box<figment::Error>),
    /// A section or key of the first level that nobody knows.
    #[error(
        "configuration: nobody knows {name:?}{place}{meant}; there are {allowed}",
        place = place(.origin),
        meant = did_you_mean(.name, .allowed.split(", "))
    )]
    UnknownKey {
        /// The section or key.
        name: String,
        /// The file or environment that it stands in.
        origin: Option<String>,
        /// What there is.
        allowed: String,
    },
    /// The effective values cannot be written as TOML.
    #[error("the configuration cannot be printed")]
    Print(#[from] toml::ser::Error),
    /// A name under `services` is not a service.
    #[error("configuration: services.{name} is not a service: {allowed}")]
    UnknownService {
        /// The name.
        name: String,
        /// What is allowed.
        allowed: String,
    },
}

/// What was probably meant by a key that is not known.
fn hint(error: &figment::Error) -> String {
    match &error.kind {
        figment::error::Kind::UnknownField(name, known) => did_you_mean(name, known.iter().copied()),
        _ => String::new(),
    }
}

fn place(origin: &Option<String>) -> String {
    origin.as_ref().map_or_else(String::new, |origin| format!(" in {origin}"))
}

fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!(", did you mean {near:?}?"))
}

/// The known name that a mistyped one is nearest to, if any is near: at most a third of its letters differ.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = (name.chars().count() / 3).max(1);
    known.map(|known| (distance(name, known), known)).filter(|(far, _)| *far <= most).min().map(|(_, known)| known)
}

/// How many letters must be put in, taken out or changed, or neighbours swapped, to make one word of the other (optimal
/// string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut table = vec![vec![0_usize; other.len() + 1]; one.len() + 1];
    for (row, line) in table.iter_mut().enumerate() {
        line[0] = row;
    }
    table[0] = (0..=other.len()).collect();
    for row in 1..=one.len() {
        for column in 1..=other.len() {
            let changed = usize::from(one[row - 1] != other[column - 1]);
            let mut least =
                (table[row - 1][column] + 1).min(table[row][column - 1] + 1).min(table[row - 1][column - 1] + changed);
            let swapped =
                row > 1 && column > 1 && one[row - 1] == other[column - 2] && one[row - 2] == other[column - 1];
            if swapped {
                least = least.min(table[row - 2][column - 2] + 1);
            }
            table[row][column] = least;
        }
    }
    table[one.len()][other.len()]
}

impl From<figment::Error> for Error {
    fn from(error: figment::Error) -> Self {
        Self::Value(Box::new(error))
    }
}

impl From<Error> for crate::problem::Problem {
    fn from(error: Error) -> Self {
        Self::precondition("configuration", error.to_string())
    }
}

/// Results of reading the configuration.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClockMode {
    /// The machine's time.
    #[default]
    Wall,
    /// The replay's time.
    Replay,
}

/// The platform's clock.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClockConfig {
    /// `wall` or `replay`.
    pub mode: ClockMode,
    /// Where a replay begins; the first event's time when it has begun already.
    #[schemars(with = "Option<String>", extend("format" = "date"))]
    pub from: Option<Date>,
}

/// The ops listener.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OpsConfig {
    /// Address of `/livez`, `/readyz`, `/startupz` and `/metrics`; port 0 asks the system.
    pub listen: SocketAddr,
}

impl Default for OpsConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8002)) }
    }
}

/// Where a service is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceAddress {
    /// `host:port` at which other processes reach it.
    pub address: Option<String>,
    /// Address to listen at, when it differs from `address` (`0.0.0.0:9000` behind a DNS name); port 0 asks the system.
    pub listen: Option<SocketAddr>,
    /// Its database; an SQLite file in the data directory unless given.
    pub store: Option<String>,
}

/// The stores.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `full` or `process`; unless given, `full` by the machine's clock and `process` in a replay, which can be repeated.
    pub durability: Option<Durability>,
}

/// Encryption keys.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeysConfig {
    /// Master key, 64 hexadecimal digits; a file in the data directory unless given.
    pub master: Option<String>,
    /// Seed of the key that signs tokens, 64 hexadecimal digits; a file in the data directory unless given. Processes
    /// that do not share a data directory must be given the same.
    pub identity: Option<String>,
}

impl std::fmt::Debug for KeysConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeysConfig(…)")
    }
}

/// What concerns the process as a whole.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Global {
    /// Folder of everything that is kept.
    pub data_dir: PathBuf,
    /// Seed of everything that is random and not secret.
    pub seed: u64,
    /// Filter of the log (`info`, `moneta_trading=debug,warn`).
    pub log: String,
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// The platform's clock.
    pub clock: ClockConfig,
    /// The ops listener.
    pub ops: OpsConfig,
    /// What a peer may hold of any listener.
    pub listeners: net::Limits,
    /// The stores.
    pub store: StoreConfig,
    /// Calls between services.
    pub client: ClientConfig,
    /// Encryption keys.
    pub keys: KeysConfig,
    /// How clients reach the firm.
    pub contact: Contact,
    /// Addresses of services, by name with underscores.
    pub services: BTreeMap<String, ServiceAddress>,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("moneta-data"),
            seed: 7,
            log: "info".to_owned(),
            log_format: LogFormat::default(),
            clock: ClockConfig::default(),
            ops: OpsConfig::default(),
            listeners: net::Limits::default(),
            store: StoreConfig::default(),
            client: ClientConfig::default(),
            keys: KeysConfig::default(),
            contact: Contact::default(),
            services: BTreeMap::new(),
        }
    }
}

impl Global {
    /// What a commit survives: as configured, or else by whose time it is.
    pub fn durability(&self) -> Durability {
        self.store.durability.unwrap_or(match self.clock.mode {
            ClockMode::Wall => Durability::Full,
            ClockMode::Replay => Durability::Process,
        })
    }

    /// Where a service is, by its name with dashes.
    pub fn service(&self, name: &str) -> ServiceAddress {
        self.services.get(&key(name)).cloned().unwrap_or_default()
    }
}

/// The effective configuration.
#[derive(Debug, Clone)]
pub struct Config {
    figment: Figment,
}

impl Default for Config {
    fn default() -> Self {
        Self { figment: Figment::new() }
    }
}

impl Config {
    /// Reads a file, when one is given, and the environment.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            // Opened here so that a file that is not there is an error and not an empty configuration.
            std::fs::File::open(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
            figment = figment.merge(Toml::file_exact(path));
        }
        let mut config = Self { figment: figment.merge(Env::prefixed("MONETA__").split("__")) };
        // A key of digits only would be taken for a number. (Other texts of digits are written with quotes.)
        for key in ["master", "identity"] {
            if let Ok(text) = std::env::var(format!("MONETA__KEYS__{}", key.to_uppercase())) {
                config = config.with(&format!("keys.{key}"), text);
            }
        }
        config.global()?;
        Ok(config)
    }

    /// The same with the values of a file under everything else: what a data directory was made with.
    pub fn over_file(self, path: &Path) -> Result<Self> {
        std::fs::File::open(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
        let config = Self { figment: self.figment.join(Toml::file_exact(path)) };
        config.global()?;
        Ok(config)
    }

    /// From the text of a `moneta.toml`, without the environment.
    pub fn from_toml(text: &str) -> Result<Self> {
        let config = Self { figment: Figment::new().merge(Toml::string(text)) };
        config.global()?;
        Ok(config)
    }

    /// The same with one value over everything else: a flag, or a test's choice. `path` is `section.key`.
    #[must_use]
    pub fn with(self, path: &str, value: impl Serialize) -> Self {
        Self { figment: self.figment.merge(Serialized::default(&key(path), value)) }
    }

    /// The same with one value under everything else, for `moneta config print`.
    #[must_use]
    pub fn with_defaults(self, section: &str, defaults: impl Serialize) -> Self {
        Self { figment: self.figment.join(Serialized::default(&key(section), defaults)) }
    }

    /// Refuses what stands on the first level and is neither one of [`Global`]'s keys nor one of these sections.
    pub fn check_sections(&self, sections: &[&str]) -> Result<()> {
        let mut known: Vec<String> = sections.iter().map(|name| key(name)).collect();
        if let Ok(Value::Object(global)) = serde_json::to_value(Global::default()) {
            known.extend(global.into_iter().map(|(name, _)| name));
        }
        known.sort_unstable();
        known.dedup();
        let given: BTreeMap<String, figment::value::Value> = self.figment.extract()?;
        let Some(name) = given.keys().find(|name| !known.contains(name)) else { return Ok(()) };
        let metadata = self.figment.find_metadata(name);
        let origin = metadata.map(|found| match &found.source {
            Some(source) => source.to_string(),
            None => found.name.to_string(),
        });
        Err(Error::UnknownKey { name: name.clone(), origin, allowed: known.join(", ") })
    }

    /// A service's section; what is not given has its default.
    pub fn section<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T> {
        let name = key(name);
        if !self.figment.contains(&name) {
            return Ok(T::default());
        }
        self.figment.extract_inner(&name).map_err(|mut error: figment::Error| {
            // It puts the section's name behind the path within the section.
            if error.path.last() == Some(&name) {
                error.path.rotate_right(1);
            }
            error.into()
        })
    }

    /// What concerns the process as a whole.
    pub fn global(&self) -> Result<Global> {
        Ok(Figment::from(Serialized::defaults(Global::default())).merge(&self.figment).extract()?)
    }

    /// The effective values as TOML, secrets masked.
    pub fn print_masked(&self) -> Result<String> {
        let all = Figment::from(Serialized::defaults(Global::default())).merge(&self.figment);
        let mut values: Value = all.extract()?;
        mask(&mut values);
        Ok(toml::to_string_pretty(&values)?)
    }
}

/// Names of services have dashes; keys of the configuration have underscores, as the environment needs.
fn key(name: &str) -> String {
    name.replace('-', "_")
}

const MASK: &str = "********";

/// Hides secrets, and drops what is not set (TOML has no null).
fn mask(value: &mut Value) {
    let Value::Object(table) = value else { return };
    table.retain(|_, inner| !inner.is_null());
    for (name, inner) in table.iter_mut() {
        match inner {
            Value::Object(keys) if name == "keys" => {
                keys.retain(|_, secret| !secret.is_null());
                keys.iter_mut().for_each(|(_, secret)| *secret = Value::from(MASK));
            }
            Value::Object(_) => mask(inner),
            Value::String(text) if is_secret(name) && !text.is_empty() => MASK.clone_into(text),
            Value::String(text) => {
                if let (Some(scheme), Some(at)) = (text.find("://"), text.rfind('@'))
                    && scheme < at
                {
                    *text = format!("{}://{MASK}{}", &text[..scheme], &text[at..]);
                }
            }
            _ => {}
        }
    }
}

fn is_secret(name: &str) -> bool {
    ["password", "secret", "token", "key"].iter().any(|word| name.split('_').any(|part| part == *word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Trading {
        max_value: u64,
        smtp_password: String,
    }

    impl Default for Trading {
        fn default() -> Self {
            Self { max_value: 10, smtp_password: String::new() }
        }
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let config = Config::from_toml("[trading]\nmax_value = 5").unwrap();
        assert_eq!(config.section::<Trading>("trading").unwrap().max_value, 5);
        assert_eq!(Config::default().section::<Trading>("trading").unwrap().max_value, 10);
        assert_eq!(config.global().unwrap().seed, 7);
    }

    #[test]
    fn flags_are_over_the_file() {
        let config = Config::from_toml("[market_data]\nmax_value = 5").unwrap().with("market-data.max_value", 6_u64);
        assert_eq!(config.section::<Trading>("market-data").unwrap().max_value, 6);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let config = Config::from_toml("[trading]\nmax_vlaue = 5").unwrap();
        let error = config.section::<Trading>("trading").unwrap_err().to_string();
        assert!(error.contains("max_vlaue") && error.contains("trading"), "{error}");
        let error = Config::from_toml("[ops]\nport = 1").unwrap_err().to_string();
        assert!(error.contains("port"), "{error}");
    }

    #[test]
    fn an_unknown_section_is_refused_with_the_name_that_was_meant() {
        let config = Config::from_toml("[tradnig]\nmax_value = 5").unwrap();
        let error = config.check_sections(&["trading", "market-data"]).unwrap_err().to_string();
        assert!(error.contains("\"tradnig\"") && error.contains("did you mean \"trading\"?"), "{error}");
        let error = Config::from_toml("sed = 5").unwrap().check_sections(&[]).unwrap_err().to_string();
        assert!(error.contains("did you mean \"seed\"?"), "{error}");
        let error = Config::from_toml("[weather]").unwrap().check_sections(&["trading"]).unwrap_err().to_string();
        assert!(error.contains("trading") && !error.contains("did you mean"), "{error}");
        Config::from_toml("seed = 1\n[market_data]").unwrap().check_sections(&["market-data"]).unwrap();
        let error = Config::from_toml("[ops]\nlistne = 1").unwrap_err().to_string();
        assert!(error.contains("did you mean \"listen\"?"), "{error}");
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Prices {
            reference_symbol: String,
        }
        let config = Config::from_toml("[market_data]\nreference_symbl = \"X\"").unwrap();
        let error = config.section::<Prices>("market-data").unwrap_err().to_string();
        assert!(error.contains("market_data.reference_symbl"), "{error}");
        assert_eq!(config.section::<Prices>("portfolio").unwrap().reference_symbol, "");
    }

    #[test]
    fn a_value_of_the_wrong_kind_names_its_key() {
        let error = Config::from_toml("[ops]\nlisten = \"here\"").unwrap_err().to_string();
        assert!(error.contains("listen"), "{error}");
    }

    #[test]
    fn printing_masks_secrets() {
        let text = Config::from_toml(
            "[trading]\nsmtp_password = \"hunter2\"\n[keys]\nmaster = \"abc\"\n\
             [services.portfolio]\nstore = \"postgres://moneta:pw@db/portfolio\"",
        )
        .unwrap()
        .with_defaults("trading", Trading::default())
        .print_masked()
        .unwrap();
        assert!(!text.contains("hunter2") && !text.contains("abc") && !text.contains(":pw"), "{text}");
        assert!(text.contains("max_value = 10"), "{text}");
        assert!(text.contains("@db/portfolio"), "{text}");
    }
}
