//! The world behind the gateway, as the doubles show it: Anna has a portfolio, a recommendation and an order.
use super::{Double, anna};
use moneta_contracts::{advisor, common, compliance, market_data, notification, portfolio, trading, user};
use moneta_kit::{
    identity::{Role, Tokens},
    problem::Problem,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};
use tonic::Status;

pub const PORTFOLIO: &str = "0190a000-0000-7000-8000-000000000001";
pub const RECOMMENDATION: &str = "0190a000-0000-7000-8000-000000000002";
pub const ORDER: &str = "0190a000-0000-7000-8000-000000000003";
pub const CONVERSATION: &str = "0190a000-0000-7000-8000-000000000004";
pub const DECISION: &str = "0190a000-0000-7000-8000-000000000005";
pub const NOTIFICATION: &str = "0190a000-0000-7000-8000-000000000006";
/// A password that was given out by somebody else.
pub const ONE_TIME: &str = "given out by the house";
pub const DIGEST: &str = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

pub fn usd(minor_units: i64) -> Option<common::Money> {
    Some(common::Money { minor_units, currency: "USD".to_owned() })
}

fn units(units: i64) -> Option<common::Quantity> {
    Some(common::Quantity { nanos: units * 1_000_000_000 })
}

fn price(value: &str) -> Option<common::Price> {
    Some(common::Price { value: value.to_owned(), currency: "USD".to_owned() })
}

fn not_found<T>(what: &str, id: &str) -> Result<T, Status> {
    Err(Problem::not_found(what, id).into())
}

/// Doubles of every neighbour.
pub fn doubles(tokens: &Arc<OnceLock<Tokens>>) -> Vec<(&'static str, Double)> {
    vec![
        ("user", user_double(tokens)),
        ("portfolio", portfolio_double()),
        ("trading", trading_double()),
        ("advisor", advisor_double()),
        ("notification", notification_double()),
        ("market-data", market_double()),
        ("compliance", compliance_double()),
    ]
}

fn user_double(tokens: &Arc<OnceLock<Tokens>>) -> Double {
    let (tokens, shared) = (Arc::clone(tokens), Arc::clone(tokens));
    let login = move |request: user::LoginRequest, _| {
        if !["moneta-demo", ONE_TIME].contains(&request.password.as_str()) {
            return Err(Problem::unauthenticated("e-mail or password is wrong").with_code("wrong_credentials").into());
        }
        let issued = tokens.get().unwrap().issue_access(anna(), &[Role::Investor], Duration::from_secs(900));
        let (access_token, seconds) = issued.unwrap();
        Ok(user::Session {
            access_token,
            refresh_token: "refresh".to_owned(),
            expires_in: i64::try_from(seconds).unwrap(),
            user_id: anna().to_string(),
            password_change_only: request.password == ONE_TIME,
            ..Default::default()
        })
    };
    let issuer = Arc::clone(&shared);
    let change = move |request: user::ChangePasswordRequest, _| {
        if request.current_password != ONE_TIME {
            return Err(Problem::unauthenticated("e-mail or password is wrong").with_code("bad_credentials").into());
        }
        let issued = issuer.get().unwrap().issue_access(anna(), &[Role::Investor], Duration::from_secs(900));
        let (access_token, seconds) = issued.unwrap();
        Ok(user::Session {
            access_token,
            refresh_token: "refreshed".to_owned(),
            expires_in: i64::try_from(seconds).unwrap(),
            user_id: anna().to_string(),
            ..Default::default()
        })
    };
    let decisions = Arc::new(Mutex::new(String::new()));
    let decided = Arc::clone(&decisions);
    Double::default()
        .on("/moneta.user.v1.Accounts/ChangePassword", change)
        .on("/moneta.user.v1.User/SetPreferences", move |request: user::SetPreferencesRequest, _| {
            *decided.lock().unwrap() = request.values.get("terms_of_service").cloned().unwrap_or_default();
            Ok(user::Preferences { values: request.values, consents: Vec::new() })
        })
        .on("/moneta.user.v1.User/Login", login)
        .on("/moneta.user.v1.User/Logout", |_: user::LogoutRequest, _| Ok(user::LogoutResponse {}))
        .on("/moneta.user.v1.User/GetAccount", |request: user::GetAccountRequest, _| {
            Ok(user::Account {
                user_id: request.user_id,
                email: "anna@example.com".to_owned(),
                display_name: "Anna Example".to_owned(),
                roles: vec!["investor".to_owned()],
                base_currency: "USD".to_owned(),
                status: "active".to_owned(),
                created_micros: 1_577_923_200_000_000,
                autonomy: "approve".to_owned(),
                ..user::Account::default()
            })
        })
        .on("/moneta.user.v1.User/GetPreferences", move |_: user::GetPreferencesRequest, _| {
            let decision = decisions.lock().unwrap().clone();
            let decided = !decision.is_empty();
            let consent = user::Consent {
                document: "terms_of_service".to_owned(),
                version: "1".to_owned(),
                decision,
                decided_version: if decided { "1".to_owned() } else { String::new() },
                decided_micros: if decided { 1_584_000_000_000_000 } else { 0 },
            };
            let values = HashMap::from([("theme".to_owned(), "dark".to_owned())]);
            Ok(user::Preferences { values, consents: vec![consent] })
        })
        .on("/moneta.user.v1.User/SubmitQuestionnaire", |request: user::SubmitQuestionnaireRequest, _| {
            Ok(user::Questionnaire {
                user_id: request.user_id,
                version: 1,
                answers: request.answers,
                ..user::Questionnaire::default()
            })
        })
}

fn view() -> portfolio::PortfolioView {
    let holding = |symbol: &str, quantity, close: &str, cost, value, gain, weight: &str| portfolio::Holding {
        symbol: symbol.to_owned(),
        quantity: units(quantity),
        cost_basis: usd(cost),
        price: price(close),
        price_date: "2020-03-12".to_owned(),
        market_value: usd(value),
        unrealised_gain: usd(gain),
        weight: weight.to_owned(),
        lots: Vec::new(),
    };
    let weight = |symbol: &str, weight: &str| common::Weight { symbol: symbol.to_owned(), weight: weight.to_owned() };
    portfolio::PortfolioView {
        portfolio_id: PORTFOLIO.to_owned(),
        owner_id: anna().to_string(),
        name: "Retirement".to_owned(),
        currency: "USD".to_owned(),
        version: 12,
        cash: usd(512_340),
        value: usd(9_712_340),
        holdings: vec![
            holding("AAPL", 500, "62.06", 3_600_000, 3_103_000, -497_000, "0.3195"),
            holding("JNJ", 250, "126.24", 3_400_000, 3_156_000, -244_000, "0.325"),
            holding("WMT", 274, "107.41", 2_880_000, 2_941_000, 61_000, "0.3028"),
        ],
        target: vec![weight("AAPL", "0.30"), weight("JNJ", "0.35"), weight("WMT", "0.30"), weight("CASH", "0.05")],
        valued_on: "2020-03-12".to_owned(),
        net_contributions: usd(10_000_000),
        prices_stale: false,
        quarantined: false,
        withdrawing: None,
    }
}

fn series() -> Vec<portfolio::ValuePoint> {
    let first = moneta_types::Timestamp::from_micros(1_577_923_200_000_000);
    (0..70_i64)
        .map(|nth| {
            let day = first.plus_days(u64::try_from(nth).unwrap()).date();
            let fall = (nth - 48).max(0) * 38_000;
            let wave = (nth * 37 % 11 - 5) * 14_000;
            portfolio::ValuePoint {
                date: day.to_string(),
                value: usd(10_000_000 + nth * 9_000 + wave - fall),
                net_contributions: usd(10_000_000),
                twr_index: "1".to_owned(),
            }
        })
        .collect()
}

fn portfolio_double() -> Double {
    Double::default()
        .on("/moneta.portfolio.v1.Portfolio/ListPortfolios", |_: portfolio::ListPortfoliosRequest, asked| {
            let portfolios = if asked.is(anna()) { vec![view()] } else { Vec::new() };
            Ok(portfolio::ListPortfoliosResponse { portfolios, unreadable: Vec::new() })
        })
        .on("/moneta.portfolio.v1.Portfolio/GetPortfolio", |request: portfolio::GetPortfolioRequest, asked| {
            if asked.is(anna()) && request.portfolio_id == PORTFOLIO {
                Ok(view())
            } else {
                not_found("portfolio", &request.portfolio_id)
            }
        })
        .on("/moneta.portfolio.v1.Portfolio/Performance", |_: portfolio::PerformanceRequest, _| {
            let series = series();
            Ok(portfolio::PerformanceResponse {
                from: series[0].date.clone(),
                to: series[69].date.clone(),
                start_value: series[0].value.clone(),
                end_value: series[69].value.clone(),
                net_flows: usd(0),
                time_weighted_return: "-0.0288".to_owned(),
                max_drawdown: "0.0921".to_owned(),
                volatility: "0.1834".to_owned(),
                series,
                ..portfolio::PerformanceResponse::default()
            })
        })
        .on("/moneta.portfolio.v1.Portfolio/Drift", |_: portfolio::DriftRequest, _| {
            Ok(portfolio::DriftResponse {
                drift: "0.0278".to_owned(),
                items: Vec::new(),
                beyond_band: true,
                band: "0.02".to_owned(),
            })
        })
        .on("/moneta.portfolio.v1.Portfolio/Deposit", |request: portfolio::CashMovementRequest, _| {
            Ok(portfolio::CashMovementResponse {
                transaction_id: request.client_reference,
                cash: request.amount,
                version: 13,
            })
        })
}

fn trading_double() -> Double {
    let orders = Arc::new(Mutex::new(HashMap::<String, trading::Order>::new()));
    let order = || trading::Order {
        order_id: ORDER.to_owned(),
        client_order_id: "M-1".to_owned(),
        portfolio_id: PORTFOLIO.to_owned(),
        owner_id: anna().to_string(),
        symbol: "AAPL".to_owned(),
        side: "sell".to_owned(),
        quantity: units(30),
        filled: units(30),
        order_type: "market".to_owned(),
        status: "filled".to_owned(),
        origin: "recommendation".to_owned(),
        average_price: price("62.031"),
        created_micros: 1_584_047_100_000_000,
        ..trading::Order::default()
    };
    Double::default()
        .on("/moneta.trading.v1.Trading/ListOrders", move |_: trading::ListOrdersRequest, asked| {
            let denied = trading::Order {
                order_id: "o-2".to_owned(),
                symbol: "JNJ".to_owned(),
                side: "buy".to_owned(),
                status: "denied".to_owned(),
                reason: "the order is worth more than the cash that is free".to_owned(),
                origin: "self_directed".to_owned(),
                filled: units(0),
                average_price: None,
                ..order()
            };
            let orders = if asked.is(anna()) { vec![order(), denied] } else { Vec::new() };
            Ok(trading::ListOrdersResponse { orders, next_cursor: "more".to_owned() })
        })
        .on("/moneta.trading.v1.Trading/GetOrder", |request: trading::GetOrderRequest, _| {
            not_found::<trading::Order>("order", &request.order_id)
        })
        .on("/moneta.trading.v1.Trading/SubmitOrder", move |request: trading::SubmitOrderRequest, asked| {
            if request.order_type != "market" && request.order_type != "limit" {
                return Err(Problem::invalid("order_type", &request.order_type, "one of market, limit").into());
            }
            let mut orders = orders.lock().unwrap();
            let order = orders.entry(request.idempotency_key.clone()).or_insert_with(|| trading::Order {
                order_id: asked.cause,
                owner_id: asked.subject,
                portfolio_id: request.portfolio_id,
                symbol: request.symbol,
                side: request.side,
                quantity: request.quantity,
                order_type: request.order_type,
                origin: request.origin,
                idempotency_key: request.idempotency_key,
                status: "accepted".to_owned(),
                ..trading::Order::default()
            });
            Ok(order.clone())
        })
        .on("/moneta.trading.v1.Trading/SetKillSwitch", |request: trading::SetKillSwitchRequest, asked| {
            let entry = trading::KillSwitchEntry {
                scope: request.scope,
                target: request.target,
                reason: request.reason,
                by: asked.subject,
                at_micros: 1_584_047_100_000_000,
            };
            Ok(trading::KillSwitchState { engaged: vec![entry] })
        })
}

fn recommendation(id: &str, status: &str) -> advisor::Recommendation {
    let trade = |symbol: &str, side: &str, quantity, value, reason: &str| advisor::Trade {
        symbol: symbol.to_owned(),
        side: side.to_owned(),
        quantity: units(quantity),
        estimated_value: usd(value),
        estimated_cost: usd(120),
        reason: reason.to_owned(),
        ..advisor::Trade::default()
    };
    let verdict = |rule: &str, citation: &str, outcome: &str, reason: &str| common::Verdict {
        rule_id: rule.to_owned(),
        citation: citation.to_owned(),
        outcome: outcome.to_owned(),
        reasons: vec![reason.to_owned()],
    };
    advisor::Recommendation {
        recommendation_id: id.to_owned(),
        portfolio_id: PORTFOLIO.to_owned(),
        owner_id: anna().to_string(),
        decision_id: DECISION.to_owned(),
        status: status.to_owned(),
        autonomy: "approve".to_owned(),
        summary: "Sell some Apple and buy Johnson & Johnson to bring the risk back to your level".to_owned(),
        explanation:
            "Apple has fallen less than the rest and is now 31.95 % of the portfolio, against a target of 30 %.\n\
            The trades bring the forecast volatility from 18.3 % to 16.9 % a year; they cost $2.40."
                .to_owned(),
        trades: vec![
            trade("AAPL", "sell", 30, 186_180, "above its target"),
            trade("JNJ", "buy", 14, 176_736, "below its target"),
        ],
        verdicts: vec![
            verdict("suitability.risk", "COBS 9A.2.1R", "pass", "volatility of 16.9 % is within your ceiling of 20 %"),
            verdict(
                "suitability.concentration",
                "COBS 9A.2.1R",
                "warn",
                "one share is more than 30 % of the portfolio",
            ),
        ],
        proposal_digest: DIGEST.to_owned(),
        issued_micros: 1_584_047_100_000_000,
        expires_micros: 1_584_133_500_000_000,
        drift_before: "0.0278".to_owned(),
        volatility_before: "0.1834".to_owned(),
        volatility_after: "0.169".to_owned(),
        total_cost: usd(240),
        ..advisor::Recommendation::default()
    }
}

fn answer(text: &str) -> advisor::Message {
    advisor::Message {
        message_id: "m-2".to_owned(),
        conversation_id: CONVERSATION.to_owned(),
        role: "adviser".to_owned(),
        text: text.to_owned(),
        at_micros: 1_584_047_100_000_000,
        intent: "portfolio_value".to_owned(),
        figures: vec![advisor::Figure {
            name: "value".to_owned(),
            value: "$97,123.40".to_owned(),
            source: "portfolio.GetPortfolio".to_owned(),
        }],
        citations: vec![advisor::Citation {
            id: "volatility".to_owned(),
            title: "What volatility means".to_owned(),
            excerpt: "Volatility says how far returns usually lie from their average.".to_owned(),
        }],
        ..advisor::Message::default()
    }
}

fn advisor_double() -> Double {
    let statuses = Arc::new(Mutex::new("open".to_owned()));
    let (listed, approved) = (Arc::clone(&statuses), statuses);
    Double::default()
        .on("/moneta.advisor.v1.Advisor/ListRecommendations", move |_: advisor::ListRecommendationsRequest, asked| {
            let mut older = recommendation("r-0", "declined");
            older.summary = "Buy Walmart for the cash that came in".to_owned();
            let all = vec![recommendation(RECOMMENDATION, &listed.lock().unwrap()), older];
            let recommendations = if asked.is(anna()) { all } else { Vec::new() };
            Ok(advisor::ListRecommendationsResponse { recommendations, next_cursor: String::new() })
        })
        .on("/moneta.advisor.v1.Advisor/GetRecommendation", |request: advisor::GetRecommendationRequest, asked| {
            if asked.is(anna()) && request.recommendation_id == RECOMMENDATION {
                Ok(recommendation(RECOMMENDATION, "open"))
            } else {
                not_found("recommendation", &request.recommendation_id)
            }
        })
        .on("/moneta.advisor.v1.Advisor/Approve", move |request: advisor::ApproveRequest, asked| {
            if !asked.is(anna()) {
                return not_found("recommendation", &request.recommendation_id);
            }
            if request.proposal_digest != DIGEST {
                return Err(Problem::conflict("proposal_changed", "the proposal is another one now").into());
            }
            *approved.lock().unwrap() = "approved".to_owned();
            Ok(recommendation(RECOMMENDATION, "approved"))
        })
        .on(
            "/moneta.advisor.v1.Advisor/Decline",
            |_: advisor::DeclineRequest, _| -> Result<advisor::Recommendation, _> {
                // As a service answers when compliance holds the account.
                Err(Problem::precondition("held", "we cannot do this at the moment; please contact us").into())
            },
        )
        .on("/moneta.advisor.v1.Advisor/GetMandate", |request: advisor::GetMandateRequest, _| {
            Ok(advisor::Mandate {
                portfolio_id: request.portfolio_id,
                version: 3,
                autonomy: "approve".to_owned(),
                max_turnover: "0.25".to_owned(),
                ..advisor::Mandate::default()
            })
        })
        .on("/moneta.advisor.v1.Advisor/SetMandate", |request: advisor::SetMandateRequest, _| {
            let mut mandate = request.mandate.unwrap();
            if request.expected_version != mandate.version {
                return Err(Problem::conflict("mandate_changed", "another change came first").into());
            }
            mandate.version += 1;
            Ok(mandate)
        })
        .on("/moneta.advisor.v1.Advisor/CreateConversation", |request: advisor::CreateConversationRequest, _| {
            Ok(advisor::Conversation {
                conversation_id: CONVERSATION.to_owned(),
                title: request.title,
                ..advisor::Conversation::default()
            })
        })
        .on("/moneta.advisor.v1.Advisor/ListConversations", |_: advisor::ListConversationsRequest, _| {
            Ok(advisor::ListConversationsResponse {
                conversations: vec![advisor::Conversation {
                    conversation_id: CONVERSATION.to_owned(),
                    ..advisor::Conversation::default()
                }],
                next_cursor: String::new(),
            })
        })
        .on("/moneta.advisor.v1.Advisor/ListMessages", |_: advisor::ListMessagesRequest, _| {
            let asked = advisor::Message {
                role: "user".to_owned(),
                text: "What is my portfolio worth?".to_owned(),
                at_micros: 1_584_047_000_000_000,
                ..advisor::Message::default()
            };
            let messages = vec![asked, answer("Your portfolio is worth $97,123.40 at the prices of 12 March 2020.")];
            Ok(advisor::ListMessagesResponse { messages, next_cursor: String::new() })
        })
        .on("/moneta.advisor.v1.Advisor/SendMessage", |request: advisor::SendMessageRequest, _| {
            Ok(answer(&format!("You said: {}", request.text)))
        })
        .stream("/moneta.advisor.v1.Advisor/StreamMessage", |request: advisor::SendMessageRequest, asked| {
            let part = |part| Ok(advisor::MessagePart { part: Some(part) });
            if !asked.is(anna()) {
                return vec![not_found("conversation", &request.conversation_id)];
            }
            let text = |text: &str| part(advisor::message_part::Part::Text(text.to_owned()));
            let mut parts = vec![text("You said: "), text(&request.text)];
            if request.text == "break off" {
                parts.push(Err(Problem::unavailable("model_busy", "the model has too much to do").into()));
            } else {
                let mut whole = answer(&format!("You said: {}", request.text));
                if request.text.starts_with("buy") {
                    let action = |kind: &str, label: &str| advisor::Action {
                        kind: kind.to_owned(),
                        label: label.to_owned(),
                        ..advisor::Action::default()
                    };
                    whole.actions = vec![action("confirm", "Yes"), action("cancel", "No")];
                }
                parts.push(part(advisor::message_part::Part::Message(whole)));
            }
            parts
        })
}

fn notification_double() -> Double {
    let message = |id: &str, title: &str, body: &str, read| notification::NotificationView {
        notification_id: id.to_owned(),
        user_id: anna().to_string(),
        topic: "market_fall".to_owned(),
        title: title.to_owned(),
        body: body.to_owned(),
        created_micros: 1_584_047_100_000_000,
        read,
        mandatory: true,
        ..notification::NotificationView::default()
    };
    Double::default().on(
        "/moneta.notification.v1.Notification/ListNotifications",
        move |_: notification::ListNotificationsRequest, _| {
            Ok(notification::ListNotificationsResponse {
                notifications: vec![
                    message(
                        NOTIFICATION,
                        "The market fell 9.5 % today",
                        "Your portfolio lost $4,120.00, or 4.1 %.",
                        false,
                    ),
                    message("n-2", "30 Apple were sold at $62.03", "The order of your recommendation is filled.", true),
                ],
                next_cursor: String::new(),
                unread: 1,
            })
        },
    )
}

fn market_double() -> Double {
    Double::default()
        .on("/moneta.market_data.v1.MarketData/ReplayStatus", |_: market_data::ReplayStatusRequest, asked| {
            assert!(asked.service, "asked as the platform");
            Ok(market_data::ReplayStatusResponse {
                active: true,
                date: "2020-03-12".to_owned(),
                phase: "bars".to_owned(),
                until: "2020-12-31".to_owned(),
                days_done: 49,
                days_total: 253,
            })
        })
        .on("/moneta.market_data.v1.MarketData/MarketState", |_: market_data::MarketStateRequest, _| {
            Ok(market_data::MarketStateResponse {
                reference_symbol: "SPX".to_owned(),
                last_date: "2020-03-12".to_owned(),
                session_closed: true,
                fall_from_peak: "0.2674".to_owned(),
            })
        })
        .on("/moneta.market_data.v1.MarketData/LatestPrices", |request: market_data::LatestPricesRequest, _| {
            let latest = |symbol: String| market_data::LatestPrice {
                symbol,
                price: price("62.06"),
                ..market_data::LatestPrice::default()
            };
            Ok(market_data::LatestPricesResponse { prices: request.symbols.into_iter().map(latest).collect() })
        })
}

fn compliance_double() -> Double {
    Double::default().on("/moneta.compliance.v1.Compliance/ListAudit", |request: compliance::ListAuditRequest, _| {
        let entry = compliance::AuditEntry {
            sequence: 1,
            user_id: request.user_id,
            payload: r#"{"n":1}"#.to_owned(),
            ..compliance::AuditEntry::default()
        };
        Ok(compliance::ListAuditResponse { entries: vec![entry], next_cursor: String::new() })
    })
}
