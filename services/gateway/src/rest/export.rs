//! Everything that any service holds about the caller (UK GDPR articles 15 and 20), read with his own token: what is not his
//! cannot get in. What compliance has reported or suspects is in none of these lists, because the law forbids to tell
//! (POCA 2002 section 333A).
use crate::{
    App, Result,
    auth::Caller,
    view::{
        Conversation, Decision, Mandate, Message, Notification, NotificationPreferences, Order, Page, Portfolio,
        Recommendation, Show as _, Transaction,
    },
};
use moneta_contracts::{advisor, common, notification, portfolio, trading, user};
use moneta_kit::problem::Problem;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Items read at once.
const PAGE: u32 = 100;
/// Most items of one list; beyond that a person works through it, not a request.
const MOST: usize = 100_000;

/// The whole copy. A service that does not answer fails it: half a copy would pass for a whole one.
pub(super) async fn everything(app: &App, caller: &Caller) -> Result<Value> {
    let call = &caller.call.clone().deadline(app.work_deadline());
    let directory = app.directory();
    let own = user::ExportDataRequest { user_id: caller.user.to_string() };
    let own = directory.user().export_data(call.request(own)).await?.into_inner().json;
    let Ok(Value::Object(mut copy)) = serde_json::from_str::<Value>(&own) else {
        return Err(Problem::unavailable("export_unreadable", "the account's own copy cannot be read").into());
    };

    let request = portfolio::ListPortfoliosRequest { owner_id: caller.user.to_string() };
    let found = directory.portfolio().list_portfolios(call.request(request)).await?.into_inner();
    if !found.unreadable.is_empty() {
        let message =
            "a portfolio cannot be read at the moment, and a copy without it would not be whole; we are told of it";
        return Err(Problem::unavailable("portfolio_unreadable", message).into());
    }
    let found = found.portfolios;
    let mut portfolios = Vec::with_capacity(found.len());
    for one in found {
        let portfolio_id = one.portfolio_id.clone();
        let transactions = pages(|page| {
            let portfolio_id = portfolio_id.clone();
            async move {
                let request = portfolio::TransactionsRequest { portfolio_id, page };
                let found = directory.portfolio().transactions(call.request(request)).await?.into_inner();
                Ok(Page::<Transaction>::of(found.transactions, found.next_cursor))
            }
        });
        let transactions = transactions.await?;
        let orders = pages(|page| {
            let portfolio_id = portfolio_id.clone();
            async move {
                let request = trading::ListOrdersRequest { portfolio_id, status: String::new(), page };
                let found = directory.trading().list_orders(call.request(request)).await?.into_inner();
                Ok(Page::<Order>::of(found.orders, found.next_cursor))
            }
        });
        let orders = orders.await?;
        let decisions = pages(|page| {
            let portfolio_id = portfolio_id.clone();
            async move {
                let request = advisor::ListDecisionsRequest { portfolio_id, page, ..Default::default() };
                let found = directory.advisor().list_decisions(call.request(request)).await?.into_inner();
                Ok(Page::<Decision>::of(found.decisions, found.next_cursor))
            }
        });
        let decisions = decisions.await?;
        let request = advisor::GetMandateRequest { portfolio_id };
        let mandate = directory.advisor().get_mandate(call.request(request)).await?.into_inner();
        portfolios.push(json!({
            "portfolio": Portfolio::show(one),
            "mandate": Mandate::show(mandate),
            "transactions": transactions,
            "orders": orders,
            "decisions": decisions,
        }));
    }
    copy.insert("portfolios".to_owned(), Value::Array(portfolios));

    let recommendations = pages(|page| {
        // Named, because without a name staff see everybody's.
        let owner_id = caller.user.to_string();
        async move {
            let request = advisor::ListRecommendationsRequest { owner_id, page, ..Default::default() };
            let found = directory.advisor().list_recommendations(call.request(request)).await?.into_inner();
            Ok(Page::<Recommendation>::of(found.recommendations, found.next_cursor))
        }
    });
    copy.insert("recommendations".to_owned(), Value::Array(recommendations.await?));
    copy.insert("conversations".to_owned(), Value::Array(conversations(app, caller).await?));

    let notifications = pages(|page| async move {
        let request = notification::ListNotificationsRequest { user_id: String::new(), page, unread_only: false };
        let found = directory.notification().list_notifications(call.request(request)).await?.into_inner();
        Ok(Page::<Notification>::of(found.notifications, found.next_cursor))
    });
    copy.insert("notifications".to_owned(), Value::Array(notifications.await?));
    let request = notification::GetPreferencesRequest { user_id: String::new() };
    let preferences = directory.notification().get_preferences(call.request(request)).await?.into_inner();
    insert(&mut copy, "notification_preferences", &NotificationPreferences::show(preferences))?;
    Ok(Value::Object(copy))
}

async fn conversations(app: &App, caller: &Caller) -> Result<Vec<Value>> {
    let call = &caller.call.clone().deadline(app.work_deadline());
    let directory = app.directory();
    let found = pages(|page| async move {
        let request = advisor::ListConversationsRequest { page };
        let found = directory.advisor().list_conversations(call.request(request)).await?.into_inner();
        Ok(Page::<Conversation>::of(found.conversations, found.next_cursor))
    });
    let mut all = found.await?;
    for one in &mut all {
        let conversation_id = one["conversation_id"].as_str().unwrap_or_default().to_owned();
        let messages = pages(|page| {
            let conversation_id = conversation_id.clone();
            async move {
                let request = advisor::ListMessagesRequest { conversation_id, page };
                let found = directory.advisor().list_messages(call.request(request)).await?.into_inner();
                Ok(Page::<Message>::of(found.messages, found.next_cursor))
            }
        });
        one["messages"] = Value::Array(messages.await?);
    }
    Ok(all)
}

/// Every item of a list, page by page.
async fn pages<T, F>(page: impl Fn(Option<common::Page>) -> F) -> Result<Vec<Value>>
where
    T: Serialize,
    F: Future<Output = Result<Page<T>>>,
{
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let found = page(Some(common::Page { limit: PAGE, cursor })).await?;
        for item in &found.items {
            all.push(serde_json::to_value(item).map_err(Problem::internal)?);
        }
        cursor = match found.next_cursor {
            Some(next) if all.len() < MOST => next,
            Some(_) => {
                let message = "there is more than one answer can hold: ask us for the copy";
                return Err(Problem::precondition("export_too_large", message).into());
            }
            None => return Ok(all),
        };
    }
}

fn insert(copy: &mut Map<String, Value>, name: &str, value: &impl Serialize) -> Result<()> {
    copy.insert(name.to_owned(), serde_json::to_value(value).map_err(Problem::internal)?);
    Ok(())
}
