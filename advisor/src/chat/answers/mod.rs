//! Answers: one function an intent. Each asks the services for its figures and names the call that each figure came from.
mod advice;
mod beyond;
mod explore;
mod orders;
mod plain;
mod portfolio;
mod settings;
mod talk;

use super::{ConversationId, care};
use crate::{Advisor, Error, Result};
use moneta_contracts::{
    advisor::{Action, Citation, Figure},
    portfolio::{GetPortfolioRequest, ListPortfoliosRequest, PortfolioView},
};
use moneta_kit::client::Call;
use moneta_models::nlu::{Embedding, Entities, EntityValue, Intent, extract};
use moneta_types::{AlertId, Cause, Date, UserId};
use serde::{Deserialize, Serialize};

/// What is said back.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub text: String,
    pub figures: Vec<Figure>,
    pub citations: Vec<Citation>,
    pub actions: Vec<Action>,
    /// out_of_scope, not_permitted or unavailable; empty when the question was answered.
    pub refusal: &'static str,
    /// An action that now waits for the user's word, with its token.
    pub pending: Option<(String, Pending)>,
    /// A waiting action that came to its end, with its state.
    pub ended: Option<(String, &'static str)>,
    /// The alert by which a person at the firm is asked to look.
    pub alert: Option<AlertId>,
}

impl Reply {
    pub fn say(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub fn refuse(refusal: &'static str, text: impl Into<String>) -> Self {
        Self { text: text.into(), refusal, ..Self::default() }
    }

    #[must_use]
    pub fn figure(mut self, name: &str, value: impl ToString, source: &str) -> Self {
        self.figures.push(Figure { name: name.to_owned(), value: value.to_string(), source: source.to_owned() });
        self
    }
}

/// Something that happens when the user says yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Pending {
    PlaceOrder {
        portfolio_id: String,
        symbol: String,
        side: String,
        nanos: i64,
        limit: Option<String>,
        currency: String,
        /// The price that the user was told, which trading compares with the market's.
        expected: String,
    },
    CancelOrder {
        order_id: String,
    },
    Approve {
        recommendation_id: String,
        proposal_digest: String,
    },
    Decline {
        recommendation_id: String,
    },
    PauseAgent {
        portfolio_id: String,
        paused: bool,
    },
    SetNotification {
        topic: String,
        channel: String,
        enabled: bool,
    },
}

/// One turn of a user.
pub struct Turn<'a> {
    pub advisor: &'a Advisor,
    pub user: UserId,
    pub conversation: ConversationId,
    pub text: &'a str,
    pub call: Call,
    pub cause: Cause,
    pub entities: Entities,
    pub today: Date,
}

impl<'a> Turn<'a> {
    pub async fn new(
        advisor: &'a Advisor,
        user: UserId,
        conversation: ConversationId,
        text: &'a str,
        call: Call,
        cause: Cause,
    ) -> Result<Self> {
        let today = advisor.ctx.clock.today();
        let catalogue = advisor.market().await?.catalogue();
        let entities = extract(text, &catalogue, today);
        Ok(Self { advisor, user, conversation, text, call, cause, entities, today })
    }

    /// The answer to what was understood; a neighbour that is down makes an honest refusal rather than an error.
    pub async fn answer(&self, intent: &Intent, embedding: &Embedding) -> Result<Reply> {
        let answered = self.dispatch(intent, embedding).await;
        match answered {
            Err(Error::Service(status))
                if matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded) =>
            {
                Ok(Reply::refuse(
                    "unavailable",
                    "I cannot look that up right now, because a part of Moneta does not answer. Please ask again in a moment.",
                ))
            }
            Err(Error::Service(status)) if is_users_matter(status.code()) => {
                Ok(Reply::refuse("not_permitted", format!("I cannot do that: {}.", status.message())))
            }
            Err(Error::Problem(problem)) if is_users_matter(problem.kind.into()) => {
                Ok(Reply::refuse("not_permitted", format!("I cannot do that: {}.", problem.message)))
            }
            Err(error @ (Error::TooLittleHistory { .. } | Error::NoView { .. })) => {
                Ok(Reply::refuse("insufficient_history", format!("I cannot compute that yet: {error}.")))
            }
            Err(Error::NotReady(reason)) => {
                Ok(Reply::refuse("unavailable", format!("I cannot compute that yet: {reason}.")))
            }
            other => other,
        }
    }

    /// A complaint or a call for a person: passed on, with its number.
    async fn passed_on(&self, label: &str, embedding: &Embedding) -> Result<Reply> {
        let number = care::alert(label, self.conversation, self.advisor.ctx.clock.now());
        let mut reply = care::passed_on(label, number, &self.advisor.contact()?);
        // A text beside it is a courtesy: what is passed on must not hang on the vector store.
        reply.citations = self.knowledge(embedding).await.map(|found| found.citations).unwrap_or_default();
        Ok(reply)
    }

    async fn dispatch(&self, intent: &Intent, embedding: &Embedding) -> Result<Reply> {
        if let Some(reply) = self.plain(&intent.label).await? {
            return Ok(reply);
        }
        match intent.label.as_str() {
            "portfolio_value" => self.portfolio_value().await,
            "holdings" => self.holdings().await,
            "allocation" => self.allocation().await,
            "drift" => self.drift().await,
            "portfolio_performance" => self.performance().await,
            "why_moved" => self.why_moved().await,
            "transactions_history" => self.transactions().await,
            "fees_and_costs" => self.costs(embedding).await,
            "risk_level" => self.risk_level().await,
            "market_price" => self.market_price().await,
            "forecast_outlook" => self.outlook().await,
            "what_if_sell" => self.what_if("sell").await,
            "what_if_buy" => self.what_if("buy").await,
            "place_buy_order" => self.place_order("buy").await,
            "place_sell_order" => self.place_order("sell").await,
            "cancel_order" => self.cancel_order().await,
            "order_status" => self.order_status().await,
            "explain_recommendation" => self.explain_recommendation().await,
            "explain_decision" => self.explain_decision().await,
            "approve_recommendation" => self.answer_recommendation(true).await,
            "decline_recommendation" => self.answer_recommendation(false).await,
            "pause_agent" => self.pause_agent(true).await,
            "resume_agent" => self.pause_agent(false).await,
            "notification_preferences" => self.notification_preferences().await,
            "change_risk_preference" => Ok(self.change_risk()),
            "deposit_cash" | "withdraw_cash" => self.cash_movement(embedding).await,
            "knowledge_question" => self.knowledge(embedding).await,
            label if care::wants_a_person(label) => self.passed_on(label, embedding).await,
            label @ ("greeting" | "thanks_goodbye" | "help_capabilities") => Ok(self.small_talk(label)),
            _ => self.out_of_scope(embedding).await,
        }
    }

    /// The portfolio that the user speaks of: the one whose name is in the text, else the first.
    pub async fn portfolio(&self) -> Result<Option<PortfolioView>> {
        let request = self.call.request(ListPortfoliosRequest { owner_id: self.user.to_string() });
        let listed = self.advisor.ctx.directory.portfolio().list_portfolios(request).await?.into_inner().portfolios;
        let text = self.text.to_lowercase();
        let named = listed.iter().find(|item| item.name.len() > 3 && text.contains(&item.name.to_lowercase()));
        let Some(chosen) = named.or_else(|| listed.first()) else { return Ok(None) };
        let request = self.call.request(GetPortfolioRequest { portfolio_id: chosen.portfolio_id.clone() });
        Ok(Some(self.advisor.ctx.directory.portfolio().get_portfolio(request).await?.into_inner()))
    }

    /// The period that the user speaks of; `default` days back to today where none is named.
    pub fn period(&self, default: u64) -> (Option<Date>, Date) {
        let found = self.entities.found.iter().find_map(|entity| match &entity.value {
            EntityValue::Period { from, to } => Some((*from, *to)),
            _ => None,
        });
        found.unwrap_or_else(|| (self.today.checked_sub_days(chrono::Days::new(default)), self.today))
    }

    /// What to ask back where the text can be read in more than one way.
    pub fn unclear(&self) -> Option<Reply> {
        let first = self.entities.unclear.first()?;
        Some(Reply::say(format!("I am not sure what you mean by \"{}\": {}.", first.text, first.reason)))
    }
}

pub fn no_portfolio() -> Reply {
    Reply::say("You have no portfolio yet. Open one first (POST /api/v1/portfolios); then I can tell you about it.")
}

pub(super) const fn is_users_matter(code: tonic::Code) -> bool {
    matches!(
        code,
        tonic::Code::FailedPrecondition
            | tonic::Code::InvalidArgument
            | tonic::Code::PermissionDenied
            | tonic::Code::NotFound
            | tonic::Code::AlreadyExists
            | tonic::Code::Aborted
            | tonic::Code::ResourceExhausted
    )
}
