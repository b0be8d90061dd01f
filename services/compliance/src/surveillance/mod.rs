//! Surveillance: looks at what has happened and raises alerts. Alerts are for compliance; of what they say, a client hears
//! only what a rule obliges us to tell him (a fall of his portfolio), never a suspicion (POCA section 333A).
mod movements;
mod portfolio_fall;

pub use portfolio_fall::RULE_ID as PORTFOLIO_FALL;

use crate::{
    Config, Error, Result,
    store::{NewAlert, Store},
};
use async_trait::async_trait;
use moneta_contracts::events::{
    AlertRaised, ConversationTurned, DecisionMade, Event, OrderDenied, OrderRejected, OrderSnapshot, PortfolioCreated,
    PortfolioUpdated, PortfolioValued, TradeExecuted, UserErased,
};
use moneta_kit::{
    bus::{Envelope, Handler, HandlerError},
    store::Tx,
};
use moneta_types::{AlertId, Cause, Clock, Money, Timestamp, UserId};

/// What surveillance takes in.
pub const TYPES: &[&str] = &[
    TradeExecuted::TYPE,
    PortfolioCreated::TYPE,
    PortfolioUpdated::TYPE,
    PortfolioValued::TYPE,
    OrderDenied::TYPE,
    OrderRejected::TYPE,
    DecisionMade::TYPE,
    ConversationTurned::TYPE,
    UserErased::TYPE,
];

/// Looks at events and raises alerts.
pub struct Watch {
    store: Store,
    config: Config,
    clock: Clock,
}

/// Something that compliance should look at.
struct Finding {
    rule_id: &'static str,
    severity: &'static str,
    user: UserId,
    message: String,
    /// The alert's id derives from this: the same thing raises one alert.
    id: Cause,
}

impl Watch {
    /// The group under which surveillance takes in events.
    pub const GROUP: &'static str = "compliance";

    /// Surveillance over a store.
    pub const fn new(store: Store, config: Config, clock: Clock) -> Self {
        Self { store, config, clock }
    }

    async fn look(&self, event: &Envelope) -> Result<()> {
        let mut tx = self.store.begin().await?;
        if event.is::<UserErased>() {
            // Doing it again changes nothing, and a crash may have come before the end.
            self.store.forget(&mut tx, event.decode::<UserErased>()?.user_id).await?;
            tx.commit().await?;
            return self.store.scrubbed().await;
        }
        if !tx.first_time(Self::GROUP, event.id).await? {
            return Ok(());
        }
        let findings = self.findings(&mut tx, event).await?;
        for finding in findings {
            self.raise(&mut tx, finding, event).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn findings(&self, tx: &mut Tx, event: &Envelope) -> Result<Vec<Finding>> {
        match event.event_type.as_str() {
            TradeExecuted::TYPE => {
                self.store.note_trade(tx, &event.decode()?).await?;
                Ok(Vec::new())
            }
            PortfolioCreated::TYPE => {
                let created: PortfolioCreated = event.decode()?;
                self.store.note_cash(tx, created.portfolio_id, 0, Money::zero(created.currency)).await?;
                Ok(Vec::new())
            }
            PortfolioUpdated::TYPE => {
                let updated: PortfolioUpdated = event.decode()?;
                let mut found = self.moved(tx, &updated, event.time).await?;
                found.extend(overdrawn(&updated, event.time));
                Ok(found)
            }
            PortfolioValued::TYPE => self.valued(tx, &event.decode()?).await,
            OrderDenied::TYPE => self.refused(tx, &event.decode::<OrderDenied>()?.order, event.time).await,
            OrderRejected::TYPE => self.refused(tx, &event.decode::<OrderRejected>()?.order, event.time).await,
            DecisionMade::TYPE => Ok(withheld(&event.decode()?, event.time).into_iter().collect()),
            ConversationTurned::TYPE => Ok(asked_for(&event.decode()?).into_iter().collect()),
            _ => Ok(Vec::new()),
        }
    }

    /// Orders that are refused are watched like those that are not (MAR article 16: orders placed, changed and cancelled).
    async fn refused(&self, tx: &mut Tx, order: &OrderSnapshot, at: Timestamp) -> Result<Vec<Finding>> {
        let limit = self.config.surveillance.refused_orders_a_day;
        let since = before(at, 1);
        let refused = self.store.note_refusal(tx, &order.order_id.to_string(), order.owner_id, at, since).await?;
        if refused <= limit {
            return Ok(Vec::new());
        }
        Ok(vec![Finding {
            rule_id: "order_refusals",
            severity: "warning",
            user: order.owner_id,
            message: format!("{refused} orders were refused within 24 hours, more than {limit} (MAR article 16)"),
            id: daily("order_refusals", order.owner_id, at),
        }])
    }

    async fn raise(&self, tx: &mut Tx, finding: Finding, event: &Envelope) -> Result<()> {
        let alert = NewAlert {
            alert_id: AlertId::from_uuid(finding.id.uuid()),
            rule_id: finding.rule_id,
            user_id: Some(finding.user),
            severity: finding.severity,
            message: finding.message,
            raised: event.time,
        };
        if self.store.add_alert(tx, &alert).await? {
            let raised = AlertRaised {
                alert_id: alert.alert_id,
                rule_id: alert.rule_id.to_owned(),
                user_id: alert.user_id,
                severity: alert.severity.to_owned(),
                message: alert.message,
            };
            tx.publish(&raised, event.cause(), &self.clock).await?;
        }
        Ok(())
    }
}

/// Advice that the rules did not allow is looked at by a person: models that propose what may not be proposed are a fault of
/// ours (MiFID II article 25, SYSC 6.1.1R). The client is told that there is no recommendation, and not what it was.
fn withheld(decision: &DecisionMade, at: Timestamp) -> Option<Finding> {
    (decision.outcome == "withheld").then(|| Finding {
        rule_id: "advice_withheld",
        severity: "warning",
        user: decision.owner_id,
        message: format!("advice was withheld; the verdicts are in decision {}", decision.decision_id),
        id: daily("advice_withheld", decision.owner_id, at),
    })
}

/// A client complains, asks for a person, or may be in danger: he was told that it is passed on, with the alert's number.
/// (DISP 1.3 and 1.4, complaints; UK GDPR article 22(3), human intervention; FCA FG21/1, vulnerable customers.) None of these
/// is critical: a complaint must not hold up the client's own money.
fn asked_for(turned: &ConversationTurned) -> Option<Finding> {
    let id = Cause::new(turned.alert_id?.uuid());
    let (rule_id, what) = match turned.intent.as_str() {
        "complaint" => {
            ("client_complaint", "the client complains; acknowledge it, and ask him what happened (DISP 1.4, 1.6)")
        }
        "distress" => {
            ("client_distress", "the client wrote that he may harm himself; get in touch with him now (FG21/1)")
        }
        _ => ("human_review", "the client asks for a person (UK GDPR article 22(3))"),
    };
    let message = format!("{what}; conversation {}, whose words only he can read", turned.conversation_id);
    Some(Finding { rule_id, severity: "warning", user: turned.user_id, message, id })
}

/// Cash below zero is money of ours that a client spent: an execution cost more than was reserved for it, or a control
/// failed. Somebody has to look the same day (CASS 7.15, reconciliation of client money).
fn overdrawn(updated: &PortfolioUpdated, at: Timestamp) -> Option<Finding> {
    updated.cash.is_negative().then(|| Finding {
        rule_id: "cash_below_zero",
        severity: "critical",
        user: updated.owner_id,
        message: format!("portfolio {} has {} in cash after a {}", updated.portfolio_id, updated.cash, updated.change),
        id: daily("cash_below_zero", updated.owner_id, at),
    })
}

/// One alert of a rule a user and day.
fn daily(rule: &str, user: UserId, at: Timestamp) -> Cause {
    Cause::named(&format!("alert/{rule}/{user}/{}", at.date()))
}

fn before(at: Timestamp, days: u32) -> Timestamp {
    Timestamp::from_micros(at.micros().saturating_sub(i64::from(days) * 86_400_000_000))
}

#[async_trait]
impl Handler for Watch {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        self.look(event).await.map_err(Error::into)
    }
}
