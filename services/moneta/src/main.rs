//! `moneta`: the platform's only binary. It runs services, shows the demo, and works on a data directory.
/// As the standard library's, but a reader that has closed the pipe (`moneta … | head -1`) is no reason to panic. These
/// stand before the modules, so that every command prints through them.
macro_rules! print {
    ($($text:tt)*) => { $crate::output::print(::std::format_args!($($text)*)) };
}
macro_rules! println {
    () => { $crate::output::print(::std::format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::print(::std::format_args!("{}\n", ::std::format_args!($($text)*))) };
}
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::output::complain(::std::format_args!("{}\n", ::std::format_args!($($text)*))) };
}

mod cli;
mod commands;
mod error;
mod output;
mod settings;
mod stop;
mod umask;
mod watchdog;

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
    umask::owner_only();
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
        // What it could not print, nobody wants to read.
        Err(_) if output::is_closed() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("moneta: {error}");
            error.exit_code()
        }
    }
}
