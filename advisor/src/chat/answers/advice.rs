//! Recommendations and decisions by chat.
use super::{Pending, Reply, Turn, no_portfolio};
use crate::{
    Result,
    cycle::{self, percent},
    recommendation::{Recommendation, Status},
    store::Slice,
};
use moneta_kit::problem::{Problem, parse};

impl Turn<'_> {
    pub(super) async fn explain_recommendation(&self) -> Result<Reply> {
        let newest = self.advisor.store.decisions(None, Some(self.user), (None, None), Slice::newest(1)).await?;
        if let Some(decision) = newest.first().filter(|decision| decision.record.results.is_withheld()) {
            return Ok(Reply::say(cycle::withheld(&decision.record.results)).figure(
                "decision",
                decision.record.decision_id,
                "decision record",
            ));
        }
        let items = self.advisor.store.recommendations(None, Some(self.user), None, Slice::newest(1)).await?;
        let Some(item) = items.first() else {
            return Ok(Reply::say("There is no recommendation for you yet."));
        };
        let record = self.advisor.record_of(item).await?;
        let results = &record.results;
        let text = format!(
            "My latest recommendation is of {} and {}. {}\n\n{}",
            item.issued.date(),
            standing(item),
            item.summary,
            results.explanation
        );
        Ok(Reply::say(text)
            .figure("volatility before", percent(results.volatility_before), "decision record")
            .figure("volatility after", percent(results.volatility_after), "decision record")
            .figure("cost", results.total_cost, "decision record")
            .figure("decision", item.decision_id, "decision record"))
    }

    pub(super) async fn explain_decision(&self) -> Result<Reply> {
        let decisions = self.advisor.store.decisions(None, Some(self.user), (None, None), Slice::newest(1)).await?;
        let Some(decision) = decisions.first() else {
            return Ok(Reply::say("No decision has been made for your portfolio yet."));
        };
        let record = &decision.record;
        if record.results.is_withheld() {
            return Ok(Reply::say(cycle::withheld(&record.results)).figure(
                "decision",
                record.decision_id,
                "decision record",
            ));
        }
        let models: Vec<String> =
            record.inputs.models.iter().map(|model| format!("{} ({})", model.name, short(&model.digest))).collect();
        let text = format!(
            "My latest decision is of {} and ended in: {}. It was computed from your portfolio at version {}, your questionnaire at \
             version {}, the market of {} and the models {}. {}\n\nAnyone who may see it can compute it again and must get the same \
             bytes; its digest is {}.",
            record.at.date(),
            record.results.outcome.replace('_', " "),
            record.inputs.snapshot.version,
            record.inputs.profile.questionnaire,
            record.inputs.snapshot.valued_on,
            models.join(" and "),
            record.results.explanation,
            short(&decision.digest),
        );
        Ok(Reply::say(text).figure("decision", record.decision_id, "decision record").figure(
            "digest",
            &decision.digest,
            "decision record",
        ))
    }

    pub(super) async fn answer_recommendation(&self, approve: bool) -> Result<Reply> {
        let open =
            self.advisor.store.recommendations(None, Some(self.user), Some(Status::Open), Slice::newest(1)).await?;
        let Some(item) = open.first() else {
            return Ok(Reply::say("There is no open recommendation that you could answer."));
        };
        let id = item.id.to_string();
        if !approve {
            let summary = format!("decline the recommendation \"{}\"", item.summary);
            return Ok(self.ask(
                format!("Shall I {summary}? Answer yes or no."),
                Pending::Decline { recommendation_id: id },
                &summary,
            ));
        }
        let record = self.advisor.record_of(item).await?;
        let summary = format!("approve the recommendation \"{}\"", item.summary);
        let text = format!("{}\n\nShall I {summary}? Answer yes or no.", record.results.explanation);
        let pending = Pending::Approve { recommendation_id: id, proposal_digest: item.proposal_digest.clone() };
        Ok(self.ask(text, pending, &summary).figure("cost", record.results.total_cost, "decision record"))
    }

    pub(super) async fn carry_out_approval(&self, id: &str, digest: &str) -> Result<Reply> {
        let item = self.own_recommendation(id).await?;
        let item = self.advisor.approve(item, digest, self.cause).await?;
        let sent = item.orders.iter().filter(|planned| planned.order.is_some()).count();
        let trades = self.advisor.record_of(&item).await?.results.trades.len();
        Ok(Reply::say(format!(
            "Approved. {sent} of {trades} orders are on their way and are worked when the market next opens; purchases that \
             need the proceeds of sales follow them.",
        ))
        .figure("orders sent", sent, "advisor.Approve"))
    }

    pub(super) async fn carry_out_decline(&self, id: &str) -> Result<Reply> {
        let mut item = self.own_recommendation(id).await?;
        self.advisor.decline(&mut item, "declined by the client in the chat").await?;
        Ok(Reply::say("The recommendation is declined, and nothing will be traded for it."))
    }

    async fn own_recommendation(&self, id: &str) -> Result<Recommendation> {
        let id = parse("recommendation_id", id)?;
        let found = self.advisor.store.recommendation(id).await?.filter(|item| item.owner_id == self.user);
        Ok(found.ok_or_else(|| Problem::not_found("recommendation", id))?)
    }

    pub(super) async fn pause_agent(&self, paused: bool) -> Result<Reply> {
        let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
        let mandate = self.mandate(&portfolio).await?;
        if mandate.paused == paused {
            let state = if paused { "already paused" } else { "not paused" };
            return Ok(Reply::say(format!("The agent is {state} for \"{}\".", portfolio.name)));
        }
        if !paused {
            return Ok(Reply::say(NOT_BY_CHAT));
        }
        let summary = format!("pause the rebalancing agent for \"{}\"", portfolio.name);
        Ok(self.ask(
            format!("Shall I {summary}? A recommendation that is open lapses with it. Answer yes or no."),
            Pending::PauseAgent { portfolio_id: portfolio.portfolio_id, paused },
            &summary,
        ))
    }
}

/// Whoever finds an open session may stop the agent and not start it; a password is nothing for a conversation, which is kept.
pub(super) const NOT_BY_CHAT: &str = "I cannot let the agent run again here, because that needs your password and a conversation is no \
                                      place for it. Change your mandate with your password instead (PUT /api/v1/mandate).";

fn standing(item: &Recommendation) -> String {
    match item.status {
        Status::Open => format!("is open until {}", item.expires.date()),
        other => format!("is {}", other.as_str()),
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
