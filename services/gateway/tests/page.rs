//! The page in a real Chromium, in front of test doubles: what a person sees and can do, on a desk and on a telephone.
#![allow(clippy::unwrap_used)]

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use std::{path::Path, process::Stdio};
use support::{Front, ONE_TIME};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

const BROWSER: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";

/// Waits in the page until an element holds a text; the driver gives up after its script timeout.
const UNTIL: &str = "const [css, text, done] = arguments;
    const look = () => [...document.querySelectorAll(css)].some((found) => found.textContent.includes(text))
        ? done(true) : setTimeout(look, 20);
    look();";

/// A browser and its driver, spoken to as the WebDriver standard says.
struct Browser {
    http: reqwest::Client,
    session: String,
    _driver: Child,
    _folder: TempDir,
}

impl Browser {
    async fn start(width: u32) -> Self {
        for path in [BROWSER, DRIVER] {
            assert!(Path::new(path).is_file(), "{path} is not there: apt-get install chromium chromium-driver");
        }
        let folder = tempfile::tempdir().unwrap();
        let mut driver = Command::new(DRIVER)
            .arg("--port=0")
            .env("HOME", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap().expect("the driver tells its port");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let options = json!({
            "binary": BROWSER,
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--no-first-run",
                format!("--user-data-dir={}", folder.path().join("profile").display()),
            ],
        });
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}, "timeouts": {"script": 60_000},
        }}});
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let base = format!("http://127.0.0.1:{port}/session");
        let made: Value = http.post(&base).json(&capabilities).send().await.unwrap().json().await.unwrap();
        let id = made["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {made}")).to_owned();
        let browser = Self { http, session: format!("{base}/{id}"), _driver: driver, _folder: folder };
        let screen = json!({"width": width, "height": 1200, "deviceScaleFactor": 1, "mobile": width < 600});
        let command = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": screen});
        browser.call(Method::POST, "/goog/cdp/execute", command).await;
        browser
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.http.request(method, format!("{}{path}", self.session)).json(&body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{path} {body}: {}", answer["value"]);
        answer["value"].clone()
    }

    async fn run(&self, script: &str, arguments: Value) -> Value {
        self.call(Method::POST, "/execute/sync", json!({"script": script, "args": arguments})).await
    }

    /// Waits until something with a test id holds a text.
    async fn shows(&self, id: &str, text: &str) {
        let css = format!("[data-testid='{id}']");
        self.call(Method::POST, "/execute/async", json!({"script": UNTIL, "args": [css, text]})).await;
    }

    async fn write(&self, id: &str, text: &str) {
        let script = "document.querySelector(`[data-testid='${arguments[0]}']`).value = arguments[1]";
        self.run(script, json!([id, text])).await;
    }

    async fn click(&self, id: &str) {
        self.run("document.querySelector(`[data-testid='${arguments[0]}']`).click()", json!([id])).await;
    }

    async fn sign_in(&self, front: &Front, password: &str) {
        self.call(Method::POST, "/url", json!({"url": format!("{}/", front.base)})).await;
        self.write("login-email", "anna@example.com").await;
        self.write("login-password", password).await;
        self.click("login-submit").await;
    }

    /// What the browser complains of: errors of scripts, and what the content security policy forbids.
    async fn complaints(&self) -> Vec<String> {
        let log = self.call(Method::POST, "/se/log", json!({"type": "browser"})).await;
        let severe = log.as_array().unwrap().iter().filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    async fn end(self) {
        self.call(Method::DELETE, "", json!({})).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_reads_approves_asks_confirms_and_signs_out() {
    let front = Front::start().await;
    let browser = Browser::start(1280).await;
    browser.sign_in(&front, "wrong").await;
    browser.shows("login-error", "wrong").await;
    assert_eq!(browser.complaints().await.len(), 1, "the refused login and nothing else");

    browser.sign_in(&front, "moneta-demo").await;
    browser.shows("stat-value", "$97,123.40").await;
    browser.shows("stat-cash", "$5,123.40").await;
    browser.shows("replay", "12 Mar 2020").await;
    browser.shows("order-row", "AAPL").await;
    browser.shows("order-status", "filled").await;
    browser.shows("holding-row", "JNJ").await;
    browser.shows("notification", "The market fell").await;
    browser.shows("recommendation", "bring the risk back").await;
    let lines = browser.run("return document.querySelectorAll('#value-chart path.line').length", json!([])).await;
    assert_eq!(lines, 2, "the value and what was paid in");
    browser.click("approve").await;
    browser.shows("recommendation-status", "approved").await;

    browser.write("chat-input", "buy 5 Apple").await;
    browser.click("chat-send").await;
    browser.shows("chat-confirm", "Yes").await;
    browser.click("chat-confirm").await;
    browser.shows("chat-message", "You said: yes").await;
    let script =
        "return [...document.querySelectorAll('[data-testid=chat-message]')].slice(-4).map((one) => one.dataset.role)";
    assert_eq!(browser.run(script, json!([])).await, json!(["user", "adviser", "user", "adviser"]));
    browser.shows("citation", "What volatility means").await;
    let source = browser.run("return document.querySelector('.sourced').title", json!([])).await;
    assert_eq!(source, "value: portfolio.GetPortfolio");

    browser.click("logout").await;
    let script = "const done = arguments[0]; const look = () => document.getElementById('screen').hidden ? done(true) : setTimeout(look, 20); look();";
    browser.call(Method::POST, "/execute/async", json!({"script": script, "args": []})).await;
    assert_eq!(browser.run("return sessionStorage.length", json!([])).await, 0);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_telephone_shows_everything_without_sideways_scrolling() {
    let front = Front::start().await;
    let browser = Browser::start(390).await;
    browser.sign_in(&front, "moneta-demo").await;
    browser.shows("stat-value", "$97,123.40").await;
    browser.shows("order-row", "AAPL").await;
    let width = browser.run("return document.documentElement.scrollWidth", json!([])).await;
    assert_eq!(width, 390);
    let script = "return ['approve', 'chat-send', 'logout'].map((id) => {
        const place = document.querySelector(`[data-testid='${id}']`).getBoundingClientRect();
        return place.left >= 0 && place.right <= 390 && place.height >= 24;
    })";
    assert_eq!(browser.run(script, json!([])).await, json!([true, true, true]));
    assert!(browser.complaints().await.is_empty());
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_gives_and_withdraws_a_consent_and_reads_of_a_hold_whom_to_turn_to() {
    let front = Front::with(|config| config.with("gateway.contact", "clients@moneta.example")).await;
    let browser = Browser::start(1280).await;
    browser.sign_in(&front, "moneta-demo").await;
    browser.shows("consent-state", "Not decided yet").await;
    browser.shows("contact", "clients@moneta.example").await;
    browser.click("consent-terms_of_service").await;
    browser.shows("consent-state", "Accepted, version 1, on 12 Mar 2020").await;
    browser.click("consent-terms_of_service").await;
    browser.shows("consent-state", "Withdrawn, version 1, on 12 Mar 2020").await;
    let named = browser.run("return document.activeElement.getAttribute('aria-label')", json!([])).await;
    assert_eq!(named, "Accept Terms of service", "the keyboard is where it was");
    assert!(browser.complaints().await.is_empty());

    let hidden = browser.run("return document.querySelector(\"[data-testid='hold']\").hidden", json!([])).await;
    assert_eq!(hidden, true, "nobody is told of a hold before it stops something");
    browser.click("decline").await;
    browser.shows("hold", "Your account is on hold: we cannot do this at the moment; please contact us.").await;
    browser.shows("hold", "Contact: clients@moneta.example.").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_a_password_of_somebody_elses_chooses_his_own_before_anything_else() {
    let front = Front::start().await;
    let browser = Browser::start(390).await;
    browser.sign_in(&front, ONE_TIME).await;
    browser.shows("password-why", "given out by somebody else").await;
    let hidden = browser.run("return document.getElementById('screen').hidden", json!([])).await;
    assert_eq!(hidden, true);
    browser.write("password-new", "seven tall lighthouses").await;
    browser.write("password-again", "seven small lighthouses").await;
    browser.click("password-submit").await;
    browser.shows("password-error", "not the same").await;
    browser.write("password-again", "seven tall lighthouses").await;
    browser.click("password-submit").await;
    browser.shows("stat-value", "$97,123.40").await;
    assert!(browser.complaints().await.is_empty());

    // Whoever wants to changes it later, too; a wrong one is told, and ends nothing.
    browser.click("change-password").await;
    browser.shows("password-why", "Every other session").await;
    browser.write("password-current", "wrong").await;
    browser.write("password-new", "seven tall lighthouses").await;
    browser.write("password-again", "seven tall lighthouses").await;
    browser.click("password-submit").await;
    browser.shows("password-error", "wrong").await;
    browser.click("password-leave").await;
    browser.shows("stat-value", "$97,123.40").await;
    let width = browser.run("return document.documentElement.scrollWidth", json!([])).await;
    assert_eq!(width, 390);
    browser.end().await;
}
