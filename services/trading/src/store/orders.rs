//! Orders, fills and messages in the store.
use super::{Reader, side};
use crate::{
    Error, Result,
    controls::{Messages, Verdict},
    order::{Fill, Intent, Order, Origin, Pricing, TimeInForce},
};
use moneta_contracts::events::Side;
use moneta_kit::{
    args,
    store::{Args, Row, Tx},
};
use moneta_types::{Currency, Money, OrderId, PortfolioId, Price, Quantity, Symbol, Timestamp, UserId};

const COLUMNS: &str = "SELECT order_id, seq, client_order_id, owner_id, portfolio_id, idempotency_key, symbol, \
                       instrument_kind, side, quantity_nanos, limit_price, time_in_force, origin, recommendation_id, \
                       proposal_digest, decision_id, expected_price, warning_acknowledged, currency, reference_price, \
                       reserved_minor, state, reason, verdicts, created_micros, updated_micros, version FROM orders";

/// Writes a new order.
pub async fn insert(tx: &mut Tx, order: &Order) -> Result<()> {
    let intent = &order.intent;
    tx.execute(
        "INSERT INTO orders (order_id, seq, client_order_id, owner_id, portfolio_id, idempotency_key, body_digest, \
         symbol, instrument_kind, side, quantity_nanos, limit_price, time_in_force, origin, recommendation_id, \
         proposal_digest, decision_id, expected_price, warning_acknowledged, currency, reference_price, \
         reserved_minor, state, status, working, reason, verdicts, created_micros, updated_micros, version) \
         SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
         $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29 FROM orders",
        args![
            order.id,
            order.client_order_id,
            intent.owner,
            intent.portfolio,
            intent.key,
            intent.digest(),
            intent.symbol,
            order.instrument_kind,
            intent.side.as_str(),
            intent.quantity,
            intent.pricing.limit(),
            intent.time_in_force.as_str(),
            intent.origin.as_str(),
            intent.recommendation,
            intent.proposal_digest,
            intent.decision,
            intent.expected_price,
            intent.warning_acknowledged,
            order.currency,
            order.reference_price,
            order.reserved,
            order.state.stored(),
            order.state.as_str(),
            order.state.is_working(),
            order.reason,
            verdicts(order)?,
            order.created,
            order.updated,
            order.version
        ],
    )
    .await?;
    Ok(())
}

fn verdicts(order: &Order) -> Result<String> {
    serde_json::to_string(&order.verdicts).map_err(|error| Error::Stored { what: "verdicts", value: error.to_string() })
}

/// Writes a changed order, which was read as `version`, and the fills that are new.
pub async fn save(tx: &mut Tx, order: &Order, version: u64) -> Result<()> {
    let changed = tx
        .execute(
            "UPDATE orders SET state = $1, status = $2, working = $3, reason = $4, updated_micros = $5, version = $6 \
             WHERE order_id = $7 AND version = $8",
            args![
                order.state.stored(),
                order.state.as_str(),
                order.state.is_working(),
                order.reason,
                order.updated,
                order.version,
                order.id,
                version
            ],
        )
        .await?;
    if changed != 1 {
        return Err(Error::Raced { order: order.id });
    }
    for (line, fill) in order.fills.iter().enumerate() {
        tx.execute(
            "INSERT INTO fills (execution_id, order_id, line, quantity_nanos, price, commission_minor, spread_minor, \
             at_micros, date, remaining_nanos, booked) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0) \
             ON CONFLICT (execution_id) DO NOTHING",
            args![
                fill.execution,
                order.id,
                line,
                fill.quantity,
                fill.price,
                fill.commission,
                fill.spread_cost,
                fill.at,
                fill.date,
                fill.remaining
            ],
        )
        .await?;
    }
    Ok(())
}

/// An order.
pub async fn find(reader: &mut Reader<'_>, id: OrderId) -> Result<Option<Order>> {
    let row = reader.optional(&format!("{COLUMNS} WHERE order_id = $1"), args![id]).await?;
    match row {
        Some(row) => Ok(Some(read(reader, &row).await?.1)),
        None => Ok(None),
    }
}

/// Replaces what an erased user wrote in his own words, sealed or from before it was: the keys that he gave his orders, and
/// why he cancelled them; and why staff of an older version had stopped him. The orders stay, as the law demands.
pub async fn forget(tx: &mut Tx, owner: UserId) -> Result<()> {
    for statement in [
        "UPDATE orders SET idempotency_key = order_id WHERE owner_id = $1",
        "UPDATE venue_orders SET reason = '' WHERE standing = 'canceled' AND client_order_id IN \
         (SELECT client_order_id FROM orders WHERE owner_id = $1)",
        "UPDATE orders SET reason = '' WHERE owner_id = $1 AND status = 'canceled'",
        "UPDATE kill_switches SET reason = '' WHERE scope = 'client' AND target = $1",
    ] {
        tx.execute(statement, args![owner]).await?;
    }
    Ok(())
}

/// Working orders of a portfolio, oldest first.
pub async fn working(reader: &mut Reader<'_>, portfolio: PortfolioId) -> Result<Vec<Order>> {
    let sql = format!("{COLUMNS} WHERE working = 1 AND portfolio_id = $1 ORDER BY seq");
    let rows = reader.all(&sql, args![portfolio]).await?;
    let mut orders = Vec::with_capacity(rows.len());
    for row in &rows {
        orders.push(read(reader, row).await?.1);
    }
    Ok(orders)
}

/// Ids of all working orders, ours and the broker's, oldest first.
pub async fn working_ids(reader: &mut Reader<'_>) -> Result<Vec<(OrderId, String)>> {
    let sql = "SELECT order_id, client_order_id FROM orders WHERE working = 1 ORDER BY seq";
    let rows = reader.all(sql, args![]).await?;
    rows.iter().map(|row| Ok((row.get("order_id")?, row.text("client_order_id")?))).collect()
}

/// The order that the broker knows by an id.
pub async fn find_by_client_id(reader: &mut Reader<'_>, id: &str) -> Result<Option<Order>> {
    let row = reader.optional(&format!("{COLUMNS} WHERE client_order_id = $1"), args![id]).await?;
    match row {
        Some(row) => Ok(Some(read(reader, &row).await?.1)),
        None => Ok(None),
    }
}

/// Portfolios with executions that they have not booked yet.
pub async fn portfolios_behind(reader: &mut Reader<'_>) -> Result<Vec<PortfolioId>> {
    let sql = "SELECT DISTINCT o.portfolio_id AS portfolio_id FROM fills f JOIN orders o ON o.order_id = f.order_id \
               WHERE f.booked = 0 ORDER BY o.portfolio_id";
    let rows = reader.all(sql, args![]).await?;
    rows.iter().map(|row| Ok(row.get("portfolio_id")?)).collect()
}

/// Which orders are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this owner.
    pub owner: Option<UserId>,
    /// Of this portfolio.
    pub portfolio: Option<PortfolioId>,
    /// Of this status, by its name in contracts.
    pub status: Option<String>,
    /// In which something may still happen.
    pub working: bool,
    /// Before this place in the book of orders.
    pub before: Option<u64>,
}

/// Orders that fit a filter with their places in the book of orders, newest first.
pub async fn list(reader: &mut Reader<'_>, filter: &Filter, limit: u32) -> Result<Vec<(u64, Order)>> {
    let mut args = Args::new();
    let mut conditions = vec!["1 = 1".to_owned()];
    let mut add = |column: &str, value: &dyn moneta_kit::store::ToArg, args: &mut Args| {
        args.push(&Raw(value.to_arg()));
        conditions.push(format!("{column} ${}", args.len()));
    };
    if let Some(owner) = filter.owner {
        add("owner_id =", &owner, &mut args);
    }
    if let Some(portfolio) = filter.portfolio {
        add("portfolio_id =", &portfolio, &mut args);
    }
    if let Some(status) = &filter.status {
        add("status =", status, &mut args);
    }
    if filter.working {
        add("working =", &true, &mut args);
    }
    if let Some(before) = filter.before {
        add("seq <", &before, &mut args);
    }
    args.push(&limit);
    let sql = format!("{COLUMNS} WHERE {} ORDER BY seq DESC LIMIT ${}", conditions.join(" AND "), args.len());
    let rows = reader.all(&sql, args).await?;
    let mut orders = Vec::with_capacity(rows.len());
    for row in &rows {
        orders.push(read(reader, row).await?);
    }
    Ok(orders)
}

struct Raw(moneta_kit::store::Arg);

impl moneta_kit::store::ToArg for Raw {
    fn to_arg(&self) -> moneta_kit::store::Arg {
        self.0.clone()
    }
}

async fn read(reader: &mut Reader<'_>, row: &Row) -> Result<(u64, Order)> {
    let id: OrderId = row.get("order_id")?;
    let currency: Currency = row.get("currency")?;
    let fills = reader
        .all(
            "SELECT execution_id, quantity_nanos, price, commission_minor, spread_minor, at_micros, date, \
             remaining_nanos FROM fills WHERE order_id = $1 ORDER BY line",
            args![id],
        )
        .await?;
    let fills = fills
        .iter()
        .map(|row| {
            Ok(Fill {
                execution: row.get("execution_id")?,
                quantity: row.get("quantity_nanos")?,
                price: row.get("price")?,
                commission: Money::from_minor(row.int("commission_minor")?, currency),
                spread_cost: Money::from_minor(row.int("spread_minor")?, currency),
                at: row.get("at_micros")?,
                date: row.get("date")?,
                remaining: row.get("remaining_nanos")?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let unknown = |what: &'static str, value: &str| Error::Stored { what, value: value.to_owned() };
    let (origin, time_in_force) = (row.text("origin")?, row.text("time_in_force")?);
    let order = Order {
        id,
        client_order_id: row.text("client_order_id")?,
        intent: Intent {
            owner: row.get("owner_id")?,
            portfolio: row.get("portfolio_id")?,
            symbol: row.get("symbol")?,
            side: side(&row.text("side")?)?,
            quantity: row.get("quantity_nanos")?,
            pricing: row.get::<Option<Price>>("limit_price")?.map_or(Pricing::Market, Pricing::Limit),
            time_in_force: TimeInForce::named(&time_in_force)
                .ok_or_else(|| unknown("time in force", &time_in_force))?,
            origin: Origin::named(&origin).ok_or_else(|| unknown("origin", &origin))?,
            recommendation: row.get("recommendation_id")?,
            proposal_digest: row.text("proposal_digest")?,
            decision: row.get("decision_id")?,
            expected_price: row.get("expected_price")?,
            warning_acknowledged: row.get("warning_acknowledged")?,
            key: row.text("idempotency_key")?,
        },
        currency,
        instrument_kind: row.text("instrument_kind")?,
        reference_price: row.get("reference_price")?,
        reserved: Money::from_minor(row.int("reserved_minor")?, currency),
        state: row.text("state")?.parse()?,
        reason: row.text("reason")?,
        verdicts: row.json::<Vec<Verdict>>("verdicts")?,
        fills,
        created: row.get("created_micros")?,
        updated: row.get("updated_micros")?,
        version: row.get("version")?,
    };
    Ok((row.get("seq")?, order))
}

/// An execution that the portfolio has not booked yet.
#[derive(Debug, Clone)]
pub struct Unbooked {
    /// The instrument.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Executed.
    pub quantity: Quantity,
    /// Effect on cash, commission included, signed.
    pub cash: Money,
}

/// Executions that a portfolio has not booked yet.
pub async fn unbooked_fills(reader: &mut Reader<'_>, portfolio: PortfolioId) -> Result<Vec<Unbooked>> {
    const SQL: &str = "SELECT o.symbol AS symbol, o.side AS side, \
                       o.currency AS currency, f.quantity_nanos AS quantity_nanos, f.price AS price, \
                       f.commission_minor AS commission_minor FROM fills f JOIN orders o ON o.order_id = f.order_id \
                       WHERE f.booked = 0 AND o.portfolio_id = $1";
    let rows = reader.all(SQL, args![portfolio]).await?;
    rows.iter()
        .map(|row| {
            let currency: Currency = row.get("currency")?;
            let quantity: Quantity = row.get("quantity_nanos")?;
            let value = row.get::<Price>("price")?.value_of(quantity, currency)?;
            let commission = Money::from_minor(row.int("commission_minor")?, currency);
            let side = side(&row.text("side")?)?;
            let gross = if side == Side::Buy { value.negated()? } else { value };
            Ok(Unbooked { symbol: row.get("symbol")?, side, quantity, cash: gross.checked_sub(commission)? })
        })
        .collect()
}

/// Counts a message of a client, once for each id.
pub async fn add_message(tx: &mut Tx, id: &str, owner: UserId, kind: &str, at: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO messages (message_id, owner_id, kind, at_micros) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (message_id) DO NOTHING",
        args![id, owner, kind, at],
    )
    .await?;
    Ok(())
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// How many messages a client has sent in the second and in the day before `now`.
pub async fn messages_since(reader: &mut Reader<'_>, owner: UserId, now: Timestamp) -> Result<Messages> {
    let sql = "SELECT COUNT(*) AS day, CAST(COALESCE(SUM(CASE WHEN at_micros > $1 THEN 1 ELSE 0 END), 0) AS BIGINT) \
               AS second FROM messages WHERE owner_id = $2 AND at_micros > $3";
    let row = reader.optional(sql, args![now.micros() - SECOND, owner, now.micros() - DAY]).await?;
    let Some(row) = row else { return Ok(Messages::default()) };
    Ok(Messages { second: row.get("second")?, day: row.get("day")? })
}
