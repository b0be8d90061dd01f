//! What a person sees of the replay: a bar, the events that matter, and a summary at the end.
use super::accounts::INVESTORS;
use crate::{Result, output};
use indicatif::{ProgressBar, ProgressStyle};
use moneta_contracts::{
    advisor::ListRecommendationsRequest,
    compliance::VerifyAuditRequest,
    convert,
    events::{AlertRaised, Event as _, MarketMoved, RecommendationClosed, RecommendationIssued},
    market_data::ReplayStatusResponse,
    notification::ListNotificationsRequest,
    portfolio::{CheckLedgerRequest, ListPortfoliosRequest, PerformanceRequest},
    trading::ListOrdersRequest,
    user::ListInvestorsRequest,
};
use moneta_kit::{client::every_page, runner::Running};
use serde_json::{Value, json};

/// Events read at a time.
const BATCH: u32 = 500;

/// Follows the log and tells what matters.
pub struct Reporter {
    bar: ProgressBar,
    after: Option<u64>,
}

impl Reporter {
    /// A reporter that begins at the log's end.
    pub fn new(status: &ReplayStatusResponse, silent: bool) -> Self {
        let bar = if silent { ProgressBar::hidden() } else { ProgressBar::new(u64::from(status.days_total)) };
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} day {pos} of {len} ({per_sec})") {
            bar.set_style(style);
        }
        bar.set_position(u64::from(status.days_done));
        Self { bar, after: None }
    }

    /// One trading day is over.
    pub async fn tell(&mut self, running: &Running, date: &str) -> Result<()> {
        self.bar.inc(1);
        self.bar.set_message(date.to_owned());
        let mut after = match self.after {
            Some(after) => after,
            None => running.bus().backlog().await?.end.saturating_sub(u64::from(BATCH)),
        };
        loop {
            let batch = running.bus().read(after, BATCH).await?;
            let Some(last) = batch.last() else { break };
            after = last.sequence;
            for event in &batch {
                if let Some(line) = line(&event.envelope.event_type, &event.envelope.data) {
                    self.say(&format!("{} {line}", event.envelope.time.date()));
                }
            }
        }
        self.after = Some(after);
        Ok(())
    }

    fn say(&self, line: &str) {
        if self.bar.is_hidden() {
            println!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    /// The replay is over.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// One line for an event that matters to somebody who watches.
fn line(kind: &str, data: &Value) -> Option<String> {
    let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
    match kind {
        MarketMoved::TYPE => {
            let fall: f64 = text("fall").parse().unwrap_or(0.0);
            Some(format!(
                "market   {} fell {:.1} % ({})",
                text("reference_symbol"),
                fall * 100.0,
                text("kind").replace('_', " ")
            ))
        }
        RecommendationIssued::TYPE => Some(format!("advice   [{}] {}", text("autonomy"), text("summary"))),
        RecommendationClosed::TYPE if text("status") == "executed" => {
            Some("agent    every order of a recommendation came to its end".to_owned())
        }
        AlertRaised::TYPE => Some(format!("alert    {}", text("message"))),
        _ => None,
    }
}

/// Figures of each investor and of the books at the end.
pub async fn summary(running: &Running) -> Result<Value> {
    let call = running.call().deadline(std::time::Duration::from_secs(60));
    let directory = running.directory();
    let accounts = directory.user().list_investors(call.request(ListInvestorsRequest {})).await?.into_inner().accounts;
    let mut investors = Vec::new();
    for account in accounts.iter().filter(|account| INVESTORS.iter().any(|investor| investor.email == account.email)) {
        let owner_id = account.user_id.clone();
        let request = ListPortfoliosRequest { owner_id: owner_id.clone() };
        let portfolios = directory.portfolio().list_portfolios(call.request(request)).await?.into_inner().portfolios;
        for portfolio in portfolios {
            let id = portfolio.portfolio_id.clone();
            let request = PerformanceRequest { portfolio_id: id.clone(), ..PerformanceRequest::default() };
            let performance = directory.portfolio().performance(call.request(request)).await?.into_inner();
            let orders = every_page(|page| {
                let request = ListOrdersRequest { portfolio_id: id.clone(), page: Some(page), ..Default::default() };
                let (mut trading, request) = (directory.trading(), call.request(request));
                async move {
                    let found = trading.list_orders(request).await?.into_inner();
                    Ok((found.orders, found.next_cursor))
                }
            });
            let advice = every_page(|page| {
                let portfolio_id = id.clone();
                let request = ListRecommendationsRequest { portfolio_id, page: Some(page), ..Default::default() };
                let (mut advisor, request) = (directory.advisor(), call.request(request));
                async move {
                    let found = advisor.list_recommendations(request).await?.into_inner();
                    Ok((found.recommendations, found.next_cursor))
                }
            });
            let told = every_page(|page| {
                let user_id = owner_id.clone();
                let request = ListNotificationsRequest { user_id, page: Some(page), unread_only: false };
                let (mut notification, request) = (directory.notification(), call.request(request));
                async move {
                    let found = notification.list_notifications(request).await?.into_inner();
                    Ok((found.notifications, found.next_cursor))
                }
            });
            let (orders, advice, told) = (orders.await?, advice.await?, told.await?);
            investors.push(json!({
                "email": account.email, "user_id": owner_id, "portfolio_id": id,
                "value": convert::money("value", portfolio.value.clone())?,
                "time_weighted_return": performance.time_weighted_return,
                "max_drawdown": performance.max_drawdown,
                "orders": orders.len(), "filled": orders.iter().filter(|order| order.status == "filled").count(),
                "recommendations": advice.len(), "notifications": told.len(),
            }));
        }
    }
    let ledger = directory
        .portfolio()
        .check_ledger(call.request(CheckLedgerRequest { portfolio_id: String::new() }))
        .await?
        .into_inner();
    let audit = directory.compliance().verify_audit(call.request(VerifyAuditRequest {})).await?.into_inner();
    Ok(json!({
        "date": running.clock().today().to_string(),
        "investors": investors,
        "ledger": { "balanced": ledger.balanced, "transactions": ledger.transactions, "problems": ledger.problems },
        "audit": { "valid": audit.valid, "entries": audit.entries, "head": audit.head, "problem": audit.problem },
    }))
}

/// Prints the summary for a person.
pub fn print_summary(summary: &Value) {
    let percent = |value: &Value| {
        let fraction: f64 = value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0.0);
        format!("{:.1} %", fraction * 100.0)
    };
    let rows = summary["investors"].as_array().into_iter().flatten().map(|investor| {
        vec![
            investor["email"].as_str().unwrap_or_default().to_owned(),
            investor["value"]["amount"].as_str().unwrap_or_default().to_owned(),
            percent(&investor["time_weighted_return"]),
            percent(&investor["max_drawdown"]),
            investor["orders"].to_string(),
            investor["recommendations"].to_string(),
            investor["notifications"].to_string(),
        ]
    });
    println!(
        "{}",
        output::table(
            &["investor", "value", "return", "max. drawdown", "orders", "recommendations", "notifications"],
            rows
        )
    );
    println!(
        "ledger: {} transactions, balanced: {}; audit log: {} entries, verifies: {}",
        summary["ledger"]["transactions"],
        summary["ledger"]["balanced"],
        summary["audit"]["entries"],
        summary["audit"]["valid"]
    );
}
