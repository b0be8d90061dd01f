//! Whether everything between the house and a client is settled, so that his account may be erased.
use crate::{App, Error, Result};
use moneta_contracts::{
    common::Page,
    portfolio::{ListPortfoliosRequest, PortfolioView},
    trading::ListOrdersRequest,
};
use moneta_kit::client::Call;
use moneta_types::{Cause, UserId};

/// Obstacles of a kind that one answer names; when they are gone, the next ones are.
const MOST: u32 = 100;

/// What stands in the way of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A portfolio with cash or holdings.
    Holding(String),
    /// A portfolio that is set aside: what it holds is not certain.
    Quarantined(String),
    /// A portfolio that cannot be read. It is there, so something may be in it.
    Unreadable(String),
    /// An order in which something may still happen.
    Order(String),
}

impl Obstacle {
    /// The field of the answer.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Holding(_) | Self::Quarantined(_) | Self::Unreadable(_) => "portfolio_id",
            Self::Order(_) => "order_id",
        }
    }

    /// Which portfolio or order it is.
    pub fn id(&self) -> &str {
        match self {
            Self::Holding(id) | Self::Quarantined(id) | Self::Unreadable(id) | Self::Order(id) => id,
        }
    }

    /// What would be none.
    pub const fn wanted(&self) -> &'static str {
        match self {
            Self::Holding(_) => "no cash and no holdings",
            Self::Quarantined(_) => "one that is not set aside: we have to repair it first",
            Self::Unreadable(_) => "one that can be read: we have to repair it first",
            Self::Order(_) => "no working order: cancel it, or wait for its end",
        }
    }

    fn of(view: PortfolioView) -> Option<Self> {
        let empty = view.holdings.is_empty() && view.cash.as_ref().is_some_and(|cash| cash.minor_units == 0);
        match (view.quarantined, empty) {
            (true, _) => Some(Self::Quarantined(view.portfolio_id)),
            (false, false) => Some(Self::Holding(view.portfolio_id)),
            (false, true) => None,
        }
    }
}

impl App {
    /// Ok when nothing is owed to the user or may come to be: no cash and nothing held in any portfolio, and no order in which
    /// something may still happen. Whatever his roles are now: a client may have become one of the staff.
    pub(super) async fn settled(&self, user: UserId, cause: Cause) -> Result<()> {
        let call = Call::for_user(&self.context, user, cause.part("settled"));
        let unknown =
            |service| move |status: tonic::Status| Error::Unknown { service, reason: status.message().to_owned() };
        // Orders first: one that is filled between the two answers is in the second.
        let request = ListOrdersRequest {
            portfolio_id: String::new(),
            status: "working".to_owned(),
            page: Some(Page { limit: MOST, cursor: String::new() }),
        };
        let orders = self.context.directory.trading().list_orders(call.request(request)).await;
        let orders = orders.map_err(unknown("trading"))?.into_inner().orders;
        let request = ListPortfoliosRequest { owner_id: user.to_string() };
        let listed = self.context.directory.portfolio().list_portfolios(call.request(request)).await;
        let listed = listed.map_err(unknown("portfolio"))?.into_inner();
        let portfolios = listed.portfolios.into_iter().filter_map(Obstacle::of);
        let unreadable = listed.unreadable.into_iter().map(Obstacle::Unreadable);
        let orders = orders.into_iter().map(|order| Obstacle::Order(order.order_id));
        let obstacles: Vec<Obstacle> = portfolios.chain(unreadable).take(MOST as usize).chain(orders).collect();
        if obstacles.is_empty() { Ok(()) } else { Err(Error::Unsettled(obstacles)) }
    }
}
