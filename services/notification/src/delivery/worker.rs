//! Sends what is due: one e-mail after the other, again after a growing wait, and not for ever.
use super::{Mailer, Outgoing, Sent};
use crate::{
    Error, Result, config,
    inbox::{Channel, Status},
    store::{Attempt, Due, Store},
};
use moneta_contracts::{
    events::{NotificationDelivered, NotificationFailed},
    user::GetAccountRequest,
};
use moneta_kit::{client::Call, service::ServiceContext};
use moneta_types::{Cause, Timestamp};
use std::time::Duration;
use tonic::Code;

/// E-mails that are read at a time.
const BATCH: u32 = 20;

/// Sends what is due until the service stops.
pub struct Worker {
    context: ServiceContext,
    store: Store,
    mailer: Mailer,
    outgoing: Outgoing,
    config: config::Delivery,
}

impl Worker {
    /// A worker for a mail server.
    pub const fn new(
        context: ServiceContext,
        store: Store,
        mailer: Mailer,
        outgoing: Outgoing,
        config: config::Delivery,
    ) -> Self {
        Self { context, store, mailer, outgoing, config }
    }

    /// Runs until the service stops; what is being sent is finished first.
    pub async fn run(self) {
        let mut look = tokio::time::interval(Duration::from_millis(self.config.poll_ms.max(1)));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.context.shutdown.cancelled() => return,
                () = self.outgoing.written() => {}
                _ = look.tick() => {}
            }
            if let Err(error) = self.send_due().await {
                tracing::warn!(%error, "e-mails that are due could not be sent; they are tried again");
            }
        }
    }

    async fn send_due(&self) -> Result<()> {
        loop {
            let due = self.store.due(self.context.clock.now(), self.context.wall.now(), BATCH).await?;
            if due.is_empty() {
                return Ok(());
            }
            for email in due {
                if self.context.shutdown.is_cancelled() {
                    return Ok(());
                }
                let sent = self.send(&email).await;
                self.record(&email, sent).await?;
            }
        }
    }

    /// The address is asked for now, so that it is the user's newest and is nowhere kept in this service.
    async fn send(&self, due: &Due) -> Sent {
        let call = Call::service(&self.context, Cause::new(due.notification_id.uuid()));
        let request = call.request(GetAccountRequest { user_id: due.user_id.to_string() });
        match self.context.directory.user().get_account(request).await {
            Ok(account) => {
                let account = account.into_inner();
                if account.email.is_empty() {
                    return Sent::Never("the user has no e-mail address any more".to_owned());
                }
                self.mailer.send(due, &account.email).await
            }
            Err(status) if status.code() == Code::NotFound => Sent::Never("the user does not exist".to_owned()),
            Err(status) => Sent::Later(format!("the user service does not answer: {}", status.message())),
        }
    }

    async fn record(&self, due: &Due, sent: Sent) -> Result<()> {
        let attempts = due.attempts.saturating_add(1);
        let (status, detail) = match sent {
            Sent::Accepted(detail) => (Status::Delivered, detail),
            Sent::Later(detail) if attempts < self.config.attempts => (Status::Pending, detail),
            Sent::Later(detail) => (Status::Failed, format!("given up after {attempts} attempts: {detail}")),
            Sent::Never(detail) => (Status::Failed, detail),
        };
        let attempt = Attempt {
            attempts,
            status,
            detail: crate::templates::line(&detail),
            at: self.context.clock.now(),
            retry_at: self.retry_at(attempts),
        };
        let mut tx = self.store.begin().await?;
        let recorded = self.store.attempted(&mut tx, due, &attempt).await?;
        if !recorded {
            return Ok(());
        }
        let cause = Cause::new(due.notification_id.uuid()).part("email");
        let (topic, channel) = (due.topic.clone(), Channel::Email.as_str().to_owned());
        match status {
            Status::Delivered => {
                let delivered = NotificationDelivered {
                    notification_id: due.notification_id,
                    user_id: due.user_id,
                    topic,
                    channel,
                    about: due.event_id.clone(),
                };
                tx.publish(&delivered, cause, &self.context.clock).await?;
            }
            Status::Failed => {
                let failed = NotificationFailed {
                    notification_id: due.notification_id,
                    user_id: due.user_id,
                    topic,
                    channel,
                    // What a mail server answers can hold the address, and events carry no personal data.
                    reason: format!("not delivered after {attempts} attempts"),
                };
                tx.publish(&failed, cause, &self.context.clock).await?;
            }
            Status::Pending | Status::Deferred | Status::Suppressed => {}
        }
        tx.commit().await.map_err(Error::from)
    }

    fn retry_at(&self, attempts: u32) -> Timestamp {
        let doubled = self.config.backoff_ms.saturating_mul(1 << attempts.saturating_sub(1).min(20));
        self.context.wall.now().plus(Duration::from_millis(doubled.min(self.config.backoff_max_ms)))
    }
}
