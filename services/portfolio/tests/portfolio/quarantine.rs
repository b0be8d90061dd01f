//! A portfolio whose own state makes its work fail leaves every other one's day as it would have been, and comes back.
use crate::support::{Scene, anna, day};
use moneta_contracts::{
    events::{PortfolioValued, QuarantineChanged, Side},
    portfolio::ListPortfoliosRequest,
};
use moneta_kit::{
    args, entropy,
    identity::Role,
    quarantine::{self, Request, Unit},
};
use moneta_types::Cause;
use std::time::Duration;

async fn set_cash(scene: &Scene, minor: i64) {
    let mut tx = scene.stage.db("portfolio").begin().await.unwrap();
    let sql = "UPDATE portfolios SET cash_minor = $1 WHERE portfolio_id = $2";
    tx.execute(sql, args![minor, scene.portfolio]).await.unwrap();
    tx.commit().await.unwrap();
}

/// Two portfolios of Anna's; the first holds 10 AAPL and is poisoned when `poisoned`. What is told of the second.
async fn a_day(poisoned: bool) -> (Scene, Vec<PortfolioValued>) {
    let mut scene = Scene::new().await;
    let second = scene.create("second").await.unwrap().portfolio_id;
    scene.deposit(1_000_000, "first").await.unwrap();
    let first = std::mem::replace(&mut scene.portfolio, second.clone());
    scene.deposit(500_000, "second").await.unwrap();
    scene.portfolio = first;
    scene.bars(1, &[("AAPL", "100")]).await;
    scene.stage.publish(&scene.trade(1, Side::Buy, "10", "100"), Cause::named("bought")).await;
    scene.stage.quiet().await;
    if poisoned {
        set_cash(&scene, i64::MAX).await;
    }
    scene.close_session(1).await;
    let valued = scene.stage.events::<PortfolioValued>().await;
    let of_second = valued.into_iter().filter(|valued| valued.portfolio_id.to_string() == second).collect();
    (scene, of_second)
}

/// Asks for something as an operator does, and waits until it is done.
pub async fn asked(scene: &Scene, request: Request, change: &str) {
    let unit = Unit::new("portfolio", &scene.portfolio);
    assert!(quarantine::request(scene.stage.db("portfolio"), &unit, &request, "olga").await.unwrap());
    let done = async {
        while !scene.stage.events::<QuarantineChanged>().await.iter().any(|event| event.change == change) {
            entropy::pause(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), done).await.unwrap();
}

#[tokio::test]
async fn a_portfolio_that_cannot_be_valued_is_set_aside_repaired_and_released_and_the_others_are_as_ever() {
    let (calm, expected) = a_day(false).await;
    let (scene, valued) = a_day(true).await;
    assert_eq!(valued, expected, "the other portfolio's day is the same");
    assert_eq!(valued.len(), 1);
    let db = scene.stage.db("portfolio");
    let held = quarantine::list(db).await.unwrap();
    assert_eq!((held.len(), held[0].unit.id.as_str(), held[0].missed), (1, scene.portfolio.as_str(), 1));
    assert!(held[0].error.contains("overflows"), "{held:?}");

    // No money moves, what happens meanwhile is kept, and reading it still gives an answer.
    assert_eq!(scene.deposit(1, "meanwhile").await.unwrap_err().code, "portfolio_quarantined");
    assert!(scene.view().await.quarantined);
    scene.bars(2, &[("AAPL", "110")]).await;
    scene.stage.publish(&scene.trade(2, Side::Sell, "5", "110"), Cause::named("sold")).await;
    scene.stage.quiet().await;
    scene.close_session(2).await;
    assert_eq!(quarantine::list(db).await.unwrap()[0].missed, 3);

    // As long as it is poisoned, a retry changes nothing, and it is not released.
    asked(&scene, Request::Retry, "retried").await;
    assert!(quarantine::request(db, &held[0].unit, &Request::Release, "olga").await.unwrap());
    assert_eq!(quarantine::list(db).await.unwrap()[0].missed, 3);

    set_cash(&scene, 899_900).await;
    asked(&scene, Request::Retry, "repaired").await;
    asked(&scene, Request::Release, "released").await;
    assert!(quarantine::list(db).await.unwrap().is_empty());
    let own: Vec<_> = scene
        .stage
        .events::<PortfolioValued>()
        .await
        .into_iter()
        .filter(|valued| valued.portfolio_id.to_string() == scene.portfolio)
        .map(|valued| (valued.date, valued.value.minor_units()))
        .collect();
    // 8,999 and 10 at 100; then 5 were sold at 110 less 1.00, and 5 are left at 110.
    assert_eq!(own, [(day(1), 999_900), (day(2), 1_009_800)]);
    scene.deposit(1, "after").await.unwrap();
    assert!(scene.check().await.balanced, "{:?}", scene.check().await.problems);
    let told = scene.stage.envelopes().await;
    let released = told.iter().rfind(|envelope| envelope.is::<QuarantineChanged>()).unwrap();
    assert_eq!(released.actor, "olga", "the audit log knows who released it");
    calm.stage.stop().await;
    scene.stage.stop().await;
}

#[tokio::test]
async fn a_day_that_can_never_be_valued_is_skipped_for_a_reason_and_valuation_goes_on_from_the_next() {
    let (scene, _) = a_day(true).await;
    let db = scene.stage.db("portfolio");
    let unit = Unit::new("portfolio", &scene.portfolio);
    scene.bars(2, &[("AAPL", "110")]).await;
    scene.close_session(2).await;
    // What was kept of the first day is lost for good, and the book is put right.
    let first = quarantine::missed(db, &unit).await.unwrap()[0].envelope.id.to_string();
    let mut tx = db.begin().await.unwrap();
    let sql = "UPDATE quarantine_missed SET detail = '{' WHERE event_id = $1";
    assert_eq!(tx.execute(sql, args![first]).await.unwrap(), 1);
    tx.commit().await.unwrap();
    set_cash(&scene, 899_900).await;
    scene.stage.ask("portfolio", &unit, &Request::Retry).await;
    scene.stage.ask("portfolio", &unit, &Request::Release).await;
    let held = quarantine::list(db).await.unwrap();
    assert_eq!(held.len(), 1, "it can neither be repaired nor released");
    assert!(held[0].error.contains("skipped first"), "{held:?}");

    let skip =
        |event_id: &str| Request::Skip { event_id: event_id.to_owned(), reason: "closes lost, case 7".to_owned() };
    scene.stage.ask("portfolio", &unit, &skip("0198f0c4-0000-7000-8000-000000000000")).await;
    assert_eq!(quarantine::missed(db, &unit).await.unwrap().len(), 2, "only what was missed is skipped");
    scene.stage.ask("portfolio", &unit, &skip(&first)).await;
    scene.stage.ask("portfolio", &unit, &Request::Retry).await;
    scene.stage.ask("portfolio", &unit, &Request::Release).await;
    assert!(quarantine::list(db).await.unwrap().is_empty(), "{:?}", quarantine::list(db).await);
    scene.close_session(3).await;

    let performance = scene.performance("", "").await.unwrap();
    let days: Vec<_> = performance.series.iter().map(|point| point.date.clone()).collect();
    assert!(!days.contains(&day(1).to_string()) && days.contains(&day(2).to_string()), "{days:?}");
    assert!(days.contains(&day(3).to_string()), "{days:?}");
    assert_eq!(performance.not_valued, [day(1).to_string()], "and it says so");
    let [skipped] = &quarantine::skipped(db, &unit).await.unwrap()[..] else { panic!("one event") };
    assert_eq!((skipped.reason.as_str(), skipped.by.as_str()), ("closes lost, case 7", "olga"));
    scene.stage.quiet().await;
    let told = scene.stage.envelopes().await;
    let told = told.iter().filter(|envelope| envelope.is::<QuarantineChanged>());
    let told = told.map(|envelope| (envelope.actor.clone(), envelope.decode::<QuarantineChanged>().unwrap()));
    let (actor, change) = told.into_iter().find(|(_, event)| event.change == "skipped").unwrap();
    assert!(actor == "olga" && change.reason.contains(&first) && change.reason.contains("case 7"), "{change:?}");
    scene.stage.stop().await;
}

#[tokio::test]
async fn a_deposit_beyond_the_bounds_is_refused_with_the_field_the_value_and_what_is_allowed() {
    let scene = Scene::new().await;
    let refused = scene.deposit(i64::MAX, "quadrillions").await.unwrap_err();
    assert_eq!(refused.code, "invalid_argument");
    let field = &refused.fields[0];
    assert_eq!((field.field.as_str(), field.value.as_str()), ("amount", "92233720368547758.07"));
    assert!(field.allowed.contains("at most 1,000,000,000.00"), "{field:?}");
    assert_eq!(scene.view().await.version, 1);
    scene.stage.stop().await;
}

#[tokio::test]
async fn a_portfolio_that_cannot_be_read_is_named_in_the_list_beside_the_others() {
    let mut scene = Scene::new().await;
    let second = scene.create("second").await.unwrap().portfolio_id;
    let first = std::mem::replace(&mut scene.portfolio, second.clone());
    let mut tx = scene.stage.db("portfolio").begin().await.unwrap();
    let sql = "UPDATE portfolios SET currency = 'none' WHERE portfolio_id = $1";
    tx.execute(sql, args![first]).await.unwrap();
    tx.commit().await.unwrap();
    let call = scene.stage.call_user(anna(), &[Role::Investor]);
    let request = call.request(ListPortfoliosRequest { owner_id: String::new() });
    let listed = scene.stage.directory().portfolio().list_portfolios(request).await.unwrap().into_inner();
    let ids: Vec<_> = listed.portfolios.into_iter().map(|view| view.portfolio_id).collect();
    assert_eq!((ids, listed.unreadable), (vec![second], vec![first]));
}
