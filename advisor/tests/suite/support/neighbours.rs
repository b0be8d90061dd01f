//! The neighbours' contracts over the shared world; what the adviser never asks is not implemented.
use super::world::{Shared, cents, owner, usd};
use moneta_contracts::common::Price;
use moneta_types::{Currency, Quantity};
use tonic::{Request, Response, Status};

fn not_asked<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("the adviser does not ask this"))
}

mod user {
    use super::*;
    use moneta_contracts::user::{self as pb, user_server::User};

    #[tonic::async_trait]
    impl User for Shared {
        async fn register(&self, _: Request<pb::RegisterRequest>) -> Result<Response<pb::Account>, Status> {
            not_asked()
        }
        async fn login(&self, request: Request<pb::LoginRequest>) -> Result<Response<pb::Session>, Status> {
            if request.get_ref().password != super::super::PASSWORD {
                return Err(Status::unauthenticated("wrong credentials"));
            }
            Ok(Response::new(pb::Session { access_token: "t".to_owned(), ..Default::default() }))
        }
        async fn refresh(&self, _: Request<pb::RefreshRequest>) -> Result<Response<pb::Session>, Status> {
            not_asked()
        }
        async fn logout(&self, _: Request<pb::LogoutRequest>) -> Result<Response<pb::LogoutResponse>, Status> {
            Ok(Response::new(pb::LogoutResponse {}))
        }
        async fn get_account(&self, _: Request<pb::GetAccountRequest>) -> Result<Response<pb::Account>, Status> {
            let world = self.look();
            world.reachable(world.user_fails)?;
            Ok(Response::new(world.account.clone()))
        }
        async fn provision_account(
            &self,
            _: Request<pb::ProvisionAccountRequest>,
        ) -> Result<Response<pb::Account>, Status> {
            not_asked()
        }
        async fn list_investors(
            &self,
            _: Request<pb::ListInvestorsRequest>,
        ) -> Result<Response<pb::ListInvestorsResponse>, Status> {
            not_asked()
        }
        async fn update_profile(&self, _: Request<pb::UpdateProfileRequest>) -> Result<Response<pb::Account>, Status> {
            not_asked()
        }
        async fn get_preferences(
            &self,
            _: Request<pb::GetPreferencesRequest>,
        ) -> Result<Response<pb::Preferences>, Status> {
            Ok(Response::new(self.look().preferences.clone()))
        }
        async fn set_preferences(
            &self,
            _: Request<pb::SetPreferencesRequest>,
        ) -> Result<Response<pb::Preferences>, Status> {
            not_asked()
        }
        async fn submit_questionnaire(
            &self,
            _: Request<pb::SubmitQuestionnaireRequest>,
        ) -> Result<Response<pb::Questionnaire>, Status> {
            not_asked()
        }
        async fn get_questionnaire(
            &self,
            _: Request<pb::GetQuestionnaireRequest>,
        ) -> Result<Response<pb::Questionnaire>, Status> {
            let mut world = self.look();
            world.reachable(world.user_fails)?;
            // Counts down to the one call that fails.
            if let Some(left) = world.questionnaires_until_failure.take() {
                if left == 0 {
                    return Err(Status::internal("lost"));
                }
                world.questionnaires_until_failure = Some(left - 1);
            }
            world.questionnaire.clone().map(Response::new).ok_or_else(|| Status::not_found("no questionnaire"))
        }
        async fn list_questionnaires(
            &self,
            _: Request<pb::ListQuestionnairesRequest>,
        ) -> Result<Response<pb::ListQuestionnairesResponse>, Status> {
            not_asked()
        }
        async fn export_data(
            &self,
            _: Request<pb::ExportDataRequest>,
        ) -> Result<Response<pb::ExportDataResponse>, Status> {
            not_asked()
        }
        async fn erase_user(
            &self,
            _: Request<pb::EraseUserRequest>,
        ) -> Result<Response<pb::EraseUserResponse>, Status> {
            not_asked()
        }
    }
}

mod portfolio {
    use super::*;
    use moneta_contracts::portfolio::{self as pb, portfolio_server::Portfolio};

    #[tonic::async_trait]
    impl Portfolio for Shared {
        async fn create_portfolio(
            &self,
            _: Request<pb::CreatePortfolioRequest>,
        ) -> Result<Response<pb::PortfolioView>, Status> {
            not_asked()
        }
        async fn list_portfolios(
            &self,
            request: Request<pb::ListPortfoliosRequest>,
        ) -> Result<Response<pb::ListPortfoliosResponse>, Status> {
            let world = self.look();
            let caller = world.caller(&request)?;
            let mine = world.portfolios.values().filter(|view| caller.may_see(owner(view), "portfolio", "").is_ok());
            let portfolios = mine.map(|view| world.valued(view)).collect();
            Ok(Response::new(pb::ListPortfoliosResponse { portfolios, unreadable: Vec::new() }))
        }
        async fn get_portfolio(
            &self,
            request: Request<pb::GetPortfolioRequest>,
        ) -> Result<Response<pb::PortfolioView>, Status> {
            let world = self.look();
            let view = world.seen(&request, &request.get_ref().portfolio_id)?;
            Ok(Response::new(world.valued(&view)))
        }
        async fn deposit(
            &self,
            _: Request<pb::CashMovementRequest>,
        ) -> Result<Response<pb::CashMovementResponse>, Status> {
            not_asked()
        }
        async fn withdraw(
            &self,
            _: Request<pb::CashMovementRequest>,
        ) -> Result<Response<pb::CashMovementResponse>, Status> {
            not_asked()
        }
        async fn set_target(
            &self,
            request: Request<pb::SetTargetRequest>,
        ) -> Result<Response<pb::PortfolioView>, Status> {
            let mut world = self.look();
            let body = request.into_inner();
            let view = world.portfolios.get_mut(&body.portfolio_id).ok_or_else(|| Status::not_found("no portfolio"))?;
            if view.target != body.target {
                view.target = body.target;
                view.version += 1;
            }
            Ok(Response::new(view.clone()))
        }
        async fn performance(
            &self,
            request: Request<pb::PerformanceRequest>,
        ) -> Result<Response<pb::PerformanceResponse>, Status> {
            let world = self.look();
            let body = request.get_ref();
            let value = world.valued(&world.seen(&request, &body.portfolio_id)?).value;
            Ok(Response::new(pb::PerformanceResponse {
                from: "2019-01-02".to_owned(),
                to: body.to.clone(),
                start_value: usd(90_000),
                end_value: value,
                net_flows: usd(0),
                time_weighted_return: "0.111".to_owned(),
                max_drawdown: "0.05".to_owned(),
                ..Default::default()
            }))
        }
        async fn transactions(
            &self,
            request: Request<pb::TransactionsRequest>,
        ) -> Result<Response<pb::TransactionsResponse>, Status> {
            self.look().seen(&request, &request.get_ref().portfolio_id)?;
            let deposit = pb::Transaction {
                kind: "deposit".to_owned(),
                date: "2019-12-02".to_owned(),
                amount: usd(100_000),
                ..Default::default()
            };
            Ok(Response::new(pb::TransactionsResponse { transactions: vec![deposit], ..Default::default() }))
        }
        async fn drift(&self, request: Request<pb::DriftRequest>) -> Result<Response<pb::DriftResponse>, Status> {
            self.look().seen(&request, &request.get_ref().portfolio_id)?;
            let item = pb::DriftItem {
                symbol: "KO".to_owned(),
                weight: "0.3".to_owned(),
                target: "0.25".to_owned(),
                difference: "0.05".to_owned(),
            };
            let (drift, band) = ("0.05".to_owned(), "0.02".to_owned());
            Ok(Response::new(pb::DriftResponse { drift, items: vec![item], beyond_band: true, band }))
        }
        async fn rebalance_plan(
            &self,
            _: Request<pb::RebalancePlanRequest>,
        ) -> Result<Response<pb::RebalancePlanResponse>, Status> {
            not_asked()
        }
        async fn attribution(
            &self,
            request: Request<pb::AttributionRequest>,
        ) -> Result<Response<pb::AttributionResponse>, Status> {
            let world = self.look();
            let value = world.valued(&world.seen(&request, &request.get_ref().portfolio_id)?).value;
            Ok(Response::new(pb::AttributionResponse {
                from: "2019-12-26".to_owned(),
                to: "2020-01-02".to_owned(),
                start_value: usd(90_000),
                end_value: value,
                net_flows: usd(0),
                costs: cents(-1_234),
                items: vec![pb::AttributionItem {
                    symbol: "KO".to_owned(),
                    price_effect: cents(12_345),
                    price_return: "0.02".to_owned(),
                    ..Default::default()
                }],
            }))
        }
        async fn check_ledger(
            &self,
            _: Request<pb::CheckLedgerRequest>,
        ) -> Result<Response<pb::CheckLedgerResponse>, Status> {
            not_asked()
        }
    }
}

mod trading {
    use super::*;
    use moneta_contracts::trading::{self as pb, trading_server::Trading};

    #[tonic::async_trait]
    impl Trading for Shared {
        async fn submit_order(&self, request: Request<pb::SubmitOrderRequest>) -> Result<Response<pb::Order>, Status> {
            let mut world = self.look();
            world.reachable(world.trading_fails)?;
            let order = world.submit(request.into_inner())?;
            if world.answers_to_lose > 0 {
                world.answers_to_lose -= 1;
                return Err(Status::unavailable("the answer was lost"));
            }
            Ok(Response::new(order))
        }
        async fn cancel_order(&self, request: Request<pb::CancelOrderRequest>) -> Result<Response<pb::Order>, Status> {
            let mut world = self.look();
            let order = world.orders.iter_mut().find(|order| order.order_id == request.get_ref().order_id);
            let order = order.ok_or_else(|| Status::not_found("no order"))?;
            order.status = "canceled".to_owned();
            Ok(Response::new(order.clone()))
        }
        async fn get_order(&self, request: Request<pb::GetOrderRequest>) -> Result<Response<pb::Order>, Status> {
            let world = self.look();
            world.reachable(world.trading_fails)?;
            let order = world.orders.iter().find(|order| order.order_id == request.get_ref().order_id);
            order.cloned().map(Response::new).ok_or_else(|| Status::not_found("no order"))
        }
        async fn list_orders(
            &self,
            request: Request<pb::ListOrdersRequest>,
        ) -> Result<Response<pb::ListOrdersResponse>, Status> {
            let world = self.look();
            let caller = world.caller(&request)?;
            let mut orders: Vec<_> = world
                .orders
                .iter()
                .filter(|order| caller.may_see(order.owner_id.parse().unwrap(), "order", "").is_ok())
                .cloned()
                .collect();
            orders.reverse();
            let page = request.get_ref().page.clone().unwrap_or_default();
            let after: usize = page.cursor.parse().unwrap_or_default();
            let limit = if page.limit == 0 { 50 } else { page.limit as usize };
            let more = orders.len() > after + limit;
            let next_cursor = if more { (after + limit).to_string() } else { String::new() };
            let orders = orders.into_iter().skip(after).take(limit).collect();
            Ok(Response::new(pb::ListOrdersResponse { orders, next_cursor }))
        }
        async fn get_committed_cash(
            &self,
            _: Request<pb::GetCommittedCashRequest>,
        ) -> Result<Response<pb::CommittedCash>, Status> {
            Ok(Response::new(pb::CommittedCash::default()))
        }
        async fn preview_order(
            &self,
            request: Request<pb::SubmitOrderRequest>,
        ) -> Result<Response<pb::PreviewOrderResponse>, Status> {
            let world = self.look();
            let body = request.get_ref();
            let price = world.price(&body.symbol);
            let value = price.value_of(Quantity::from_nanos(body.quantity.unwrap().nanos), Currency::Usd).unwrap();
            Ok(Response::new(pb::PreviewOrderResponse {
                allowed: true,
                estimated_value: Some(value.into()),
                estimated_cost: usd(1),
                ..Default::default()
            }))
        }
        async fn set_kill_switch(
            &self,
            _: Request<pb::SetKillSwitchRequest>,
        ) -> Result<Response<pb::KillSwitchState>, Status> {
            not_asked()
        }
        async fn get_kill_switch(
            &self,
            _: Request<pb::GetKillSwitchRequest>,
        ) -> Result<Response<pb::KillSwitchState>, Status> {
            not_asked()
        }
        async fn reconcile(&self, _: Request<pb::ReconcileRequest>) -> Result<Response<pb::ReconcileResponse>, Status> {
            not_asked()
        }
    }
}

mod compliance {
    use super::*;
    use moneta_contracts::compliance::{self as pb, compliance_server::Compliance};

    #[tonic::async_trait]
    impl Compliance for Shared {
        async fn check_advice(
            &self,
            _: Request<pb::CheckAdviceRequest>,
        ) -> Result<Response<pb::CheckResponse>, Status> {
            let world = self.look();
            Ok(Response::new(pb::CheckResponse {
                allowed: world.advice_allowed,
                verdicts: vec![moneta_contracts::common::Verdict {
                    rule_id: "suitability.volatility".to_owned(),
                    citation: "COBS 9A.2.1R".to_owned(),
                    outcome: if world.advice_allowed { "pass" } else { "fail" }.to_owned(),
                    reasons: Vec::new(),
                }],
                rule_pack: "0".repeat(64),
                jurisdiction: "UK".to_owned(),
            }))
        }
        async fn check_order(&self, _: Request<pb::CheckOrderRequest>) -> Result<Response<pb::CheckResponse>, Status> {
            not_asked()
        }
        async fn list_rules(
            &self,
            _: Request<pb::ListRulesRequest>,
        ) -> Result<Response<pb::ListRulesResponse>, Status> {
            not_asked()
        }
        async fn list_audit(
            &self,
            _: Request<pb::ListAuditRequest>,
        ) -> Result<Response<pb::ListAuditResponse>, Status> {
            not_asked()
        }
        async fn verify_audit(
            &self,
            _: Request<pb::VerifyAuditRequest>,
        ) -> Result<Response<pb::VerifyAuditResponse>, Status> {
            not_asked()
        }
        async fn list_alerts(
            &self,
            _: Request<pb::ListAlertsRequest>,
        ) -> Result<Response<pb::ListAlertsResponse>, Status> {
            not_asked()
        }
        async fn resolve_alert(&self, _: Request<pb::ResolveAlertRequest>) -> Result<Response<pb::Alert>, Status> {
            not_asked()
        }
        async fn place_hold(&self, _: Request<pb::PlaceHoldRequest>) -> Result<Response<pb::Hold>, Status> {
            not_asked()
        }
        async fn release_hold(&self, _: Request<pb::ReleaseHoldRequest>) -> Result<Response<pb::Hold>, Status> {
            not_asked()
        }
        async fn list_holds(
            &self,
            _: Request<pb::ListHoldsRequest>,
        ) -> Result<Response<pb::ListHoldsResponse>, Status> {
            not_asked()
        }
        async fn check_hold(
            &self,
            _: Request<pb::CheckHoldRequest>,
        ) -> Result<Response<pb::CheckHoldResponse>, Status> {
            Ok(Response::new(pb::CheckHoldResponse { allowed: true, ..Default::default() }))
        }
    }
}

mod notification {
    use super::*;
    use moneta_contracts::notification::{self as pb, notification_server::Notification};

    #[tonic::async_trait]
    impl Notification for Shared {
        async fn list_notifications(
            &self,
            _: Request<pb::ListNotificationsRequest>,
        ) -> Result<Response<pb::ListNotificationsResponse>, Status> {
            not_asked()
        }
        async fn mark_read(&self, _: Request<pb::MarkReadRequest>) -> Result<Response<pb::NotificationView>, Status> {
            not_asked()
        }
        async fn get_preferences(
            &self,
            _: Request<pb::GetPreferencesRequest>,
        ) -> Result<Response<pb::Preferences>, Status> {
            let topics = self.look().topics.clone();
            Ok(Response::new(pb::Preferences { topics, ..Default::default() }))
        }
        async fn set_preferences(
            &self,
            request: Request<pb::SetPreferencesRequest>,
        ) -> Result<Response<pb::Preferences>, Status> {
            let mut world = self.look();
            for change in request.into_inner().topics {
                for topic in &mut world.topics {
                    if topic.topic == change.topic && topic.channel == change.channel {
                        topic.enabled = change.enabled;
                    }
                }
            }
            Ok(Response::new(pb::Preferences { topics: world.topics.clone(), ..Default::default() }))
        }
        async fn preview_template(
            &self,
            _: Request<pb::PreviewTemplateRequest>,
        ) -> Result<Response<pb::PreviewTemplateResponse>, Status> {
            not_asked()
        }
    }
}

mod market_data {
    use super::*;
    use moneta_contracts::market_data::{self as pb, market_data_server::MarketData};

    #[tonic::async_trait]
    impl MarketData for Shared {
        async fn list_instruments(
            &self,
            _: Request<pb::ListInstrumentsRequest>,
        ) -> Result<Response<pb::ListInstrumentsResponse>, Status> {
            let instruments = self.look().instruments.clone();
            Ok(Response::new(pb::ListInstrumentsResponse { instruments }))
        }
        async fn latest_prices(
            &self,
            request: Request<pb::LatestPricesRequest>,
        ) -> Result<Response<pb::LatestPricesResponse>, Status> {
            let world = self.look();
            let latest = |symbol: &String| {
                let history = world.history(symbol);
                let last = history.last().ok_or_else(|| Status::not_found("no such instrument"))?;
                Ok::<_, Status>(pb::LatestPrice {
                    symbol: symbol.clone(),
                    price: Some(Price::of(world.price(symbol), Currency::Usd)),
                    date: last.date.clone(),
                    previous_close: history.iter().rev().nth(1).map(|bar| bar.close.clone()).unwrap_or_default(),
                    ..Default::default()
                })
            };
            let prices = request.get_ref().symbols.iter().map(latest).collect::<Result<_, _>>()?;
            Ok(Response::new(pb::LatestPricesResponse { prices }))
        }
        async fn history(&self, request: Request<pb::HistoryRequest>) -> Result<Response<pb::HistoryResponse>, Status> {
            let mut world = self.look();
            world.histories_read += 1;
            let body = request.into_inner();
            let mut bars = Vec::new();
            for symbol in &body.symbols {
                let known = world.history(symbol);
                let until = known.partition_point(|bar| body.to.is_empty() || bar.date <= body.to);
                bars.extend_from_slice(&known[until.saturating_sub(body.last as usize)..until]);
            }
            bars.sort_by(|a, b| (&a.date, &a.symbol).cmp(&(&b.date, &b.symbol)));
            Ok(Response::new(pb::HistoryResponse { bars }))
        }
        async fn market_state(
            &self,
            _: Request<pb::MarketStateRequest>,
        ) -> Result<Response<pb::MarketStateResponse>, Status> {
            let last_date = self.look().today.to_string();
            let reference_symbol = "SP500".to_owned();
            Ok(Response::new(pb::MarketStateResponse { reference_symbol, last_date, ..Default::default() }))
        }
        async fn replay_advance(
            &self,
            _: Request<pb::ReplayAdvanceRequest>,
        ) -> Result<Response<pb::ReplayAdvanceResponse>, Status> {
            not_asked()
        }
        async fn replay_status(
            &self,
            _: Request<pb::ReplayStatusRequest>,
        ) -> Result<Response<pb::ReplayStatusResponse>, Status> {
            not_asked()
        }
    }
}
