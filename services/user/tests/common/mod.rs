//! What the tests of the user service share.
#![allow(clippy::unwrap_used, dead_code)]

pub mod neighbours;

use moneta_contracts::{
    doubles::HoldsDouble,
    portfolio::ListPortfoliosResponse,
    trading::ListOrdersResponse,
    user::{Account, Answers, RegisterRequest},
};
use moneta_kit::{client::Call, entropy::fresh_cause, problem::Problem, testing::Stage};
use tonic::{Status, service::Routes};

pub const PASSWORD: &str = "seven tall lighthouses";

/// The user service on a stage, with password hashing that is cheap enough for tests, and clients who hold nothing.
pub async fn stage() -> Stage {
    Stage::builder(&[moneta_user::SERVICE])
        .config(|config| config.with("user.password.memory_kib", 64_u32).with("user.password.iterations", 1_u32))
        .fake("portfolio", neighbours::answering(&ListPortfoliosResponse::default()))
        .fake("trading", neighbours::answering(&ListOrdersResponse::default()))
        .fake("compliance", Routes::new(HoldsDouble::nothing_held()))
        .start()
        .await
}

pub async fn register(stage: &Stage, email: &str) -> Account {
    let request = RegisterRequest {
        email: email.to_owned(),
        password: PASSWORD.to_owned(),
        display_name: "Ada Lovelace".to_owned(),
        base_currency: "USD".to_owned(),
        ..Default::default()
    };
    let call = Call::anonymous(fresh_cause());
    stage.directory().user().register(call.request(request)).await.unwrap().into_inner()
}

/// The stable code of an error.
pub fn code<T>(answer: Result<T, Status>) -> String {
    Problem::from_status(&answer.err().unwrap()).code
}

/// Answers of somebody in the middle.
pub fn answers() -> Answers {
    Answers {
        horizon_years: 10,
        objective: "growth".to_owned(),
        experience: "some".to_owned(),
        instruments_known: vec!["share".to_owned(), "fund".to_owned()],
        reaction_to_fall: "hold".to_owned(),
        annual_income: "51234".to_owned(),
        liquid_assets: "60000".to_owned(),
        emergency_months: "6".to_owned(),
        loss_bearable: "0.25".to_owned(),
        risk_score: 5,
        understands_risk: true,
    }
}
