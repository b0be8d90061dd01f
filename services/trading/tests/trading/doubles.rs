//! Test doubles of the neighbours: each answers the one question that trading asks it, from a world that tests change.
use futures::future::BoxFuture;
use moneta_contracts::{advisor, common, compliance, market_data, portfolio};
use moneta_types::{Currency, Money, UserId};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

/// What the neighbours know.
#[derive(Debug)]
pub struct World {
    pub owner: UserId,
    pub portfolio: String,
    /// Minor units of the portfolio's currency.
    pub cash: i64,
    /// Minor units that withdrawals in progress are about to take.
    pub withdrawing: i64,
    /// The portfolio's version.
    pub version: u64,
    /// What happens to the portfolio when it is looked at for the so-manieth time; the looks so far.
    pub at_look: Option<fn(&mut World, u32)>,
    pub looks: u32,
    pub portfolio_answers: bool,
    pub currency: &'static str,
    /// Whole units by symbol.
    pub holdings: BTreeMap<&'static str, i64>,
    /// Price, currency and tradability by symbol.
    pub instruments: BTreeMap<&'static str, (&'static str, &'static str, bool)>,
    pub stale: bool,
    pub compliance_allows: bool,
    pub compliance_answers: bool,
    pub approved: bool,
    pub asked_compliance: u32,
    /// Holds, as they were placed.
    pub holds: Vec<compliance::Hold>,
    /// Compliance answers nothing about holds.
    pub compliance_down: bool,
    /// Compliance knows no client.
    pub strangers: bool,
    /// While compliance checks an order, it says so here and waits for the word to go on.
    pub checking: Option<(Arc<Notify>, Arc<Notify>)>,
}

impl World {
    fn compliance(&self) -> Result<(), Status> {
        if self.compliance_down { Err(Status::unavailable("down")) } else { Ok(()) }
    }
}

#[derive(Clone)]
pub struct Shared(pub Arc<Mutex<World>>);

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

macro_rules! double {
    ($name:ident, $service:literal, { $($method:literal => $answer:ident($request:ty);)* }) => {
        #[derive(Clone)]
        pub struct $name(pub Shared);

        impl tonic::server::NamedService for $name {
            const NAME: &'static str = $service;
        }

        impl tower::Service<http::Request<tonic::body::Body>> for $name {
            type Response = http::Response<tonic::body::Body>;
            type Error = Infallible;
            type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
                let world = self.0.clone();
                Box::pin(async move {
                    let path = request.uri().path().to_owned();
                    let waits = if path.ends_with("/CheckOrder") { world.lock().checking.clone() } else { None };
                    if let Some((begun, go_on)) = waits {
                        begun.notify_one();
                        go_on.notified().await;
                    }
                    match path.rsplit('/').next().unwrap_or_default() {
                        $($method => {
                            let answer = tower::service_fn(move |request: Request<$request>| {
                                let answer = $answer(&world, request);
                                async move { answer.map(Response::new) }
                            });
                            let mut grpc = tonic::server::Grpc::new(tonic_prost::ProstCodec::default());
                            Ok(grpc.unary(answer, request).await)
                        })*
                        _ => Ok(Status::unimplemented(path).into_http()),
                    }
                })
            }
        }
    };
}

double!(PortfolioDouble, "moneta.portfolio.v1.Portfolio", {
    "GetPortfolio" => get_portfolio(portfolio::GetPortfolioRequest);
});
double!(MarketDouble, "moneta.market_data.v1.MarketData", {
    "ListInstruments" => list_instruments(market_data::ListInstrumentsRequest);
    "LatestPrices" => latest_prices(market_data::LatestPricesRequest);
});
double!(ComplianceDouble, "moneta.compliance.v1.Compliance", {
    "CheckOrder" => check_order(compliance::CheckOrderRequest);
    "PlaceHold" => place_hold(compliance::PlaceHoldRequest);
    "ListHolds" => list_holds(compliance::ListHoldsRequest);
    "ReleaseHold" => release_hold(compliance::ReleaseHoldRequest);
});
double!(AdvisorDouble, "moneta.advisor.v1.Advisor", {
    "CheckApproval" => check_approval(advisor::CheckApprovalRequest);
});

fn get_portfolio(
    world: &Shared,
    request: Request<portfolio::GetPortfolioRequest>,
) -> Result<portfolio::PortfolioView, Status> {
    let mut world = world.lock();
    world.looks += 1;
    if let (Some(happens), look) = (world.at_look, world.looks) {
        happens(&mut world, look);
    }
    if !world.portfolio_answers {
        return Err(Status::unavailable("the portfolio service is down"));
    }
    if request.get_ref().portfolio_id != world.portfolio {
        return Err(Status::not_found("portfolio does not exist"));
    }
    let currency: Currency = world.currency.parse().unwrap();
    let money = |minor: i64| Some(common::Money::from(Money::from_minor(minor, currency)));
    let mut value = world.cash;
    let mut holdings = Vec::new();
    for (symbol, units) in &world.holdings {
        let price: i64 = world.instruments[symbol].0.parse().unwrap();
        value += units * price * 100;
        holdings.push(portfolio::Holding {
            symbol: (*symbol).to_owned(),
            quantity: Some(common::Quantity { nanos: units * moneta_types::NANOS_PER_UNIT }),
            ..Default::default()
        });
    }
    Ok(portfolio::PortfolioView {
        portfolio_id: world.portfolio.clone(),
        owner_id: world.owner.to_string(),
        currency: world.currency.to_owned(),
        version: world.version,
        withdrawing: (world.withdrawing > 0).then(|| money(world.withdrawing)).flatten(),
        cash: money(world.cash),
        value: money(value),
        holdings,
        ..Default::default()
    })
}

fn list_instruments(
    world: &Shared,
    _: Request<market_data::ListInstrumentsRequest>,
) -> Result<market_data::ListInstrumentsResponse, Status> {
    let instruments = world
        .lock()
        .instruments
        .iter()
        .map(|(symbol, (_, currency, tradable))| market_data::Instrument {
            symbol: (*symbol).to_owned(),
            kind: "share".to_owned(),
            currency: (*currency).to_owned(),
            tradable: *tradable,
            ..Default::default()
        })
        .collect();
    Ok(market_data::ListInstrumentsResponse { instruments })
}

fn latest_prices(
    world: &Shared,
    request: Request<market_data::LatestPricesRequest>,
) -> Result<market_data::LatestPricesResponse, Status> {
    let world = world.lock();
    let prices = request
        .get_ref()
        .symbols
        .iter()
        .filter_map(|symbol| {
            let (price, currency, _) = world.instruments.get(symbol.as_str())?;
            let price = common::Price { value: (*price).to_owned(), currency: (*currency).to_owned() };
            Some(market_data::LatestPrice {
                symbol: symbol.clone(),
                price: Some(price),
                age_seconds: 300,
                stale: world.stale,
                ..Default::default()
            })
        })
        .collect();
    Ok(market_data::LatestPricesResponse { prices })
}

fn check_order(world: &Shared, _: Request<compliance::CheckOrderRequest>) -> Result<compliance::CheckResponse, Status> {
    let mut world = world.lock();
    world.asked_compliance += 1;
    if !world.compliance_answers {
        return Err(Status::internal("out of order"));
    }
    let outcome = if world.compliance_allows { "pass" } else { "fail" };
    let verdict = common::Verdict {
        rule_id: "suitability".to_owned(),
        citation: "COBS 9A.2.1R".to_owned(),
        outcome: outcome.to_owned(),
        reasons: if world.compliance_allows { Vec::new() } else { vec!["too much risk".to_owned()] },
    };
    Ok(compliance::CheckResponse { allowed: world.compliance_allows, verdicts: vec![verdict], ..Default::default() })
}

fn check_approval(
    world: &Shared,
    _: Request<advisor::CheckApprovalRequest>,
) -> Result<advisor::CheckApprovalResponse, Status> {
    let approved = world.lock().approved;
    let reason = if approved { String::new() } else { "the proposal was not approved".to_owned() };
    Ok(advisor::CheckApprovalResponse { approved, reason })
}

fn place_hold(world: &Shared, request: Request<compliance::PlaceHoldRequest>) -> Result<compliance::Hold, Status> {
    let mut world = world.lock();
    world.compliance()?;
    if world.strangers {
        return Err(Status::not_found("user does not exist"));
    }
    let request = request.into_inner();
    let hold = compliance::Hold {
        hold_id: uuid(world.holds.len()),
        user_id: request.user_id,
        covers: request.covers,
        reason: request.reason,
        client_text: "contact_us".to_owned(),
        placed_by: crate::scene::ben().to_string(),
        reference: request.reference,
        ..Default::default()
    };
    world.holds.push(hold.clone());
    Ok(hold)
}

fn uuid(nth: usize) -> String {
    moneta_types::Cause::named(&format!("hold {nth}")).to_string()
}

fn list_holds(
    world: &Shared,
    request: Request<compliance::ListHoldsRequest>,
) -> Result<compliance::ListHoldsResponse, Status> {
    let world = world.lock();
    world.compliance()?;
    let request = request.into_inner();
    let page = request.page.unwrap_or_default();
    let after: usize = page.cursor.parse().unwrap_or_default();
    let limit = if page.limit == 0 { 50 } else { page.limit as usize };
    let all: Vec<_> = world.holds.iter().filter(|hold| hold.user_id == request.user_id).cloned().collect();
    let next_cursor = if all.len() > after + limit { (after + limit).to_string() } else { String::new() };
    Ok(compliance::ListHoldsResponse { holds: all.into_iter().skip(after).take(limit).collect(), next_cursor })
}

fn release_hold(world: &Shared, request: Request<compliance::ReleaseHoldRequest>) -> Result<compliance::Hold, Status> {
    let mut world = world.lock();
    world.compliance()?;
    let id = request.into_inner().hold_id;
    let place = world.holds.iter().position(|hold| hold.hold_id == id);
    place.map(|place| world.holds.remove(place)).ok_or_else(|| Status::not_found("no such hold"))
}
