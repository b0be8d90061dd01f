//! Opening a portfolio, moving cash, setting the target. Each command is idempotent and writes its event in the same
//! transaction as its effect; ids come from what the caller named, so a retry makes the same ones.
use super::{PORTFOLIO, Portfolio, withdrawal::check_free};
use crate::{
    Config, Error, Result,
    allocation::Target,
    ledger::{Book, Entry, Kind, Transaction},
    store::{self, Reader},
};
use moneta_contracts::events::{PortfolioCreated, PortfolioUpdated};
use moneta_kit::{
    keys::KeyRing,
    quarantine::{self, Unit},
    store::{Db, Tx},
};
use moneta_types::{Cause, Clock, Currency, Money, PortfolioId, TransactionId, UserId};

/// What a portfolio's name is sealed as, with its owner's key.
pub const NAME: &str = "portfolio.name";
/// What the note of a cash movement is sealed as.
pub const NOTE: &str = "transaction.note";

/// What the caller's own references are sealed as.
const REFERENCE: &str = "reference";

/// A portfolio as it was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// Whose it will be.
    pub owner: UserId,
    /// What he calls it.
    pub name: &'a str,
    /// Its currency.
    pub currency: Currency,
    /// The caller's idempotency key.
    pub reference: &'a str,
}

/// Opens a portfolio, or answers the one that the same reference opened before.
///
/// # Errors
/// [`Error::ReferenceReused`] when the reference opened a portfolio with another name or currency.
pub async fn create(
    db: &Db,
    clock: &Clock,
    config: &Config,
    keys: &KeyRing,
    opening: Opening<'_>,
) -> Result<Portfolio> {
    let Opening { owner, name, currency, reference } = opening;
    let cause = Cause::named(&format!("portfolio/{owner}/{reference}"));
    let id = PortfolioId::from_uuid(cause.derive("portfolio"));
    let mut tx = db.begin().await?;
    if let Some(existing) = store::load(&mut Reader::Within(&mut tx), id, config.cost_basis).await? {
        if keys.open_text(owner, NAME, &existing.name)? != name || existing.book.currency() != currency {
            return Err(Error::ReferenceReused { reference: reference.to_owned(), what: "portfolio" });
        }
        return Ok(existing);
    }
    let portfolio = Portfolio {
        id,
        owner,
        name: keys.seal_text(owner, NAME, name)?,
        version: 1,
        seq: 0,
        book: Book::new(currency, config.cost_basis),
        target: None,
        created: clock.now(),
    };
    store::insert(&mut tx, &portfolio, &keys.seal_text(owner, REFERENCE, reference)?).await?;
    tx.publish(&PortfolioCreated { portfolio_id: id, owner_id: owner, currency }, cause, clock).await?;
    tx.commit().await?;
    Ok(portfolio)
}

/// A deposit or withdrawal as it was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Movement<'a> {
    /// [`Kind::Deposit`] or [`Kind::Withdrawal`].
    pub kind: Kind,
    /// Above zero.
    pub amount: Money,
    /// The caller's idempotency key.
    pub reference: &'a str,
    /// Free text.
    pub note: &'a str,
}

impl Movement<'_> {
    fn cause(&self, portfolio: PortfolioId) -> Cause {
        Cause::new(portfolio.uuid()).part(&format!("movement/{}", self.reference))
    }

    fn transaction(&self, portfolio: PortfolioId) -> TransactionId {
        TransactionId::from_uuid(self.cause(portfolio).derive("transaction"))
    }

    fn is(&self, booked: &Transaction, note: &str) -> bool {
        booked.kind == self.kind
            && booked.cash.minor_units().unsigned_abs() == self.amount.minor_units().unsigned_abs()
            && booked.cash.currency() == self.amount.currency()
            && note == self.note
    }
}

/// The movement of a reference, when it is booked already, and the portfolio as it is now.
///
/// # Errors
/// [`Error::ReferenceReused`] when the reference moved something else.
pub async fn booked_movement(
    reader: &mut Reader<'_>,
    config: &Config,
    keys: &KeyRing,
    portfolio: PortfolioId,
    movement: &Movement<'_>,
) -> Result<Option<(TransactionId, Portfolio)>> {
    let Some(state) = store::load(reader, portfolio, config.cost_basis).await? else { return Ok(None) };
    Ok(booked(reader, keys, &state, movement).await?.map(|id| (id, state)))
}

async fn booked(
    reader: &mut Reader<'_>,
    keys: &KeyRing,
    state: &Portfolio,
    movement: &Movement<'_>,
) -> Result<Option<TransactionId>> {
    let Some(booked) = store::transaction(reader, state, movement.transaction(state.id)).await? else {
        return Ok(None);
    };
    let note = keys.open_text(state.owner, NOTE, &booked.note)?;
    if !movement.is(&booked, &note) {
        return Err(Error::ReferenceReused { reference: movement.reference.to_owned(), what: "cash movement" });
    }
    Ok(Some(booked.id))
}

/// Moves cash, once for each reference. `committed` is what a withdrawal must leave for orders.
///
/// # Errors
/// [`Error::Overdraft`], [`Error::CashCommitted`], [`Error::CurrencyNotHeld`], [`Error::NotPositive`], [`Error::Quarantined`], and [`Error::ReferenceReused`] when the
/// reference moved something else before.
pub async fn move_cash(
    db: &Db,
    clock: &Clock,
    config: &Config,
    keys: &KeyRing,
    portfolio: PortfolioId,
    movement: Movement<'_>,
    committed: Option<Money>,
) -> Result<(TransactionId, Portfolio)> {
    let (cause, id) = (movement.cause(portfolio), movement.transaction(portfolio));
    let mut tx = db.begin().await?;
    let mut state = store::existing(&mut tx, portfolio, config.cost_basis).await?;
    if let Some(booked) = booked(&mut Reader::Within(&mut tx), keys, &state, &movement).await? {
        return Ok((booked, state));
    }
    if quarantine::holds(&mut tx, &Unit::new(PORTFOLIO, portfolio)).await? {
        return Err(Error::Quarantined { portfolio });
    }
    // What was written before is found by its id, which came of the reference; nobody looks for the reference itself.
    let reference = keys.seal_text(state.owner, REFERENCE, movement.reference)?;
    let note = keys.seal_text(state.owner, NOTE, movement.note)?;
    let entry = Entry { id, at: clock.now(), reference: &reference, note: &note };
    let booked = match movement.kind {
        Kind::Withdrawal => {
            let cash = state.book.cash;
            let booked = state.book.withdraw(movement.amount, entry)?;
            check_free(cash, committed, movement.amount)?;
            booked
        }
        _ => state.book.deposit(movement.amount, entry)?,
    };
    store::book(&mut tx, &mut state, &booked).await?;
    publish_update(&mut tx, clock, cause, &state, movement.kind.as_str(), Some(&booked)).await?;
    tx.commit().await?;
    Ok((id, state))
}

/// Sets the target allocation; the same target again changes nothing.
pub async fn set_target(
    db: &Db,
    clock: &Clock,
    config: &Config,
    portfolio: PortfolioId,
    target: Target,
    source: &str,
) -> Result<Portfolio> {
    let mut tx = db.begin().await?;
    let mut state = store::existing(&mut tx, portfolio, config.cost_basis).await?;
    if state.target.as_ref() == Some(&target) {
        return Ok(state);
    }
    state.target = Some(target);
    store::save_target(&mut tx, &mut state, source).await?;
    let cause = Cause::new(portfolio.uuid()).part(&format!("target/{}", state.version));
    publish_update(&mut tx, clock, cause, &state, "target", None).await?;
    tx.commit().await?;
    Ok(state)
}

/// Tells that a portfolio changed, within the transaction of the change.
pub(crate) async fn publish_update(
    tx: &mut Tx,
    clock: &Clock,
    cause: Cause,
    state: &Portfolio,
    change: &str,
    booked: Option<&Transaction>,
) -> Result<()> {
    let event = PortfolioUpdated {
        portfolio_id: state.id,
        owner_id: state.owner,
        version: state.version,
        change: change.to_owned(),
        transaction_id: booked.map(|booked| booked.id),
        execution_id: booked.and_then(|booked| booked.execution_id),
        cash: state.book.cash,
    };
    tx.publish(&event, cause, clock).await?;
    Ok(())
}
