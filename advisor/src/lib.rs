//! The AI Advisory Service: advice cycles with decision records, the rebalancing agent on its leash, and the chat.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod agent;
pub mod chat;
mod config;
pub mod cycle;
mod error;
mod execution;
mod mandate;
mod market;
mod recommendation;
mod service;
mod serving;
mod store;

pub use config::{Config, InferenceConfig};
pub use error::{Error, Result};
pub use mandate::{Autonomy, Mandate};
pub use market::{Day, Listing, Market, Versions};
pub use recommendation::{PlannedOrder, Recommendation, Status};
pub use serving::Models;
pub use store::{Slice, Store, StoredDecision};

use cycle::ModelUse;
use moneta_contracts::{advisor::advisor_server::AdvisorServer, events::BarClosed};
use moneta_kit::{
    bus::Subscription,
    client::Call,
    migrations,
    problem::Problem,
    quarantine::ByClient,
    runner::Purpose,
    service::{Service, ServiceContext, ServiceDef, StartError},
};
use moneta_types::Cause;
use std::sync::Arc;
use tokio::sync::{Mutex, RwLock, RwLockReadGuard};

/// The adviser as the runner knows it.
pub const SERVICE: ServiceDef = ServiceDef {
    name: "advisor",
    needs: &["market-data", "user", "portfolio", "trading", "compliance"],
    migrations: migrations!["0001_advice", "0002_conversations"],
    build: |ctx| Box::pin(build(ctx)),
};

/// Everything that a cycle, the agent and the chat work with.
pub struct Advisor {
    pub(crate) ctx: ServiceContext,
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) models: Models,
    /// Loaded when market data first answers, which may be after this service has started.
    market: RwLock<Option<Market>>,
    day: Mutex<Option<Arc<Day>>>,
    /// Absent where the service is only opened to be asked beside the process that works.
    chat: Option<chat::Chat>,
}

impl std::fmt::Debug for Advisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Advisor").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Advisor {
    /// The last closed day under the champions, computed once a day and once a promotion.
    pub(crate) async fn today(&self) -> Result<Arc<Day>> {
        let market = self.market().await?;
        let mut kept = self.day.lock().await;
        let current =
            kept.as_ref().filter(|day| Some(day.view.date) == market.last() && self.still_served(&day.view.models));
        if let Some(day) = current {
            return Ok(Arc::clone(day));
        }
        let day = Arc::new(market.day(&self.models, &Versions::default()).await?);
        *kept = Some(Arc::clone(&day));
        Ok(day)
    }

    /// The market, loaded from market data's history at the first call.
    pub(crate) async fn market(&self) -> Result<RwLockReadGuard<'_, Market>> {
        if self.market.read().await.is_none() {
            let mut market = self.market.write().await;
            if market.is_none() {
                let call = Call::service(&self.ctx, Cause::named("advisor/market"));
                *market = Some(Market::load(&self.ctx.directory, &call, &self.config, None).await?);
            }
        }
        RwLockReadGuard::try_map(self.market.read().await, Option::as_ref)
            .map_err(|_| Error::NotReady("the market history is being loaded".to_owned()))
    }

    /// The chat, where it is open.
    pub(crate) fn chat(&self) -> Result<&chat::Chat> {
        self.chat.as_ref().ok_or_else(|| Error::NotReady("the chat is served by the running process".to_owned()))
    }

    /// Takes in a day's bars.
    pub(crate) async fn follow_bars(&self, event: &BarClosed) -> Result<()> {
        drop(self.market().await?);
        let mut market = self.market.write().await;
        let Some(following) = market.as_mut() else { return Ok(()) };
        let followed = event.bars.iter().try_for_each(|bar| following.push(event.date, bar));
        if followed.is_err() {
            // Half a day must not be mistaken for a whole one: the history is read anew before anybody computes with it.
            *market = None;
        }
        followed
    }

    /// Whether the models behind a view are still the champions.
    fn still_served(&self, used: &[ModelUse]) -> bool {
        used.iter().all(|model| {
            self.models.server().aliases(&model.name).get("champion").is_some_and(|version| *version == model.version)
        })
    }
}

async fn build(ctx: ServiceContext) -> Result<Service, StartError> {
    let config: Config = ctx.config.section("advisor")?;
    let inference: InferenceConfig = ctx.config.section("inference")?;
    let models = Models::open(&ctx, &config, &inference.hosts).await?;
    let (chat, vectors) = match ctx.purpose {
        Purpose::Run => {
            let (chat, vectors) = chat::Chat::open(&ctx, &config, &models).await?;
            (Some(chat), vectors)
        }
        Purpose::Inspect => (None, None),
    };
    let advisor = Arc::new(Advisor {
        store: Store::new(ctx.db.clone()),
        models: models.clone(),
        market: RwLock::new(None),
        day: Mutex::new(None),
        chat,
        config,
        ctx: ctx.clone(),
    });
    advisor.move_user_keys().await?;
    let http = moneta_inference::http_router(models.server());
    let grpc = moneta_inference::grpc_routes(models.server()).await.into_axum_router();
    let shutdown = ctx.shutdown.clone();
    let flush = async move {
        shutdown.cancelled().await;
        if let Some(vectors) = vectors
            && let Err(error) = vectors.shutdown().await
        {
            tracing::warn!(%error, "the vector store did not shut down cleanly; it recovers from its log");
        }
    };
    let mut service = Service::new();
    for name in moneta_models::CATALOGUE {
        let models = models.clone();
        service = service.ready(name, move || std::future::ready(models.check(name).map_err(Problem::from)));
    }
    if let Some(chat) = &advisor.chat {
        let (embedding, vectors, knowledge) = (chat.clone(), chat.clone(), chat.clone());
        let watched = chat.clone().watch(ctx.shutdown.clone());
        service = service
            .ready("embedding", move || {
                let chat = embedding.clone();
                async move { chat.embeds().await.map_err(Problem::from) }
            })
            .ready("vectors", move || {
                let chat = vectors.clone();
                async move { chat.reaches_vectors().await.map_err(Problem::from) }
            })
            .ready("knowledge", move || {
                let chat = knowledge.clone();
                async move { chat.knows().await.map_err(Problem::from) }
            })
            .task("knowledge", watched);
    }
    // A client whose review fails for good is set aside, and everybody else is reviewed.
    let agent = Arc::new(agent::Agent::new(Arc::clone(&advisor)));
    let agent = Arc::new(ByClient::new(agent, ctx.db.clone(), ctx.clock.clone()));
    Ok(service
        .grpc(AdvisorServer::new(service::Face::new(Arc::clone(&advisor))))
        .http("inference-http", inference.http, http)
        .http("inference-grpc", inference.grpc, grpc)
        .subscribe(Subscription { group: "advisor", types: agent::TYPES, handler: Arc::clone(&agent) as _ })
        .repairs(agent)
        .task("vectors", Box::pin(flush))
        .outbox(models.registry().outbox())
        .task("champions", Box::pin(models.watch(ctx.shutdown.clone()))))
}
