//! Valuation, performance, attribution, drift and plans, from days that are played to the service.
use crate::support::{Scene, anna, answer, day, minor};
use moneta_contracts::{
    common,
    events::{PortfolioValued, SessionClosed, Side},
    portfolio as pb,
};
use moneta_kit::{identity::Role, problem::Kind};
use moneta_types::Cause;

async fn three_days() -> Scene {
    let scene = Scene::new().await;
    scene.deposit(1_000_000, "in").await.unwrap();
    scene.stage.publish(&scene.trade(0, Side::Buy, "50", "100"), Cause::named("purchase")).await;
    for (number, close) in [(0, "100"), (1, "110"), (4, "99")] {
        scene.bars(number, &[("AAPL", close), ("KO", "50")]).await;
        scene.close_session(number).await;
    }
    scene
}

#[tokio::test]
async fn every_portfolio_is_valued_once_a_day() {
    let scene = three_days().await;
    scene.stage.publish(&SessionClosed { date: day(4) }, Cause::named("again")).await;
    scene.stage.publish(&SessionClosed { date: day(1) }, Cause::named("late")).await;
    // A day that was never valued comes too late as well: its prices are gone.
    scene.stage.publish(&SessionClosed { date: day(3) }, Cause::named("too late")).await;
    scene.stage.quiet().await;
    let valued = scene.stage.events::<PortfolioValued>().await;
    let values: Vec<_> = valued.iter().map(|event| (event.date, event.value.minor_units())).collect();
    // 50 shares and 10,000 less 5,000 and 1 of commission in cash.
    assert_eq!(values, [(day(0), 999_900), (day(1), 1_049_900), (day(4), 994_900)]);
    assert_eq!(valued[2].drawdown.round_dp(6).to_string(), "0.052386");
}

#[tokio::test]
async fn performance_follows_the_days() {
    let scene = three_days().await;
    let found = scene.performance("", "").await.unwrap();
    assert_eq!(found.series.len(), 3);
    assert_eq!(minor(found.end_value), 994_900);
    assert_eq!(minor(found.net_flows), 1_000_000);
    assert_eq!(found.time_weighted_return, "-0.0051");
    assert_eq!(found.volatility, "");
    assert_eq!(found.time_weighted_annualised, "");
    assert_eq!(found.money_weighted_returns.len(), 1);
    let second = scene.performance(&day(1).to_string(), &day(1).to_string()).await.unwrap();
    assert_eq!(minor(second.start_value), 999_900);
    assert_eq!(second.time_weighted_return, "0.0500050005");
}

#[tokio::test]
async fn a_deposit_after_the_close_is_the_next_days_flow_and_earns_nothing() {
    let scene = three_days().await;
    scene.deposit(500_000, "more").await.unwrap();
    let found = scene.performance("", "").await.unwrap();
    assert_eq!(minor(found.end_value), 1_494_900);
    assert_eq!(found.time_weighted_return, "-0.0051");
    scene.bars(5, &[("AAPL", "99"), ("KO", "50")]).await;
    scene.close_session(5).await;
    let found = scene.performance("", "").await.unwrap();
    assert_eq!(found.time_weighted_return, "-0.0051");
    assert_eq!(found.series.len(), 4);
}

#[tokio::test]
async fn attribution_sums_exactly_to_the_change_of_value() {
    let scene = three_days().await;
    for (from, to) in [("", String::new()), ("2020-01-03", String::new()), ("2020-01-02", "2020-01-03".to_owned())] {
        let found = scene.attribution(from, &to).await;
        let effects: i64 = found.items.iter().map(|item| minor(item.price_effect.clone())).sum();
        assert_eq!(
            minor(found.start_value) + minor(found.net_flows) + effects + minor(found.costs.clone()),
            minor(found.end_value),
            "{from} {to}"
        );
    }
    let whole = scene.attribution("", "").await;
    assert_eq!(minor(whole.costs), -110);
    assert_eq!(minor(whole.items[0].price_effect.clone()), -5_000 + 10);
}

#[tokio::test]
async fn wrong_periods_are_named() {
    let scene = three_days().await;
    assert_eq!(scene.performance("2020-02-30", "").await.unwrap_err().fields[0].field, "from");
    assert_eq!(scene.performance("", "soon").await.unwrap_err().fields[0].field, "to");
    let problem = scene.performance("2020-02-02", "2020-02-01").await.unwrap_err();
    assert_eq!(problem.kind, Kind::InvalidArgument);
    let far = scene.performance("2030-01-01", "").await.unwrap();
    assert_eq!(far.time_weighted_return, "0");
}

#[tokio::test]
async fn a_portfolio_before_its_first_valuation_has_its_cash_as_value() {
    let scene = Scene::new().await;
    assert_eq!(minor(scene.performance("", "").await.unwrap().end_value), 0);
    scene.deposit(5_000, "in").await.unwrap();
    let found = scene.performance("", "").await.unwrap();
    assert_eq!(minor(found.end_value), 5_000);
    assert_eq!(found.time_weighted_return, "0");
    assert!(found.money_weighted_returns.is_empty());
}

fn weights(pairs: &[(&str, &str)]) -> Vec<common::Weight> {
    pairs
        .iter()
        .map(|(symbol, weight)| common::Weight { symbol: (*symbol).to_owned(), weight: (*weight).to_owned() })
        .collect()
}

async fn set_target(
    scene: &Scene,
    pairs: &[(&str, &str)],
) -> Result<pb::PortfolioView, moneta_kit::problem::ProblemView> {
    let call = scene.stage.call_user(anna(), &[Role::Investor]);
    let request = pb::SetTargetRequest {
        portfolio_id: scene.portfolio.clone(),
        target: weights(pairs),
        source: "test".to_owned(),
    };
    answer(scene.stage.directory().portfolio().set_target(call.request(request)).await)
}

async fn plan(
    scene: &Scene,
    request: pb::RebalancePlanRequest,
) -> Result<pb::RebalancePlanResponse, moneta_kit::problem::ProblemView> {
    let call = scene.stage.call_user(anna(), &[Role::Investor]);
    let request = pb::RebalancePlanRequest { portfolio_id: scene.portfolio.clone(), ..request };
    answer(scene.stage.directory().portfolio().rebalance_plan(call.request(request)).await)
}

#[tokio::test]
async fn drift_and_plan_need_a_target_and_follow_it() {
    let scene = three_days().await;
    let problem = plan(&scene, pb::RebalancePlanRequest::default()).await.unwrap_err();
    assert_eq!(problem.code, "target_missing");
    let problem = set_target(&scene, &[("AAPL", "0.5")]).await.unwrap_err();
    assert_eq!(problem.fields[0].field, "target");
    // What is not traded here can never be reached.
    let problem = set_target(&scene, &[("CASH", "0.5"), ("NOPE", "0.5")]).await.unwrap_err();
    assert_eq!(problem.fields[0].field, "target[1].symbol");
    let view = set_target(&scene, &[("AAPL", "0.3"), ("KO", "0.5"), ("CASH", "0.2")]).await.unwrap();
    assert_eq!(view.target.len(), 3);
    let again = set_target(&scene, &[("AAPL", "0.3"), ("KO", "0.5"), ("CASH", "0.2")]).await.unwrap();
    assert_eq!(again.version, view.version);
    let call = scene.stage.call_user(anna(), &[Role::Investor]);
    let request = pb::DriftRequest { portfolio_id: scene.portfolio.clone() };
    let drift = answer(scene.stage.directory().portfolio().drift(call.request(request)).await).unwrap();
    assert_eq!(drift.drift, "0.5");
    assert!(drift.beyond_band);
    let found = plan(&scene, pb::RebalancePlanRequest::default()).await.unwrap();
    let sides: Vec<_> = found.trades.iter().map(|trade| (trade.symbol.as_str(), trade.side.as_str())).collect();
    assert_eq!(sides, [("AAPL", "sell"), ("KO", "buy")]);
    assert!(found.drift_after.parse::<f64>().unwrap() < 0.018, "{}", found.drift_after);
    let request = pb::RebalancePlanRequest { max_turnover: "0.1".to_owned(), ..pb::RebalancePlanRequest::default() };
    let limited = plan(&scene, request).await.unwrap();
    assert!(limited.turnover.parse::<f64>().unwrap() <= 0.1, "{}", limited.turnover);
    for (request, field) in [
        (pb::RebalancePlanRequest { band: "2".to_owned(), ..Default::default() }, "band"),
        (pb::RebalancePlanRequest { destination: "0.5".to_owned(), ..Default::default() }, "destination"),
        (pb::RebalancePlanRequest { max_turnover: "-1".to_owned(), ..Default::default() }, "max_turnover"),
    ] {
        assert_eq!(plan(&scene, request).await.unwrap_err().fields[0].field, field);
    }
    let unpriced = pb::RebalancePlanRequest { target: weights(&[("XOM", "1")]), ..Default::default() };
    assert_eq!(plan(&scene, unpriced).await.unwrap_err().code, "price_missing");
}

#[tokio::test]
async fn a_holding_without_a_close_of_the_day_is_marked_stale() {
    let scene = three_days().await;
    assert!(!scene.view().await.prices_stale);
    scene.bars(5, &[("KO", "50")]).await;
    assert!(scene.view().await.prices_stale);
}
