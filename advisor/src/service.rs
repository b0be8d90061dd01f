//! The gRPC face: parses, checks ownership, and hands over.
use crate::{
    Advisor, Error,
    cycle::{self, Cycle, Results, Trigger},
    mandate::Mandate,
    recommendation::{self, DECLINED, REASON, Recommendation, Status},
    store::{Slice, StoredDecision},
};
use moneta_contracts::{
    advisor::{self as pb, advisor_server::Advisor as Contract},
    common,
    portfolio::{GetPortfolioRequest, PortfolioView},
};
use moneta_kit::{
    client::Call,
    identity::{self, Identity, caller},
    problem::{Problem, one_of, parse, parse_opt_date, required},
};
use moneta_types::{Cause, ClientText, Currency, PortfolioId, RecommendationId, Timestamp, UserId};
use std::{pin::Pin, sync::Arc};
use tonic::{Request, Response, Status as GrpcStatus};

/// Most items of one page.
const MOST: u32 = 200;

/// Serves the adviser's contract.
#[derive(Debug)]
pub struct Face {
    advisor: Arc<Advisor>,
}

impl Face {
    /// The face of an adviser.
    pub const fn new(advisor: Arc<Advisor>) -> Self {
        Self { advisor }
    }

    /// The portfolio, if the caller may see it; the portfolio service knows whose it is.
    async fn portfolio<T>(&self, request: &Request<T>, id: PortfolioId) -> Result<PortfolioView, Error> {
        let call = Call::forward(request);
        let message = GetPortfolioRequest { portfolio_id: id.to_string() };
        Ok(self.advisor.ctx.directory.portfolio().get_portfolio(call.request(message)).await?.into_inner())
    }

    async fn recommendation<T>(&self, request: &Request<T>, id: &str) -> Result<Recommendation, Error> {
        let id: RecommendationId = parse("recommendation_id", id)?;
        let found = self.advisor.store.recommendation(id).await?;
        let item = found.ok_or_else(|| Problem::not_found("recommendation", id))?;
        caller(request)?.may_see(item.owner_id, "recommendation", id)?;
        Ok(item)
    }

    async fn message(&self, item: &Recommendation) -> Result<pb::Recommendation, Error> {
        self.shown(item, &self.advisor.record_of(item).await?)
    }

    /// A recommendation as its owner and staff see it: why he declined it is opened.
    fn shown(&self, item: &Recommendation, record: &cycle::DecisionRecord) -> Result<pb::Recommendation, Error> {
        let mut shown = item.message(record);
        shown.status_reason = self.advisor.ctx.keys.open_text(item.owner_id, REASON, &shown.status_reason)?;
        Ok(shown)
    }

    async fn decision<T>(&self, request: &Request<T>, id: &str) -> Result<StoredDecision, Error> {
        let id = parse("decision_id", id)?;
        let stored = self.advisor.store.decision(id).await?.ok_or_else(|| Problem::not_found("decision", id))?;
        caller(request)?.may_see(stored.record.inputs.snapshot.owner_id, "decision", id)?;
        Ok(stored)
    }
}

#[tonic::async_trait]
impl Contract for Face {
    async fn list_recommendations(
        &self,
        request: Request<pb::ListRecommendationsRequest>,
    ) -> Result<Response<pb::ListRecommendationsResponse>, GrpcStatus> {
        let message = request.get_ref();
        let status = match message.status.as_str() {
            "" => None,
            name => {
                one_of("status", name, &Status::NAMES)?;
                Status::from_name(name)
            }
        };
        let (portfolio, owner) =
            scope(&request, &message.portfolio_id, &message.owner_id, |id| self.portfolio(&request, id)).await?;
        let slice = slice(message.page.as_ref())?;
        let items = self.advisor.store.recommendations(portfolio, owner, status, slice.clone()).await?;
        let next_cursor = cursor(&items, slice.limit, |item| (item.issued, item.id.to_string()));
        let decisions = self.advisor.store.decisions_of(&items).await?;
        let recommendations = items
            .iter()
            .filter_map(|item| decisions.get(&item.decision_id).map(|decision| self.shown(item, &decision.record)))
            .collect::<Result<_, Error>>()?;
        Ok(Response::new(pb::ListRecommendationsResponse { recommendations, next_cursor }))
    }

    async fn get_recommendation(
        &self,
        request: Request<pb::GetRecommendationRequest>,
    ) -> Result<Response<pb::Recommendation>, GrpcStatus> {
        let item = self.recommendation(&request, &request.get_ref().recommendation_id).await?;
        Ok(Response::new(self.message(&item).await?))
    }

    async fn request_advice(
        &self,
        request: Request<pb::RequestAdviceRequest>,
    ) -> Result<Response<pb::Recommendation>, GrpcStatus> {
        let id: PortfolioId = parse("portfolio_id", &request.get_ref().portfolio_id)?;
        let portfolio = self.portfolio(&request, id).await?;
        let cause = identity::cause(&request).part("request_advice");
        let outcome = self.advisor.run_cycle(&Cycle { portfolio, trigger: Trigger::Request, cause }).await?;
        match outcome.recommendation {
            Some(item) => Ok(Response::new(self.shown(&item, &outcome.decision.record)?)),
            None => Ok(Response::new(without_trades(&outcome.decision))),
        }
    }

    async fn approve(&self, request: Request<pb::ApproveRequest>) -> Result<Response<pb::Recommendation>, GrpcStatus> {
        let message = request.get_ref();
        let item = self.recommendation(&request, &message.recommendation_id).await?;
        caller(&request)?.may_change(item.owner_id, "recommendation", item.id)?;
        if message.proposal_digest.is_empty() {
            return Err(Problem::invalid("proposal_digest", "", "the digest of the proposal that is approved").into());
        }
        let cause = Cause::new(item.id.uuid()).part("approve");
        let item = self.advisor.approve(item, &message.proposal_digest, cause).await?;
        Ok(Response::new(self.message(&item).await?))
    }

    async fn decline(&self, request: Request<pb::DeclineRequest>) -> Result<Response<pb::Recommendation>, GrpcStatus> {
        let message = request.get_ref();
        let mut item = self.recommendation(&request, &message.recommendation_id).await?;
        caller(&request)?.may_change(item.owner_id, "recommendation", item.id)?;
        let words: String = message.reason.chars().take(500).collect();
        let reason = match words.as_str() {
            "" => DECLINED.to_owned(),
            words => self.advisor.ctx.keys.seal_text(item.owner_id, REASON, words).map_err(Error::from)?,
        };
        self.advisor.decline(&mut item, &reason).await?;
        Ok(Response::new(self.message(&item).await?))
    }

    async fn check_approval(
        &self,
        request: Request<pb::CheckApprovalRequest>,
    ) -> Result<Response<pb::CheckApprovalResponse>, GrpcStatus> {
        if !caller(&request)?.is_service() {
            return Err(Problem::denied("service_only", "only the trading service asks for approvals").into());
        }
        Ok(Response::new(self.advisor.check_approval(request.get_ref()).await?))
    }

    async fn get_decision(
        &self,
        request: Request<pb::GetDecisionRequest>,
    ) -> Result<Response<pb::Decision>, GrpcStatus> {
        let stored = self.decision(&request, &request.get_ref().decision_id).await?;
        let all = sees_what_was_withheld(caller(&request)?);
        Ok(Response::new(decision_message(stored, all)?))
    }

    async fn list_decisions(
        &self,
        request: Request<pb::ListDecisionsRequest>,
    ) -> Result<Response<pb::ListDecisionsResponse>, GrpcStatus> {
        let message = request.get_ref();
        let (portfolio, owner) = scope(&request, &message.portfolio_id, "", |id| self.portfolio(&request, id)).await?;
        let slice = slice(message.page.as_ref())?;
        let days = (parse_opt_date("from", &message.from)?, parse_opt_date("to", &message.to)?);
        let items = self.advisor.store.decisions(portfolio, owner, days, slice.clone()).await?;
        let next_cursor = cursor(&items, slice.limit, |item| (item.record.at, item.record.decision_id.to_string()));
        let all = sees_what_was_withheld(caller(&request)?);
        let decisions = items.into_iter().map(|item| decision_message(item, all)).collect::<Result<_, _>>()?;
        Ok(Response::new(pb::ListDecisionsResponse { decisions, next_cursor }))
    }

    async fn replay_decision(
        &self,
        request: Request<pb::ReplayDecisionRequest>,
    ) -> Result<Response<pb::ReplayDecisionResponse>, GrpcStatus> {
        let stored = self.decision(&request, &request.get_ref().decision_id).await?;
        let mut replay = cycle::replay(&self.advisor, &stored).await?;
        let identical = replay.identical();
        if stored.record.results.is_withheld() && !sees_what_was_withheld(caller(&request)?) {
            replay.differences.clear();
        }
        Ok(Response::new(pb::ReplayDecisionResponse {
            identical,
            digest: replay.digest,
            replayed_digest: replay.replayed_digest,
            differences: replay.differences,
        }))
    }

    async fn get_mandate(&self, request: Request<pb::GetMandateRequest>) -> Result<Response<pb::Mandate>, GrpcStatus> {
        let id: PortfolioId = parse("portfolio_id", &request.get_ref().portfolio_id)?;
        let portfolio = self.portfolio(&request, id).await?;
        let (owner, currency) = owner_and_currency(&portfolio)?;
        Ok(Response::new(self.advisor.mandate_of(id, owner, currency).await?.into()))
    }

    async fn set_mandate(&self, request: Request<pb::SetMandateRequest>) -> Result<Response<pb::Mandate>, GrpcStatus> {
        let expected = request.get_ref().expected_version;
        let message = required("mandate", request.get_ref().mandate.clone())?;
        let id: PortfolioId = parse("mandate.portfolio_id", &message.portfolio_id)?;
        let portfolio = self.portfolio(&request, id).await?;
        let (owner, currency) = owner_and_currency(&portfolio)?;
        let identity = caller(&request)?;
        let present = self.advisor.mandate_of(id, owner, currency).await?;
        let mut mandate = if identity.may_change(owner, "portfolio", id).is_ok() {
            Mandate::from_request(message, owner, currency)?
        } else if message.paused && identity.is_staff() {
            // An adviser or compliance officer holds the leash too: they may stop the agent, and change nothing else.
            // Why is read by the client, so it is one of the closed list; what only staff may know belongs to a hold.
            let told = match message.pause_reason.as_str() {
                "" => ClientText::ContactUs,
                code => parse("mandate.pause_reason", code)?,
            };
            Mandate { paused: true, pause_reason: told.to_string(), ..present.clone() }
        } else {
            identity.may_change(owner, "portfolio", id)?;
            present.clone()
        };
        mandate.version = expected.saturating_add(1);
        mandate.updated = present.updated;
        if mandate == present {
            // The answer to the same request was lost on its way.
            return Ok(Response::new(present.into()));
        }
        if present.version != expected {
            return Err(Problem::conflict(
                "mandate_changed",
                format!("expected_version is {expected}, the mandate is at version {}", present.version),
            )
            .into());
        }
        if mandate.gives_more_than(&present) {
            let password = &request.get_ref().password;
            self.advisor.may_raise(&mandate, password, identity::cause(&request)).await?;
        }
        mandate.updated = self.advisor.ctx.clock.now();
        self.advisor.put_mandate(&mandate, identity::cause(&request)).await?;
        Ok(Response::new(mandate.into()))
    }

    async fn create_conversation(
        &self,
        request: Request<pb::CreateConversationRequest>,
    ) -> Result<Response<pb::Conversation>, GrpcStatus> {
        let user = chatting_user(&request)?;
        let cause = identity::cause(&request);
        let conversation = self.advisor.create_conversation(user, &request.get_ref().title, cause).await?;
        Ok(Response::new(conversation))
    }

    async fn list_conversations(
        &self,
        request: Request<pb::ListConversationsRequest>,
    ) -> Result<Response<pb::ListConversationsResponse>, GrpcStatus> {
        let user = chatting_user(&request)?;
        let slice = slice(request.get_ref().page.as_ref())?;
        let conversations = self.advisor.conversations(user, &slice).await?;
        let next_cursor = cursor(&conversations, slice.limit, |item| {
            (Timestamp::from_micros(item.created_micros), item.conversation_id.clone())
        });
        Ok(Response::new(pb::ListConversationsResponse { conversations, next_cursor }))
    }

    async fn list_messages(
        &self,
        request: Request<pb::ListMessagesRequest>,
    ) -> Result<Response<pb::ListMessagesResponse>, GrpcStatus> {
        let user = chatting_user(&request)?;
        let message = request.get_ref();
        let id = parse("conversation_id", &message.conversation_id)?;
        let (messages, next_cursor) = self.advisor.messages(user, id, message.page.as_ref()).await?;
        Ok(Response::new(pb::ListMessagesResponse { messages, next_cursor }))
    }

    async fn send_message(
        &self,
        request: Request<pb::SendMessageRequest>,
    ) -> Result<Response<pb::Message>, GrpcStatus> {
        let user = chatting_user(&request)?;
        let cause = identity::cause(&request);
        Ok(Response::new(self.advisor.turn(user, request.get_ref(), cause).await?))
    }

    type StreamMessageStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<pb::MessagePart, GrpcStatus>> + Send + 'static>>;

    async fn stream_message(
        &self,
        request: Request<pb::SendMessageRequest>,
    ) -> Result<Response<Self::StreamMessageStream>, GrpcStatus> {
        let user = chatting_user(&request)?;
        let cause = identity::cause(&request);
        let message = self.advisor.turn(user, request.get_ref(), cause).await?;
        let parts = crate::chat::parts(message);
        Ok(Response::new(Box::pin(tokio_stream::iter(parts.into_iter().map(Ok)))))
    }

    async fn list_models(
        &self,
        request: Request<pb::ListModelsRequest>,
    ) -> Result<Response<pb::ListModelsResponse>, GrpcStatus> {
        caller(&request)?;
        let server = self.advisor.models.server();
        let models = server
            .models()
            .into_iter()
            .map(|status| {
                let aliases = server.aliases(&status.model);
                let alias = aliases.iter().find(|(_, version)| **version == status.version);
                pb::ServedModel {
                    alias: alias.map(|(name, _)| name.clone()).unwrap_or_default(),
                    name: status.model,
                    version: status.version,
                    digest: status.digest,
                    backend: status.platform,
                    state: format!("{:?}", status.state).to_lowercase(),
                }
            })
            .collect();
        Ok(Response::new(pb::ListModelsResponse { models }))
    }
}

/// Whose lists a request may see: a portfolio's when it names one that the caller may see, else the caller's own; staff
/// and services may name an owner or see all.
async fn scope<T, F>(
    request: &Request<T>,
    portfolio: &str,
    owner: &str,
    look_up: impl FnOnce(PortfolioId) -> F,
) -> Result<(Option<PortfolioId>, Option<UserId>), Error>
where
    F: Future<Output = Result<PortfolioView, Error>>,
{
    let identity = caller(request)?;
    if !portfolio.is_empty() {
        let id = parse("portfolio_id", portfolio)?;
        look_up(id).await?;
        return Ok((Some(id), None));
    }
    if !owner.is_empty() {
        let owner = parse("owner_id", owner)?;
        identity.may_see(owner, "user", owner)?;
        return Ok((None, Some(owner)));
    }
    // A service that acts for a user sees what the user sees.
    match identity.user_id() {
        Some(user) if !identity.is_staff() => Ok((None, Some(user))),
        _ => {
            identity.sees_clients();
            Ok((None, None))
        }
    }
}

fn chatting_user<T>(request: &Request<T>) -> Result<UserId, Problem> {
    caller(request)?
        .user_id()
        .ok_or_else(|| Problem::denied("users_only", "a conversation belongs to a user; sign in as one"))
}

fn owner_and_currency(portfolio: &PortfolioView) -> Result<(UserId, Currency), Problem> {
    Ok((parse("owner_id", &portfolio.owner_id)?, parse("currency", &portfolio.currency)?))
}

fn slice(page: Option<&common::Page>) -> Result<Slice, Problem> {
    let Some(page) = page else { return Ok(Slice::newest(50)) };
    let limit = if page.limit == 0 { 50 } else { page.limit };
    if limit > MOST {
        return Err(Problem::invalid("page.limit", page.limit, format!("1 to {MOST}")));
    }
    let after = match page.cursor.as_str() {
        "" => None,
        text => {
            let bad = || Problem::invalid("page.cursor", text, "the next_cursor of the previous page");
            let (micros, id) = text.split_once('_').ok_or_else(bad)?;
            Some((Timestamp::from_micros(micros.parse().map_err(|_| bad())?), id.to_owned()))
        }
    };
    Ok(Slice { limit, after })
}

fn cursor<T>(items: &[T], limit: u32, place: impl Fn(&T) -> (Timestamp, String)) -> String {
    match items.last() {
        Some(last) if items.len() >= limit as usize => {
            let (at, id) = place(last);
            format!("{}_{id}", at.micros())
        }
        _ => String::new(),
    }
}

/// What compliance withholds is shown to staff and to the platform's own services; a service that acts for a client sees what
/// the client sees.
fn sees_what_was_withheld(caller: &Identity) -> bool {
    caller.is_staff() || (caller.is_service() && caller.on_behalf_of.is_none())
}

fn decision_message(stored: StoredDecision, all: bool) -> Result<pb::Decision, Error> {
    let record = &stored.record;
    let text = if record.results.is_withheld() && !all { withheld_record(&record.results)? } else { stored.text };
    Ok(pb::Decision {
        decision_id: record.decision_id.to_string(),
        portfolio_id: record.inputs.snapshot.portfolio_id.to_string(),
        owner_id: record.inputs.snapshot.owner_id.to_string(),
        at_micros: record.at.micros(),
        date: record.inputs.snapshot.valued_on.to_string(),
        outcome: record.results.outcome.clone(),
        digest: stored.digest,
        recommendation_id: stored.recommendation.map(|id| id.to_string()).unwrap_or_default(),
        record: text,
    })
}

/// What takes a withheld record's place before a client.
fn withheld_record(results: &Results) -> Result<String, Error> {
    let shown = serde_json::json!({
        "results": {
            "outcome": results.outcome,
            "verdicts": cycle::withheld_verdicts(results),
            "explanation": cycle::withheld(results),
        },
    });
    Ok(serde_json::to_string(&shown)?)
}

/// Nothing to recommend, or nothing that may be: the decision in the form of a recommendation without trades. What was withheld
/// is told to nobody on this path, staff included; they read the decision itself.
fn without_trades(decision: &StoredDecision) -> pb::Recommendation {
    let record = &decision.record;
    let results = &record.results;
    let shown = pb::Recommendation {
        portfolio_id: record.inputs.snapshot.portfolio_id.to_string(),
        owner_id: record.inputs.snapshot.owner_id.to_string(),
        decision_id: record.decision_id.to_string(),
        status: results.outcome.clone(),
        autonomy: record.inputs.mandate.autonomy.clone(),
        issued_micros: record.at.micros(),
        ..pb::Recommendation::default()
    };
    if results.is_withheld() {
        return pb::Recommendation {
            summary: "No recommendation can be given at the moment".to_owned(),
            explanation: cycle::withheld(results),
            verdicts: cycle::withheld_verdicts(results).iter().map(recommendation::verdict_message).collect(),
            ..shown
        };
    }
    pb::Recommendation {
        summary: cycle::summary(&record.inputs, results, record.trigger),
        explanation: results.explanation.clone(),
        drift_before: results.drift_before.to_string(),
        volatility_before: results.volatility_before.to_string(),
        volatility_after: results.volatility_after.to_string(),
        expected_benefit: results.expected_benefit.to_string(),
        total_cost: Some(results.total_cost.into()),
        ..shown
    }
}
