//! The fall of February and March 2020.
use crate::chat::dollars;
use moneta_tests::{Stagehand, decimal, text};

/// The S&P 500 closed 5 % below its high for the first time on 25 February 2020 (3,128.21 after 3,386.15).
const LATEST: &str = "2020-03-06";

pub async fn the_fall_of_february_2020_reaches_investors_with_their_own_numbers(stage: &Stagehand) {
    let watcher = stage.user("balanced").await;
    let mut date = String::new();
    while date.as_str() < LATEST {
        date = stage.close_day().await;
        if watcher.list("/api/v1/notifications").await.iter().any(|item| item["topic"] == "market_fall") {
            break;
        }
    }
    let told_date = date.parse::<moneta_types::Date>().unwrap().format("%-d %B %Y").to_string();
    for name in ["cautious", "balanced", "adventurous"] {
        let api = stage.user(name).await;
        let all = api.list("/api/v1/notifications").await;
        let told: Vec<_> = all.iter().filter(|item| item["topic"] == "market_fall").collect();
        assert!(!told.is_empty(), "{name} was told of the fall by {date}: {all:?}");
        let portfolio = text(&api.portfolio().await, "portfolio_id");
        let performance = api.get(&format!("/api/v1/portfolios/{portfolio}/performance")).await.ok();
        let series = performance["series"].as_array().cloned().unwrap_or_default();
        let point =
            series.iter().find(|point| point["date"] == date.as_str()).expect("a value for the day of the fall");
        let own = dollars(decimal(&point["value"]));
        for notification in told {
            let words = format!("{} {}", text(notification, "title"), text(notification, "body"));
            assert!(words.contains(&own), "{name}'s own value {own} is told: {words}");
            assert!(words.contains("SP500") && words.contains(&told_date), "{words}");
            assert_eq!(notification["mandatory"], true, "{notification}");
        }
    }
    assert!(date.as_str() >= "2020-02-24", "the market had not fallen by {date}");
    // The agent looked at every portfolio again because of it.
    let audit = stage.user("compliance").await.list("/api/v1/audit?event_type=advisor.decision_made.v1").await;
    assert!(!audit.is_empty(), "decisions are in the audit log");
}
