//! The events that services tell each other. Names are past tense; a published shape never changes, a new one gets a new
//! version. Events carry no personal data beyond ids.
use moneta_types::Cause;
use moneta_types::{
    AlertId, Currency, Date, DecisionId, ExecutionId, HoldId, Money, NotificationId, OrderId, PortfolioId, Price,
    Quantity, RecommendationId, RiskProfile, SessionId, Symbol, Timestamp, TransactionId, UserId,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

mod parts;
pub use parts::{Bar, OrderSnapshot, Side};

/// Something that happened.
pub trait Event: Serialize + DeserializeOwned + Send + Sync {
    /// CloudEvents type: service, past-tense name, version.
    const TYPE: &'static str;
    /// The aggregate's key: events of one subject are delivered in order.
    fn subject(&self) -> String;
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident $type:literal |$event:ident| $subject:expr; { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $kind,)*
            }

            impl Event for $name {
                const TYPE: &'static str = $type;
                fn subject(&self) -> String {
                    let $event = self;
                    $subject
                }
            }
        )*

        /// Every event type with its fields and their types, for the schema snapshot.
        pub const CATALOGUE: &[(&str, &[&str])] = &[$(($type, &[$(concat!(stringify!($field), ": ", stringify!($kind)),)*]),)*];
    };
}

/// The subject of events that concern the market as a whole.
pub const MARKET: &str = "market";

events! {
    /// A trading day's bars are known. One event carries the whole day, because daily bars close together.
    BarClosed "market_data.bar_closed.v1" |_event| MARKET.to_owned(); {
        /// The trading day.
        date: Date,
        /// One bar an instrument, by symbol.
        bars: Vec<Bar>,
    }
    /// The trading day is over and everything that its bars caused has been booked.
    SessionClosed "market_data.session_closed.v1" |_event| MARKET.to_owned(); {
        /// The trading day.
        date: Date,
    }
    /// The market fell by at least the alert threshold.
    MarketMoved "market_data.market_moved.v1" |_event| MARKET.to_owned(); {
        /// The trading day.
        date: Date,
        /// The series that stands for the market.
        reference_symbol: Symbol,
        /// one_day or from_peak.
        kind: String,
        /// The fall, decimal fraction above zero (0.05 = 5 %).
        fall: Decimal,
        /// The threshold that was crossed, decimal fraction.
        threshold: Decimal,
        /// The day of the level it fell from.
        from_date: Date,
        /// The level it fell from.
        from_level: Price,
        /// The level now.
        to_level: Price,
    }
    /// An account exists.
    UserRegistered "user.registered.v1" |event| event.user_id.to_string(); {
        /// The user.
        user_id: UserId,
        /// Roles by name.
        roles: Vec<String>,
    }
    /// Someone signed in, signed out, or failed to.
    SessionChanged "user.session_changed.v1" |event| event.user_id.to_string(); {
        /// The user.
        user_id: UserId,
        /// logged_in, login_failed, logged_out, refresh_reused.
        change: String,
    }
    /// Access tokens ended before their time: those of one session, or all of a user's that are older than a generation.
    SessionEnded "user.session_ended.v1" |event| event.user_id.to_string(); {
        /// Whose tokens.
        user_id: UserId,
        /// The session that ended; none when all of the user's did.
        session_id: Option<SessionId>,
        /// Tokens of an earlier generation are no longer good; 0 when one session alone ended.
        generation: u32,
        /// logged_out, refresh_reused, password_changed, roles_changed, disabled or erased.
        reason: String,
        /// When, in real time: sessions live in it, also in a replay.
        at: Timestamp,
    }
    /// An account of somebody who works for the house was made, got or asked for roles, was disabled, or got another password.
    StaffChanged "user.staff_changed.v1" |event| event.user_id.to_string(); {
        /// Whose account.
        user_id: UserId,
        /// added, roles_requested, roles_granted, disabled, reset, requests_dropped or one_time_password_ended.
        change: String,
        /// The roles that it is about.
        roles: Vec<String>,
        /// Who asked for them, where somebody else has approved.
        requested_by: String,
        /// Who did it: a user's id, or moneta for whoever works on the data directory itself.
        by: String,
    }
    /// Staff noted that a client needs particular care, or no longer does; the reason is kept sealed with the account.
    VulnerabilityNoted "user.vulnerability_noted.v1" |event| event.user_id.to_string(); {
        /// The client.
        user_id: UserId,
        /// Whether he needs it.
        vulnerable: bool,
        /// The note's number, from 1.
        note: u32,
        /// Who noted it.
        by: UserId,
    }
    /// Profile or preferences changed; the values are not in the event.
    ProfileChanged "user.profile_changed.v1" |event| event.user_id.to_string(); {
        /// The user.
        user_id: UserId,
        /// Names of the fields that changed.
        fields: Vec<String>,
    }
    /// A version of the suitability questionnaire was submitted.
    QuestionnaireSubmitted "user.questionnaire_submitted.v1" |event| event.user_id.to_string(); {
        /// The user.
        user_id: UserId,
        /// Version, from 1.
        version: u32,
        /// The tolerance derived from it.
        risk_tolerance: RiskProfile,
        /// low, medium or high.
        capacity_for_loss: String,
        /// Annualised volatility ceiling, decimal fraction.
        volatility_ceiling: Decimal,
    }
    /// A user's personal data were erased by destroying the key.
    UserErased "user.erased.v1" |event| event.user_id.to_string(); {
        /// The user.
        user_id: UserId,
    }
    /// A portfolio was opened.
    PortfolioCreated "portfolio.created.v1" |event| event.portfolio_id.to_string(); {
        /// The portfolio.
        portfolio_id: PortfolioId,
        /// Its owner.
        owner_id: UserId,
        /// Its currency.
        currency: Currency,
    }
    /// The ledger, the holdings or the target of a portfolio changed.
    PortfolioUpdated "portfolio.updated.v1" |event| event.portfolio_id.to_string(); {
        /// The portfolio.
        portfolio_id: PortfolioId,
        /// Its owner.
        owner_id: UserId,
        /// Its version after the change.
        version: u64,
        /// trade, deposit, withdrawal, target or correction.
        change: String,
        /// The ledger's transaction, when there is one.
        transaction_id: Option<TransactionId>,
        /// The execution that was booked, when it was a trade.
        execution_id: Option<ExecutionId>,
        /// Cash after the change.
        cash: Money,
    }
    /// A portfolio was valued at the end of a trading day.
    PortfolioValued "portfolio.valued.v1" |event| event.portfolio_id.to_string(); {
        /// The portfolio.
        portfolio_id: PortfolioId,
        /// Its owner.
        owner_id: UserId,
        /// The trading day.
        date: Date,
        /// Its version.
        version: u64,
        /// Cash and market value together.
        value: Money,
        /// Cash alone.
        cash: Money,
        /// Time-weighted return of the day, decimal fraction.
        day_return: Decimal,
        /// Fall of the time-weighted index below its highest, decimal fraction, 0 or more.
        drawdown: Decimal,
    }
    /// An order passed the controls and was sent to the broker.
    OrderSubmitted "trading.order_submitted.v1" |event| event.order.portfolio_id.to_string(); {
        /// The order.
        order: OrderSnapshot,
    }
    /// The broker took an order.
    OrderAccepted "trading.order_accepted.v1" |event| event.order.portfolio_id.to_string(); {
        /// The order.
        order: OrderSnapshot,
    }
    /// A control or rule of ours refused an order.
    OrderDenied "trading.order_denied.v1" |event| event.order.portfolio_id.to_string(); {
        /// The order.
        order: OrderSnapshot,
    }
    /// The broker refused an order.
    OrderRejected "trading.order_rejected.v1" |event| event.order.portfolio_id.to_string(); {
        /// The order.
        order: OrderSnapshot,
    }
    /// An order was cancelled.
    OrderCanceled "trading.order_canceled.v1" |event| event.order.portfolio_id.to_string(); {
        /// The order.
        order: OrderSnapshot,
    }
    /// A day order was not filled in its day.
    OrderExpired "trading.order_expired.v1" |event| event.order.portfolio_id.to_string(); {
        /// The order.
        order: OrderSnapshot,
    }
    /// An order was executed, in whole or in part.
    TradeExecuted "trading.trade_executed.v1" |event| event.portfolio_id.to_string(); {
        /// Unique at the venue.
        execution_id: ExecutionId,
        /// The order.
        order_id: OrderId,
        /// The portfolio.
        portfolio_id: PortfolioId,
        /// Its owner.
        owner_id: UserId,
        /// The instrument.
        symbol: Symbol,
        /// Buy or sell.
        side: Side,
        /// Executed quantity, above zero.
        quantity: Quantity,
        /// Executed price.
        price: Price,
        /// The price's currency.
        currency: Currency,
        /// Commission, zero or more.
        commission: Money,
        /// The part of the price that is spread, as a cost, zero or more.
        spread_cost: Money,
        /// When.
        at: Timestamp,
        /// The trading day.
        date: Date,
        /// What is left of the order.
        remaining: Quantity,
        /// The recommendation it carries out.
        recommendation_id: Option<RecommendationId>,
        /// The decision record behind it.
        decision_id: Option<DecisionId>,
    }
    /// A kill switch was engaged or released.
    KillSwitchChanged "trading.kill_switch_changed.v1" |event| event.scope.clone(); {
        /// all, client, agent or instrument.
        scope: String,
        /// Whom or what; empty for all.
        target: String,
        /// Engaged or released.
        engaged: bool,
        /// Why.
        reason: String,
        /// Who.
        by: String,
    }
    /// The kill switch for one client was pressed or released in trading, which needs nobody for it; compliance makes a hold of
    /// it. The note is sealed, and the client is named neither as user nor as owner, so that the audit log shows him nothing.
    ClientStopChanged "trading.client_stop_changed.v1" |event| event.client_id.to_string(); {
        /// The hold that stands for it, in trading and in compliance.
        hold_id: HoldId,
        /// Whom it stops.
        client_id: UserId,
        /// Engaged or released.
        engaged: bool,
        /// Why, sealed.
        sealed_note: String,
        /// Who.
        by: String,
    }
    /// An advice cycle ended in a decision.
    DecisionMade "advisor.decision_made.v1" |event| event.portfolio_id.to_string(); {
        /// The decision record.
        decision_id: DecisionId,
        /// The portfolio.
        portfolio_id: PortfolioId,
        /// Its owner.
        owner_id: UserId,
        /// no_action, recommended, withheld or executed.
        outcome: String,
        /// SHA-256 of the record, hex.
        digest: String,
        /// Model name, version and digest of each model that was used.
        models: Vec<String>,
        /// The person accountable (article 54(1) of Delegated Regulation 2017/565).
        accountable_person: String,
    }
    /// A recommendation was issued to a client.
    RecommendationIssued "advisor.recommendation_issued.v1" |event| event.portfolio_id.to_string(); {
        /// The recommendation.
        recommendation_id: RecommendationId,
        /// The decision record behind it.
        decision_id: DecisionId,
        /// The portfolio.
        portfolio_id: PortfolioId,
        /// Its owner.
        owner_id: UserId,
        /// advise, approve or discretionary.
        autonomy: String,
        /// One sentence.
        summary: String,
        /// Number of trades proposed.
        trades: u32,
        /// SHA-256 of the exact proposal, hex.
        proposal_digest: String,
        /// When it lapses.
        expires: Timestamp,
    }
    /// A recommendation came to its end.
    RecommendationClosed "advisor.recommendation_closed.v1" |event| event.portfolio_id.to_string(); {
        /// The recommendation.
        recommendation_id: RecommendationId,
        /// The portfolio.
        portfolio_id: PortfolioId,
        /// Its owner.
        owner_id: UserId,
        /// approved, declined, lapsed, superseded, withheld or executed.
        status: String,
        /// Why.
        reason: String,
    }
    /// The agent's mandate changed.
    MandateChanged "advisor.mandate_changed.v1" |event| event.portfolio_id.to_string(); {
        /// The portfolio.
        portfolio_id: PortfolioId,
        /// Its owner.
        owner_id: UserId,
        /// Version after the change.
        version: u32,
        /// advise, approve or discretionary.
        autonomy: String,
        /// Whether the agent stands still.
        paused: bool,
    }
    /// A turn of a conversation, for the record (article 72, SYSC 10A); the words are kept by the adviser, encrypted.
    ConversationTurned "advisor.conversation_turned.v1" |event| event.conversation_id.clone(); {
        /// The conversation.
        conversation_id: String,
        /// The adviser's message.
        message_id: String,
        /// The user.
        user_id: UserId,
        /// What was understood.
        intent: String,
        /// SHA-256 of both texts, hex.
        digest: String,
        /// The alert by which a person at the firm is to look, and whose number the client was told; without one for most.
        alert_id: Option<AlertId>,
    }
    /// Compliance raised an alert.
    AlertRaised "compliance.alert_raised.v1" |event| event.alert_id.to_string(); {
        /// The alert.
        alert_id: AlertId,
        /// The rule.
        rule_id: String,
        /// Whom it concerns.
        user_id: Option<UserId>,
        /// info, warning or critical.
        severity: String,
        /// What happened.
        message: String,
    }
    /// Compliance closed an alert; the words are not in the event.
    AlertResolved "compliance.alert_resolved.v1" |event| event.alert_id.to_string(); {
        /// The alert.
        alert_id: AlertId,
        /// The rule that raised it.
        rule_id: String,
        /// Whom it concerns.
        user_id: Option<UserId>,
        /// SHA-256 of what was found.
        resolution_digest: String,
        /// Who closed it.
        by: String,
    }
    /// The audit log, or a part of it, was copied out.
    AuditExported "compliance.audit_exported.v1" |_event| "audit-log".to_owned(); {
        /// Entries that were copied.
        entries: u64,
        /// The hash of the last one.
        head: String,
        /// Who did it.
        by: String,
    }
    /// Entries of the audit log that were changed or removed were put back as the sealed head proves them.
    AuditMended "compliance.audit_mended.v1" |_event| "audit-log".to_owned(); {
        /// Entries that were put back.
        restored: u64,
        /// The hash of the last entry, as it was sealed.
        head: String,
        /// Who did it.
        by: String,
    }
    /// The head of the audit log was told outside.
    AuditAnchored "compliance.audit_anchored.v1" |_event| "audit-log".to_owned(); {
        /// The number of the anchor, from 1.
        anchor: u64,
        /// Entries of the log.
        entries: u64,
        /// The hash of the last one.
        head: String,
        /// SHA-256 of the anchor's line.
        digest: String,
    }
    /// Somebody who works for the house saw what is a client's.
    StaffRead "kit.staff_read.v1" |event| {
        let client = event.user_id.map_or_else(|| "clients".to_owned(), |client| client.to_string());
        format!("{}/{client}/{}", event.staff_id, event.method)
    }; {
        /// Who saw it.
        staff_id: String,
        /// Whose it is; none: of clients in general.
        user_id: Option<UserId>,
        /// What was called.
        method: String,
        /// The request.
        cause: Cause,
    }
    /// A copy of everything that is a client's was handed out.
    DataExported "kit.data_exported.v1" |event| format!("{}/{}", event.user_id, event.method); {
        /// Whose.
        user_id: UserId,
        /// To whom.
        by: String,
        /// What was called.
        method: String,
        /// The request.
        cause: Cause,
    }
    /// An alias of a model moved to another version.
    ModelAliasChanged "models.alias_changed.v1" |event| event.model.clone(); {
        /// The model.
        model: String,
        /// champion or challenger.
        alias: String,
        /// The version that holds it now.
        version: String,
        /// The one that held it before.
        previous: Option<String>,
        /// promote or rollback.
        kind: String,
        /// Who decided.
        by: String,
    }
    /// Compliance stopped something of a client's. Why stays in compliance's own store: of the note, only its digest travels.
    HoldPlaced "compliance.hold_placed.v1" |event| event.user_id.to_string(); {
        /// The hold.
        hold_id: HoldId,
        /// Whom it concerns.
        user_id: UserId,
        /// The portfolio; nothing: all of his.
        portfolio_id: Option<PortfolioId>,
        /// money_out, money_in, orders, advice, erasure.
        covers: Vec<String>,
        /// standard or critical.
        severity: String,
        /// The code of what the client is told.
        client_text: String,
        /// SHA-256 of the internal reason, hex.
        reason_digest: String,
        /// Who placed it.
        by: String,
    }
    /// A hold was released.
    HoldReleased "compliance.hold_released.v1" |event| event.user_id.to_string(); {
        /// The hold.
        hold_id: HoldId,
        /// Whom it concerns.
        user_id: UserId,
        /// The portfolio; nothing: all of his.
        portfolio_id: Option<PortfolioId>,
        /// SHA-256 of the internal reason, hex.
        reason_digest: String,
        /// Who released it.
        by: String,
    }
    /// A notification reached its channel.
    NotificationDelivered "notification.delivered.v1" |event| event.user_id.to_string(); {
        /// The notification.
        notification_id: NotificationId,
        /// Whom it was for.
        user_id: UserId,
        /// Its topic.
        topic: String,
        /// inbox or email.
        channel: String,
        /// The event it tells about.
        about: String,
    }
    /// A unit of work (a portfolio, an order, an instrument) was set aside because its own work failed, was tried again,
    /// is repaired, or was released. For operators and the audit log; clients are not told of it.
    QuarantineChanged "platform.quarantine_changed.v1" |event| format!("{}/{}", event.kind, event.id); {
        /// Whose work failed.
        service: String,
        /// portfolio, order or instrument.
        kind: String,
        /// Which one.
        id: String,
        /// quarantined, retried, repaired or released.
        change: String,
        /// Why it failed, or what is to be known of it.
        reason: String,
    }

    /// A notification could not be delivered, and no further attempt will be made.
    NotificationFailed "notification.failed.v1" |event| event.user_id.to_string(); {
        /// The notification.
        notification_id: NotificationId,
        /// Whom it was for.
        user_id: UserId,
        /// Its topic.
        topic: String,
        /// inbox or email.
        channel: String,
        /// What went wrong.
        reason: String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_type_is_named_once_in_the_past_tense_form() {
        let mut types: Vec<_> = CATALOGUE.iter().map(|(kind, _)| *kind).collect();
        for kind in &types {
            let parts: Vec<_> = kind.split('.').collect();
            assert_eq!(parts.len(), 3, "{kind}: service, name, version");
            assert!(parts[2].starts_with('v'), "{kind}");
        }
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), CATALOGUE.len());
    }

    /// A published event never changes shape: a change of this digest means a new version of the event is needed.
    #[test]
    fn published_shapes_stand_as_recorded() {
        let recorded = include_str!("../events.snapshot");
        let now: String = CATALOGUE.iter().map(|(kind, fields)| format!("{kind}: {}\n", fields.join(", "))).collect();
        assert_eq!(now, recorded, "events.snapshot differs: publish a new version instead of changing one");
    }
}
