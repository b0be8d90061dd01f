//! Doubles of the neighbours: they answer what notification asks, from a world that a test can change.
use moneta_contracts::{
    common,
    portfolio::{self, portfolio_server},
    user::{self, user_server},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tonic::{Request, Response, Status};

/// What the neighbours know.
#[derive(Clone, Default)]
pub struct World {
    pub accounts: HashMap<String, user::Account>,
    pub portfolios: Vec<portfolio::PortfolioView>,
    /// Start value, end value and net flows of every period, in cents; nothing: there is no performance to tell.
    pub performance: Option<(i64, i64, i64)>,
}

/// The world as the doubles share it.
#[derive(Clone, Default)]
pub struct Shared(pub Arc<Mutex<World>>);

fn not_here() -> Status {
    Status::unimplemented("notification does not ask this")
}

mod users {
    use super::{Request, Response, Shared, Status, not_here, user as pb, user_server::User};

    #[tonic::async_trait]
    impl User for Shared {
        async fn get_account(&self, request: Request<pb::GetAccountRequest>) -> Result<Response<pb::Account>, Status> {
            let world = self.0.lock().unwrap();
            world
                .accounts
                .get(&request.get_ref().user_id)
                .cloned()
                .map(Response::new)
                .ok_or_else(|| Status::not_found("no such user"))
        }
        async fn list_investors(
            &self,
            _: Request<pb::ListInvestorsRequest>,
        ) -> Result<Response<pb::ListInvestorsResponse>, Status> {
            let accounts = self.0.lock().unwrap().accounts.values().cloned().collect();
            Ok(Response::new(pb::ListInvestorsResponse { accounts }))
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
        async fn update_profile(&self, _: Request<pb::UpdateProfileRequest>) -> Result<Response<pb::Account>, Status> {
            Err(not_here())
        }
        async fn get_preferences(
            &self,
            _: Request<pb::GetPreferencesRequest>,
        ) -> Result<Response<pb::Preferences>, Status> {
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
        async fn get_questionnaire(
            &self,
            _: Request<pb::GetQuestionnaireRequest>,
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
    use super::{Request, Response, Shared, Status, common, not_here, portfolio as pb, portfolio_server::Portfolio};

    #[tonic::async_trait]
    impl Portfolio for Shared {
        async fn list_portfolios(
            &self,
            _: Request<pb::ListPortfoliosRequest>,
        ) -> Result<Response<pb::ListPortfoliosResponse>, Status> {
            let portfolios = self.0.lock().unwrap().portfolios.clone();
            Ok(Response::new(pb::ListPortfoliosResponse { portfolios, unreadable: Vec::new() }))
        }
        async fn performance(
            &self,
            request: Request<pb::PerformanceRequest>,
        ) -> Result<Response<pb::PerformanceResponse>, Status> {
            let money = |minor_units| Some(common::Money { minor_units, currency: "USD".to_owned() });
            let (start, end, flows) =
                self.0.lock().unwrap().performance.ok_or_else(|| Status::not_found("nothing yet"))?;
            let request = request.into_inner();
            Ok(Response::new(pb::PerformanceResponse {
                from: request.from,
                to: request.to,
                start_value: money(start),
                end_value: money(end),
                net_flows: money(flows),
                time_weighted_return: "-0.0455".to_owned(),
                ..Default::default()
            }))
        }
        async fn create_portfolio(
            &self,
            _: Request<pb::CreatePortfolioRequest>,
        ) -> Result<Response<pb::PortfolioView>, Status> {
            Err(not_here())
        }
        async fn get_portfolio(
            &self,
            _: Request<pb::GetPortfolioRequest>,
        ) -> Result<Response<pb::PortfolioView>, Status> {
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
