//! The agent's place: reviews, market falls, turnover, and users that were erased.
use super::Store;
use crate::Result;
use moneta_kit::{args, store::Tx};
use moneta_types::{Date, EventId, ExecutionId, Money, PortfolioId, Timestamp, UserId};

impl Store {
    /// Whether the inbox records an event as taken in.
    pub async fn seen(&self, consumer: &str, event: EventId) -> Result<bool> {
        let sql = "SELECT event_id FROM inbox WHERE consumer = $1 AND event_id = $2";
        Ok(self.db.fetch_optional(sql, args![consumer, event]).await?.is_some())
    }

    /// The day of the last review of a portfolio.
    pub async fn reviewed_on(&self, portfolio: PortfolioId) -> Result<Option<Date>> {
        let row = self
            .db
            .fetch_optional("SELECT reviewed_on FROM agent_state WHERE portfolio_id = $1", args![portfolio])
            .await?;
        Ok(row.map(|row| row.get("reviewed_on")).transpose()?)
    }

    /// Notes a review.
    pub async fn keep_review(tx: &mut Tx, portfolio: PortfolioId, date: Date) -> Result<()> {
        tx.execute(
            "INSERT INTO agent_state (portfolio_id, reviewed_on) VALUES ($1, $2) \
             ON CONFLICT (portfolio_id) DO UPDATE SET reviewed_on = excluded.reviewed_on",
            args![portfolio, date],
        )
        .await?;
        Ok(())
    }

    /// Notes a day on which the market fell by the alert threshold.
    pub async fn keep_market_fall(tx: &mut Tx, date: Date) -> Result<()> {
        tx.execute("INSERT INTO market_falls (date) VALUES ($1) ON CONFLICT (date) DO NOTHING", args![date]).await?;
        Ok(())
    }

    /// Whether the market fell by the alert threshold after a day, up to and including another.
    pub async fn market_fell_between(&self, after: Date, until: Date) -> Result<bool> {
        let sql = "SELECT date FROM market_falls WHERE date > $1 AND date <= $2 LIMIT 1";
        Ok(self.db.fetch_optional(sql, args![after, until]).await?.is_some())
    }

    /// Notes that a user's personal data were erased.
    pub async fn keep_erased(tx: &mut Tx, user: UserId, at: Timestamp) -> Result<()> {
        tx.execute(
            "INSERT INTO erased_users (user_id, at) VALUES ($1, $2) ON CONFLICT (user_id) DO NOTHING",
            args![user, at],
        )
        .await?;
        Ok(())
    }

    /// Whether a user's personal data were erased.
    pub async fn is_erased(&self, user: UserId) -> Result<bool> {
        let row = self.db.fetch_optional("SELECT user_id FROM erased_users WHERE user_id = $1", args![user]).await?;
        Ok(row.is_some())
    }

    /// Notes the value of an execution, for the mandate's turnover limit.
    pub async fn keep_turnover(
        tx: &mut Tx,
        execution: ExecutionId,
        portfolio: PortfolioId,
        at: Timestamp,
        value: Money,
    ) -> Result<()> {
        tx.execute(
            "INSERT INTO turnover (execution_id, portfolio_id, at, value_minor) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (execution_id) DO NOTHING",
            args![execution, portfolio, at, value],
        )
        .await?;
        Ok(())
    }

    /// Value of the executions since a moment, in minor units of the portfolio's currency.
    pub async fn turnover_since(&self, portfolio: PortfolioId, since: Timestamp) -> Result<i64> {
        let row = self
            .db
            .fetch_one(
                "SELECT CAST(COALESCE(SUM(value_minor), 0) AS BIGINT) AS total FROM turnover \
                 WHERE portfolio_id = $1 AND at >= $2",
                args![portfolio, since],
            )
            .await?;
        Ok(row.int("total")?)
    }
}
