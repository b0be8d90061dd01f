//! Trains the intent head from `models/nlu/data/intents.csv`, measures it on the part that it has not seen, and with
//! `--write` puts the head and the golden cases into `models/nlu/`. With `--train FILE --test FILE` it measures other
//! data instead and writes nothing.
//!
//! `cargo run -p moneta-models --example train_nlu -- --assets .moneta [--write] [--train FILE --test FILE]`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::NaiveDate;
use indicatif::{ProgressBar, ProgressStyle};
use moneta_inference::ServerOptions;
use moneta_models::nlu::{
    self, BackendEncoder, Catalogue, Evaluation, NluModel, Progress, confusions, evaluate, evaluate_head,
    golden::Golden, read_examples, split_hold_out, train_head,
};
use moneta_models::{Error, Result};
use sha2::{Digest, Sha256};

const GOLDEN: &[&str] = &[
    "what is my portfolio worth",
    "how did I do over the past 3 years",
    "why did my portfolio go down last week",
    "buy 10 Apple",
    "sell half my Apple",
    "please buy £1,250.50 of Coca-Cola",
    "what if I sell a quarter of my Microsoft",
    "what happens if I invest two thousand dollars in jpmorgan",
    "approve the recommendation",
    "no thanks, decline the recommendation",
    "pause the agent",
    "change my risk level to adventurous",
    "what is an ETF",
    "show my transactions since January",
    "sell 1.250 apple",
    "deposit 5k",
    "will it rain in Leeds tomorrow",
    "how can I hide money from the tax office",
];

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Arguments {
    assets: PathBuf,
    write: bool,
    train: Option<PathBuf>,
    test: Option<PathBuf>,
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments> {
    let mut parsed = Arguments { assets: PathBuf::from(".moneta"), ..Arguments::default() };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || -> Result<PathBuf> {
            let refuse = || Error::Input { field: "arguments", reason: format!("{argument} needs a value") };
            arguments.next().map(PathBuf::from).ok_or_else(refuse)
        };
        match argument.as_str() {
            "--assets" => parsed.assets = value()?,
            "--train" => parsed.train = Some(value()?),
            "--test" => parsed.test = Some(value()?),
            "--write" => parsed.write = true,
            other => {
                let allowed = "allowed are --assets DIR, --write, --train FILE and --test FILE";
                return Err(Error::Input { field: "arguments", reason: format!("{other}; {allowed}") });
            }
        }
    }
    Ok(parsed)
}

fn run(arguments: &Arguments) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("nlu");
    // No request is served here, so nothing reads the clock.
    let options = ServerOptions::new(arguments.assets.join("onnxruntime/libonnxruntime.so"), || 0);
    let encoder = BackendEncoder::open(&folder, &arguments.assets, &options)?;
    let bar = ProgressBar::new(1);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    let mut progress = |Progress { stage, done, total }: Progress| {
        bar.set_length(total as u64);
        bar.set_message(stage);
        bar.set_position(done as u64);
    };
    if let (Some(train), Some(test)) = (&arguments.train, &arguments.test) {
        let test = read_examples(test)?;
        let evaluation = evaluate(&read_examples(train)?, &test, &encoder, nlu::SEED, &mut progress)?;
        bar.finish_and_clear();
        print(&evaluation);
        return Ok(());
    }

    let split = split_hold_out(&read_examples(&folder.join(nlu::DATA_FILE))?);
    let head = train_head(&split.train, &encoder, nlu::SEED, &mut progress)?;
    let bytes = head.to_bytes()?;
    let evaluation = evaluate_head(head, &split.hold_out, &encoder, &mut progress)?;
    bar.finish_and_clear();
    println!("trained on {} utterances, {} labels", split.train.len(), evaluation.head.labels().len());
    println!("head: {} bytes, sha256 {}", bytes.len(), hex::encode(Sha256::digest(&bytes)));
    print(&evaluation);
    for (truth, predicted, count) in confusions(&split.hold_out, &evaluation.intents).into_iter().take(25) {
        println!("  {count} x {truth} taken for {predicted}");
    }
    if arguments.write {
        let catalogue = Catalogue::load(&arguments.assets.join("market/instruments.csv"))?;
        let today = NaiveDate::from_ymd_opt(2020, 3, 11).unwrap_or_default();
        let golden = Golden::record(GOLDEN, today, &NluModel::new(evaluation.head), &encoder, &catalogue)?;
        write(&folder.join(nlu::HEAD_FILE), &bytes)?;
        write(&folder.join("golden.json"), format!("{}\n", serde_json::to_string_pretty(&golden)?).as_bytes())?;
    }
    Ok(())
}

fn print(evaluation: &Evaluation) {
    let figures = &evaluation.figures;
    println!("measured on {} utterances", figures.count);
    println!("  accuracy = {:.4}", figures.accuracy);
    println!("  macro_f1 = {:.4}", figures.macro_f1);
    println!("  in_scope_accuracy = {:.4}", figures.in_scope_accuracy);
    println!("  in_scope_accuracy_before_rejection = {:.4}", figures.in_scope_accuracy_before_rejection);
    println!("  calibration_error = {:.4}", figures.calibration_error);
    if let (Some(recall), Some(auroc)) = (figures.out_of_scope_recall, figures.auroc) {
        println!("  oos_recall = {recall:.4}\n  auroc = {auroc:.4}");
    }
    let (p50, p95) = evaluation.latency;
    println!("  latency p50 {p50:.1?}, p95 {p95:.1?}");
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|source| Error::File { path: path.to_owned(), source })
}
