//! Cash, executions and ownership: everything is booked once, and what is refused leaves no trace.
use crate::{
    quarantine::asked,
    support::{Committed, Held, Scene, anna, answer, ben, day, minor, usd},
};
use moneta_contracts::{
    common,
    events::{PortfolioUpdated, Side, TradeExecuted},
    portfolio as pb,
};
use moneta_kit::{
    identity::Role,
    problem::Kind,
    quarantine::{self, Request},
};
use moneta_types::{Cause, Currency, Money};
use proptest::prelude::*;

#[tokio::test]
async fn a_portfolio_is_opened_once_for_a_reference() {
    let scene = Scene::new().await;
    assert_eq!(scene.create("first").await.unwrap().portfolio_id, scene.portfolio);
    assert_ne!(scene.create("second").await.unwrap().portfolio_id, scene.portfolio);
    let call = scene.stage.call_user(anna(), &[Role::Investor]);
    let request = pb::CreatePortfolioRequest {
        owner_id: String::new(),
        name: "Other".to_owned(),
        currency: "USD".to_owned(),
        client_reference: "first".to_owned(),
    };
    let problem =
        answer(scene.stage.directory().portfolio().create_portfolio(call.request(request)).await).unwrap_err();
    assert_eq!((problem.kind, problem.code.as_str()), (Kind::AlreadyExists, "reference_reused"));
}

#[tokio::test]
async fn a_deposit_with_the_same_reference_is_booked_once() {
    let scene = Scene::new().await;
    let first = scene.deposit(10_000, "salary").await.unwrap();
    let again = scene.deposit(10_000, "salary").await.unwrap();
    assert_eq!(first.transaction_id, again.transaction_id);
    assert_eq!(minor(again.cash), 10_000);
    let problem = scene.deposit(10_001, "salary").await.unwrap_err();
    assert_eq!((problem.kind, problem.code.as_str()), (Kind::AlreadyExists, "reference_reused"));
    let problem = scene.withdraw(10_000, "salary").await.unwrap_err();
    assert_eq!(problem.code, "reference_reused");
    assert_eq!(minor(scene.view().await.cash), 10_000);
}

#[tokio::test]
async fn an_overdraft_is_refused_with_both_amounts() {
    let scene = Scene::new().await;
    scene.deposit(10_000, "in").await.unwrap();
    let problem = scene.withdraw(10_001, "out").await.unwrap_err();
    assert_eq!((problem.kind, problem.code.as_str()), (Kind::FailedPrecondition, "insufficient_cash"));
    assert_eq!(problem.fields[0].field, "amount");
    assert_eq!(problem.fields[0].allowed, "at most $100.00");
    scene.withdraw(10_000, "out").await.unwrap();
    assert_eq!(minor(scene.view().await.cash), 0);
}

#[tokio::test]
async fn a_withdrawal_leaves_what_orders_count_on() {
    let scene = Scene::new().await;
    scene.deposit(10_000, "in").await.unwrap();
    scene.commit(Committed::Minor(6_000));
    let problem = scene.withdraw(4_001, "too much").await.unwrap_err();
    assert_eq!((problem.kind, problem.code.as_str()), (Kind::FailedPrecondition, "cash_committed"));
    assert_eq!((problem.fields[0].field.as_str(), problem.fields[0].allowed.as_str()), ("amount", "at most $40.00"));
    scene.withdraw(4_000, "out").await.unwrap();
    let problem = scene.withdraw(10_000, "more than all").await.unwrap_err();
    assert_eq!(problem.code, "insufficient_cash");
    scene.commit(Committed::NoAnswer);
    let problem = scene.withdraw(1, "unasked").await.unwrap_err();
    assert_eq!((problem.kind, problem.code.as_str()), (Kind::Unavailable, "neighbour_unavailable"));
    scene.withdraw(4_000, "out").await.expect("what was booked is answered, whoever is down");
    let view = scene.view().await;
    assert_eq!((minor(view.cash), view.withdrawing), (6_000, None));
}

#[tokio::test]
async fn wrong_amounts_name_field_value_and_what_is_allowed() {
    let scene = Scene::new().await;
    let euro: common::Money = Money::from_minor(1, Currency::Eur).into();
    let send = |amount, reference: &'static str| scene.send_deposit(scene.movement(amount, reference), anna());
    let problem = send(Some(euro), "a").await.unwrap_err();
    assert_eq!(problem.code, "currency_not_held");
    assert_eq!(problem.fields[0].field, "amount.currency");
    for (amount, field) in [
        (None, "amount"),
        (usd(0), "amount"),
        (usd(-1), "amount"),
        (Some(common::Money { minor_units: 1, currency: "usd".to_owned() }), "amount.currency"),
    ] {
        let problem = send(amount, "b").await.unwrap_err();
        assert_eq!(problem.kind, Kind::InvalidArgument, "{problem:?}");
        assert_eq!(problem.fields[0].field, field);
    }
    let problem = send(usd(1), "").await.unwrap_err();
    assert_eq!(problem.fields[0].field, "client_reference");
    assert_eq!(scene.view().await.version, 1);
}

#[tokio::test]
async fn another_users_portfolio_does_not_exist() {
    let scene = Scene::new().await;
    assert_eq!(scene.view_as(ben(), &[Role::Investor]).await.unwrap_err().kind, Kind::NotFound);
    let problem = scene.send_deposit(scene.movement(usd(1), "gift"), ben()).await.unwrap_err();
    assert_eq!(problem.kind, Kind::NotFound);
    assert!(scene.view_as(ben(), &[Role::Adviser]).await.is_ok());
    let call = scene.stage.call_user(ben(), &[Role::Investor]);
    let listed = answer(
        scene.stage.directory().portfolio().list_portfolios(call.request(pb::ListPortfoliosRequest::default())).await,
    );
    assert!(listed.unwrap().portfolios.is_empty());
    let call = scene.stage.call_user(ben(), &[Role::Investor]);
    let request = pb::ListPortfoliosRequest { owner_id: "*".to_owned() };
    let problem = answer(scene.stage.directory().portfolio().list_portfolios(call.request(request)).await).unwrap_err();
    assert_eq!(problem.kind, Kind::PermissionDenied);
    let call = scene.stage.call_user(ben(), &[Role::Investor]);
    let request = pb::CheckLedgerRequest::default();
    let problem = answer(scene.stage.directory().portfolio().check_ledger(call.request(request)).await).unwrap_err();
    assert_eq!(problem.kind, Kind::PermissionDenied);
}

#[tokio::test]
async fn an_execution_is_booked_once_however_often_and_by_whatever_event_it_comes() {
    let scene = Scene::new().await;
    scene.deposit(1_000_000, "in").await.unwrap();
    let trade = scene.trade(1, Side::Buy, "10", "100");
    scene.stage.publish(&trade, Cause::named("first")).await;
    scene.stage.publish(&trade, Cause::named("first")).await;
    scene.stage.publish(&trade, Cause::named("another event of the same execution")).await;
    scene.stage.quiet().await;
    let view = scene.view().await;
    assert_eq!(minor(view.cash), 1_000_000 - 100_000 - 100);
    assert_eq!(view.holdings[0].quantity.unwrap().nanos, 10_000_000_000);
    assert_eq!(minor(view.holdings[0].cost_basis.clone()), 100_100);
    assert_eq!(view.holdings[0].lots.len(), 1);
    assert_eq!(scene.transactions(10, "").await.transactions.len(), 2);
    let updates = scene.stage.events::<PortfolioUpdated>().await;
    let trades: Vec<_> = updates.iter().filter(|update| update.change == "trade").collect();
    assert_eq!(trades.len(), 1);
    assert_eq!(trades[0].execution_id, Some(trade.execution_id));
    assert!(scene.check().await.balanced);
}

#[tokio::test]
async fn a_sale_before_its_purchase_sets_the_portfolio_aside_and_both_are_booked_when_it_is_retried() {
    let scene = Scene::new().await;
    scene.deposit(1_000_000, "in").await.unwrap();
    scene.stage.publish(&scene.trade(2, Side::Sell, "4", "110"), Cause::named("sale")).await;
    scene.stage.publish(&scene.trade(1, Side::Buy, "10", "100"), Cause::named("purchase")).await;
    scene.stage.quiet().await;
    assert!(scene.view().await.quarantined);
    let held = quarantine::list(scene.stage.db("portfolio")).await.unwrap();
    assert_eq!((held.len(), held[0].missed), (1, 2), "{held:?}");
    assert!(scene.stage.bus().dead_letters(Some("portfolio")).await.unwrap().is_empty());
    asked(&scene, Request::Retry, "repaired").await;
    asked(&scene, Request::Release, "released").await;
    scene.bars(3, &[("AAPL", "120")]).await;
    let view = scene.view().await;
    assert!(!view.quarantined);
    assert_eq!(view.holdings[0].quantity.unwrap().nanos, 6_000_000_000);
    assert_eq!(minor(view.cash), 1_000_000 - 100_100 + 44_000 - 100);
    assert!(scene.check().await.balanced);
}

#[tokio::test]
async fn transactions_come_in_pages_newest_first_with_postings_that_sum_to_zero() {
    let scene = Scene::new().await;
    for number in 1..=5 {
        scene.deposit(100 * number, &number.to_string()).await.unwrap();
    }
    let (mut cursor, mut amounts) = (String::new(), Vec::new());
    loop {
        let page = scene.transactions(2, &cursor).await;
        for transaction in &page.transactions {
            assert_eq!(transaction.postings.iter().map(|posting| minor(posting.amount.clone())).sum::<i64>(), 0);
        }
        amounts.extend(page.transactions.into_iter().map(|transaction| minor(transaction.amount)));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(amounts, [500, 400, 300, 200, 100]);
}

#[tokio::test]
async fn the_books_survive_a_crash_and_the_check_finds_a_changed_cent() {
    let mut scene = Scene::new().await;
    scene.deposit(1_000_000, "in").await.unwrap();
    scene.stage.publish(&scene.trade(1, Side::Buy, "10", "100"), Cause::named("purchase")).await;
    scene.stage.quiet().await;
    let before = scene.view().await;
    scene.stage.crash().await;
    scene.stage.quiet().await;
    assert_eq!(scene.view().await, before);
    assert!(scene.check().await.balanced);
    let mut tx = scene.stage.db("portfolio").begin().await.unwrap();
    let args = moneta_kit::args![];
    tx.execute("UPDATE postings SET amount_minor = amount_minor + 1 WHERE account = 'cash' AND line = 0", args)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let found = scene.check().await;
    assert!(!found.balanced);
    assert!(found.problems.iter().any(|problem| problem.contains("not to zero")), "{:?}", found.problems);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    /// Deposits, trades and redeliveries in any order: the stored ledger verifies, and cash and quantity are plain sums.
    #[test]
    fn redelivered_and_reordered_events_change_nothing(
        order in Just((0_usize..12).chain(0..12).collect::<Vec<_>>()).prop_shuffle(),
        sizes in prop::collection::vec((1_i64..50, 1_i64..900), 12),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let outcome: Result<(), TestCaseError> = runtime.block_on(async {
            let scene = Scene::new().await;
            scene.deposit(100_000_000, "in").await.unwrap();
            let trades: Vec<TradeExecuted> = sizes.iter().zip(0_u64..).map(|(&(units, price), number)| scene.trade(number, Side::Buy, &units.to_string(), &price.to_string())).collect();
            for index in order {
                scene.stage.publish(&trades[index], Cause::named(&format!("trade {index}"))).await;
            }
            scene.stage.quiet().await;
            let view = scene.view().await;
            let spent: i64 = sizes.iter().map(|(units, price)| units * price * 100 + 100).sum();
            let bought: i64 = sizes.iter().map(|(units, _)| units).sum();
            prop_assert_eq!(minor(view.cash), 100_000_000 - spent);
            prop_assert_eq!(view.holdings[0].quantity.unwrap().nanos, bought * 1_000_000_000);
            let opened: Vec<_> = view.holdings[0].lots.iter().map(|lot| lot.opened.clone()).collect();
            prop_assert_eq!(opened, (0..12).map(|number| day(number).to_string()).collect::<Vec<_>>());
            let check = scene.check().await;
            prop_assert!(check.balanced, "{:?}", check.problems);
            prop_assert_eq!(check.transactions, 13);
            scene.stage.stop().await;
            Ok(())
        });
        outcome?;
    }
}

#[tokio::test]
async fn a_held_client_moves_no_money_and_reads_words_of_the_list_alone() {
    let scene = Scene::new().await;
    scene.deposit(100_000_000, "in").await.unwrap();
    scene.hold(Held::Action("money_out"));
    let refused = scene.withdraw(100_000_000, "out").await.unwrap_err();
    assert_eq!((refused.kind, refused.code.as_str()), (Kind::FailedPrecondition, "held"));
    assert_eq!(refused.message, "we cannot do this at the moment; please contact us");
    scene.deposit(1, "more").await.unwrap();
    scene.hold(Held::Action("money_in"));
    assert_eq!(scene.deposit(1, "again").await.unwrap_err().code, "held");
    scene.hold(Held::Nothing);
    scene.withdraw(1, "out").await.unwrap();
}

#[tokio::test]
async fn without_an_answer_of_compliance_no_money_moves() {
    let scene = Scene::new().await;
    scene.deposit(100_000_000, "in").await.unwrap();
    scene.hold(Held::NoAnswer);
    let refused = scene.withdraw(100_000_000, "out").await.unwrap_err();
    assert_eq!((refused.kind, refused.code.as_str()), (Kind::Unavailable, "compliance_unavailable"));
    assert_eq!(minor(scene.view().await.cash), 100_000_000);
}
