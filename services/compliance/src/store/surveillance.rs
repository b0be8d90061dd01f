//! What surveillance remembers of events that it has taken in.
use super::Store;
use crate::{Result, case::TradingHistory};
use moneta_contracts::events::{Side, TradeExecuted};
use moneta_kit::{args, store::Tx};
use moneta_types::{Currency, Date, Money, PortfolioId, Timestamp, UserId};
use rust_decimal::Decimal;

/// How far a portfolio has fallen in its reporting period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FallState {
    /// First day of the reporting period (a calendar quarter).
    pub period: Date,
    /// Time-weighted index, 1 at the start of the period; deposits and withdrawals do not move it.
    pub index: Decimal,
    /// The last day that is in the index.
    pub date: Date,
    /// How many multiples of the limit have been told in this period.
    pub told: u32,
}

/// A deposit or withdrawal as surveillance saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// How much; below zero when it went out.
    pub amount: Money,
    /// When.
    pub at: Timestamp,
}

impl Movement {
    /// Whether it came in.
    pub const fn is_deposit(&self) -> bool {
        self.amount.is_positive()
    }
}

impl Store {
    /// Notes an execution for the churning rule; an execution that is known is not noted twice.
    pub async fn note_trade(&self, tx: &mut Tx, trade: &TradeExecuted) -> Result<()> {
        let value = trade.price.value_of(trade.quantity, trade.currency)?;
        let costs = trade.commission.checked_add(trade.spread_cost)?;
        tx.execute(
            "INSERT INTO trades (execution_id, portfolio_id, side, value_minor, cost_minor, currency, at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (execution_id) DO NOTHING",
            args![trade.execution_id, trade.portfolio_id, trade.side.as_str(), value, costs, trade.currency, trade.at],
        )
        .await?;
        Ok(())
    }

    /// What a portfolio traded since a moment, in one currency.
    pub async fn trading_since(
        &self,
        portfolio: PortfolioId,
        since: Timestamp,
        currency: Currency,
    ) -> Result<TradingHistory> {
        let rows = self
            .db
            .fetch_all(
                "SELECT side, CAST(SUM(value_minor) AS BIGINT) AS value, CAST(SUM(cost_minor) AS BIGINT) AS cost FROM trades \
                 WHERE portfolio_id = $1 AND at >= $2 AND currency = $3 GROUP BY side",
                args![portfolio, since, currency],
            )
            .await?;
        let zero = Money::zero(currency);
        let mut history = TradingHistory { bought: zero, sold: zero, costs: zero };
        for row in &rows {
            let value = Money::from_minor(row.int("value")?, currency);
            let cost = Money::from_minor(row.int("cost")?, currency);
            if row.text("side")? == Side::Buy.as_str() {
                history.bought = value;
            } else {
                history.sold = value;
            }
            history.costs = history.costs.checked_add(cost)?;
        }
        Ok(history)
    }

    /// How far a portfolio has fallen in its reporting period.
    pub async fn fall(&self, tx: &mut Tx, portfolio: PortfolioId) -> Result<Option<FallState>> {
        let row = tx
            .fetch_optional(
                "SELECT period, twr_index, date, told FROM portfolio_falls WHERE portfolio_id = $1",
                args![portfolio],
            )
            .await?;
        row.map(|row| {
            Ok(FallState {
                period: row.get("period")?,
                index: row.get("twr_index")?,
                date: row.get("date")?,
                told: row.get("told")?,
            })
        })
        .transpose()
    }

    /// Writes how far a portfolio has fallen.
    pub async fn set_fall(&self, tx: &mut Tx, portfolio: PortfolioId, state: &FallState) -> Result<()> {
        tx.execute(
            "INSERT INTO portfolio_falls (portfolio_id, period, twr_index, date, told) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (portfolio_id) DO UPDATE SET period = excluded.period, twr_index = excluded.twr_index, \
             date = excluded.date, told = excluded.told",
            args![portfolio, state.period, state.index, state.date, state.told],
        )
        .await?;
        Ok(())
    }

    /// Notes the cash of a portfolio after a change; the cash before, when it was known.
    pub async fn note_cash(
        &self,
        tx: &mut Tx,
        portfolio: PortfolioId,
        version: u64,
        cash: Money,
    ) -> Result<Option<Money>> {
        let before = tx
            .fetch_optional(
                "SELECT cash_minor, currency FROM portfolio_cash WHERE portfolio_id = $1 AND version < $2",
                args![portfolio, version],
            )
            .await?;
        let before = before.map(|row| row.money("cash_minor", "currency")).transpose()?;
        tx.execute(
            "INSERT INTO portfolio_cash (portfolio_id, version, cash_minor, currency) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (portfolio_id) DO UPDATE SET version = excluded.version, cash_minor = excluded.cash_minor, \
             currency = excluded.currency WHERE portfolio_cash.version < excluded.version",
            args![portfolio, version, cash, cash.currency()],
        )
        .await?;
        Ok(before)
    }

    /// Notes a deposit or withdrawal of a user.
    pub async fn note_movement(&self, tx: &mut Tx, id: &str, user: UserId, movement: Movement) -> Result<()> {
        tx.execute(
            "INSERT INTO movements (transaction_id, user_id, amount_minor, currency, at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (transaction_id) DO NOTHING",
            args![id, user, movement.amount, movement.amount.currency(), movement.at],
        )
        .await?;
        Ok(())
    }

    /// A user's deposits and withdrawals since a moment.
    pub async fn movements_since(&self, tx: &mut Tx, user: UserId, since: Timestamp) -> Result<Vec<Movement>> {
        let rows = tx
            .fetch_all(
                "SELECT amount_minor, currency, at FROM movements WHERE user_id = $1 AND at >= $2 ORDER BY at",
                args![user, since],
            )
            .await?;
        rows.iter()
            .map(|row| Ok(Movement { amount: row.money("amount_minor", "currency")?, at: row.get("at")? }))
            .collect()
    }

    /// Notes a refused order of a user and answers how many there were since a moment.
    pub async fn note_refusal(
        &self,
        tx: &mut Tx,
        order: &str,
        user: UserId,
        at: Timestamp,
        since: Timestamp,
    ) -> Result<u32> {
        tx.execute(
            "INSERT INTO refused_orders (order_id, user_id, at) VALUES ($1, $2, $3) ON CONFLICT (order_id) DO NOTHING",
            args![order, user, at],
        )
        .await?;
        let row = tx
            .fetch_one(
                "SELECT COUNT(*) AS refused FROM refused_orders WHERE user_id = $1 AND at >= $2",
                args![user, since],
            )
            .await?;
        Ok(row.get("refused")?)
    }
}
