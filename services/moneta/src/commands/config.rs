//! `moneta config print`
use crate::{Result, cli::ConfigCommand, output, settings};

/// Prints the effective configuration, secrets masked.
pub fn run(command: ConfigCommand) -> Result<()> {
    let ConfigCommand::Print { common } = command;
    let config = settings::load(&common)?
        .with_defaults("market-data", moneta_market_data::Config::default())
        .with_defaults("portfolio", moneta_portfolio::Config::default())
        .with_defaults("trading", moneta_trading::Config::default())
        .with_defaults("compliance", moneta_compliance::Config::default())
        .with_defaults("user", moneta_user::Config::default())
        .with_defaults("notification", moneta_notification::Config::default())
        .with_defaults("advisor", moneta_advisor::Config::default())
        .with_defaults("inference", moneta_advisor::InferenceConfig::default())
        .with_defaults("gateway", moneta_gateway::Config::default());
    let text = config.print_masked()?;
    if common.json {
        return output::json(&serde_json::json!({ "toml": text }));
    }
    print!("{text}");
    Ok(())
}
