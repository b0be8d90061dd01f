//! What the user service does with events: it finishes erasures that a crash cut off.
use crate::App;
use moneta_contracts::events::{Event as _, UserErased};
use moneta_kit::{
    bus::{Envelope, Handler, HandlerError, Subscription},
    problem::Problem,
};
use std::sync::Arc;
use tonic::async_trait;

/// The consumer group.
const GROUP: &str = "user";

struct Consumer(Arc<App>);

/// The service's own erasures. Doing it twice changes nothing.
pub(crate) fn subscription(app: Arc<App>) -> Subscription {
    Subscription { group: GROUP, types: &[UserErased::TYPE], handler: Arc::new(Consumer(app)) }
}

#[async_trait]
impl Handler for Consumer {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        if !event.is::<UserErased>() {
            return Ok(());
        }
        let erased: UserErased = event.decode()?;
        self.0.destroy(erased.user_id, event.time).await.map_err(Problem::from)?;
        Ok(self.0.store.scrubbed().await.map_err(Problem::from)?)
    }
}
