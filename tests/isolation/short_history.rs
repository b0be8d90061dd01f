//! Under the days that advice needs, too little history is an answer, and the days go on: in a replay and by the machine's
//! clock.
use moneta_contracts::events::SessionClosed;
use moneta_kit::{
    args,
    entropy::SystemClock,
    store::{Db, Durability, sqlite_url},
};
use moneta_tests::{Api, Fixture, Shape, Stagehand, eventually, run, text};
use moneta_types::{Date, WallClock as _};
use serde_json::json;
use std::{path::PathBuf, time::Duration};

/// Prices of a market of two, for the days.
fn prices(fixture: &Fixture, name: &str, days: &[Date]) -> PathBuf {
    let rows = days.iter().flat_map(|day| [format!("SP500,{day},3000"), format!("AAA,{day},50")]);
    let path = fixture.path(name);
    std::fs::write(&path, format!("symbol,date,close\n{}\n", rows.collect::<Vec<_>>().join("\n"))).unwrap();
    path
}

/// A data directory of a firm's own, with a market that has only these days.
fn firm(settings: &str, days: &[Date]) -> Fixture {
    let fixture = Fixture::new();
    std::fs::create_dir_all(fixture.data()).unwrap();
    std::fs::write(fixture.data().join("moneta.toml"), settings).unwrap();
    let instruments = fixture.path("instruments.csv");
    let text = "symbol,name,kind,currency,aliases\nSP500,The market,index,USD,\nAAA,A share,share,USD,\n";
    std::fs::write(&instruments, text).unwrap();
    import(&fixture.data(), &[instruments, prices(&fixture, "prices.csv", days)]);
    fixture
}

fn import(data: &std::path::Path, files: &[PathBuf]) {
    let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    run(data, &[&["market", "import"][..], files.as_slice()].concat());
}

/// A client with money and answers, for whom the agent would work.
async fn client(stage: &Stagehand) -> (Api, String) {
    let (email, password) = ("first@client.example", "four quiet marmalade foxes");
    let body = json!({ "email": email, "password": password, "display_name": "First", "base_currency": "USD" });
    stage.api().post("/api/v1/auth/register", body).await.ok();
    let api = stage.api().login_with(email, password).await;
    let name = json!({ "name": "Savings", "currency": "USD" });
    let portfolio = text(&api.post_once("/api/v1/portfolios", "first", name).await.ok(), "portfolio_id");
    let money = json!({ "amount": { "amount": "10000.00", "currency": "USD" } });
    api.post_once(&format!("/api/v1/portfolios/{portfolio}/deposits"), "first", money).await.ok();
    let answers = json!({
        "horizon_years": 15, "objective": "growth", "experience": "experienced", "instruments_known": ["share", "fund"],
        "reaction_to_fall": "hold", "annual_income": "90000", "liquid_assets": "200000", "emergency_months": "12",
        "loss_bearable": "0.5", "risk_score": 7, "understands_risk": true,
    });
    api.post("/api/v1/questionnaire", answers).await.ok();
    (api, portfolio)
}

async fn no_advice_yet(api: &Api, portfolio: &str) {
    let asked = api.post("/api/v1/recommendations", json!({ "portfolio_id": portfolio })).await;
    let told = asked.refused(422, "insufficient_history");
    assert!(text(&told, "detail").starts_with("no advice before"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_a_short_history_plays_to_its_end_and_says_from_when_there_is_advice() {
    let first: Date = "2019-12-02".parse().unwrap();
    let days: Vec<Date> = first.iter_days().take(40).collect();
    let settings = "[clock]\nmode = \"replay\"\nfrom = \"2020-01-06\"\n\n[market_data.replay]\nfrom = \"2020-01-06\"\n";
    let stage = Stagehand::start(Shape::OneProcess, firm(settings, &days), "2020-01-10").await;
    let (api, portfolio) = client(&stage).await;
    for day in ["2020-01-06", "2020-01-07", "2020-01-08", "2020-01-09", "2020-01-10"] {
        no_advice_yet(&api, &portfolio).await;
        assert_eq!(stage.close_day().await, day);
    }
    assert_eq!(stage.advance().await.1, "finished");
    let valued = api.get(&format!("/api/v1/portfolios/{portfolio}/performance")).await.ok();
    assert!(valued["series"].as_array().is_some_and(|days| days.len() >= 5), "every day was valued: {valued}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_market_with_a_short_history_goes_on_day_by_day() {
    let today = SystemClock.now().date();
    let before = |days: u64| today.checked_sub_days(chrono::Days::new(days)).unwrap();
    let known: Vec<Date> = (4..40).rev().map(before).collect();
    let settings = [("MONETA__MARKET_DATA__POLL_SECONDS", "1")];
    let stage = Stagehand::start_with(Shape::OneProcess, firm("", &known), "2999-12-31", &settings).await;
    let (api, portfolio) = client(&stage).await;
    let name = moneta_market_data::SERVICE.name;
    let url = sqlite_url(&stage.data().join(name).join(format!("{name}.db")));
    let db = Db::open_with(&url, name, moneta_market_data::SERVICE.migrations, Durability::Process).await.unwrap();
    eventually("the feed has begun", Duration::from_secs(60), async || {
        db.fetch_optional("SELECT date FROM feed", args![]).await.unwrap()
    })
    .await;
    db.close().await;
    for (nth, day) in [before(3), before(2)].into_iter().enumerate() {
        let file = stage.data().with_file_name(format!("{day}.csv"));
        std::fs::write(&file, format!("symbol,date,close\nSP500,{day},3000\nAAA,{day},50\n")).unwrap();
        import(&stage.data(), &[file]);
        eventually("the day is told", Duration::from_secs(120), async || {
            (stage.events::<SessionClosed>().await.len() > nth).then_some(())
        })
        .await;
        assert_eq!(stage.events::<SessionClosed>().await[nth].date, day);
        stage.settle().await;
        no_advice_yet(&api, &portfolio).await;
    }
    stage.stop().await;
}
