//! Settings by chat: the agent's pause and notification preferences. The risk profile is not a setting.
use super::{Pending, Reply, Turn, advice::NOT_BY_CHAT};
use crate::{Result, mandate::Mandate};
use moneta_contracts::{
    notification::{GetPreferencesRequest, SetPreferencesRequest, TopicPreference},
    portfolio::{GetPortfolioRequest, PortfolioView},
};
use moneta_kit::problem::parse;

impl Turn<'_> {
    pub(super) fn change_risk(&self) -> Reply {
        Reply::refuse(
            "not_permitted",
            "I may not change your risk profile from a sentence: the rules on suitability want your situation, goals and \
             experience to be asked as a whole. Please fill in the suitability questionnaire again; a new version takes effect at \
             once.",
        )
    }

    pub(super) async fn mandate(&self, portfolio: &PortfolioView) -> Result<Mandate> {
        let (id, owner) = (parse("portfolio_id", &portfolio.portfolio_id)?, parse("owner_id", &portfolio.owner_id)?);
        self.advisor.mandate_of(id, owner, parse("currency", &portfolio.currency)?).await
    }

    pub(super) async fn carry_out_pause(&self, portfolio_id: &str, paused: bool) -> Result<Reply> {
        if !paused {
            // A question of an older version's.
            return Ok(Reply::say(NOT_BY_CHAT));
        }
        let request = self.call.request(GetPortfolioRequest { portfolio_id: portfolio_id.to_owned() });
        let portfolio = self.advisor.ctx.directory.portfolio().get_portfolio(request).await?.into_inner();
        let mut mandate = self.mandate(&portfolio).await?;
        // A turn that is repeated after a crash finds it done.
        if !mandate.paused {
            mandate.version += 1;
            mandate.paused = true;
            mandate.pause_reason = "paused by the client in the chat".to_owned();
            mandate.updated = self.advisor.ctx.clock.now();
            self.advisor.put_mandate(&mandate, self.cause).await?;
        }
        let text = "The agent is paused: it will propose and do nothing until you let it run again. A recommendation that was open \
                    lapses.";
        Ok(Reply::say(text).figure("mandate version", mandate.version, "advisor.SetMandate"))
    }

    pub(super) async fn notification_preferences(&self) -> Result<Reply> {
        let request = self.call.request(GetPreferencesRequest { user_id: self.user.to_string() });
        let preferences = self.advisor.ctx.directory.notification().get_preferences(request).await?.into_inner().topics;
        let text = self.text.to_lowercase();
        let off = ["stop", "off", "no more", "don't", "disable", "unsubscribe", "mute", "fewer"]
            .iter()
            .any(|word| text.contains(word));
        let on = ["turn on", "enable", "switch on", "start", "subscribe", "notify me", "send me"]
            .iter()
            .any(|word| text.contains(word));
        let channel =
            if ["email", "e-mail", "mail"].iter().any(|word| text.contains(word)) { "email" } else { "inbox" };
        let named = named_topic(&preferences, channel, &text);
        match named {
            Some(topic) if topic.mandatory && off => Ok(Reply::refuse(
                "not_permitted",
                format!(
                    "Messages about \"{}\" ({}) cannot be switched off: we are obliged to send them.",
                    topic.topic.replace('_', " "),
                    topic.description
                ),
            )),
            Some(topic) if off || on => {
                let enabled = !off;
                let summary = format!(
                    "turn {} {} messages about \"{}\"",
                    if enabled { "on" } else { "off" },
                    topic.channel,
                    topic.topic.replace('_', " ")
                );
                let pending =
                    Pending::SetNotification { topic: topic.topic.clone(), channel: topic.channel.clone(), enabled };
                Ok(self.ask(format!("Shall I {summary}? Answer yes or no."), pending, &summary))
            }
            _ => {
                let list: Vec<String> = preferences
                    .iter()
                    .map(|topic| {
                        let state = if topic.enabled { "on" } else { "off" };
                        format!("{} by {}: {state}", topic.topic.replace('_', " "), topic.channel)
                    })
                    .collect();
                Ok(Reply::say(format!(
                    "These are your notification settings: {}. Tell me which to turn on or off.",
                    list.join("; ")
                )))
            }
        }
    }

    pub(super) async fn carry_out_notification(&self, topic: &str, channel: &str, enabled: bool) -> Result<Reply> {
        let change = TopicPreference {
            topic: topic.to_owned(),
            channel: channel.to_owned(),
            enabled,
            ..TopicPreference::default()
        };
        let request = SetPreferencesRequest {
            user_id: self.user.to_string(),
            topics: vec![change],
            ..SetPreferencesRequest::default()
        };
        self.advisor.ctx.directory.notification().set_preferences(self.call.request(request)).await?;
        Ok(Reply::say(format!(
            "Done: {channel} messages about \"{}\" are {} now.",
            topic.replace('_', " "),
            if enabled { "on" } else { "off" }
        )))
    }
}

/// The topic whose name is nearest to what was said: the largest part of its words. "Switch off" names no kill switch.
fn named_topic<'a>(topics: &'a [TopicPreference], channel: &str, text: &str) -> Option<&'a TopicPreference> {
    let said = text.replace("switch off", "turn off").replace("switch on", "turn on");
    let part = |topic: &TopicPreference| {
        let words: Vec<&str> = topic.topic.split('_').filter(|word| word.len() > 3).collect();
        let named = words.iter().filter(|word| said.contains(**word)).count();
        if words.is_empty() { 0 } else { named * 100 / words.len() }
    };
    topics
        .iter()
        .filter(|topic| topic.channel == channel && part(topic) > 0)
        .max_by_key(|topic| (part(topic), std::cmp::Reverse(topic.topic.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_is_the_one_whose_words_were_said() {
        let names = ["trade_executed", "kill_switch", "market_fall", "portfolio_fall_10", "security"];
        let topic = |name: &&str| TopicPreference {
            topic: (*name).to_owned(),
            channel: "email".to_owned(),
            ..TopicPreference::default()
        };
        let topics: Vec<TopicPreference> = names.iter().map(topic).collect();
        let named = |text: &str| named_topic(&topics, "email", text).map(|topic| topic.topic.as_str());
        assert_eq!(named("switch off security mails"), Some("security"));
        assert_eq!(named("switch off mails about the kill switch"), Some("kill_switch"));
        assert_eq!(named("turn off email notifications about the market fall"), Some("market_fall"));
        assert_eq!(named("switch off all mails"), None);
    }
}
