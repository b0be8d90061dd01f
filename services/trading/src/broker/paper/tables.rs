//! The paper venue's own tables.
use super::VenueOrder;
use crate::{
    Error, Result,
    broker::{Standing, Ticket},
    order::{Fill, TimeInForce},
};
use moneta_kit::{
    args,
    store::{Db, Row, Tx},
};
use moneta_types::{Currency, Money, Timestamp};

const ORDERS: &str = "SELECT client_order_id, account, symbol, kind, side, quantity_nanos, limit_price, time_in_force, \
                      currency, accepted_micros, standing, reason, bars_worked, last_worked, starved FROM venue_orders";
const EXECUTIONS: &str = "SELECT execution_id, quantity_nanos, price, commission_minor, spread_minor, at_micros, date \
                          FROM venue_executions WHERE client_order_id = $1 ORDER BY line";

const STANDINGS: [(Standing, &str); 5] = [
    (Standing::Working, "working"),
    (Standing::Rejected, "rejected"),
    (Standing::Filled, "filled"),
    (Standing::Canceled, "canceled"),
    (Standing::Expired, "expired"),
];

fn name(standing: Standing) -> &'static str {
    STANDINGS.iter().find(|(known, _)| *known == standing).map_or("", |(_, name)| name)
}

/// An order in committed state.
pub(super) async fn find(db: &Db, id: &str) -> Result<Option<VenueOrder>> {
    let Some(row) = db.fetch_optional(&format!("{ORDERS} WHERE client_order_id = $1"), args![id]).await? else {
        return Ok(None);
    };
    let executions = db.fetch_all(EXECUTIONS, args![id]).await?;
    read(&row, &executions).map(Some)
}

/// An order within a transaction.
pub(super) async fn find_within(tx: &mut Tx, id: &str) -> Result<Option<VenueOrder>> {
    let Some(row) = tx.fetch_optional(&format!("{ORDERS} WHERE client_order_id = $1"), args![id]).await? else {
        return Ok(None);
    };
    let executions = tx.fetch_all(EXECUTIONS, args![id]).await?;
    read(&row, &executions).map(Some)
}

/// A working order by its id; the order is an error when what is stored of it cannot be read.
pub(super) struct Working {
    pub(super) id: String,
    pub(super) order: Result<VenueOrder>,
}

/// Working orders that were taken before a moment, oldest first.
pub(super) async fn working(tx: &mut Tx, before: Timestamp) -> Result<Vec<Working>> {
    let sql = format!(
        "{ORDERS} WHERE standing = 'working' AND accepted_micros < $1 ORDER BY accepted_micros, client_order_id"
    );
    let rows = tx.fetch_all(&sql, args![before]).await?;
    let mut orders = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row.text("client_order_id")?;
        let executions = tx.fetch_all(EXECUTIONS, args![id]).await?;
        orders.push(Working { id, order: read(&row, &executions) });
    }
    Ok(orders)
}

pub(super) async fn insert(tx: &mut Tx, order: &VenueOrder) -> Result<()> {
    let ticket = &order.ticket;
    tx.execute(
        "INSERT INTO venue_orders (client_order_id, account, symbol, kind, side, quantity_nanos, limit_price, \
         time_in_force, currency, accepted_micros, standing, reason, bars_worked, last_worked, starved) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        args![
            ticket.client_order_id,
            ticket.account,
            ticket.symbol,
            ticket.kind,
            ticket.side.as_str(),
            ticket.quantity,
            ticket.limit,
            ticket.time_in_force.as_str(),
            ticket.currency,
            order.accepted,
            name(order.standing),
            order.reason,
            order.bars_worked,
            order.last_worked,
            order.starved
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn save(tx: &mut Tx, order: &VenueOrder) -> Result<()> {
    tx.execute(
        "UPDATE venue_orders SET standing = $1, reason = $2, bars_worked = $3, last_worked = $4, starved = $5 \
         WHERE client_order_id = $6",
        args![
            name(order.standing),
            order.reason,
            order.bars_worked,
            order.last_worked,
            order.starved,
            order.ticket.client_order_id
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn add_execution(tx: &mut Tx, order: &VenueOrder, fill: &Fill) -> Result<()> {
    tx.execute(
        "INSERT INTO venue_executions (execution_id, client_order_id, line, quantity_nanos, price, commission_minor, \
         spread_minor, at_micros, date) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            fill.execution,
            order.ticket.client_order_id,
            order.executions.len(),
            fill.quantity,
            fill.price,
            fill.commission,
            fill.spread_cost,
            fill.at,
            fill.date
        ],
    )
    .await?;
    Ok(())
}

fn read(row: &Row, executions: &[Row]) -> Result<VenueOrder> {
    let currency: Currency = row.get("currency")?;
    let quantity = row.get("quantity_nanos")?;
    let text = row.text("standing")?;
    let standing = STANDINGS.iter().find(|(_, name)| *name == text).map(|(standing, _)| *standing);
    let mut remaining: moneta_types::Quantity = quantity;
    let mut fills = Vec::with_capacity(executions.len());
    for execution in executions {
        let executed = execution.get("quantity_nanos")?;
        remaining = remaining.checked_sub(executed)?;
        fills.push(Fill {
            execution: execution.get("execution_id")?,
            quantity: executed,
            price: execution.get("price")?,
            commission: Money::from_minor(execution.int("commission_minor")?, currency),
            spread_cost: Money::from_minor(execution.int("spread_minor")?, currency),
            at: execution.get("at_micros")?,
            date: execution.get("date")?,
            remaining,
        });
    }
    Ok(VenueOrder {
        ticket: Ticket {
            client_order_id: row.text("client_order_id")?,
            account: row.get("account")?,
            symbol: row.get("symbol")?,
            kind: row.text("kind")?,
            side: crate::store::side(&row.text("side")?)?,
            quantity,
            limit: row.get("limit_price")?,
            time_in_force: TimeInForce::named(&row.text("time_in_force")?)
                .ok_or_else(|| Error::Stored { what: "time in force", value: text.clone() })?,
            currency,
        },
        accepted: row.get("accepted_micros")?,
        standing: standing.ok_or(Error::Stored { what: "standing", value: text })?,
        reason: row.text("reason")?,
        bars_worked: row.get("bars_worked")?,
        last_worked: row.get("last_worked")?,
        starved: row.get("starved")?,
        executions: fills,
    })
}
