//! `moneta run`: services in this process until it is told to stop.
use crate::{Result, SERVICES, cli::Run, output, settings, watchdog};
use moneta_kit::{
    runner::{Runner, Running, Selection},
    telemetry,
};

/// Runs the selected services.
pub async fn run(args: Run) -> Result<()> {
    let config = settings::load(&args.common)?;
    telemetry::init_log(&config.global()?);
    let selection = args.services.parse().unwrap_or(Selection::All);
    watchdog::start();
    let token = config.global()?.data_dir.join("keys").join("inference.token");
    let running = Runner::start(SERVICES, &selection, config).await?;
    print_addresses(&running);
    if running.address("inference-http").is_some() {
        println!("the model server is read-only; the token in {} lets a client change it", token.display());
    }
    until_told(&running).await;
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

/// Waits for Ctrl-C, SIGTERM, a request to stop, or the end of whoever reads what is printed.
pub async fn until_told(running: &Running) {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
        () = running.stopped() => {}
        () = output::closed() => {}
    }
}
