//! E-mail over a real socket: what is sent, when it is tried again, and what is known of it afterwards.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Scene, denied, smtp::Smtp, trade, user};
use moneta_contracts::{
    events::{NotificationDelivered, NotificationFailed, SessionChanged},
    notification::SetPreferencesRequest,
};
use moneta_kit::identity::Role;
use tokio::sync::Semaphore;

#[tokio::test]
async fn a_notification_is_mailed_to_the_users_address_and_marked_as_delivered() {
    let mut smtp = Smtp::start().await;
    let scene = Scene::with_mail(&smtp).await;
    scene.publish(&trade("ada"), "fill").await;
    let mail = smtp.next().await;
    assert_eq!(mail.to, "ada@example.com");
    assert_eq!(mail.header("Subject"), Some("Bought 10 AAPL at $68.34"));
    assert!(mail.header("Message-ID").unwrap().ends_with("@moneta.example>"), "{:?}", mail.header("Message-ID"));
    assert!(mail.data.contains("You can choose what you are told"), "{}", mail.data);
    scene.emails_ended(1).await;
    let (status, detail, attempts) = scene.email("ada").await;
    assert_eq!((status.as_str(), attempts), ("delivered", 1), "{detail}");
    let told = scene.stage.events::<NotificationDelivered>().await;
    assert_eq!(told.iter().map(|event| event.channel.as_str()).collect::<Vec<_>>(), ["inbox", "email"]);
    assert!(smtp.is_empty());
}

#[tokio::test]
async fn a_server_that_says_later_is_tried_again_with_the_same_message_id() {
    let mut smtp = Smtp::start().await;
    smtp.answer(&["451 try later", "451 try later"]);
    let scene = Scene::with_mail(&smtp).await;
    scene.publish(&trade("ada"), "fill").await;
    let ids = [smtp.next().await, smtp.next().await, smtp.next().await]
        .map(|mail| mail.header("Message-ID").unwrap().to_owned());
    assert!(ids.iter().all(|id| *id == ids[0]));
    scene.emails_ended(1).await;
    assert_eq!(scene.email("ada").await.2, 3);
    assert_eq!(scene.email("ada").await.0, "delivered");
}

#[tokio::test]
async fn attempts_are_bounded_and_a_refusal_for_good_is_not_tried_again() {
    let mut smtp = Smtp::start().await;
    smtp.answer(&["451 try later", "451 try later", "451 try later", "554 no such mailbox ada@example.com"]);
    let scene = Scene::with_mail(&smtp).await;
    scene.publish(&trade("ada"), "fill").await;
    scene.emails_ended(1).await;
    let (status, detail, attempts) = scene.email("ada").await;
    assert_eq!((status.as_str(), attempts), ("failed", 3));
    assert!(detail.contains("given up after 3 attempts"), "{detail}");
    scene.publish(&trade("bob"), "fill of bob").await;
    scene.emails_ended(2).await;
    let (status, _, attempts) = scene.email("bob").await;
    assert_eq!((status.as_str(), attempts), ("failed", 1));
    let failed = scene.stage.events::<NotificationFailed>().await;
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|event| !event.reason.contains('@')), "events carry no addresses: {failed:?}");
    for _ in 0..4 {
        smtp.next().await;
    }
    assert!(smtp.is_empty());
}

#[tokio::test]
async fn a_crash_after_the_server_took_the_message_sends_it_again_under_the_same_id() {
    let mut smtp = Smtp::start().await;
    let mut scene = Scene::with_mail(&smtp).await;
    let permits = smtp.may_answer.clone();
    permits.forget_permits(Semaphore::MAX_PERMITS);
    scene.publish(&trade("ada"), "fill").await;
    let first = smtp.next().await;
    scene.stage.crash().await;
    permits.add_permits(100);
    let second = smtp.next().await;
    assert_eq!(first.header("Message-ID"), second.header("Message-ID"));
    scene.emails_ended(1).await;
    assert_eq!(scene.inbox("ada").await.len(), 1);
    assert_eq!(scene.email("ada").await.0, "delivered");
}

#[tokio::test]
async fn quiet_hours_defer_until_their_end_in_the_users_time_zone_and_mandatory_topics_do_not_wait() {
    let mut smtp = Smtp::start().await;
    let scene = Scene::with_mail(&smtp).await;
    let ada = scene.stage.call_user(user("ada"), &[Role::Investor]);
    // The stage stands at 21:05 UTC, which is 17:05 in New York.
    let quiet = SetPreferencesRequest {
        quiet_from: Some("17:00".to_owned()),
        quiet_to: Some("07:30".to_owned()),
        ..Default::default()
    };
    scene.stage.directory().notification().set_preferences(ada.request(quiet)).await.unwrap();
    scene.publish(&trade("ada"), "fill").await;
    assert_eq!(scene.email("ada").await.0, "deferred");
    let security = SessionChanged { user_id: user("ada"), change: "refresh_reused".to_owned() };
    scene.publish(&security, "reused").await;
    let mail = smtp.next().await;
    assert_eq!(mail.header("Subject"), Some("A session of yours was ended for safety"));
    scene.emails_ended(1).await;
    assert!(smtp.is_empty());
    scene.stage.clock().advance_to("2020-03-10T11:30:00Z".parse().unwrap());
    let mail = smtp.next().await;
    assert_eq!(mail.header("Subject"), Some("Bought 10 AAPL at $68.34"));
    scene.emails_ended(2).await;
}

#[tokio::test]
async fn nothing_from_outside_makes_a_header() {
    let mut smtp = Smtp::start().await;
    let scene = Scene::with_mail(&smtp).await;
    scene.publish(&denied("ada", "no\r\nBcc: eve@example.com\r\n\r\n.\r\nMAIL FROM:<eve@example.com>"), "denied").await;
    let mail = smtp.next().await;
    assert_eq!((mail.to.as_str(), mail.header("Bcc")), ("ada@example.com", None));
    assert_eq!(mail.header("Subject"), Some("Order to buy 10 AAPL not sent"));
    scene.emails_ended(1).await;
    assert!(smtp.is_empty());
}

#[tokio::test]
async fn a_user_without_an_address_and_one_who_is_unknown_get_no_mail_and_it_is_known_why() {
    let mut smtp = Smtp::start().await;
    let scene = Scene::with_mail(&smtp).await;
    scene.change(|world| world.accounts.get_mut(&user("ada").to_string()).unwrap().email.clear());
    scene.publish(&trade("ada"), "fill").await;
    scene.publish(&trade("carl"), "fill of carl").await;
    scene.emails_ended(2).await;
    assert_eq!(scene.email("ada").await.1, "the user has no e-mail address any more");
    assert_eq!(scene.email("carl").await.1, "the user does not exist");
    assert!(smtp.is_empty());
}
