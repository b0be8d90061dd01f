//! What a user wants to be told, where, and when not.
mod commands;
mod quiet;

pub use quiet::QuietHours;

use crate::{
    inbox::Channel,
    templates::{TOPICS, Topic},
};
use moneta_contracts::notification as pb;
use std::collections::HashMap;

/// A user's preferences; what he has not set is on.
#[derive(Debug, Clone, Default)]
pub struct Preferences {
    /// What he has switched, by topic and channel.
    pub set: HashMap<(String, String), bool>,
    /// When he does not want to be disturbed.
    pub quiet: Option<QuietHours>,
}

impl Preferences {
    /// Whether a topic goes to a channel. The mandatory class always does.
    pub fn wants(&self, topic: &Topic, channel: Channel) -> bool {
        topic.mandatory.is_some()
            || self.set.get(&(topic.id.to_owned(), channel.as_str().to_owned())).copied().unwrap_or(true)
    }

    /// As they are told: every topic and channel.
    pub fn view(&self) -> pb::Preferences {
        let topics = TOPICS
            .iter()
            .flat_map(|topic| {
                Channel::ALL.iter().map(|channel| pb::TopicPreference {
                    topic: topic.id.to_owned(),
                    channel: channel.as_str().to_owned(),
                    enabled: self.wants(topic, *channel),
                    mandatory: topic.mandatory.is_some(),
                    description: topic.description.to_owned(),
                })
            })
            .collect();
        let quiet = |time: fn(&QuietHours) -> String| self.quiet.as_ref().map(time).unwrap_or_default();
        pb::Preferences { topics, quiet_from: quiet(QuietHours::from), quiet_to: quiet(QuietHours::to) }
    }
}
