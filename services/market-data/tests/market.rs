//! The service on a stage: what can be seen when, the replay's phases, crashes, and who may do what.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::Arc;

use moneta_contracts::events::{BarClosed, MarketMoved, SessionClosed};
use moneta_contracts::market_data::{
    HistoryRequest, LatestPricesRequest, ListInstrumentsRequest, MarketStateRequest, ReplayAdvanceRequest,
    ReplayStatusRequest,
};
use moneta_kit::args;
use moneta_kit::bus::{Envelope, Handler, HandlerError, Subscription};
use moneta_kit::identity::Role;
use moneta_kit::problem::Problem;
use moneta_kit::quarantine::{self, Unit};
use moneta_kit::service::{Service, ServiceDef};
use moneta_kit::testing::Stage;
use moneta_market_data::SERVICE;
use moneta_market_data::import::{Importer, Options};
use moneta_types::{Date, UserId};
use tonic::Code;

/// Trading days around the New Year, then the days of a fall.
const DAYS: [&str; 6] = ["2019-12-30", "2019-12-31", "2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07"];
const MARKET: [&str; 6] = ["100", "101", "102", "96", "95", "90"];
const SHARE: [&str; 6] = ["10", "10.1", "10.2", "9.6", "9.5", "9"];

async fn stage() -> Stage {
    let stage = Stage::start(&[SERVICE], |config| config.with("market_data.reference_symbol", "MKT")).await;
    import(&stage).await;
    stage
}

async fn import(stage: &Stage) {
    let folder = stage.data_dir().join("files");
    std::fs::create_dir_all(&folder).unwrap();
    let series = |closes: [&str; 6], volume: u32| {
        let rows: Vec<String> =
            DAYS.iter().zip(closes).map(|(day, close)| format!("{day},{close},{close},{volume}")).collect();
        format!("date,close,adj_close,volume\n{}\n", rows.join("\n"))
    };
    let write = |name: &str, text: String| -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files = [
        write("instruments.csv", "symbol,name,kind,currency,aliases\nMKT,The market,index,USD,\nAAA,A share,share,USD,a\nNEW,New share,share,USD,\n".to_owned()),
        write("MKT.csv", series(MARKET, 0)),
        write("AAA.csv", series(SHARE, 500)),
        write("NEW.csv", "date,close\n2020-01-06,3\n".to_owned()),
    ];
    import_files(stage, &files, Options::default()).await;
}

async fn import_files(stage: &Stage, files: &[PathBuf], options: Options) {
    let importer = Importer::open(stage.db("market-data").clone(), &stage.data_dir().join("market-data")).unwrap();
    importer.import(files, options).await.unwrap();
}

/// Takes the next phase: its day and name.
async fn advance(stage: &Stage) -> (String, String) {
    let mut client = stage.directory().market_data();
    let call = stage.call_service("test");
    let response = client.replay_advance(call.request(ReplayAdvanceRequest {})).await.unwrap().into_inner();
    (response.date, response.phase)
}

async fn history(stage: &Stage, request: HistoryRequest) -> Vec<(String, String, String)> {
    let mut client = stage.directory().market_data();
    let call = stage.call_service("test");
    let bars = client.history(call.request(request)).await.unwrap().into_inner().bars;
    bars.into_iter().map(|bar| (bar.date, bar.symbol, bar.close)).collect()
}

fn investor(stage: &Stage) -> moneta_kit::client::Call {
    stage.call_user(UserId::from_uuid(moneta_types::Cause::named("investor").uuid()), &[Role::Investor])
}

#[tokio::test]
async fn nothing_later_than_the_clock_is_ever_seen() {
    let stage = stage().await;
    let all = || HistoryRequest::default();
    let newest = async |stage: &Stage| history(stage, all()).await.last().unwrap().0.clone();
    assert_eq!(newest(&stage).await, "2019-12-31", "before the first replayed day");
    let future = HistoryRequest { from: "2020-01-03".into(), to: "2020-12-31".into(), ..all() };
    assert_eq!(history(&stage, future.clone()).await, []);
    advance(&stage).await;
    assert_eq!(newest(&stage).await, "2020-01-02");
    assert_eq!(history(&stage, future.clone()).await, [], "asking for later dates shows none");
    advance(&stage).await;
    advance(&stage).await;
    let seen = history(&stage, future).await;
    assert_eq!(
        seen,
        [("2020-01-03".into(), "AAA".into(), "9.6".into()), ("2020-01-03".into(), "MKT".into(), "96".into())]
    );
    let last = HistoryRequest { symbols: vec!["AAA".into()], last: 2, ..all() };
    let days: Vec<String> = history(&stage, last).await.into_iter().map(|bar| bar.0).collect();
    assert_eq!(days, ["2020-01-02", "2020-01-03"]);
}

#[tokio::test]
async fn a_day_is_told_in_two_phases_at_its_close() {
    let stage = stage().await;
    assert_eq!(advance(&stage).await, ("2020-01-02".into(), "bars".into()));
    assert_eq!(stage.clock().now().to_string(), "2020-01-02T21:00:00Z");
    assert_eq!(advance(&stage).await, ("2020-01-02".into(), "session_closed".into()));
    assert_eq!(stage.clock().now().to_string(), "2020-01-02T21:05:00Z");
    stage.quiet().await;
    let told: Vec<_> =
        stage.envelopes().await.iter().map(|event| (event.event_type.clone(), event.time.to_string())).collect();
    assert_eq!(
        told,
        [
            ("market_data.bar_closed.v1".into(), "2020-01-02T21:00:00Z".into()),
            ("market_data.session_closed.v1".into(), "2020-01-02T21:05:00Z".into())
        ]
    );
    let bars = &stage.events::<BarClosed>().await[0].bars;
    let symbols: Vec<&str> = bars.iter().map(|bar| bar.symbol.as_str()).collect();
    assert_eq!(symbols, ["AAA", "MKT"], "NEW does not trade yet");
    assert_eq!(bars[0].volume, 500);
}

#[tokio::test]
async fn the_replay_ends_after_its_last_day_and_says_so() {
    let stage = Stage::start(&[SERVICE], |config| {
        config.with("market_data.reference_symbol", "MKT").with("market_data.replay.until", "2020-01-06")
    })
    .await;
    import(&stage).await;
    let mut days = Vec::new();
    loop {
        let (date, phase) = advance(&stage).await;
        if phase == "finished" {
            break;
        }
        days.push(date);
    }
    days.dedup();
    assert_eq!(days, ["2020-01-02", "2020-01-03", "2020-01-06"]);
    let call = stage.call_service("test");
    let mut client = stage.directory().market_data();
    let status = client.replay_status(call.request(ReplayStatusRequest {})).await.unwrap().into_inner();
    assert_eq!((status.active, status.days_done, status.days_total), (false, 3, 3));
    assert_eq!((status.phase.as_str(), status.until.as_str()), ("finished", "2020-01-06"));
}

#[tokio::test]
async fn a_fall_of_five_per_cent_is_told_once_a_level_with_where_it_came_from() {
    let stage = stage().await;
    while advance(&stage).await.1 != "finished" {}
    stage.quiet().await;
    let moved: Vec<_> = stage
        .events::<MarketMoved>()
        .await
        .into_iter()
        .map(|event| (event.date.to_string(), event.kind, event.threshold.to_string(), event.fall.to_string()))
        .collect();
    let expected = [
        ("2020-01-03", "one_day", "0.05", "0.058824"),
        ("2020-01-03", "from_peak", "0.05", "0.058824"),
        ("2020-01-07", "one_day", "0.05", "0.052632"),
        ("2020-01-07", "from_peak", "0.1", "0.117647"),
    ];
    assert_eq!(
        moved,
        expected.map(|(date, kind, threshold, fall)| (date.into(), kind.into(), threshold.into(), fall.into()))
    );
    let call = investor(&stage);
    let mut client = stage.directory().market_data();
    let state = client.market_state(call.request(MarketStateRequest {})).await.unwrap().into_inner();
    assert_eq!((state.last_date.as_str(), state.session_closed), ("2020-01-07", true));
    assert_eq!((state.reference_symbol.as_str(), state.fall_from_peak.as_str()), ("MKT", "0.117647"));
}

#[tokio::test]
async fn a_replay_that_is_killed_between_any_two_phases_tells_the_same_story_once() {
    let smooth = stage().await;
    while advance(&smooth).await.1 != "finished" {}
    smooth.quiet().await;
    let told = async |stage: &Stage| -> Vec<_> {
        stage.envelopes().await.into_iter().map(|event| (event.id, event.time, event.data.to_string())).collect()
    };
    let expected = told(&smooth).await;
    assert_eq!(expected.len(), 4 * 2 + 4);

    let mut killed = stage().await;
    loop {
        let (_, phase) = advance(&killed).await;
        let clock = killed.clock().now();
        killed.crash().await;
        assert_eq!(killed.clock().now(), clock, "the clock stands where it stood");
        if phase == "finished" {
            break;
        }
    }
    killed.quiet().await;
    assert_eq!(told(&killed).await, expected);
    let call = killed.call_service("test");
    let mut client = killed.directory().market_data();
    let status = client.replay_status(call.request(ReplayStatusRequest {})).await.unwrap().into_inner();
    assert_eq!((status.days_done, status.days_total), (4, 4));
}

#[tokio::test]
async fn with_a_pace_the_replay_runs_by_itself() {
    // The task begins with the service, so the history is imported under a stage that waits, and the next start has a pace.
    let paced = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let switch = paced.clone();
    let mut stage = Stage::start(&[SERVICE], move |config| {
        let config = config.with("market_data.reference_symbol", "MKT");
        match switch.load(std::sync::atomic::Ordering::SeqCst) {
            true => config.with("market_data.replay.days_per_second", 0.0),
            false => config,
        }
    })
    .await;
    import(&stage).await;
    paced.store(true, std::sync::atomic::Ordering::SeqCst);
    stage.restart().await;
    let mut activity = stage.bus().activity();
    while stage.events::<SessionClosed>().await.len() < 4 {
        activity.changed().await.unwrap();
    }
    let days: Vec<Date> = stage.events::<SessionClosed>().await.into_iter().map(|event| event.date).collect();
    assert_eq!(days, DAYS[2..].iter().map(|day| day.parse().unwrap()).collect::<Vec<Date>>());
}

#[tokio::test]
async fn in_live_use_a_newly_imported_day_is_told_and_old_history_is_not() {
    let mut stage = Stage::start(&[SERVICE], |config| {
        config.with("market_data.reference_symbol", "MKT").with("clock.mode", "wall")
    })
    .await;
    import(&stage).await;
    // A start is when the feed looks for new days at once; otherwise it looks once a minute.
    stage.restart().await;
    while stage.db("market-data").fetch_optional("SELECT date FROM feed", moneta_kit::args![]).await.unwrap().is_none()
    {
        tokio::task::yield_now().await;
    }
    let later = stage.data_dir().join("files/MKT.csv");
    std::fs::write(&later, "date,close\n2020-01-08,91\n2999-01-02,92\n").unwrap();
    // Imports refuse days that are yet to come; an earlier version may have stored one, and the feed does not trust it.
    let options = Options { today: "2999-01-02".parse().unwrap(), ..Options::default() };
    import_files(&stage, &[later], options).await;
    stage.restart().await;
    let mut activity = stage.bus().activity();
    while stage.events::<SessionClosed>().await.is_empty() {
        activity.changed().await.unwrap();
    }
    let told: Vec<String> = stage.events::<BarClosed>().await.iter().map(|event| event.date.to_string()).collect();
    assert_eq!(told, ["2020-01-08"], "neither the first import nor a day that is not over");

    let call = stage.call_service("test");
    let refused =
        stage.directory().market_data().replay_advance(call.request(ReplayAdvanceRequest {})).await.unwrap_err();
    assert_eq!(Problem::from_status(&refused).code, "no_replay");
}

/// Never done with anything.
struct Stuck;

#[async_trait::async_trait]
impl Handler for Stuck {
    async fn handle(&self, _: &Envelope) -> Result<(), HandlerError> {
        Err(HandlerError::unavailable("for ever"))
    }
}

const STUCK: ServiceDef = ServiceDef {
    name: "stuck",
    needs: &[],
    migrations: &[],
    build: |_| {
        Box::pin(async {
            let (group, types) = ("stuck", &["*"] as &[_]);
            Ok(Service::new().subscribe(Subscription { group, types, handler: Arc::new(Stuck) }))
        })
    },
};

#[tokio::test]
async fn in_live_use_neither_a_poisoned_bar_nor_a_parked_event_stops_the_days() {
    let mut stage = Stage::start(&[SERVICE, STUCK], |config| {
        config.with("market_data.reference_symbol", "MKT").with("clock.mode", "wall")
    })
    .await;
    import(&stage).await;
    stage.restart().await;
    while stage.db("market-data").fetch_optional("SELECT date FROM feed", args![]).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    // A thousandfold leap that an earlier version took: imported as genuine, and no longer known as such.
    let files = ["MKT", "AAA"].map(|symbol| stage.data_dir().join(format!("files/{symbol}.csv")));
    std::fs::write(&files[0], "date,close\n2020-01-08,91\n2020-01-09,92\n").unwrap();
    std::fs::write(&files[1], "date,close\n2020-01-08,9000\n2020-01-09,9\n").unwrap();
    let leap = |day: &str| ("AAA".parse().unwrap(), day.parse().unwrap());
    let allow_jumps = [leap("2020-01-08"), leap("2020-01-09")].into();
    import_files(&stage, &files, Options { allow_jumps, ..Options::default() }).await;
    let mut tx = stage.db("market-data").begin().await.unwrap();
    tx.execute("DELETE FROM allowed_jumps", args![]).await.unwrap();
    tx.commit().await.unwrap();
    stage.restart().await;
    let mut activity = stage.bus().activity();
    while stage.events::<SessionClosed>().await.len() < 2 {
        activity.changed().await.unwrap();
    }
    let told: Vec<(String, Vec<String>)> = (stage.events::<BarClosed>().await.iter())
        .map(|day| (day.date.to_string(), day.bars.iter().map(|bar| bar.symbol.to_string()).collect()))
        .collect();
    let without = |day: &str| (day.to_owned(), vec!["MKT".to_owned()]);
    assert_eq!(told, [without("2020-01-08"), without("2020-01-09")], "the instrument is left out, and not the day");
    let held = quarantine::list(stage.db("market-data")).await.unwrap();
    assert_eq!((held.len(), held[0].unit.clone()), (1, Unit::new("instrument", "AAA")), "{held:?}");
    let stuck = stage.bus().backlog().await.unwrap().groups.into_iter().find(|group| group.group == "stuck").unwrap();
    assert!(stuck.parked > 0, "it was parked all the time: {stuck:?}");
    stage.stop().await;
}

#[tokio::test]
async fn a_price_has_an_age_and_goes_stale() {
    let stage = stage().await;
    advance(&stage).await;
    let latest = async |symbols: &[&str]| {
        let call = investor(&stage);
        let symbols = symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
        stage.directory().market_data().latest_prices(call.request(LatestPricesRequest { symbols })).await
    };
    let price = latest(&["AAA"]).await.unwrap().into_inner().prices.remove(0);
    assert_eq!(price.price.unwrap().value, "10.2");
    assert_eq!((price.date.as_str(), price.previous_close.as_str()), ("2020-01-02", "10.1"));
    assert_eq!((price.age_seconds, price.stale, price.average_daily_volume), (0, false, 0));

    stage.clock().advance_to("2020-01-03T20:00:00Z".parse().unwrap());
    let price = latest(&["AAA"]).await.unwrap().into_inner().prices.remove(0);
    assert_eq!((price.date.as_str(), price.age_seconds, price.stale), ("2020-01-02", 23 * 3600, false));

    stage.clock().advance_to("2020-01-12T00:00:00Z".parse().unwrap());
    let all = latest(&[]).await.unwrap().into_inner().prices;
    assert_eq!(all.iter().map(|price| price.symbol.as_str()).collect::<Vec<_>>(), ["AAA", "MKT", "NEW"]);
    assert!(all.iter().all(|price| price.stale));
}

#[tokio::test]
async fn bad_requests_are_answered_with_field_value_and_what_is_allowed() {
    let stage = stage().await;
    let call = investor(&stage);
    let mut client = stage.directory().market_data();
    let problem = |status: tonic::Status| Problem::from_status(&status);

    let unknown =
        client.latest_prices(call.request(LatestPricesRequest { symbols: vec!["ZZZ".into()] })).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert!(unknown.message().contains("ZZZ"), "{unknown}");

    let not_yet =
        client.latest_prices(call.request(LatestPricesRequest { symbols: vec!["NEW".into()] })).await.unwrap_err();
    assert_eq!(problem(not_yet).code, "no_price");

    let lower =
        client.latest_prices(call.request(LatestPricesRequest { symbols: vec!["aaa".into()] })).await.unwrap_err();
    assert_eq!(lower.code(), Code::InvalidArgument);
    let field = problem(lower).fields.remove(0);
    assert_eq!((field.field.as_str(), field.value.as_str()), ("symbols", "aaa"));

    for (from, to, wrong) in [("yesterday", "", "from"), ("", "2020-13-01", "to"), ("2020-01-03", "2020-01-02", "from")]
    {
        let request = HistoryRequest { from: from.into(), to: to.into(), ..HistoryRequest::default() };
        let error = client.history(call.request(request)).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{from} {to}");
        assert_eq!(problem(error).fields[0].field, wrong);
    }
}

#[tokio::test]
async fn only_a_service_moves_the_replay_and_nobody_unknown_reads() {
    let stage = stage().await;
    let mut client = stage.directory().market_data();
    let call = investor(&stage);
    let refused = client.replay_advance(call.request(ReplayAdvanceRequest {})).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let anonymous = client.list_instruments(ListInstrumentsRequest::default()).await.unwrap_err();
    assert_eq!(anonymous.code(), Code::Unauthenticated);
    assert_eq!(stage.envelopes().await.len(), 0);
}

#[tokio::test]
async fn references_are_listed_but_not_tradable() {
    let stage = stage().await;
    let call = investor(&stage);
    let list = async |tradable_only| -> Vec<String> {
        let request = call.request(ListInstrumentsRequest { tradable_only });
        let listed = stage.directory().market_data().list_instruments(request).await.unwrap().into_inner();
        listed.instruments.into_iter().map(|instrument| instrument.symbol).collect()
    };
    assert_eq!(list(false).await, ["AAA", "MKT", "NEW"]);
    assert_eq!(list(true).await, ["AAA", "NEW"]);
}

#[tokio::test]
async fn settings_that_make_no_sense_stop_the_start() {
    for (key, value) in [("fall_threshold", "0"), ("fall_threshold", "0.9"), ("reference_symbol", "no symbol")] {
        let key = format!("market_data.{key}");
        let started = Stage::builder(&[SERVICE]).config(move |config| config.with(&key, value)).try_start().await;
        assert!(started.is_err(), "{value}");
    }
    let started = Stage::builder(&[SERVICE])
        .config(|config| config.with("market_data.replay.days_per_second", -1.0))
        .try_start()
        .await;
    assert!(started.is_err());
}
