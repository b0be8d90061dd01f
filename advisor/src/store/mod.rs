//! The adviser's own tables: decisions, market views, recommendations, mandates, and the agent's place.
mod agent;

use crate::{
    Result,
    cycle::{DecisionRecord, MarketView},
    mandate::Mandate,
    recommendation::{PlannedOrder, Recommendation, Status},
};
use moneta_kit::{
    args,
    problem::Problem,
    store::{Args, Db, Row, Tx},
};
use moneta_types::{Date, DecisionId, OrderId, PortfolioId, Quantity, RecommendationId, Timestamp, UserId};
use std::collections::HashMap;

/// Reads and writes of the adviser.
#[derive(Debug, Clone)]
pub struct Store {
    db: Db,
}

/// A decision as it is kept.
#[derive(Debug, Clone)]
pub struct StoredDecision {
    /// The record.
    pub record: DecisionRecord,
    /// Its canonical text.
    pub text: String,
    /// SHA-256 of the text, hex.
    pub digest: String,
    /// The recommendation that came of it.
    pub recommendation: Option<RecommendationId>,
}

/// A page of a list, newest first.
#[derive(Debug, Clone)]
pub struct Slice {
    /// At most so many.
    pub limit: u32,
    /// Only what comes after this moment and id.
    pub after: Option<(Timestamp, String)>,
}

impl Slice {
    /// The newest `limit` of a list.
    pub const fn newest(limit: u32) -> Self {
        Self { limit, after: None }
    }

    pub(crate) fn restrict(&self, wheres: &mut Vec<String>, args: &mut Args, time: &str, id: &str) {
        if let Some((at, last)) = &self.after {
            args.push(at);
            let moment = args.len();
            args.push(last);
            wheres.push(format!("({time} < ${moment} OR ({time} = ${moment} AND {id} > ${}))", args.len()));
        }
    }
}

impl Store {
    /// The store over a database.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    /// Begins a write.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(self.db.begin().await?)
    }

    /// Keeps a market view's canonical text; the same view twice is kept once.
    pub async fn keep_view(tx: &mut Tx, digest: &str, date: Date, canonical: &str) -> Result<()> {
        tx.execute(
            "INSERT INTO market_views (digest, date, view) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING",
            args![digest, date, canonical],
        )
        .await?;
        Ok(())
    }

    /// The market view with this digest.
    pub async fn view(&self, digest: &str) -> Result<MarketView> {
        let row = self.db.fetch_optional("SELECT view FROM market_views WHERE digest = $1", args![digest]).await?;
        let row = row.ok_or_else(|| Problem::not_found("market view", digest))?;
        Ok(serde_json::from_str(&row.text("view")?)?)
    }

    /// Keeps a decision; `false` when there is one with this id, which is left as it is.
    pub async fn keep_decision(tx: &mut Tx, decision: &StoredDecision) -> Result<bool> {
        let record = &decision.record;
        let snapshot = &record.inputs.snapshot;
        let kept = tx
            .execute(
                "INSERT INTO decisions (decision_id, portfolio_id, owner_id, at, date, outcome, record, digest, \
             recommendation_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (decision_id) DO NOTHING",
                args![
                    record.decision_id,
                    snapshot.portfolio_id,
                    snapshot.owner_id,
                    record.at,
                    snapshot.valued_on,
                    record.results.outcome,
                    decision.text,
                    decision.digest,
                    decision.recommendation
                ],
            )
            .await?;
        Ok(kept == 1)
    }

    /// The decision with this id.
    pub async fn decision(&self, id: DecisionId) -> Result<Option<StoredDecision>> {
        let row = self.db.fetch_optional("SELECT * FROM decisions WHERE decision_id = $1", args![id]).await?;
        row.map(|row| decision(&row)).transpose()
    }

    /// Decisions of a portfolio, or of all of an owner's portfolios, newest first.
    pub async fn decisions(
        &self,
        portfolio: Option<PortfolioId>,
        owner: Option<UserId>,
        days: (Option<Date>, Option<Date>),
        slice: Slice,
    ) -> Result<Vec<StoredDecision>> {
        let mut args = Args::new();
        let mut wheres = vec!["1 = 1".to_owned()];
        filter(&mut wheres, &mut args, "portfolio_id", portfolio);
        filter(&mut wheres, &mut args, "owner_id", owner);
        compare(&mut wheres, &mut args, "date >=", days.0);
        compare(&mut wheres, &mut args, "date <=", days.1);
        slice.restrict(&mut wheres, &mut args, "at", "decision_id");
        args.push(&slice.limit);
        let sql = format!(
            "SELECT * FROM decisions WHERE {} ORDER BY at DESC, decision_id LIMIT ${}",
            wheres.join(" AND "),
            args.len()
        );
        self.db.fetch_all(&sql, args).await?.iter().map(decision).collect()
    }

    /// The decisions behind recommendations, by id.
    pub async fn decisions_of(&self, items: &[Recommendation]) -> Result<HashMap<DecisionId, StoredDecision>> {
        if items.is_empty() {
            return Ok(HashMap::new());
        }
        let (marks, args) = marked(items.iter().map(|item| item.decision_id));
        let sql = format!("SELECT * FROM decisions WHERE decision_id IN ({marks})");
        let rows = self.db.fetch_all(&sql, args).await?;
        rows.iter().map(|row| decision(row).map(|kept| (kept.record.decision_id, kept))).collect()
    }

    /// Keeps a new recommendation.
    pub async fn keep_recommendation(tx: &mut Tx, item: &Recommendation) -> Result<()> {
        tx.execute(
            "INSERT INTO recommendations (recommendation_id, portfolio_id, owner_id, decision_id, status, \
             status_reason, autonomy, summary, proposal_digest, portfolio_version, questionnaire, mandate_version, \
             issued, expires, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
             ON CONFLICT (recommendation_id) DO NOTHING",
            args![
                item.id,
                item.portfolio_id,
                item.owner_id,
                item.decision_id,
                item.status.as_str(),
                item.status_reason,
                item.autonomy,
                item.summary,
                item.proposal_digest,
                item.portfolio_version,
                item.questionnaire,
                item.mandate_version,
                item.issued,
                item.expires,
                item.version
            ],
        )
        .await?;
        Ok(())
    }

    /// Moves a recommendation to a status; a conflict when somebody moved it meanwhile or the step is not allowed.
    pub async fn move_to(tx: &mut Tx, item: &mut Recommendation, next: Status, reason: &str) -> Result<()> {
        if !item.status.may_become(next) {
            return Err(Problem::precondition(
                "recommendation_closed",
                format!("the recommendation is {} and cannot become {}", item.status.as_str(), next.as_str()),
            )
            .into());
        }
        let changed = tx
            .execute(
                "UPDATE recommendations SET status = $1, status_reason = $2, version = version + 1 \
                 WHERE recommendation_id = $3 AND version = $4",
                args![next.as_str(), reason, item.id, item.version],
            )
            .await?;
        if changed != 1 {
            return Err(Problem::conflict(
                "recommendation_changed",
                "the recommendation changed meanwhile; look at it again",
            )
            .into());
        }
        item.status = next;
        item.status_reason = reason.to_owned();
        item.version += 1;
        Ok(())
    }

    /// Writes down an order before it is sent; what was written down before stands.
    pub async fn plan_order(
        tx: &mut Tx,
        id: RecommendationId,
        trade: usize,
        quantity: Quantity,
        refusal: &str,
    ) -> Result<()> {
        tx.execute(
            "INSERT INTO recommendation_orders (recommendation_id, trade, quantity, refusal) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (recommendation_id, trade) DO NOTHING",
            args![id, trade, quantity, refusal],
        )
        .await?;
        Ok(())
    }

    /// Notes the order that trading made of a planned one.
    pub async fn keep_order(tx: &mut Tx, id: RecommendationId, trade: usize, order: OrderId) -> Result<()> {
        tx.execute(
            "UPDATE recommendation_orders SET order_id = $1 WHERE recommendation_id = $2 AND trade = $3",
            args![order, id, trade],
        )
        .await?;
        Ok(())
    }

    /// Notes why trading takes no order of a planned one.
    pub async fn refuse_order(tx: &mut Tx, id: RecommendationId, trade: usize, why: &str) -> Result<()> {
        let why = if why.is_empty() { "refused" } else { why };
        tx.execute(
            "UPDATE recommendation_orders SET refusal = $1 WHERE recommendation_id = $2 AND trade = $3",
            args![why, id, trade],
        )
        .await?;
        Ok(())
    }

    /// The orders of a recommendation that are written down, by trade.
    pub async fn planned_orders(&self, id: RecommendationId) -> Result<Vec<PlannedOrder>> {
        let rows = self
            .db
            .fetch_all("SELECT * FROM recommendation_orders WHERE recommendation_id = $1 ORDER BY trade", args![id])
            .await?;
        rows.iter().map(planned_order).collect()
    }

    /// A portfolio's recommendations in a status, oldest first, as this transaction sees them; without their orders.
    pub async fn standing(tx: &mut Tx, portfolio: PortfolioId, status: Status) -> Result<Vec<Recommendation>> {
        let sql =
            "SELECT * FROM recommendations WHERE portfolio_id = $1 AND status = $2 ORDER BY issued, recommendation_id";
        tx.fetch_all(sql, args![portfolio, status.as_str()]).await?.iter().map(recommendation).collect()
    }

    /// An owner's recommendations in a status, oldest first, as this transaction sees them; without their orders.
    pub async fn standing_of(tx: &mut Tx, owner: UserId, status: Status) -> Result<Vec<Recommendation>> {
        let sql =
            "SELECT * FROM recommendations WHERE owner_id = $1 AND status = $2 ORDER BY issued, recommendation_id";
        tx.fetch_all(sql, args![owner, status.as_str()]).await?.iter().map(recommendation).collect()
    }

    /// The recommendation with this id.
    pub async fn recommendation(&self, id: RecommendationId) -> Result<Option<Recommendation>> {
        let rows = self.db.fetch_all("SELECT * FROM recommendations WHERE recommendation_id = $1", args![id]).await?;
        Ok(self.with_orders(rows).await?.into_iter().next())
    }

    /// Recommendations, newest first.
    pub async fn recommendations(
        &self,
        portfolio: Option<PortfolioId>,
        owner: Option<UserId>,
        status: Option<Status>,
        slice: Slice,
    ) -> Result<Vec<Recommendation>> {
        let mut args = Args::new();
        let mut wheres = vec!["1 = 1".to_owned()];
        filter(&mut wheres, &mut args, "portfolio_id", portfolio);
        filter(&mut wheres, &mut args, "owner_id", owner);
        filter(&mut wheres, &mut args, "status", status.map(Status::as_str));
        slice.restrict(&mut wheres, &mut args, "issued", "recommendation_id");
        args.push(&slice.limit);
        let sql = format!(
            "SELECT * FROM recommendations WHERE {} ORDER BY issued DESC, recommendation_id LIMIT ${}",
            wheres.join(" AND "),
            args.len()
        );
        let rows = self.db.fetch_all(&sql, args).await?;
        self.with_orders(rows).await
    }

    /// Every recommendation of a portfolio in a status, newest first.
    pub async fn recommendations_in(&self, portfolio: PortfolioId, status: Status) -> Result<Vec<Recommendation>> {
        let sql = "SELECT * FROM recommendations WHERE portfolio_id = $1 AND status = $2 \
                   ORDER BY issued DESC, recommendation_id";
        let rows = self.db.fetch_all(sql, args![portfolio, status.as_str()]).await?;
        self.with_orders(rows).await
    }

    async fn with_orders(&self, rows: Vec<Row>) -> Result<Vec<Recommendation>> {
        let mut items = rows.iter().map(recommendation).collect::<Result<Vec<_>>>()?;
        if items.is_empty() {
            return Ok(items);
        }
        let (marks, args) = marked(items.iter().map(|item| item.id));
        let sql = format!("SELECT * FROM recommendation_orders WHERE recommendation_id IN ({marks}) ORDER BY trade");
        let mut orders: HashMap<RecommendationId, Vec<PlannedOrder>> = HashMap::new();
        for row in self.db.fetch_all(&sql, args).await? {
            orders.entry(row.get("recommendation_id")?).or_default().push(planned_order(&row)?);
        }
        for item in &mut items {
            item.orders = orders.remove(&item.id).unwrap_or_default();
        }
        Ok(items)
    }

    /// The mandate in force, if the client has set one.
    pub async fn mandate(&self, portfolio: PortfolioId) -> Result<Option<Mandate>> {
        let row = self
            .db
            .fetch_optional(
                "SELECT body FROM mandates WHERE portfolio_id = $1 ORDER BY version DESC LIMIT 1",
                args![portfolio],
            )
            .await?;
        Ok(row.map(|row| row.json("body")).transpose()?)
    }

    /// Removes why an erased user paused the agent, from every version of his mandates.
    pub async fn forget_pauses(tx: &mut Tx, owner: UserId) -> Result<()> {
        for row in tx.fetch_all("SELECT body FROM mandates WHERE owner_id = $1", args![owner]).await? {
            let mandate: Mandate = row.json("body")?;
            if mandate.pause_reason.is_empty() {
                continue;
            }
            let silent = Mandate { pause_reason: String::new(), ..mandate };
            tx.execute(
                "UPDATE mandates SET body = $1 WHERE portfolio_id = $2 AND version = $3",
                args![serde_json::to_string(&silent)?, silent.portfolio_id, silent.version],
            )
            .await?;
        }
        Ok(())
    }

    /// Puts a version of a mandate into force; a conflict when that version is there already.
    pub async fn keep_mandate(tx: &mut Tx, mandate: &Mandate) -> Result<()> {
        let changed = tx
            .execute(
                "INSERT INTO mandates (portfolio_id, version, owner_id, body, updated) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (portfolio_id, version) DO NOTHING",
                args![
                    mandate.portfolio_id,
                    mandate.version,
                    mandate.owner_id,
                    serde_json::to_string(mandate)?,
                    mandate.updated
                ],
            )
            .await?;
        if changed != 1 {
            return Err(Problem::conflict("mandate_changed", "the mandate changed meanwhile; look at it again").into());
        }
        Ok(())
    }

    /// The database, for the conversations' own tables.
    pub const fn db(&self) -> &Db {
        &self.db
    }
}

fn filter<T: moneta_kit::store::ToArg>(wheres: &mut Vec<String>, args: &mut Args, column: &str, value: Option<T>) {
    compare(wheres, args, &format!("{column} ="), value);
}

fn compare<T: moneta_kit::store::ToArg>(wheres: &mut Vec<String>, args: &mut Args, relation: &str, value: Option<T>) {
    if let Some(value) = value {
        args.push(&value);
        wheres.push(format!("{relation} ${}", args.len()));
    }
}

/// "$1, $2, …" and the arguments for them.
fn marked<T: moneta_kit::store::ToArg>(values: impl Iterator<Item = T>) -> (String, Args) {
    let mut args = Args::new();
    let mut marks = Vec::new();
    for value in values {
        args.push(&value);
        marks.push(format!("${}", args.len()));
    }
    (marks.join(", "), args)
}

fn planned_order(row: &Row) -> Result<PlannedOrder> {
    Ok(PlannedOrder {
        trade: number(row, "trade")?,
        quantity: row.get("quantity")?,
        order: row.get("order_id")?,
        refusal: row.text("refusal")?,
    })
}

/// A number that is never negative; one that is means that the table was altered.
fn number<T: TryFrom<i64>>(row: &Row, column: &'static str) -> Result<T> {
    let value = row.int(column)?;
    T::try_from(value).map_err(|_| crate::Error::Stored { column, value: value.to_string() })
}

fn decision(row: &Row) -> Result<StoredDecision> {
    let text = row.text("record")?;
    Ok(StoredDecision {
        record: serde_json::from_str(&text)?,
        text,
        digest: row.text("digest")?,
        recommendation: row.get("recommendation_id")?,
    })
}

fn recommendation(row: &Row) -> Result<Recommendation> {
    let status = row.text("status")?;
    Ok(Recommendation {
        id: row.get("recommendation_id")?,
        portfolio_id: row.get("portfolio_id")?,
        owner_id: row.get("owner_id")?,
        decision_id: row.get("decision_id")?,
        status: Status::from_name(&status).ok_or(crate::Error::Stored { column: "status", value: status })?,
        status_reason: row.text("status_reason")?,
        autonomy: row.text("autonomy")?,
        summary: row.text("summary")?,
        proposal_digest: row.text("proposal_digest")?,
        portfolio_version: number(row, "portfolio_version")?,
        questionnaire: number(row, "questionnaire")?,
        mandate_version: number(row, "mandate_version")?,
        issued: row.get("issued")?,
        expires: row.get("expires")?,
        version: number(row, "version")?,
        orders: Vec::new(),
    })
}
