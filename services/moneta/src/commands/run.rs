//! `moneta run`: services in this process until it is told to stop.
use crate::{Result, SERVICES, cli::Run, settings, stop::Stop, watchdog};
use moneta_kit::{
    runner::{Runner, Running, Selection},
    telemetry,
};

/// Runs the selected services.
pub async fn run(args: Run) -> Result<()> {
    let config = settings::load(&args.common)?;
    telemetry::init_log(&config.global()?);
    let selection = args.services.parse().unwrap_or(Selection::All);
    let mut stop = Stop::hear()?;
    watchdog::start();
    let token = config.global()?.data_dir.join("keys").join("inference.token");
    let Some(started) = stop.unless(Runner::start(SERVICES, &selection, config)).await else { return Ok(()) };
    let running = started?;
    print_addresses(&running);
    if running.address("inference-http").is_some() {
        println!("the model server is read-only; the token in {} lets a client change it", token.display());
    }
    stop.told_or(&running).await;
    eprintln!("stopping: finishing what is in hand");
    running.shutdown().await;
    Ok(())
}

/// Says where everything listens, one line each.
pub fn print_addresses(running: &Running) {
    for (name, address) in running.addresses() {
        println!("{name} listens on {address}");
    }
}
