//! `moneta`: the platform's only binary. It runs services, shows the demo, and works on a data directory.
mod cli;
mod commands;
mod error;
mod output;
mod settings;

use clap::Parser as _;
use std::process::ExitCode;

pub use error::{Error, Result};

/// Every service that the binary knows, in no particular order: the runner sorts by what they need.
pub const SERVICES: &[moneta_kit::service::ServiceDef] = &[
    moneta_market_data::SERVICE,
    moneta_user::SERVICE,
    moneta_portfolio::SERVICE,
    moneta_trading::SERVICE,
    moneta_compliance::SERVICE,
    moneta_notification::SERVICE,
    moneta_advisor::SERVICE,
    moneta_gateway::SERVICE,
];

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    // Candle multiplies matrices on rayon's global pool, and its threads would spin for work that our small networks do
    // not have. Nothing else uses that pool; it can be built once only, which is here.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("moneta: the runtime cannot start: {error}");
            return ExitCode::from(1);
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("moneta: {error}");
            error.exit_code()
        }
    }
}
