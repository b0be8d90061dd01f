//! Lines that fail and processes that stop: between any two steps, no order is lost, doubled or wrongly rejected.
use crate::scene::{Scene, answer, order};
use async_trait::async_trait;
use moneta_contracts::{
    events::{OrderAccepted, OrderSubmitted, TradeExecuted},
    trading as pb,
};
use moneta_kit::service::ServiceDef;
use moneta_trading::{
    Error,
    broker::{Broker, Report, Ticket, paper::PaperBroker},
};
use std::{path::PathBuf, sync::Arc};

const PRICES: &[(&str, &str)] = &[("AAPL", "100"), ("KO", "50")];

/// A line to the broker that fails once for an order, in a way that its quantity chooses.
#[derive(Debug)]
struct Line {
    paper: Arc<PaperBroker>,
    folder: PathBuf,
}

const LOST_ON_THE_WAY: i64 = 13;
const ANSWER_LOST: i64 = 17;
const NEVER_RETURNS: i64 = 19;
const NEVER_RETURNS_BUT_ARRIVES: i64 = 23;

impl Line {
    /// Whether this order fails now; a file remembers that it did, also across a restart.
    fn fails(&self, ticket: &Ticket) -> bool {
        std::fs::File::create_new(self.folder.join(&ticket.client_order_id)).is_ok()
    }
}

#[async_trait]
impl Broker for Line {
    async fn submit(&self, ticket: &Ticket) -> moneta_trading::Result<Report> {
        let units = ticket.quantity.nanos() / moneta_types::NANOS_PER_UNIT;
        let trouble = [LOST_ON_THE_WAY, ANSWER_LOST, NEVER_RETURNS, NEVER_RETURNS_BUT_ARRIVES].contains(&units);
        if !trouble || !self.fails(ticket) {
            return self.paper.submit(ticket).await;
        }
        if units == ANSWER_LOST || units == NEVER_RETURNS_BUT_ARRIVES {
            self.paper.submit(ticket).await?;
        }
        if units == NEVER_RETURNS || units == NEVER_RETURNS_BUT_ARRIVES {
            std::future::pending::<()>().await;
        }
        Err(Error::NoContact)
    }

    async fn cancel(&self, client_order_id: &str, reason: &str) -> moneta_trading::Result<Report> {
        self.paper.cancel(client_order_id, reason).await
    }

    async fn report(&self, client_order_id: &str) -> moneta_trading::Result<Option<Report>> {
        self.paper.report(client_order_id).await
    }
}

const UNRELIABLE: ServiceDef = ServiceDef {
    build: |context| {
        Box::pin(moneta_trading::build_with(context, |paper, context| {
            Arc::new(Line { paper, folder: context.data_dir.clone() })
        }))
    },
    ..moneta_trading::SERVICE
};

async fn reconcile(scene: &Scene) -> pb::ReconcileResponse {
    let call = scene.stage.call_service("test");
    answer(scene.stage.directory().trading().reconcile(call.request(pb::ReconcileRequest {})).await).unwrap()
}

#[tokio::test]
async fn an_order_without_answer_is_unknown_keeps_its_cash_and_is_reconciled() {
    for units in [LOST_ON_THE_WAY, ANSWER_LOST] {
        let scene = Scene::with(UNRELIABLE, |config| config).await;
        let made = scene.submit(order("buy", "AAPL", &units.to_string(), "a")).await.unwrap();
        assert_eq!(made.status, "unknown");
        let denied = scene.submit(order("buy", "AAPL", "90", "b")).await.unwrap();
        assert_eq!(denied.status, "denied", "the reservation stands");
        let found = reconcile(&scene).await;
        assert_eq!((found.orders_checked, found.repaired), (1, 1), "{found:?}");
        assert_eq!(scene.get(&made.order_id).await.status, "accepted");
        assert_eq!(reconcile(&scene).await.repaired, 0);
        scene.bars(1, PRICES).await;
        assert_eq!(scene.get(&made.order_id).await.status, "filled");
        assert_eq!(scene.stage.events::<TradeExecuted>().await.len(), 1);
    }
}

#[tokio::test]
async fn an_unknown_order_can_be_cancelled() {
    let scene = Scene::with(UNRELIABLE, |config| config).await;
    let made = scene.submit(order("buy", "AAPL", &LOST_ON_THE_WAY.to_string(), "a")).await.unwrap();
    assert_eq!(scene.cancel_as(crate::scene::anna(), &made.order_id).await.unwrap().status, "canceled");
}

#[tokio::test]
async fn a_crash_while_an_order_is_sent_neither_loses_nor_doubles_it() {
    for units in [NEVER_RETURNS, NEVER_RETURNS_BUT_ARRIVES] {
        let mut scene = Scene::with(UNRELIABLE, |config| config).await;
        let request = order("buy", "AAPL", &units.to_string(), "a");
        // The call never returns, so the order is looked for until it has been persisted.
        let submitted = {
            let call = scene.submit(request.clone());
            tokio::pin!(call);
            loop {
                tokio::select! {
                    _ = &mut call => panic!("the line returned"),
                    submitted = scene.stage.events::<OrderSubmitted>() => {
                        if let Some(event) = submitted.into_iter().next() {
                            break event;
                        }
                    }
                }
            }
        };
        scene.stage.crash().await;
        scene.stage.quiet().await;
        let id = submitted.order.order_id.to_string();
        assert_eq!(scene.get(&id).await.status, "accepted");
        let again = scene.submit(request).await.unwrap();
        assert_eq!(again.order_id, id);
        scene.bars(1, PRICES).await;
        scene.stage.crash().await;
        scene.stage.quiet().await;
        assert_eq!(scene.get(&id).await.fills.len(), 1);
        assert_eq!(scene.stage.events::<OrderAccepted>().await.len(), 1);
        assert_eq!(scene.stage.events::<TradeExecuted>().await.len(), 1);
    }
}

#[tokio::test]
async fn orders_and_their_reservations_survive_a_restart() {
    let mut scene = Scene::new().await;
    let made = scene.submit(order("buy", "AAPL", "45", "a")).await.unwrap();
    scene.stage.restart().await;
    assert_eq!(scene.get(&made.order_id).await, made);
    assert_eq!(scene.submit(order("buy", "AAPL", "54", "b")).await.unwrap().status, "denied");
    scene.bars(1, PRICES).await;
    assert_eq!(scene.get(&made.order_id).await.status, "filled");
}
