//! Doubles of the neighbours: they answer what compliance asks, from a world that a test can change.
use moneta_contracts::{
    market_data::{self, market_data_server},
    portfolio::{self, portfolio_server},
    user::{self, user_server},
};
use std::sync::{Arc, Mutex};
use tonic::{Request, Response, Status};

/// What the neighbours know.
#[derive(Clone)]
pub struct World {
    /// As the mandate says.
    pub autonomy: &'static str,
    pub account: Option<user::Account>,
    pub questionnaire: Option<user::Questionnaire>,
    pub preferences: user::Preferences,
    pub portfolio: portfolio::PortfolioView,
    pub instruments: Vec<market_data::Instrument>,
    /// The user service does not answer.
    pub user_down: bool,
}

/// The world as the doubles share it.
#[derive(Clone)]
pub struct Shared(pub Arc<Mutex<World>>);

impl Shared {
    fn users(&self) -> Result<World, Status> {
        let world = self.0.lock().unwrap().clone();
        if world.user_down { Err(Status::unavailable("down")) } else { Ok(world) }
    }
}

fn not_here() -> Status {
    Status::unimplemented("compliance does not ask this")
}

mod users {
    use super::{Request, Response, Shared, Status, not_here, user as pb, user_server::User};

    #[tonic::async_trait]
    impl User for Shared {
        async fn get_account(&self, _: Request<pb::GetAccountRequest>) -> Result<Response<pb::Account>, Status> {
            self.users()?.account.map(Response::new).ok_or_else(|| Status::not_found("no such user"))
        }
        async fn get_questionnaire(
            &self,
            _: Request<pb::GetQuestionnaireRequest>,
        ) -> Result<Response<pb::Questionnaire>, Status> {
            self.users()?.questionnaire.map(Response::new).ok_or_else(|| Status::not_found("no questionnaire"))
        }
        async fn get_preferences(
            &self,
            _: Request<pb::GetPreferencesRequest>,
        ) -> Result<Response<pb::Preferences>, Status> {
            Ok(Response::new(self.users()?.preferences))
        }
        async fn register(&self, _: Request<pb::RegisterRequest>) -> Result<Response<pb::Account>, Status> {
            Err(not_here())
        }
        async fn login(&self, _: Request<pb::LoginRequest>) -> Result<Response<pb::Session>, Status> {
            Err(not_here())
        }
        async fn refresh(&self, _: Request<pb::RefreshRequest>) -> Result<Response<pb::Session>, Status> {
            Err(not_here())
        }
        async fn logout(&self, _: Request<pb::LogoutRequest>) -> Result<Response<pb::LogoutResponse>, Status> {
            Err(not_here())
        }
        async fn provision_account(
            &self,
            _: Request<pb::ProvisionAccountRequest>,
        ) -> Result<Response<pb::Account>, Status> {
            Err(not_here())
        }
        async fn list_investors(
            &self,
            _: Request<pb::ListInvestorsRequest>,
        ) -> Result<Response<pb::ListInvestorsResponse>, Status> {
            Err(not_here())
        }
        async fn update_profile(&self, _: Request<pb::UpdateProfileRequest>) -> Result<Response<pb::Account>, Status> {
            Err(not_here())
        }
        async fn set_preferences(
            &self,
            _: Request<pb::SetPreferencesRequest>,
        ) -> Result<Response<pb::Preferences>, Status> {
            Err(not_here())
        }
        async fn submit_questionnaire(
            &self,
            _: Request<pb::SubmitQuestionnaireRequest>,
        ) -> Result<Response<pb::Questionnaire>, Status> {
            Err(not_here())
        }
        async fn list_questionnaires(
            &self,
            _: Request<pb::ListQuestionnairesRequest>,
        ) -> Result<Response<pb::ListQuestionnairesResponse>, Status> {
            Err(not_here())
        }
        async fn export_data(
            &self,
            _: Request<pb::ExportDataRequest>,
        ) -> Result<Response<pb::ExportDataResponse>, Status> {
            Err(not_here())
        }
        async fn erase_user(
            &self,
            _: Request<pb::EraseUserRequest>,
        ) -> Result<Response<pb::EraseUserResponse>, Status> {
            Err(not_here())
        }
    }
}

mod portfolios {
    use super::{Request, Response, Shared, Status, not_here, portfolio as pb, portfolio_server::Portfolio};

    #[tonic::async_trait]
    impl Portfolio for Shared {
        async fn get_portfolio(
            &self,
            _: Request<pb::GetPortfolioRequest>,
        ) -> Result<Response<pb::PortfolioView>, Status> {
            Ok(Response::new(self.0.lock().unwrap().portfolio.clone()))
        }
        async fn create_portfolio(
            &self,
            _: Request<pb::CreatePortfolioRequest>,
        ) -> Result<Response<pb::PortfolioView>, Status> {
            Err(not_here())
        }
        async fn list_portfolios(
            &self,
            _: Request<pb::ListPortfoliosRequest>,
        ) -> Result<Response<pb::ListPortfoliosResponse>, Status> {
            Err(not_here())
        }
        async fn deposit(
            &self,
            _: Request<pb::CashMovementRequest>,
        ) -> Result<Response<pb::CashMovementResponse>, Status> {
            Err(not_here())
        }
        async fn withdraw(
            &self,
            _: Request<pb::CashMovementRequest>,
        ) -> Result<Response<pb::CashMovementResponse>, Status> {
            Err(not_here())
        }
        async fn set_target(&self, _: Request<pb::SetTargetRequest>) -> Result<Response<pb::PortfolioView>, Status> {
            Err(not_here())
        }
        async fn performance(
            &self,
            _: Request<pb::PerformanceRequest>,
        ) -> Result<Response<pb::PerformanceResponse>, Status> {
            Err(not_here())
        }
        async fn transactions(
            &self,
            _: Request<pb::TransactionsRequest>,
        ) -> Result<Response<pb::TransactionsResponse>, Status> {
            Err(not_here())
        }
        async fn drift(&self, _: Request<pb::DriftRequest>) -> Result<Response<pb::DriftResponse>, Status> {
            Err(not_here())
        }
        async fn rebalance_plan(
            &self,
            _: Request<pb::RebalancePlanRequest>,
        ) -> Result<Response<pb::RebalancePlanResponse>, Status> {
            Err(not_here())
        }
        async fn attribution(
            &self,
            _: Request<pb::AttributionRequest>,
        ) -> Result<Response<pb::AttributionResponse>, Status> {
            Err(not_here())
        }
        async fn check_ledger(
            &self,
            _: Request<pb::CheckLedgerRequest>,
        ) -> Result<Response<pb::CheckLedgerResponse>, Status> {
            Err(not_here())
        }
    }
}

mod markets {
    use super::{Request, Response, Shared, Status, market_data as pb, market_data_server::MarketData, not_here};

    #[tonic::async_trait]
    impl MarketData for Shared {
        async fn list_instruments(
            &self,
            _: Request<pb::ListInstrumentsRequest>,
        ) -> Result<Response<pb::ListInstrumentsResponse>, Status> {
            let instruments = self.0.lock().unwrap().instruments.clone();
            Ok(Response::new(pb::ListInstrumentsResponse { instruments }))
        }
        async fn latest_prices(
            &self,
            _: Request<pb::LatestPricesRequest>,
        ) -> Result<Response<pb::LatestPricesResponse>, Status> {
            Err(not_here())
        }
        async fn history(&self, _: Request<pb::HistoryRequest>) -> Result<Response<pb::HistoryResponse>, Status> {
            Err(not_here())
        }
        async fn market_state(
            &self,
            _: Request<pb::MarketStateRequest>,
        ) -> Result<Response<pb::MarketStateResponse>, Status> {
            Err(not_here())
        }
        async fn replay_advance(
            &self,
            _: Request<pb::ReplayAdvanceRequest>,
        ) -> Result<Response<pb::ReplayAdvanceResponse>, Status> {
            Err(not_here())
        }
        async fn replay_status(
            &self,
            _: Request<pb::ReplayStatusRequest>,
        ) -> Result<Response<pb::ReplayStatusResponse>, Status> {
            Err(not_here())
        }
    }
}
