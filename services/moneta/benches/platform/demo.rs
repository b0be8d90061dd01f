//! The parts that need the demo: the replay, the start on its data, idleness, the chat and the advice cycle; and the
//! features, which read the history that it imported.
use crate::{
    api::{self, Api},
    error::Error,
    features,
    process::Demo,
    report::{Aim, Row, Unit},
    repository,
    sample::Sample,
};
use serde_json::json;
use std::{path::Path, time::Duration};
use tempfile::TempDir;

/// The fall of February and March 2020 lies in it, when the agent has most to do.
const FROM: &str = "2020-01-02";
const UNTIL: &str = "2020-06-30";
const REPLAYS: usize = 3;
const STARTS: usize = 5;
const IDLE_WINDOWS: usize = 3;
const IDLE_WINDOW: Duration = Duration::from_secs(5);
const TURNS: usize = 120;
const CYCLES: usize = 100;

/// What the demo prints when the replay begins and when it is over.
const BEGUN: &str = "Moneta is ready";
const OVER: &str = "the replay has come to its end";

/// One question a kind of answer: figures of the ledger, performance, attribution, what-if, prices, orders, advice, texts.
const QUESTIONS: [&str; 20] = [
    "What is my portfolio worth?",
    "How did my portfolio perform this month?",
    "How did my portfolio do since January?",
    "Why did my portfolio move last week?",
    "Why did I lose money in March?",
    "What if I sell half my Apple?",
    "What if I buy 20 shares of Microsoft?",
    "What is the price of Microsoft?",
    "How is Johnson & Johnson doing?",
    "Show me my latest orders",
    "What do I own?",
    "How much cash do I have?",
    "What do you recommend?",
    "Explain the latest recommendation",
    "What is my risk level?",
    "What fees do I pay?",
    "What is volatility?",
    "How does Moneta decide what to recommend?",
    "What is a fund?",
    "Who won the match last night?",
];

/// Measures what is wanted, in an order in which one part leaves the data that the next one needs.
pub async fn measure(wanted: &impl Fn(&str) -> bool, rows: &mut Vec<Row>) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let data_dir =
        replay(&folder, if wanted("replay") { REPLAYS } else { 1 }, wanted("replay").then_some(rows)).await?;
    if wanted("ready") {
        ready(&data_dir, rows).await?;
    }
    if ["idle", "chat", "advice"].iter().any(|part| wanted(part)) {
        let mut demo = Demo::start(&data_dir, FROM, UNTIL)?;
        demo.until(OVER).await?;
        if wanted("idle") {
            idle(&demo, rows).await?;
        }
        if wanted("chat") {
            chat(&demo, rows).await?;
        }
        if wanted("advice") {
            advice(&demo, rows).await?;
        }
        demo.stop().await?;
    }
    if wanted("features") {
        features::measure(&data_dir, rows).await?;
    }
    Ok(())
}

/// Replays on fresh data directories; the last of them.
async fn replay(folder: &TempDir, runs: usize, rows: Option<&mut Vec<Row>>) -> Result<std::path::PathBuf, Error> {
    let days = trading_days()?;
    let mut rates = Vec::new();
    let mut data_dir = folder.path().join("0");
    for run in 0..runs {
        data_dir = folder.path().join(run.to_string());
        let mut demo = Demo::start(&data_dir, FROM, UNTIL)?;
        let begun = demo.until(BEGUN).await?;
        let over = demo.until(OVER).await?;
        rates.push(days as f64 / over.saturating_sub(begun).as_secs_f64());
        demo.stop().await?;
    }
    if let Some(rows) = rows {
        rows.push(Row {
            name: format!("replay of {days} trading days, three investors"),
            unit: Unit::PerSecond,
            sample: Sample::new(rates),
            aim: Some(Aim::AtLeast(50.0)),
        });
    }
    Ok(data_dir)
}

/// Days of the market reference within the replay.
fn trading_days() -> Result<usize, Error> {
    let path = repository().join(".moneta/market/SP500.csv");
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Read { path, source })?;
    // Dates of ISO 8601 sort as texts.
    let dates = text.lines().skip(1).filter_map(|line| line.split(',').next());
    Ok(dates.filter(|date| (FROM..=UNTIL).contains(date)).count())
}

async fn ready(data_dir: &Path, rows: &mut Vec<Row>) -> Result<(), Error> {
    let client = api::client()?;
    let mut seconds = Vec::new();
    for _ in 0..STARTS {
        let mut demo = Demo::start(data_dir, FROM, UNTIL)?;
        demo.until("ops listens on").await?;
        let url = format!("{}/readyz", demo.url("ops"));
        while !client.get(&url).send().await?.status().is_success() {
            tokio::task::yield_now().await;
        }
        seconds.push(demo.age().as_secs_f64());
        demo.until(OVER).await?;
        demo.stop().await?;
    }
    let name = "start of a seeded demo to /readyz 200".to_owned();
    rows.push(Row { name, unit: Unit::Seconds, sample: Sample::new(seconds), aim: Some(Aim::Below(3.0)) });
    Ok(())
}

async fn idle(demo: &Demo, rows: &mut Vec<Row>) -> Result<(), Error> {
    let (mut memory, mut cores) = (Vec::new(), Vec::new());
    for _ in 0..IDLE_WINDOWS {
        let before = demo.processor_seconds()?;
        moneta_kit::entropy::pause(IDLE_WINDOW).await;
        cores.push((demo.processor_seconds()? - before) / IDLE_WINDOW.as_secs_f64());
        memory.push(demo.resident()? / 1e6);
    }
    let name = "resident set when idle".to_owned();
    rows.push(Row { name, unit: Unit::Megabytes, sample: Sample::new(memory), aim: Some(Aim::Below(600.0)) });
    let name = "processor time when idle, over 5 s".to_owned();
    rows.push(Row { name, unit: Unit::Cores, sample: Sample::new(cores), aim: Some(Aim::Below(0.1)) });
    Ok(())
}

async fn chat(demo: &Demo, rows: &mut Vec<Row>) -> Result<(), Error> {
    let api = Api::login(demo.url("gateway"), "balanced@example.com").await?;
    let path = format!("/api/v1/conversations/{}/messages", api.conversation().await?);
    let mut turns = Vec::new();
    for question in QUESTIONS.iter().cycle().take(TURNS) {
        turns.push(milliseconds(api.post(&path, &json!({ "text": question })).await?.0));
    }
    let name = format!("chat turn over REST, {} questions", QUESTIONS.len());
    rows.push(Row { name, unit: Unit::Milliseconds, sample: Sample::new(turns), aim: Some(Aim::Below(50.0)) });
    Ok(())
}

async fn advice(demo: &Demo, rows: &mut Vec<Row>) -> Result<(), Error> {
    let api = Api::login(demo.url("gateway"), "cautious@example.com").await?;
    let body = json!({ "portfolio_id": api.portfolio().await? });
    let mut cycles = Vec::new();
    for _ in 0..CYCLES {
        cycles.push(milliseconds(api.post("/api/v1/recommendations", &body).await?.0));
    }
    let name = "advice cycle of one investor over REST".to_owned();
    rows.push(Row { name, unit: Unit::Milliseconds, sample: Sample::new(cycles), aim: Some(Aim::Below(50.0)) });
    Ok(())
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
