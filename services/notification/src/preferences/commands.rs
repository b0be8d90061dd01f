//! Reading and setting preferences, and previews of what is sent.
use super::QuietHours;
use crate::{
    App, Error, Result,
    inbox::Channel,
    templates::{self, TOPICS},
};
use moneta_contracts::{convert, notification as pb};
use moneta_kit::{
    identity::{Identity, Role},
    problem::Problem,
};

impl App {
    /// Every topic and channel with what the user wants, and his quiet hours.
    pub async fn get_preferences(&self, caller: &Identity, user_id: &str) -> Result<pb::Preferences> {
        let user = crate::app::target(caller, user_id)?;
        caller.may_see(user, "user", user)?;
        Ok(self.store.preferences(user).await?.view())
    }

    /// Sets what is given and leaves the rest. Everything is checked before anything is written.
    pub async fn set_preferences(
        &self,
        caller: &Identity,
        request: pb::SetPreferencesRequest,
    ) -> Result<pb::Preferences> {
        let user = crate::app::target(caller, &request.user_id)?;
        caller.may_change(user, "user", user)?;
        let mut switched = Vec::with_capacity(request.topics.len());
        for wanted in convert::list("topics", &request.topics).map_err(Problem::from)? {
            let topic = templates::find(&wanted.topic).ok_or_else(|| {
                let known: Vec<_> = TOPICS.iter().map(|topic| topic.id).collect();
                Problem::invalid("topics.topic", &wanted.topic, format!("one of {}", known.join(", ")))
            })?;
            let channel = channel("topics.channel", &wanted.channel)?;
            match topic.mandatory {
                Some(why) if !wanted.enabled => return Err(Error::Mandatory { topic: topic.id, why }),
                _ => switched.push((topic.id, channel, wanted.enabled)),
            }
        }
        let quiet = self.quiet_hours(user, &request).await?;
        self.store.set_preferences(user, &switched, quiet.as_ref().map(Option::as_ref)).await?;
        Ok(self.store.preferences(user).await?.view())
    }

    /// The new quiet hours: nothing when they stay as they are, `Some(None)` when there are to be none.
    async fn quiet_hours(
        &self,
        user: moneta_types::UserId,
        request: &pb::SetPreferencesRequest,
    ) -> Result<Option<Option<QuietHours>>> {
        if request.quiet_from.is_none() && request.quiet_to.is_none() {
            return Ok(None);
        }
        let now = self.store.preferences(user).await?.quiet;
        let from = request.quiet_from.clone().unwrap_or_else(|| now.map(|quiet| quiet.from()).unwrap_or_default());
        let to = request.quiet_to.clone().unwrap_or_else(|| now.map(|quiet| quiet.to()).unwrap_or_default());
        if from.is_empty() && to.is_empty() {
            return Ok(Some(None));
        }
        let quiet = QuietHours::parse(&from, &to).ok_or_else(|| {
            Problem::invalid(
                "quiet_from",
                format!("{from}-{to}"),
                "two different times of day such as 22:00 and 07:00, or both empty",
            )
        })?;
        Ok(Some(Some(quiet)))
    }

    /// A topic's text with sample values, as a channel carries it; for staff.
    pub fn preview(
        &self,
        caller: &Identity,
        request: &pb::PreviewTemplateRequest,
    ) -> Result<pb::PreviewTemplateResponse> {
        caller.require(&[Role::Adviser, Role::Compliance, Role::Admin])?;
        let topic = templates::find(&request.topic).ok_or_else(|| {
            let known: Vec<_> = TOPICS.iter().map(|topic| topic.id).collect();
            Problem::invalid("topic", &request.topic, format!("one of {}", known.join(", ")))
        })?;
        let text = (topic.sample)();
        let body = match channel("channel", &request.channel)? {
            Channel::Inbox => text.body,
            Channel::Email => crate::delivery::email_body(&text.body, topic.mandatory.is_some()),
        };
        Ok(pb::PreviewTemplateResponse { title: text.title, body })
    }
}

fn channel(field: &str, text: &str) -> Result<Channel, Problem> {
    Channel::ALL
        .into_iter()
        .find(|channel| channel.as_str() == text)
        .ok_or_else(|| Problem::invalid(field, text, "one of inbox, email"))
}
