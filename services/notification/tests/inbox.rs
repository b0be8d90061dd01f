//! What is told to whom, once, and what can be switched off.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Scene, code, day, denied, portfolio_of, trade, user, valued};
use moneta_contracts::{
    common::Page,
    events::{
        AlertRaised, KillSwitchChanged, MandateChanged, MarketMoved, NotificationDelivered, RecommendationIssued,
        SessionChanged, TradeExecuted, UserErased,
    },
    notification::{
        GetPreferencesRequest, ListNotificationsRequest, MarkReadRequest, PreviewTemplateRequest,
        SetPreferencesRequest, TopicPreference,
    },
};
use moneta_kit::identity::Role;
use moneta_types::{AlertId, Cause};

#[tokio::test]
async fn a_trade_is_told_to_its_owner_alone_and_without_a_mail_server_the_email_says_so() {
    let scene = Scene::start().await;
    scene.publish(&trade("ada"), "fill").await;
    let inbox = scene.inbox("ada").await;
    assert_eq!(inbox.len(), 1);
    assert_eq!((inbox[0].topic.as_str(), inbox[0].title.as_str()), ("trade_executed", "Bought 10 AAPL at $68.34"));
    let paid =
        "You paid $684.40: $683.40 for the units and $1.00 commission; the price includes about $0.02 of spread.";
    assert!(inbox[0].body.contains(paid), "{}", inbox[0].body);
    assert!(inbox[0].body.contains("on 31 December 1969, 19:00 EST."), "by her own clock: {}", inbox[0].body);
    let statuses: Vec<_> = inbox[0].deliveries.iter().map(|d| (d.channel.as_str(), d.status.as_str())).collect();
    assert_eq!(statuses, [("inbox", "delivered"), ("email", "suppressed")]);
    assert_eq!(inbox[0].deliveries[1].detail, "no SMTP server is configured");
    assert!(scene.inbox("bob").await.is_empty());
    assert_eq!(scene.stage.events::<NotificationDelivered>().await.len(), 1);
}

#[tokio::test]
async fn an_event_that_comes_again_is_told_once() {
    let mut scene = Scene::start().await;
    scene.publish(&trade("ada"), "fill").await;
    scene.publish(&trade("ada"), "fill").await;
    assert_eq!(scene.inbox("ada").await.len(), 1);
    // A bus that has lost its memory delivers what was done before, as after a crash between effect and acknowledgement.
    scene.stage.crash_and_redeliver().await;
    scene.publish(&trade("ada"), "fill").await;
    assert_eq!(scene.stage.events::<TradeExecuted>().await.len(), 1);
    assert_eq!(scene.inbox("ada").await.len(), 1);
    // The outbox may still hold the one announcement that the lost log had taken; there is never a second.
    assert!(scene.stage.events::<NotificationDelivered>().await.len() <= 1);
}

#[tokio::test]
async fn a_market_fall_reaches_those_who_are_invested_with_their_own_numbers() {
    for value_first in [false, true] {
        let scene = Scene::start().await;
        scene.change(|world| world.performance = Some((9_944_445, 9_512_345, 20_000)));
        let fall = MarketMoved {
            date: day("2020-03-09"),
            reference_symbol: "SPX".parse().unwrap(),
            kind: "one_day".to_owned(),
            fall: "0.076".parse().unwrap(),
            threshold: "0.05".parse().unwrap(),
            from_date: day("2020-03-06"),
            from_level: "2972.37".parse().unwrap(),
            to_level: "2746.56".parse().unwrap(),
        };
        if !value_first {
            scene.publish(&fall, "fall").await;
            assert!(scene.inbox("ada").await.is_empty(), "nothing is told before the portfolio is valued");
        }
        scene.publish(&valued("ada", "2020-03-09", 9_512_345, 12_345), "ada").await;
        scene.publish(&valued("bob", "2020-03-09", 5_000_000, 5_000_000), "bob").await;
        if value_first {
            scene.publish(&fall, "fall").await;
        }
        scene.publish(&valued("ada", "2020-03-10", 9_612_345, 12_345), "ada next day").await;
        let inbox = scene.inbox("ada").await;
        assert_eq!(inbox.len(), 1, "{inbox:?}");
        assert!(inbox[0].mandatory);
        assert_eq!(inbox[0].title, "The market fell by 7.6 %; your portfolio is worth $95,123.45");
        // 95,123.45 - 99,444.45 - 200.00 of deposits.
        assert!(inbox[0].body.contains("$4,521.00 (4.6 %) less than on 6 March 2020"), "{}", inbox[0].body);
        assert!(scene.inbox("bob").await.is_empty(), "who holds cash alone is not concerned");
    }
}

#[tokio::test]
async fn a_fall_of_the_portfolio_is_told_and_a_suspicion_never() {
    let scene = Scene::start().await;
    let alert = |rule: &str, message: &str| AlertRaised {
        alert_id: AlertId::from_uuid(Cause::named(rule).uuid()),
        rule_id: rule.to_owned(),
        user_id: Some(user("ada")),
        severity: "warning".to_owned(),
        message: message.to_owned(),
    };
    scene.publish(&alert("mlr_structuring", "deposits just below the threshold"), "a").await;
    scene.publish(&alert("order_refusals", "many refused orders"), "b").await;
    assert!(scene.inbox("ada").await.is_empty());
    scene.publish(&alert("portfolio_fall", "Your portfolio has fallen by 12.3 %."), "c").await;
    let inbox = scene.inbox("ada").await;
    assert_eq!((inbox.len(), inbox[0].topic.as_str(), inbox[0].mandatory), (1, "portfolio_fall_10", true));
    assert!(inbox[0].body.contains("12.3 %"));
}

#[tokio::test]
async fn recommendations_mandates_kill_switches_and_security_are_told() {
    let scene = Scene::start().await;
    let issued = RecommendationIssued {
        recommendation_id: Cause::named("r").uuid().to_string().parse().unwrap(),
        decision_id: Cause::named("d").uuid().to_string().parse().unwrap(),
        portfolio_id: portfolio_of("ada"),
        owner_id: user("ada"),
        autonomy: "approve".to_owned(),
        summary: "Sell 10 AAPL".to_owned(),
        trades: 1,
        proposal_digest: "00".repeat(32),
        expires: "2020-03-10T21:00:00Z".parse().unwrap(),
    };
    scene.publish(&issued, "issued").await;
    let mandate = MandateChanged {
        portfolio_id: portfolio_of("ada"),
        owner_id: user("ada"),
        version: 2,
        autonomy: "discretionary".to_owned(),
        paused: true,
    };
    scene.publish(&mandate, "mandate").await;
    let switch = KillSwitchChanged {
        scope: "all".to_owned(),
        target: String::new(),
        engaged: true,
        reason: "faulty prices".to_owned(),
        by: "officer".to_owned(),
    };
    scene.publish(&switch, "switch").await;
    let session = |change: &str| SessionChanged { user_id: user("ada"), change: change.to_owned() };
    scene.publish(&session("logged_in"), "in").await;
    scene.publish(&session("login_failed"), "failed once").await;
    scene.publish(&session("login_failed"), "failed twice").await;
    scene.publish(&session("refresh_reused"), "reused").await;
    scene.publish(&denied("ada", "not enough cash"), "denied").await;
    let told: Vec<_> = scene.inbox("ada").await.into_iter().map(|n| (n.topic, n.title)).collect();
    let expected = [
        ("order_not_executed", "Order to buy 10 AAPL not sent"),
        ("security", "A session of yours was ended for safety"),
        ("security", "A wrong password was entered for your account"),
        ("kill_switch", "All trading is stopped"),
        ("mandate_changed", "Your agent is paused"),
        ("recommendation_issued", "A recommendation waits for your approval"),
    ];
    assert_eq!(told, expected.map(|(topic, title)| (topic.to_owned(), title.to_owned())));
    assert_eq!(scene.inbox("bob").await.len(), 1, "the kill switch concerns everybody");
}

#[tokio::test]
async fn pages_reading_and_ownership() {
    let scene = Scene::start().await;
    for number in 0..5 {
        scene.publish(&trade("ada"), &format!("fill {number}")).await;
    }
    let page = |limit, cursor: &str| ListNotificationsRequest {
        page: Some(Page { limit, cursor: cursor.to_owned() }),
        ..Default::default()
    };
    let first = scene.list("ada", page(3, "")).await;
    assert_eq!((first.notifications.len(), first.unread), (3, 5));
    let second = scene.list("ada", page(3, &first.next_cursor)).await;
    assert_eq!((second.notifications.len(), second.next_cursor.as_str()), (2, ""));

    let id = first.notifications[0].notification_id.clone();
    let mut notification = scene.stage.directory().notification();
    let read = MarkReadRequest { notification_id: id.clone() };
    let bob = scene.stage.call_user(user("bob"), &[Role::Investor]);
    assert_eq!(code(notification.mark_read(bob.request(read.clone())).await), "not_found");
    let ada = scene.stage.call_user(user("ada"), &[Role::Investor]);
    for _ in 0..2 {
        assert!(notification.mark_read(ada.request(read.clone())).await.unwrap().into_inner().read);
    }
    let unread = ListNotificationsRequest { unread_only: true, ..Default::default() };
    let unread = scene.list("ada", unread).await;
    assert_eq!((unread.notifications.len(), unread.unread), (4, 4));
    let hers = ListNotificationsRequest { user_id: user("ada").to_string(), ..Default::default() };
    assert_eq!(code(notification.list_notifications(bob.request(hers)).await), "not_found");
    assert_eq!(code(notification.list_notifications(ada.request(page(201, ""))).await), "invalid_argument");
    assert_eq!(code(notification.list_notifications(ada.request(page(1, "x"))).await), "invalid_argument");
    let nonsense = MarkReadRequest { notification_id: "7".to_owned() };
    assert_eq!(code(notification.mark_read(ada.request(nonsense)).await), "invalid_argument");
}

fn switch(topic: &str, channel: &str, enabled: bool) -> SetPreferencesRequest {
    SetPreferencesRequest {
        topics: vec![TopicPreference {
            topic: topic.to_owned(),
            channel: channel.to_owned(),
            enabled,
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_topic_can_be_switched_off_a_mandatory_one_not() {
    let scene = Scene::start().await;
    let ada = scene.stage.call_user(user("ada"), &[Role::Investor]);
    let mut notification = scene.stage.directory().notification();
    let mut set = async |request| notification.set_preferences(ada.request(request)).await;
    let refused = set(switch("market_fall", "email", false)).await.unwrap_err();
    assert!(refused.message().contains("\"market_fall\" is mandatory"), "{}", refused.message());
    assert_eq!(code(Err::<(), _>(refused)), "mandatory_topic");
    assert_eq!(code(set(switch("weather", "email", false)).await), "invalid_argument");
    assert_eq!(code(set(switch("trade_executed", "fax", false)).await), "invalid_argument");
    let quiet = SetPreferencesRequest { quiet_from: Some("25:00".to_owned()), ..Default::default() };
    assert_eq!(code(set(quiet).await), "invalid_argument");
    set(switch("trade_executed", "inbox", false)).await.unwrap();
    set(switch("trade_executed", "email", false)).await.unwrap();
    scene.publish(&trade("ada"), "fill").await;
    scene.publish(&trade("bob"), "fill of bob").await;
    assert!(scene.inbox("ada").await.is_empty());
    assert_eq!(scene.inbox("bob").await.len(), 1);
    let mut notification = scene.stage.directory().notification();
    let now = notification.get_preferences(ada.request(GetPreferencesRequest::default())).await.unwrap().into_inner();
    assert_eq!(now.topics.len(), 18);
    assert_eq!(now.topics.iter().filter(|topic| !topic.enabled).count(), 2);
    assert!(now.topics.iter().all(|topic| !topic.mandatory || topic.enabled));
}

#[tokio::test]
async fn staff_preview_every_template_and_investors_do_not() {
    let scene = Scene::start().await;
    let mut notification = scene.stage.directory().notification();
    let staff = scene.stage.call_user(user("officer"), &[Role::Compliance]);
    let preview =
        |topic: &str, channel: &str| PreviewTemplateRequest { topic: topic.to_owned(), channel: channel.to_owned() };
    let shown =
        notification.preview_template(staff.request(preview("market_fall", "email"))).await.unwrap().into_inner();
    assert!(shown.body.contains("cannot be switched off"), "{}", shown.body);
    assert_eq!(
        code(notification.preview_template(staff.request(preview("weather", "email"))).await),
        "invalid_argument"
    );
    let ada = scene.stage.call_user(user("ada"), &[Role::Investor]);
    assert_eq!(
        code(notification.preview_template(ada.request(preview("market_fall", "email"))).await),
        "role_required"
    );
}

#[tokio::test]
async fn after_an_erasure_nothing_is_left_and_nothing_more_is_told() {
    let scene = Scene::start().await;
    scene.publish(&trade("ada"), "fill").await;
    scene.publish(&UserErased { user_id: user("ada") }, "erased").await;
    assert!(scene.inbox("ada").await.is_empty());
    scene.publish(&trade("ada"), "another fill").await;
    assert!(scene.inbox("ada").await.is_empty());
}

#[tokio::test]
async fn what_is_told_is_sealed_and_ends_with_the_users_key() {
    let scene = Scene::start().await;
    scene.publish(&trade("ada"), "fill").await;
    let told = scene.inbox("ada").await.remove(0);
    assert!(!told.title.is_empty() && !told.body.is_empty());
    for text in [told.title.as_str(), told.body.lines().next().unwrap()] {
        assert_eq!(scene.stage.files_with(text), Vec::<std::path::PathBuf>::new(), "{text}");
    }
    // His keys end before this service hears of it, and what happens meanwhile is told to nobody.
    let ring = moneta_kit::keys::KeyRing::load(scene.stage.data_dir(), None).unwrap();
    ring.destroy_user_keys(user("ada")).unwrap();
    scene.publish(&trade("ada"), "another fill").await;
    let left = scene.inbox("ada").await;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].title.as_str(), left[0].body.as_str()), ("", ""));
}
