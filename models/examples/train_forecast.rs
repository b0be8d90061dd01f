//! Trains the forecast model from the market history, measures it against its baselines, and with `--write` puts the
//! weights and their configuration into `models/forecast/weights/`.
//!
//! `RAYON_NUM_THREADS=1 cargo run -p moneta-models --example train_forecast -- --market .moneta/market [--seed N] [--reference SP500] [--write]`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use moneta_models::forecast::{self, Report, TrainConfig};
use moneta_models::{Error, Result, frame};

struct Arguments {
    market: PathBuf,
    reference: String,
    config: TrainConfig,
    write: bool,
}

fn main() -> ExitCode {
    let outcome = parse(std::env::args().skip(1)).and_then(|arguments| run(&arguments));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let bars = frame::read_universe(&arguments.market, &arguments.reference)?;
    let bar = ProgressBar::new(arguments.config.epochs as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} epoch {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    let trained = forecast::train(&bars, &arguments.reference, &arguments.config, &mut |epoch| {
        bar.set_position(epoch.number as u64);
        let mark = if epoch.best { " *" } else { "" };
        let line = format!("loss {:.5}, validation {:.5}{mark}", epoch.training_loss, epoch.validation_loss);
        if bar.is_hidden() {
            println!("epoch {:>2}: {line}", epoch.number);
        }
        bar.set_message(line);
    })?;
    bar.finish();
    println!("{}", trained.lineage);
    for (name, value) in &trained.metrics {
        println!("  {name} = {value}");
    }

    let periods = arguments.config.periods;
    let before = forecast::Split { from: periods.training.from, until: periods.validation.until };
    let later = forecast::Split { from: day(2020, 1, 2), until: day(2022, 12, 28) };
    for (before, test) in [(periods.training, periods.validation), (before, periods.test), (before, later)] {
        let report = forecast::evaluate(&bars, &arguments.reference, &trained.weights, &trained.config, before, test)?;
        print(&report);
        if test == periods.test {
            println!("metrics for model.toml:");
            for (name, value) in report.metrics() {
                println!("  {name} = {value:.4}");
            }
        }
    }
    if arguments.write {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("forecast/weights");
        put(&folder.join("forecast.safetensors"), &trained.weights)?;
        put(&folder.join("config.json"), (serde_json::to_string_pretty(&trained.config)? + "\n").as_bytes())?;
    }
    Ok(())
}

fn print(report: &Report) {
    println!("\n{} to {}: {} instruments, {} forecasts", report.from, report.until, report.symbols, report.forecasts);
    println!(
        "method        QLIKE 1d  5d     21d    | CRPS/sd 1d 5d     21d    | DM 1d  5d     21d   | VaR 1% passes | 5% passes"
    );
    for method in &report.methods {
        let row = |value: fn(&forecast::HorizonScores) -> f64, digits: usize| {
            let cells = method.horizons.iter().map(|scores| format!("{:<7.*}", digits, value(scores)));
            cells.collect::<String>()
        };
        println!(
            "{:<13} {}| {}| {}| {:.2} {:>2} | {:.2} {:>2}",
            method.method,
            row(|scores| scores.qlike, 4),
            row(|scores| scores.crps, 4),
            row(|scores| scores.diebold_mariano, 2),
            method.violations_1,
            method.kupiec_passes_1,
            method.violations_5,
            method.kupiec_passes_5,
        );
    }
}

fn put(path: &Path, content: &[u8]) -> Result<()> {
    std::fs::write(path, content).map_err(|source| Error::File { path: path.to_owned(), source })?;
    println!("written {}", path.display());
    Ok(())
}

fn day(year: i32, month: u32, day: u32) -> chrono::NaiveDate {
    chrono::NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default()
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
    let mut arguments = Arguments {
        market: PathBuf::from(".moneta/market"),
        reference: "SP500".to_owned(),
        config: TrainConfig::default(),
        write: false,
    };
    while let Some(word) = words.next() {
        let mut value =
            || words.next().ok_or(Error::Input { field: "arguments", reason: format!("{word} needs a value") });
        match word.as_str() {
            "--market" => arguments.market = PathBuf::from(value()?),
            "--reference" => arguments.reference = value()?,
            "--seed" => arguments.config.seed = number(&value()?)?,
            "--epochs" => arguments.config.epochs = number(&value()?)? as usize,
            "--hidden" => arguments.config.hidden = number(&value()?)? as usize,
            "--write" => arguments.write = true,
            other => {
                let reason =
                    format!("{other}; known are --market, --reference, --seed, --epochs, --hidden and --write");
                return Err(Error::Input { field: "arguments", reason });
            }
        }
    }
    Ok(arguments)
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| Error::Input { field: "arguments", reason: format!("{text:?} is not a whole number") })
}
