//! Questions of knowledge, answered from our texts with the texts named; courtesies; and the honest no.
use super::{super::knowledge::first_sentences, Reply, Turn, beyond::Largest, no_portfolio};
use crate::{Result, cycle::percent};
use moneta_contracts::{convert, portfolio::AttributionRequest};
use moneta_models::nlu::Embedding;

/// Cosine similarity under which no text of ours answers the question.
const NEAR_ENOUGH: f32 = 0.35;
/// Cosine similarity above which a text answers even where the intent was not recognised.
const VERY_NEAR: f32 = 0.60;

impl Turn<'_> {
    pub(super) async fn knowledge(&self, embedding: &Embedding) -> Result<Reply> {
        let hits = self.advisor.chat()?.search(embedding, 3).await?;
        let near: Vec<_> = hits.into_iter().filter(|hit| hit.score >= NEAR_ENOUGH).collect();
        let Some(best) = near.first() else {
            return Ok(Reply::refuse(
                "out_of_scope",
                "I have no text of ours that answers this, and I do not want to guess. Say \"I want to speak to a person\", and I pass \
                 it on.",
            ));
        };
        let cited: Vec<_> = near.iter().filter(|hit| hit.score >= best.score - 0.08).collect();
        let mut reply = Reply::say(format!("{} [{}]", first_sentences(&best.body, 4), best.id));
        reply.citations = cited.iter().map(|hit| hit.citation()).collect();
        Ok(reply)
    }

    pub(super) async fn costs(&self, embedding: &Embedding) -> Result<Reply> {
        let mut reply = self.knowledge(embedding).await?;
        let Some(portfolio) = self.portfolio().await? else { return Ok(reply) };
        let request = AttributionRequest {
            portfolio_id: portfolio.portfolio_id,
            from: self.period(365).0.map(|date| date.to_string()).unwrap_or_default(),
            to: self.today.to_string(),
        };
        let answer = self.advisor.ctx.directory.portfolio().attribution(self.call.request(request)).await?.into_inner();
        let costs = convert::money("costs", answer.costs)?;
        let costs = super::portfolio::absolute(costs)?;
        let value = convert::money("end_value", answer.end_value)?;
        let share = costs.fraction_of(value)?.unwrap_or_default();
        reply.refusal = "";
        reply.text = format!(
            "From {} to {} trading cost you {costs} in commission and spread, which is {} of what your portfolio is worth now. No \
             other charge of the firm is booked here; whether it makes one stands in your agreement with it. {}",
            answer.from,
            answer.to,
            percent(share),
            if reply.citations.is_empty() { "" } else { reply.text.as_str() },
        )
        .trim_end()
        .to_owned();
        Ok(reply.figure("costs", costs, "portfolio.Attribution"))
    }

    /// Money comes and goes through the bank, never through a sentence.
    pub(super) async fn cash_movement(&self, embedding: &Embedding) -> Result<Reply> {
        if let Some(reply) = self.beyond_bounds(Largest::PAYMENT) {
            return Ok(reply);
        }
        let Some(portfolio) = self.portfolio().await? else { return Ok(no_portfolio()) };
        let cash = convert::money("cash", portfolio.cash)?;
        let mut reply = Reply::say(format!(
            "I cannot move money: payments in and out are booked through the firm and not by a sentence in the chat. \"{}\" holds \
             {cash} in cash now.",
            portfolio.name
        ))
        .figure("cash", cash, "portfolio.GetPortfolio");
        reply.citations = self.knowledge(embedding).await?.citations;
        Ok(reply)
    }

    pub(super) fn small_talk(&self, intent: &str) -> Reply {
        Reply::say(match intent {
            "greeting" => {
                "Hello. I am a program. I can tell you about your portfolio, explain what I recommend and why, and answer \
                 questions about investing. What would you like to know?"
            }
            "thanks_goodbye" => "You are welcome.",
            _ => {
                "You can ask what your portfolio is worth, how it performed and why it moved, what I recommend and why, what would \
                 happen if you bought or sold something, or what a term means. You can also place or cancel an order, answer a \
                 recommendation, pause the agent and change your notifications; I ask before anything happens. To complain, or to \
                 speak to a person, say so, and I pass it on."
            }
        })
    }

    pub(super) async fn out_of_scope(&self, embedding: &Embedding) -> Result<Reply> {
        let hits = self.advisor.chat()?.search(embedding, 1).await?;
        if hits.first().is_some_and(|hit| hit.score >= VERY_NEAR) {
            return self.knowledge(embedding).await;
        }
        Ok(Reply::refuse(
            "out_of_scope",
            "I cannot help with that. I can tell you about your portfolio, explain my recommendations and answer questions about \
             investing with Moneta.",
        ))
    }
}
