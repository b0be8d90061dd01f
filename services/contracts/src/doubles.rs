//! Test doubles that several services' tests share: a service that answers one of its methods and no other.
use crate::{advisor, compliance, market_data, trading};
use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{
    Request, Response, Status,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService, UnaryService},
};

macro_rules! one_method {
    ($(#[$doc:meta])* $name:ident $service:literal $path:literal $question:ty => $answer:ty;) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Arc<dyn Fn($question) -> Result<$answer, Status> + Send + Sync>);

        impl $name {
            /// Answers as the function says.
            pub fn new(answer: impl Fn($question) -> Result<$answer, Status> + Send + Sync + 'static) -> Self {
                Self(Arc::new(answer))
            }
        }

        impl NamedService for $name {
            const NAME: &'static str = $service;
        }

        impl UnaryService<$question> for $name {
            type Response = $answer;
            type Future = BoxFuture<Response<$answer>, Status>;

            fn call(&mut self, request: Request<$question>) -> Self::Future {
                let answer = (self.0)(request.into_inner()).map(Response::new);
                Box::pin(std::future::ready(answer))
            }
        }

        impl Service<http::Request<tonic::body::Body>> for $name {
            type Response = http::Response<tonic::body::Body>;
            type Error = Infallible;
            type Future = BoxFuture<Self::Response, Infallible>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
                let double = self.clone();
                Box::pin(async move {
                    if !request.uri().path().ends_with($path) {
                        return Ok(Status::unimplemented(request.uri().path().to_owned()).into_http());
                    }
                    let mut grpc = Grpc::new(tonic_prost::ProstCodec::default());
                    Ok(grpc.unary(double, request).await)
                })
            }
        }
    };
}

one_method! {
    /// A compliance service that answers whether something is held.
    HoldsDouble "moneta.compliance.v1.Compliance" "/CheckHold" compliance::CheckHoldRequest => compliance::CheckHoldResponse;
}

one_method! {
    /// An adviser that answers what a portfolio's mandate is.
    MandateDouble "moneta.advisor.v1.Advisor" "/GetMandate" advisor::GetMandateRequest => advisor::Mandate;
}

one_method! {
    /// A trading service that answers what cash of a portfolio is committed to orders.
    CommittedDouble "moneta.trading.v1.Trading" "/GetCommittedCash" trading::GetCommittedCashRequest => trading::CommittedCash;
}

one_method! {
    /// A market data service that answers which instruments there are.
    InstrumentsDouble "moneta.market_data.v1.MarketData" "/ListInstruments" market_data::ListInstrumentsRequest => market_data::ListInstrumentsResponse;
}

impl InstrumentsDouble {
    /// These are traded, and nothing else is known.
    pub fn traded(symbols: &'static [&'static str]) -> Self {
        let named = |symbol: &&str| market_data::Instrument {
            symbol: (*symbol).to_owned(),
            tradable: true,
            ..market_data::Instrument::default()
        };
        Self::new(move |_| {
            Ok(market_data::ListInstrumentsResponse { instruments: symbols.iter().map(named).collect() })
        })
    }
}

impl HoldsDouble {
    /// Nothing is held.
    pub fn nothing_held() -> Self {
        Self::new(|_| Ok(compliance::CheckHoldResponse { allowed: true, ..compliance::CheckHoldResponse::default() }))
    }
}
