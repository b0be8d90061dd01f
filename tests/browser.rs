//! The web page in a real browser: an investor logs in, approves a recommendation, asks a question and sees orders fill.
#![allow(clippy::unwrap_used)]

use fantoccini::{Client, ClientBuilder, Locator, elements::Element};
use hyper_util::client::legacy::connect::HttpConnector;
use moneta_tests::{PASSWORD, Program, Shape, Stagehand, eventually, free_port, seeded};
use serde_json::json;
use std::{path::Path, process::Command, time::Duration};
use tempfile::TempDir;

const BROWSER: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with a profile of its own, and the driver that moves it.
struct Browser {
    client: Client,
    driver: Program,
    _folder: TempDir,
}

impl Browser {
    async fn start() -> Self {
        for (path, package) in [(BROWSER, "chromium"), (DRIVER, "chromium-driver")] {
            assert!(
                Path::new(path).is_file(),
                "{path} is not there: the browser test needs Debian's packages chromium and chromium-driver; install \
                 {package} with `apt-get install chromium chromium-driver`"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(DRIVER);
        command.arg(format!("--port={port}")).env("HOME", folder.path());
        let driver = Program::start(command, "chromedriver", folder.path());
        let profile = folder.path().join("profile");
        let capabilities = json!({
            "goog:chromeOptions": {
                "binary": BROWSER,
                "args": [
                    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
                    "--window-size=1400,1000", format!("--user-data-dir={}", profile.display()),
                ],
            },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let capabilities = capabilities.as_object().cloned().unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let mut last = String::new();
        let client = eventually("the browser starts", Duration::from_secs(90), async || {
            match ClientBuilder::new(HttpConnector::new()).capabilities(capabilities.clone()).connect(&url).await {
                Ok(client) => Some(client),
                Err(error) => {
                    let text = error.to_string();
                    if text != last {
                        eprintln!("  the browser does not start yet: {text}");
                        last = text;
                    }
                    None
                }
            }
        })
        .await;
        Self { client, driver, _folder: folder }
    }

    /// Waits until something with a test id is shown.
    async fn find(&self, id: &str) -> Element {
        let css = format!("[data-testid='{id}']");
        eventually(&format!("{id} is on the page"), PATIENCE, async || {
            let element = self.client.find(Locator::Css(&css)).await.ok()?;
            element.is_displayed().await.ok()?.then_some(element)
        })
        .await
    }

    /// Texts of everything that a selector finds now.
    async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.client.find_all(Locator::Css(css)).await.unwrap_or_default() {
            if let Ok(text) = element.text().await {
                texts.push(text);
            }
        }
        texts
    }

    /// Waits until one of the texts that a selector finds passes a check.
    async fn shows(&self, what: &str, css: &str, check: impl Fn(&str) -> bool) -> String {
        let mut seen = Vec::new();
        let found = async {
            eventually(what, PATIENCE, async || {
                seen = self.texts(css).await;
                seen.iter().find(|text| check(text)).cloned()
            })
            .await
        };
        found.await
    }

    async fn end(mut self) {
        let _ = self.client.close().await;
        self.driver.kill();
    }
}

/// A click that the page may be redrawing under.
async fn click(browser: &Browser, id: &str) {
    eventually(&format!("{id} can be clicked"), PATIENCE, async || {
        let element = browser.client.find(Locator::Css(&format!("[data-testid='{id}']"))).await.ok()?;
        element.click().await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_investor_logs_in_approves_asks_and_sees_orders_fill() {
    let stage = Stagehand::start(Shape::OneProcess, seeded("2020-01-02").await, "2020-01-31").await;
    let page = stage.page();
    let browser = Browser::start().await;
    browser.client.goto(&page).await.unwrap();

    // A wrong password keeps one out, and says so.
    browser.find("login-email").await.send_keys("balanced@example.com").await.unwrap();
    browser.find("login-password").await.send_keys("not-the-password").await.unwrap();
    click(&browser, "login-submit").await;
    assert!(browser.texts("[data-testid='stat-value']").await.iter().all(String::is_empty));
    let password = browser.find("login-password").await;
    password.clear().await.unwrap();
    password.send_keys(PASSWORD).await.unwrap();
    click(&browser, "login-submit").await;

    let api = stage.user("balanced").await;
    let value = api.portfolio().await["value"]["amount"].as_str().unwrap_or_default().to_owned();
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let whole = value.split('.').next().unwrap_or_default().to_owned();
    browser
        .shows("the portfolio's value is shown", "[data-testid='stat-value']", |text| digits(text).contains(&whole))
        .await;
    println!("the dashboard shows {value}");

    browser.find("recommendation").await;
    click(&browser, "approve").await;
    let status = browser
        .shows("the approval is shown", "[data-testid='recommendation-status']", |text| {
            ["approved", "executing", "executed"].iter().any(|word| text.to_lowercase().contains(word))
        })
        .await;
    println!("the recommendation is {status}");

    browser.find("chat-input").await.send_keys("What is my portfolio worth?").await.unwrap();
    click(&browser, "chat-send").await;
    let answer = browser
        .shows("the adviser answers with the value", "[data-testid='chat-message'][data-role='adviser']", |text| {
            digits(text).contains(&whole)
        })
        .await;
    println!("the adviser says: {}", answer.lines().next().unwrap_or_default());

    let made = api.list("/api/v1/orders").await;
    let order = made.iter().find(|order| order["origin"] == "recommendation").unwrap();
    let id = order["order_id"].as_str().unwrap_or_default().to_owned();
    let row = format!("[data-testid='order-row'][data-order='{id}'] [data-testid='order-status']");
    let shown = browser.shows("the order is shown", &row, |text| !text.is_empty()).await;
    println!("the order is {shown}");
    // An order that is filled in parts takes more than a day.
    for _ in 0..5 {
        stage.close_day().await;
        if api.get(&format!("/api/v1/orders/{id}")).await.ok()["status"] == "filled" {
            break;
        }
    }
    browser.shows("the order is shown as filled", &row, |text| text.eq_ignore_ascii_case("filled")).await;

    let script = "return performance.getEntriesByType('resource').map(entry => entry.name)";
    let fetched = browser.client.execute(script, Vec::new()).await.unwrap();
    let elsewhere: Vec<_> = fetched
        .as_array()
        .into_iter()
        .flatten()
        .filter(|url| !url.as_str().unwrap_or_default().starts_with(&page))
        .collect();
    assert!(elsewhere.is_empty(), "the page needs nothing from elsewhere: {elsewhere:?}");
    browser.end().await;
    stage.stop().await;
}
