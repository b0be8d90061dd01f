//! Questions that a classifier takes for their neighbours, and whose answer is the same for everybody: known by closed
//! lists of words, so that the answer does not hang on a score.
use super::{super::care, Reply, Turn, portfolio::listed};
use crate::{Result, cycle, store::Slice};
use moneta_contracts::user::GetAccountRequest;

const OTHERS: &[&str] = &[
    "another client",
    "another client's",
    "other client",
    "other clients",
    "other clients'",
    "another customer",
    "another customer's",
    "other customers",
    "someone else's portfolio",
    "somebody else's portfolio",
];
const PROMISES: &[&str] = &["guarantee", "guarantees", "guaranteed", "promise me", "can you promise"];
/// What staff ask for, who take the chat for a screen of theirs.
const DESK: &[&str] = &["open alerts", "the alerts", "alerts", "holds", "which clients", "my clients", "all clients"];
const FAILURE: &[&str] = &[
    "if the firm fails",
    "if you fail",
    "if the firm goes bust",
    "if you go bust",
    "if moneta goes bust",
    "if the firm goes bankrupt",
    "if you go bankrupt",
    "compensation scheme",
    "is my money protected",
    "is my money safe",
];
const OWN_DATA: &[&str] = &[
    "delete my account",
    "close my account",
    "erase my account",
    "delete my data",
    "erase my data",
    "withdraw my consent",
    "withdraw consent",
    "revoke my consent",
    "change my e mail",
    "change my email",
];

/// Rules that say something about the client rather than about the advice; compliance speaks of these.
const NOT_TOLD: [&str; 3] = ["client_active", "client_hold", "vulnerable_client"];

impl Turn<'_> {
    pub(super) async fn plain(&self, intent: &str) -> Result<Option<Reply>> {
        let words = care::words(self.text);
        let has = |list: &[&str]| list.iter().any(|phrase| words.contains(&format!(" {phrase} ")));
        // Who complains about a promise complains.
        if care::wants_a_person(intent) {
            return Ok(None);
        }
        if has(OTHERS) {
            let text = "I speak with you about your own portfolios alone, and show nobody another person's.";
            return Ok(Some(Reply::refuse("not_permitted", text)));
        }
        if has(DESK) && !self.is_investor().await? {
            let text = "I talk to investors about their own portfolios. Alerts and holds are at /api/v1/compliance, and what \
                        happened is at /api/v1/audit.";
            return Ok(Some(Reply::refuse("out_of_scope", text)));
        }
        if has(PROMISES) {
            let text = "No. Nobody can guarantee a return; the value of investments can fall, and you may get back less than \
                        you put in.";
            return Ok(Some(Reply::say(text)));
        }
        if has(FAILURE) {
            return self.article("if-the-firm-fails", "").map(Some);
        }
        if has(OWN_DATA) {
            let how = "I cannot change that from the chat. Your account does it: a copy of everything that is kept about you \
                       (GET /api/v1/me/export), erasure of the account once nothing is held (DELETE /api/v1/me), and your \
                       consents (PUT /api/v1/preferences). Another e-mail address is a matter for a person: say \"I want to \
                       speak to a person\", and I pass it on.";
            return self.article("data-protection", how).map(Some);
        }
        let trade =
            intent.starts_with("place_") || intent.starts_with("what_if_") && self.entities.symbols().is_empty();
        if trade && words.starts_with(" should i ") {
            let advice = self.explain_recommendation().await?;
            let text = format!(
                "Whether to buy or sell is a question of advice, and I give it for the whole portfolio rather than for one \
                 trade. {}",
                advice.text
            );
            return Ok(Some(Reply { text, ..advice }));
        }
        match intent {
            "explain_decision" | "explain_recommendation" if has(&["order", "orders"]) => {
                self.order_status().await.map(Some)
            }
            "explain_decision" | "explain_recommendation" if has(&["rule", "rules", "checks"]) => {
                self.rules().await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn is_investor(&self) -> Result<bool> {
        let request = self.call.request(GetAccountRequest { user_id: self.user.to_string() });
        let account = self.advisor.ctx.directory.user().get_account(request).await?.into_inner();
        Ok(account.roles.iter().any(|role| role == "investor"))
    }

    /// A text of ours by its name, cited, after what is said here.
    fn article(&self, id: &str, before: &str) -> Result<Reply> {
        let chat = self.advisor.chat()?;
        let Some(article) = chat.articles.iter().find(|article| article.id == id) else {
            let text = if before.is_empty() { "I have no text of ours that answers this." } else { before };
            return Ok(Reply::say(text));
        };
        let body = super::super::knowledge::first_sentences(&article.body, if before.is_empty() { 4 } else { 2 });
        let mut reply = Reply::say(format!("{before} {body} [{id}]").trim_start());
        reply.citations = vec![article.citation()];
        Ok(reply)
    }

    /// The rules that the newest decision was checked against.
    async fn rules(&self) -> Result<Reply> {
        let decisions = self.advisor.store.decisions(None, Some(self.user), (None, None), Slice::newest(1)).await?;
        let Some(decision) = decisions.first() else {
            return Ok(Reply::say("No decision has been made for your portfolio yet."));
        };
        let results = &decision.record.results;
        let id = decision.record.decision_id;
        if results.is_withheld() {
            return Ok(Reply::say(cycle::withheld(results)).figure("decision", id, "decision record"));
        }
        let told: Vec<_> =
            results.verdicts.iter().filter(|verdict| !NOT_TOLD.contains(&verdict.rule_id.as_str())).collect();
        let of = |outcome: &str| {
            let named = told.iter().filter(|verdict| verdict.outcome == outcome);
            listed(
                &named
                    .map(|verdict| format!("{} ({})", verdict.rule_id.replace('_', " "), verdict.citation))
                    .collect::<Vec<_>>(),
            )
        };
        let (passed, remarked) = (of("pass"), of("warn"));
        let mut text =
            format!("My latest decision, of {}, was checked against {} rules.", decision.record.at.date(), told.len());
        if !passed.is_empty() {
            text.push_str(&format!(" Passed: {passed}."));
        }
        if !remarked.is_empty() {
            text.push_str(&format!(" Passed with a remark: {remarked}."));
        }
        Ok(Reply::say(text).figure("decision", id, "decision record"))
    }
}
