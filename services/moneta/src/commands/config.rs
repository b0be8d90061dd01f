//! `moneta config print`
use crate::{Result, cli::ConfigCommand, output, settings};

/// Prints the effective configuration, secrets masked, or what may stand in one.
pub fn run(command: ConfigCommand) -> Result<()> {
    let ConfigCommand::Print { schema, common } = command;
    if schema {
        return output::json(&settings::schema()?);
    }
    let text = settings::over_defaults(settings::load(&common)?).print_masked()?;
    if common.json {
        return output::json(&serde_json::json!({ "toml": text }));
    }
    print!("{text}");
    Ok(())
}
