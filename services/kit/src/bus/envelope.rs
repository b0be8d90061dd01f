//! An event on its way: CloudEvents 1.0 in JSON, with what caused it and who.
use super::{Error, Result};
use moneta_contracts::events::Event;
use moneta_types::{Cause, EventId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An event as it travels (CloudEvents 1.0, JSON format).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// CloudEvents version.
    #[serde(default = "version")]
    pub specversion: String,
    /// Its id, derived from its cause.
    pub id: EventId,
    /// The service that published it.
    pub source: String,
    /// "trading.trade_executed.v1".
    #[serde(rename = "type")]
    pub event_type: String,
    /// The aggregate's key; events of one subject are delivered in order.
    pub subject: String,
    /// When it happened, by the platform's clock.
    pub time: Timestamp,
    /// Media type of the data.
    #[serde(default = "content_type")]
    pub datacontenttype: String,
    /// What brought it about: another event, or a request.
    pub cause: Cause,
    /// Who acted: a user's id, `service:NAME`, `service:NAME for USER`, or the name that a command was given.
    #[serde(default)]
    pub actor: String,
    /// The event itself.
    pub data: Value,
}

fn version() -> String {
    "1.0".to_owned()
}

fn content_type() -> String {
    "application/json".to_owned()
}

impl Envelope {
    /// Wraps an event; `nth` counts the events of this type and subject that the cause made before.
    pub fn of<E: Event>(
        event: &E,
        cause: Cause,
        nth: u32,
        source: &str,
        actor: &str,
        time: Timestamp,
    ) -> serde_json::Result<Self> {
        let subject = event.subject();
        Ok(Self {
            specversion: version(),
            id: EventId::from_uuid(cause.derive(&format!("{}/{subject}/{nth}", E::TYPE))),
            source: source.to_owned(),
            event_type: E::TYPE.to_owned(),
            subject,
            time,
            datacontenttype: content_type(),
            cause,
            actor: actor.to_owned(),
            data: serde_json::to_value(event)?,
        })
    }

    /// Whether this is an event of a type.
    pub fn is<E: Event>(&self) -> bool {
        self.event_type == E::TYPE
    }

    /// The event.
    pub fn decode<E: Event>(&self) -> Result<E> {
        let wrong =
            |source| Error::Decode { id: self.id, event_type: self.event_type.clone(), expected: E::TYPE, source };
        if !self.is::<E>() {
            return Err(wrong(None));
        }
        E::deserialize(&self.data).map_err(|source| wrong(Some(source)))
    }

    /// This event as the cause of what follows from it.
    pub const fn cause(&self) -> Cause {
        Cause::new(self.id.uuid())
    }
}
