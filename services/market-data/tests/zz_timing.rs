#![allow(clippy::unwrap_used)]
use moneta_contracts::market_data::*;
use moneta_contracts::events::MarketMoved;
use moneta_kit::testing::Stage;
use moneta_market_data::{SERVICE, import::{Importer, Options}};
use std::time::Instant;
#[tokio::test(flavor = "multi_thread")]
async fn timing() {
    let mut stage = Stage::start(&[SERVICE], |c| c).await;
    let importer = Importer::open(stage.db("market-data").clone(), &stage.data_dir().join("market-data")).unwrap();
    let t = Instant::now();
    let r = importer.import(&["/work/main/.moneta/market".into()], Options::default()).await.unwrap();
    eprintln!("import {:?} series {} instruments {} ignored {:?}", t.elapsed(), r.series.len(), r.instruments, r.ignored_columns);
    let t = Instant::now();
    importer.import(&["/work/main/.moneta/market".into()], Options::default()).await.unwrap();
    eprintln!("reimport {:?}", t.elapsed());
    let t = Instant::now(); stage.restart().await; eprintln!("restart {:?}", t.elapsed());
    let mut c = stage.directory().market_data();
    let call = stage.call_service("test");
    let t = Instant::now(); c.latest_prices(call.request(LatestPricesRequest { symbols: vec![] })).await.unwrap(); eprintln!("first latest {:?}", t.elapsed());
    let t = Instant::now(); for _ in 0..100 { c.latest_prices(call.request(LatestPricesRequest { symbols: vec![] })).await.unwrap(); } eprintln!("latest {:?}", t.elapsed()/100);
    let t = Instant::now(); for _ in 0..20 { c.history(call.request(HistoryRequest { last: 253, ..Default::default() })).await.unwrap(); } eprintln!("history253 {:?}", t.elapsed()/20);
    let t = Instant::now(); let mut n = 0;
    while c.replay_advance(call.request(ReplayAdvanceRequest {})).await.unwrap().into_inner().phase != "finished" { n += 1; }
    eprintln!("replay {n} phases {:?}", t.elapsed());
    for e in stage.events::<MarketMoved>().await { eprintln!("{} {} {} {} from {} {}", e.date, e.kind, e.threshold, e.fall, e.from_date, e.from_level); }
}
