//! `moneta demo`: real market history, three investors, and the agent at work, on a clock that replays the days.
mod accounts;
mod progress;
mod seed;

use super::{market, run as services};
use crate::{Error, Result, SERVICES, cli::Demo, output, settings, stop::Stop, watchdog};
use moneta_contracts::market_data::{ReplayAdvanceRequest, ReplayStatusRequest};
use moneta_kit::{
    config::Config,
    runner::{Runner, Running, Selection},
    telemetry,
};
use moneta_market_data::import::Options;
use progress::Reporter;
use std::{path::PathBuf, time::Duration};

/// Seeds a data directory once, then replays; on a directory that was seeded before it goes on where it stood.
pub async fn run(args: Demo) -> Result<()> {
    let config = configure(&args)?;
    telemetry::init_log(&config.global()?);
    let mut stop = Stop::hear()?;
    watchdog::start();
    let advisor: moneta_advisor::Config = config.section("advisor")?;
    let history = advisor.assets.join("market");
    if !history.is_dir() {
        return Err(Error::Failed(format!(
            "there is no market history in {}; `make up` fetches it",
            history.display()
        )));
    }
    let imported = config.global()?.data_dir.join("market-data").join("imported");
    if !imported.exists() {
        // Checked when it is read, and not only when it was fetched: what the demo decides on is what is pinned.
        if !moneta_inference::is_pinned_folder(&advisor.assets, "market")? {
            return Err(Error::Failed(format!(
                "the market history in {} is not the one that was fetched: a file was changed, added or removed; `make \
                 fetch` brings it back, and history of your own goes in with `moneta market import`",
                history.display()
            )));
        }
        let import = market::import(&config, std::slice::from_ref(&history), Options::default());
        let Some(done) = stop.unless(import).await else { return Ok(()) };
        done?;
        std::fs::write(&imported, "the market history was imported\n")?;
    }

    let Some(started) = stop.unless(Runner::start(SERVICES, &Selection::All, config)).await else { return Ok(()) };
    let running = started?;
    services::print_addresses(&running);
    seed::seed(&running).await?;
    if !args.common.json {
        accounts::print(&running);
    }
    let finished = tokio::select! {
        finished = replay(&running, &args) => finished?,
        () = stop.told_or(&running) => false,
    };
    if finished {
        let summary = progress::summary(&running).await?;
        if args.common.json {
            output::json(&summary)?;
        } else {
            progress::print_summary(&summary);
        }
        if !args.exit_at_end {
            println!("the replay has come to its end; the page goes on (Ctrl-C stops)");
            stop.told_or(&running).await;
        }
    }
    running.shutdown().await;
    Ok(())
}

/// The demo's configuration, remembered in the data directory so that other commands find the same clock.
fn configure(args: &Demo) -> Result<Config> {
    let mut common = args.common.clone();
    common.data_dir.get_or_insert_with(|| PathBuf::from("moneta-data/demo"));
    let folder = common.data_dir.clone().unwrap_or_default();
    let seed = args.seed.map(|seed| format!("seed = {seed}\n")).unwrap_or_default();
    let until = args.until.map(|date| format!("until = \"{date}\"\n")).unwrap_or_default();
    settings::remember(
        &folder,
        &format!(
            "# What this demo was started with.\n{seed}log = \"warn,qdrant_edge=error\"\n\n[clock]\nmode = \"replay\"\nfrom = \"{from}\"\n\n\
             [market_data.replay]\nfrom = \"{from}\"\n{until}\n\
             [contact]\nemail = \"help@example.com\"\n",
            from = args.from
        ),
    )?;
    let config = settings::load(&common)?;
    Ok(match args.listen {
        Some(address) => config.with("gateway.listen", address),
        None => config,
    })
}

/// Replays day by day; whether it came to the end.
async fn replay(running: &Running, args: &Demo) -> Result<bool> {
    if !(args.speed >= 0.0 && args.speed.is_finite()) {
        return Err(Error::Usage(format!("--speed {} is not valid: 0 or more trading days a second", args.speed)));
    }
    let pause = if args.speed > 0.0 { Duration::from_secs_f64(1.0 / args.speed) } else { Duration::ZERO };
    let call = running.call().deadline(Duration::from_secs(600));
    let mut market = running.directory().market_data();
    let status = market.replay_status(call.request(ReplayStatusRequest {})).await?.into_inner();
    let mut reporter = Reporter::new(&status, args.common.json);
    loop {
        let started = std::time::Instant::now();
        let step = market.replay_advance(call.request(ReplayAdvanceRequest {})).await?.into_inner();
        match step.phase.as_str() {
            "finished" => {
                running.quiet().wait().await;
                reporter.finish();
                return Ok(true);
            }
            "session_closed" => {
                if is_early_in_month(&step.date) {
                    // At rest, so that the answers come at the same point of every replay.
                    running.quiet().wait().await;
                    seed::renew_questionnaires(running).await?;
                }
                if !args.common.json {
                    reporter.tell(running, &step.date).await?;
                }
                moneta_kit::entropy::pause(pause.saturating_sub(started.elapsed())).await;
            }
            _ => {}
        }
    }
}

/// Whether a date is one of the first four of its month, when the investors look at their papers.
fn is_early_in_month(date: &str) -> bool {
    date.rsplit('-').next().and_then(|day| day.parse::<u8>().ok()).is_some_and(|day| day <= 4)
}
