//! From what happened to who is told: takes in events, writes notifications, and hands e-mail to the delivery worker.
mod market;
mod tell;

use crate::{
    Error, Result,
    delivery::Outgoing,
    inbox::{Channel, Draft, NewDelivery, Status},
    store::{MarketFall, Store, Valuation},
};
use async_trait::async_trait;
use moneta_contracts::events::{
    AlertRaised, Event, KillSwitchChanged, MandateChanged, MarketMoved, NotificationDelivered, OrderCanceled,
    OrderDenied, OrderExpired, OrderRejected, PortfolioValued, RecommendationClosed, RecommendationIssued,
    SessionChanged, TradeExecuted, UserErased,
};
use moneta_contracts::user::GetAccountRequest;
use moneta_kit::{
    bus::{Envelope, Handler, HandlerError},
    client::Call,
    contact::Contact,
    problem::parse,
    quarantine::{self, CLIENT, Missed, Repair, Trouble, Unit, client_of},
    service::ServiceContext,
    store::Tx,
};
use moneta_types::{Cause, UserId};
use std::collections::BTreeMap;

/// What is reacted to.
pub const TYPES: &[&str] = &[
    TradeExecuted::TYPE,
    OrderDenied::TYPE,
    OrderRejected::TYPE,
    OrderCanceled::TYPE,
    OrderExpired::TYPE,
    RecommendationIssued::TYPE,
    RecommendationClosed::TYPE,
    MarketMoved::TYPE,
    PortfolioValued::TYPE,
    AlertRaised::TYPE,
    MandateChanged::TYPE,
    KillSwitchChanged::TYPE,
    SessionChanged::TYPE,
    UserErased::TYPE,
];

/// The group under which events are taken in.
pub const GROUP: &str = "notification";

/// Writes notifications.
pub struct Reactor {
    context: ServiceContext,
    store: Store,
    outgoing: Outgoing,
    /// How clients reach the firm, for texts that ask somebody to get in touch.
    contact: Contact,
}

/// What an event brings about here.
enum Effect {
    /// Notifications alone.
    Tell(Vec<Draft>),
    /// A fall of the market is noted, and told to those whose portfolios are valued already.
    Fall(MarketFall, Vec<Draft>),
    /// The value of a portfolio is noted, and falls of that day are told to its owner.
    Value(Valuation, Vec<Draft>),
    /// Everything about a user is removed.
    Forget(UserId),
}

impl Reactor {
    /// A reactor over what the process offers.
    pub const fn new(context: ServiceContext, store: Store, outgoing: Outgoing, contact: Contact) -> Self {
        Self { context, store, outgoing, contact }
    }

    async fn react(&self, event: &Envelope) -> Result<()> {
        // Neighbours are asked before the transaction begins, so that no call is made inside one.
        let effect = self.effect(event).await?;
        let drafts = match &effect {
            Effect::Tell(drafts) | Effect::Fall(_, drafts) | Effect::Value(_, drafts) => drafts.as_slice(),
            Effect::Forget(_) => &[],
        };
        let (planned, failed) = self.plan_all(event, drafts).await?;
        let mut tx = self.store.begin().await?;
        if !tx.first_time(GROUP, event.id).await? {
            drop(tx);
            // A crash may have come between the removal and the end of its traces.
            return if matches!(effect, Effect::Forget(_)) { self.store.scrubbed().await } else { Ok(()) };
        }
        match &effect {
            Effect::Tell(_) => {}
            Effect::Fall(fall, _) => self.store.note_fall(&mut tx, fall).await?,
            Effect::Value(valuation, _) => self.store.note_valuation(&mut tx, valuation).await?,
            Effect::Forget(user) => self.store.forget(&mut tx, *user).await?,
        }
        let everybodys = client_of(event).is_none();
        for (draft, deliveries) in &planned {
            let unit = Unit::new(CLIENT, draft.user_id);
            if everybodys && quarantine::holds(&mut tx, &unit).await? {
                quarantine::miss(&mut tx, &unit, event, &()).await?;
            } else {
                self.write(&mut tx, event, draft, deliveries).await?;
            }
        }
        for (unit, why) in &failed {
            if quarantine::holds(&mut tx, unit).await? {
                quarantine::miss(&mut tx, unit, event, &()).await?;
            } else {
                quarantine::put(&mut tx, unit, event, &(), why, &self.context.clock).await?;
            }
        }
        tx.commit().await?;
        if matches!(effect, Effect::Forget(_)) {
            return self.store.scrubbed().await;
        }
        if !planned.is_empty() {
            self.outgoing.wake();
        }
        Ok(())
    }

    /// How each notification goes out, and for whom that cannot be said. Of an event that tells several clients, one for whom
    /// it fails is set aside, and the others are told; one that is about a client alone fails with him.
    async fn plan_all<'a>(
        &self,
        event: &Envelope,
        drafts: &'a [Draft],
    ) -> Result<(Vec<(&'a Draft, Vec<NewDelivery>)>, BTreeMap<Unit, String>)> {
        let (mut planned, mut failed) = (Vec::with_capacity(drafts.len()), BTreeMap::new());
        let everybodys = client_of(event).is_none();
        for draft in drafts {
            match quarantine::caught(self.plan(draft)).await {
                Ok(Some(deliveries)) => planned.push((draft, deliveries)),
                Ok(None) => {}
                Err(Trouble::Failed(error)) if !everybodys || error.is_outage() => return Err(error),
                Err(trouble) => {
                    failed.insert(Unit::new(CLIENT, draft.user_id), trouble.to_string());
                }
            }
        }
        Ok((planned, failed))
    }

    /// Tells one client what an event of everybody's would have told him.
    async fn tell_one(&self, event: &Envelope, user: UserId) -> Result<()> {
        let (Effect::Tell(drafts) | Effect::Fall(_, drafts) | Effect::Value(_, drafts)) = self.effect(event).await?
        else {
            return Ok(());
        };
        for draft in drafts.iter().filter(|draft| draft.user_id == user) {
            if let Some(deliveries) = self.plan(draft).await? {
                let mut tx = self.store.begin().await?;
                self.write(&mut tx, event, draft, &deliveries).await?;
                tx.commit().await?;
            }
        }
        self.outgoing.wake();
        Ok(())
    }

    async fn write(&self, tx: &mut Tx, event: &Envelope, draft: &Draft, deliveries: &[NewDelivery]) -> Result<()> {
        let now = self.context.clock.now();
        if !self.store.add(tx, draft, deliveries, now).await? {
            return Ok(());
        }
        let in_inbox =
            |delivery: &NewDelivery| delivery.channel == Channel::Inbox && delivery.status == Status::Delivered;
        if deliveries.iter().any(in_inbox) {
            let delivered = NotificationDelivered {
                notification_id: draft.notification_id,
                user_id: draft.user_id,
                topic: draft.topic.id.to_owned(),
                channel: Channel::Inbox.as_str().to_owned(),
                about: draft.event_id.clone(),
            };
            tx.publish(&delivered, event.cause().part(&draft.notification_id.to_string()), &self.context.clock).await?;
        }
        Ok(())
    }

    /// How a notification goes to each channel; nothing when the user wants it on none, or is not there any more.
    async fn plan(&self, draft: &Draft) -> Result<Option<Vec<NewDelivery>>> {
        if self.store.is_erased(draft.user_id).await? {
            return Ok(None);
        }
        let preferences = self.store.preferences(draft.user_id).await?;
        let (inbox, email) =
            (preferences.wants(draft.topic, Channel::Inbox), preferences.wants(draft.topic, Channel::Email));
        if !inbox && !email {
            return Ok(None);
        }
        let now = self.context.clock.now();
        let delivery = |channel, status, detail: &str, not_before| NewDelivery {
            channel,
            status,
            detail: detail.to_owned(),
            not_before,
        };
        let switched_off = |channel| delivery(channel, Status::Suppressed, "switched off by the user", now);
        let to_inbox =
            if inbox { delivery(Channel::Inbox, Status::Delivered, "", now) } else { switched_off(Channel::Inbox) };
        let by_email = if !email {
            switched_off(Channel::Email)
        } else if !self.outgoing.is_configured() {
            delivery(Channel::Email, Status::Suppressed, "no SMTP server is configured", now)
        } else {
            match preferences.quiet {
                Some(quiet) if draft.topic.mandatory.is_none() => {
                    match quiet.end_after(now, self.time_zone(draft.user_id, self.cause_of(draft)).await?) {
                        Some(end) => delivery(Channel::Email, Status::Deferred, "quiet hours", end),
                        None => delivery(Channel::Email, Status::Pending, "", now),
                    }
                }
                _ => delivery(Channel::Email, Status::Pending, "", now),
            }
        };
        Ok(Some(vec![to_inbox, by_email]))
    }

    /// The time zone of an account.
    async fn time_zone(&self, user: UserId, cause: Cause) -> Result<chrono_tz::Tz> {
        let call = Call::service(&self.context, cause);
        let request = call.request(GetAccountRequest { user_id: user.to_string() });
        let account = match self.context.directory.user().get_account(request).await {
            Ok(account) => account.into_inner(),
            Err(status) if is_outage(&status) => {
                return Err(Error::Upstream { service: "user", status: Box::new(status) });
            }
            // One account that cannot be read must not hold up what an event tells everybody else.
            Err(status) => {
                tracing::warn!(%user, %status, "its times are taken to be in UTC");
                return Ok(chrono_tz::UTC);
            }
        };
        Ok(account.time_zone.parse().unwrap_or(chrono_tz::UTC))
    }

    fn cause_of(&self, draft: &Draft) -> Cause {
        Cause::new(draft.notification_id.uuid())
    }
}

/// Whether a neighbour is not there, and will be: what it says about one user or portfolio will not change by waiting.
pub(crate) fn is_outage(status: &tonic::Status) -> bool {
    use tonic::Code;
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unauthenticated)
}

/// A client who was set aside is told what he missed. A notification has its id from the event, so none comes twice.
#[async_trait]
impl Repair for Reactor {
    async fn redo_apart(&self, unit: &Unit, missed: &Missed) -> Result<(), HandlerError> {
        let event = &missed.envelope;
        match client_of(event) {
            Some(_) => self.react(event).await?,
            None => self.tell_one(event, parse("client", &unit.id)?).await?,
        }
        Ok(())
    }
}

#[async_trait]
impl Handler for Reactor {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        Ok(self.react(event).await?)
    }
}
