//! Questionnaires, preferences, encryption at rest, export and erasure, through the gRPC contract.
#![allow(clippy::unwrap_used)]

mod common;

use common::{PASSWORD, answers, code, register, stage};
use moneta_contracts::{
    common::Money,
    events::{QuestionnaireSubmitted, UserErased},
    portfolio::{ListPortfoliosResponse, PortfolioView},
    trading::{ListOrdersResponse, Order},
    user::{
        EraseUserRequest, ExportDataRequest, GetAccountRequest, GetPreferencesRequest, GetQuestionnaireRequest,
        ListQuestionnairesRequest, LoginRequest, RegisterRequest, SetPreferencesRequest, SubmitQuestionnaireRequest,
    },
};
use moneta_kit::{
    client::Call,
    entropy::fresh_cause,
    erasures::{Erasure, Ledger},
    identity::Role,
    problem::Problem,
};
use moneta_types::UserId;
use std::collections::HashMap;

#[tokio::test]
async fn each_submission_is_a_new_version_and_older_ones_stay() {
    let stage = stage().await;
    let user: UserId = register(&stage, "ada@example.com").await.user_id.parse().unwrap();
    let mut users = stage.directory().user();
    for (reaction, score) in [("hold", 5), ("buy_more", 8)] {
        let mut given = answers();
        (given.reaction_to_fall, given.risk_score) = (reaction.to_owned(), score);
        let call = stage.call_user(user, &[Role::Investor]);
        let request = SubmitQuestionnaireRequest { user_id: String::new(), answers: Some(given) };
        let first = users.submit_questionnaire(call.request(request.clone())).await.unwrap().into_inner();
        // The same request again makes no further version, and other answers under its key make none at all.
        assert_eq!(users.submit_questionnaire(call.request(request.clone())).await.unwrap().into_inner(), first);
        let mut other = request.answers.clone().unwrap();
        other.horizon_years += 1;
        let other = SubmitQuestionnaireRequest { answers: Some(other), ..request };
        assert_eq!(code(users.submit_questionnaire(call.request(other)).await), "idempotency_key_reused");
    }
    let call = stage.call_user(user, &[Role::Investor]);
    let all =
        users.list_questionnaires(call.request(ListQuestionnairesRequest { user_id: String::new() })).await.unwrap();
    let told: Vec<_> = all
        .into_inner()
        .questionnaires
        .into_iter()
        .map(|q| (q.version, q.risk_tolerance, q.capacity_for_loss, q.volatility_ceiling))
        .collect();
    assert_eq!(
        told,
        [
            (1, "balanced".to_owned(), "high".to_owned(), "0.14".to_owned()),
            (2, "adventurous".to_owned(), "high".to_owned(), "0.22".to_owned()),
        ]
    );
    let first = users
        .get_questionnaire(call.request(GetQuestionnaireRequest { user_id: String::new(), version: 1 }))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(first.answers.unwrap(), answers());
    let missing = GetQuestionnaireRequest { user_id: String::new(), version: 3 };
    assert_eq!(code(users.get_questionnaire(call.request(missing)).await), "not_found");
    stage.quiet().await;
    let versions: Vec<_> = stage.events::<QuestionnaireSubmitted>().await.iter().map(|event| event.version).collect();
    assert_eq!(versions, [1, 2]);
}

#[tokio::test]
async fn contradictory_answers_are_refused_with_the_fields_and_the_reasons() {
    let stage = stage().await;
    let user: UserId = register(&stage, "ada@example.com").await.user_id.parse().unwrap();
    let call = stage.call_user(user, &[Role::Investor]);
    let mut given = answers();
    (given.horizon_years, given.risk_score) = (1, 10);
    let request = SubmitQuestionnaireRequest { user_id: String::new(), answers: Some(given) };
    let status = stage.directory().user().submit_questionnaire(call.request(request)).await.unwrap_err();
    let problem = Problem::from_status(&status);
    assert_eq!(problem.code, "contradictory_answers");
    let fields: Vec<_> = problem.fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["answers.horizon_years", "answers.objective", "answers.horizon_years", "answers.risk_score"]);
    assert!(problem.message.contains("growth needs more than two years"), "{}", problem.message);
    let newest = GetQuestionnaireRequest { user_id: String::new(), version: 0 };
    assert_eq!(code(stage.directory().user().get_questionnaire(call.request(newest)).await), "not_found");
}

#[tokio::test]
async fn preferences_take_known_keys_with_allowed_values_and_nothing_half_way() {
    let stage = stage().await;
    let user: UserId = register(&stage, "ada@example.com").await.user_id.parse().unwrap();
    let call = stage.call_user(user, &[Role::Investor]);
    let mut users = stage.directory().user();
    let set = |values: &[(&str, &str)]| SetPreferencesRequest {
        user_id: String::new(),
        values: values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<HashMap<_, _>>(),
    };
    let given = users.set_preferences(call.request(set(&[("exclusions", "XOM")]))).await.unwrap().into_inner().values;
    assert_eq!(given["exclusions"], "XOM");
    for consent in ["algorithm_disclosure", "privacy_notice", "terms_of_service"] {
        assert_eq!(given[consent], "withdrawn", "nobody gave {consent}");
    }
    let both = [("algorithm_disclosure", "accepted"), ("exclusions", "not a symbol")];
    let refused = users.set_preferences(call.request(set(&both))).await;
    assert_eq!(code(refused), "invalid_argument");
    for unread in [("theme", "dark"), ("language", "de"), ("digest", "daily"), ("esg_exclusions", "tobacco")] {
        assert_eq!(code(users.set_preferences(call.request(set(&[unread]))).await), "invalid_argument", "{unread:?}");
    }
    assert_eq!(code(users.set_preferences(call.request(set(&[("colour", "red")]))).await), "invalid_argument");
    let now = users.get_preferences(call.request(GetPreferencesRequest { user_id: String::new() })).await.unwrap();
    assert_eq!(now.into_inner().values["algorithm_disclosure"], "withdrawn");
}

#[tokio::test]
async fn personal_fields_are_not_readable_in_the_files_of_the_database() {
    let stage = stage().await;
    let user: UserId = register(&stage, "ada@example.com").await.user_id.parse().unwrap();
    let call = stage.call_user(user, &[Role::Investor]);
    let request = SubmitQuestionnaireRequest { user_id: String::new(), answers: Some(answers()) };
    stage.directory().user().submit_questionnaire(call.request(request)).await.unwrap();
    // What somebody excludes may tell what he believes.
    let values = HashMap::from([("exclusions".to_owned(), "LOCKHEED".to_owned())]);
    let request = SetPreferencesRequest { user_id: String::new(), values };
    let set = stage.directory().user().set_preferences(call.request(request)).await.unwrap().into_inner();
    assert_eq!(set.values["exclusions"], "LOCKHEED");
    let mut read = 0;
    for entry in std::fs::read_dir(stage.data_dir().join("user")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        read += bytes.len();
        for secret in ["ada@example.com", "Ada Lovelace", "51234", "LOCKHEED", PASSWORD] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is readable");
        }
    }
    assert!(read > 0);
}

#[tokio::test]
async fn the_export_holds_everything_and_only_its_owner_gets_it() {
    let stage = stage().await;
    let user: UserId = register(&stage, "ada@example.com").await.user_id.parse().unwrap();
    let call = stage.call_user(user, &[Role::Investor]);
    let mut users = stage.directory().user();
    let request = SubmitQuestionnaireRequest { user_id: String::new(), answers: Some(answers()) };
    users.submit_questionnaire(call.request(request)).await.unwrap();
    for decision in ["accepted", "withdrawn"] {
        let values = HashMap::from([("algorithm_disclosure".to_owned(), decision.to_owned())]);
        let request = SetPreferencesRequest { user_id: String::new(), values };
        users.set_preferences(call.request(request)).await.unwrap();
    }
    let json =
        users.export_data(call.request(ExportDataRequest { user_id: String::new() })).await.unwrap().into_inner().json;
    let copy: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(copy["account"]["email"], "ada@example.com");
    assert_eq!(copy["questionnaires"][0]["answers"]["annual_income"], "51234");
    assert_eq!(copy["preferences"]["algorithm_disclosure"], "withdrawn");
    let decisions: Vec<_> =
        copy["consents"].as_array().unwrap().iter().map(|consent| consent["decision"].as_str().unwrap()).collect();
    assert_eq!(decisions, ["accepted", "withdrawn"]);
    let staff = stage.call_user(UserId::from_uuid(fresh_cause().uuid()), &[Role::Adviser]);
    let request = ExportDataRequest { user_id: user.to_string() };
    assert_eq!(code(users.export_data(staff.request(request)).await), "not_owner");
}

#[tokio::test]
async fn erasure_destroys_what_was_personal_keeps_what_law_keeps_and_ends_every_session() {
    let stage = stage().await;
    let account = register(&stage, "ada@example.com").await;
    let user: UserId = account.user_id.parse().unwrap();
    let mut users = stage.directory().user();
    let call = stage.call_user(user, &[Role::Investor]);
    let request = SubmitQuestionnaireRequest { user_id: String::new(), answers: Some(answers()) };
    users.submit_questionnaire(call.request(request)).await.unwrap();
    let login = || {
        let request =
            LoginRequest { email: "ada@example.com".to_owned(), password: PASSWORD.to_owned(), ..Default::default() };
        Call::anonymous(fresh_cause()).request(request)
    };
    let session = users.login(login()).await.unwrap().into_inner();

    let stranger = stage.call_user(UserId::from_uuid(fresh_cause().uuid()), &[Role::Investor]);
    let erase = EraseUserRequest { user_id: user.to_string(), reason: "the client asked".to_owned() };
    assert_eq!(code(users.erase_user(stranger.request(erase.clone())).await), "not_found");
    let no_reason = EraseUserRequest { user_id: user.to_string(), reason: " ".to_owned() };
    assert_eq!(code(users.erase_user(call.request(no_reason)).await), "invalid_argument");
    let erased = users.erase_user(call.request(erase.clone())).await.unwrap().into_inner();
    assert!(erased.retained.iter().any(|kept| kept.why.contains("article 72")), "{:?}", erased.retained);
    // What is kept says until when, but for the audit chain, which has no end.
    let until: Vec<_> = erased.retained.iter().map(|kept| kept.until.len()).collect();
    assert_eq!(until, [10, 10, 10, 0], "{:?}", erased.retained);
    // His own token ended with him; whoever asks again for him gets the same answer.
    assert_eq!(code(users.erase_user(call.request(erase.clone())).await), "session_ended");
    let compliance = stage.call_user(UserId::from_uuid(fresh_cause().uuid()), &[Role::Compliance]);
    let again = users.erase_user(compliance.request(erase)).await.unwrap().into_inner();
    assert_eq!(again.erased_micros, erased.erased_micros);

    assert_eq!(code(users.login(login()).await), "bad_credentials");
    let refresh = moneta_contracts::user::RefreshRequest { refresh_token: session.refresh_token };
    assert_eq!(code(users.refresh(Call::anonymous(fresh_cause()).request(refresh)).await), "session_ended");
    let seen = users
        .get_account(compliance.request(GetAccountRequest { user_id: user.to_string() }))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((seen.status.as_str(), seen.email.as_str(), seen.display_name.as_str()), ("erased", "", ""));
    let kept = users
        .get_questionnaire(compliance.request(GetQuestionnaireRequest { user_id: user.to_string(), version: 0 }))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((kept.risk_tolerance.as_str(), kept.answers), ("balanced", None));
    let request = SubmitQuestionnaireRequest { user_id: String::new(), answers: Some(answers()) };
    let service = stage.call_service_for("advisor", user);
    assert_eq!(code(users.submit_questionnaire(service.request(request)).await), "account_erased");

    // The address is free again, and the new account is another user.
    let request = RegisterRequest {
        email: "ada@example.com".to_owned(),
        password: PASSWORD.to_owned(),
        display_name: "Ada".to_owned(),
        base_currency: String::new(),
        ..Default::default()
    };
    let again = users.register(Call::anonymous(fresh_cause()).request(request)).await.unwrap().into_inner();
    assert_ne!(again.user_id, account.user_id);
    stage.quiet().await;
    assert_eq!(stage.events::<UserErased>().await, [UserErased { user_id: user }]);
}

fn files(folder: &std::path::Path, found: &mut Vec<(std::path::PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push((path.clone(), std::fs::read(&path).unwrap())) }
    }
}

fn everything(stage: &moneta_kit::testing::Stage) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    files(stage.data_dir(), &mut found);
    found
}

#[tokio::test]
async fn an_erased_user_leaves_no_byte_of_his_keys_in_the_data_directory() {
    let stage = stage().await;
    let user: UserId = register(&stage, "ada@example.com").await.user_id.parse().unwrap();
    let name = user.to_string();
    let kept = everything(&stage);
    let keys: Vec<Vec<u8>> = kept
        .iter()
        .filter(|(path, _)| path.components().any(|part| part.as_os_str() == name.as_str()))
        .map(|(_, bytes)| bytes.clone())
        .collect();
    assert!(!keys.is_empty() && keys.iter().all(|key| key.len() == 60), "{keys:?}");
    let sealed = stage
        .db("user")
        .fetch_one("SELECT email_sealed FROM accounts WHERE user_id = $1", moneta_kit::args![user])
        .await
        .unwrap()
        .blob("email_sealed")
        .unwrap();
    let call = stage.call_user(user, &[Role::Investor]);
    let erase = EraseUserRequest { user_id: String::new(), reason: "the client asked".to_owned() };
    stage.directory().user().erase_user(call.request(erase)).await.unwrap();
    stage.quiet().await;
    let secrets = keys.iter().chain([&sealed]);
    for secret in secrets {
        for (path, bytes) in everything(&stage) {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_slice());
            assert!(!found, "{} still holds it", path.display());
        }
    }
}

#[tokio::test]
async fn keys_of_an_older_database_move_out_of_it_and_open_what_they_sealed() {
    let mut stage = stage().await;
    let account = register(&stage, "ada@example.com").await;
    let user: UserId = account.user_id.parse().unwrap();
    // As it was before: the wrapped key beside the account.
    let folder = stage.data_dir().join("keys").join("users").join(&account.user_id[..2]).join(&account.user_id);
    let wrapped = std::fs::read(folder.join("user")).unwrap();
    let mut tx = stage.db("user").begin().await.unwrap();
    let sql = "UPDATE accounts SET user_key = $1 WHERE user_id = $2";
    tx.execute(sql, moneta_kit::args![wrapped.clone(), user]).await.unwrap();
    tx.commit().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    stage.restart().await;
    let call = stage.call_user(user, &[Role::Investor]);
    let request = call.request(GetAccountRequest { user_id: String::new() });
    assert_eq!(stage.directory().user().get_account(request).await.unwrap().into_inner().email, "ada@example.com");
    for (path, bytes) in everything(&stage) {
        let found = bytes.windows(wrapped.len()).any(|window| window == wrapped.as_slice());
        assert_eq!(found, path == folder.join("user"), "{}", path.display());
    }
}

#[tokio::test]
async fn who_was_erased_after_a_backup_is_erased_again_before_the_service_is_ready() {
    let mut stage = stage().await;
    let user: UserId = register(&stage, "ada@example.com").await.user_id.parse().unwrap();
    let bob: UserId = register(&stage, "bob@example.com").await.user_id.parse().unwrap();
    let call = stage.call_user(bob, &[Role::Investor]);
    let erase = EraseUserRequest { user_id: String::new(), reason: "the client asked".to_owned() };
    stage.directory().user().erase_user(call.request(erase)).await.unwrap();
    let ledger = Ledger::at(stage.data_dir().join(moneta_kit::erasures::FILE));
    assert_eq!(ledger.read().unwrap().iter().map(|erasure| erasure.user_id).collect::<Vec<_>>(), [bob]);
    // As `moneta restore --erasures` leaves a directory: the store knows the account, and the keys are gone.
    let erased = "2020-01-02T00:00:00Z".parse().unwrap();
    moneta_kit::erasures::repeat(stage.data_dir(), &[Erasure { user_id: user, erased }]).unwrap();
    stage.restart().await;
    let compliance = stage.call_user(UserId::from_uuid(fresh_cause().uuid()), &[Role::Compliance]);
    let request = compliance.request(GetAccountRequest { user_id: user.to_string() });
    let seen = stage.directory().user().get_account(request).await.unwrap().into_inner();
    assert_eq!((seen.status.as_str(), seen.email.as_str()), ("erased", ""));
    stage.quiet().await;
    let told: Vec<_> = stage.events::<UserErased>().await.into_iter().map(|event| event.user_id).collect();
    assert_eq!(told, [bob, user], "the other services hear of it");
    assert_eq!(ledger.read().unwrap().len(), 2);
    stage.restart().await;
    stage.quiet().await;
    assert_eq!(stage.events::<UserErased>().await.len(), 2, "once");
}

#[tokio::test]
async fn a_key_that_an_older_database_kept_of_somebody_erased_stops_no_start() {
    let mut stage = stage().await;
    let user: UserId = register(&stage, "ada@example.com").await.user_id.parse().unwrap();
    let name = user.to_string();
    let folder = stage.data_dir().join("keys").join("users").join(&name[..2]).join(&name);
    let wrapped = std::fs::read(folder.join("user")).unwrap();
    let mut tx = stage.db("user").begin().await.unwrap();
    let sql = "UPDATE accounts SET user_key = $1 WHERE user_id = $2";
    tx.execute(sql, moneta_kit::args![wrapped.clone(), user]).await.unwrap();
    tx.commit().await.unwrap();
    moneta_kit::keys::KeyRing::load(stage.data_dir(), None).unwrap().destroy_user_keys(user).unwrap();
    stage.restart().await;
    for (path, bytes) in everything(&stage) {
        let found = bytes.windows(wrapped.len()).any(|window| window == wrapped.as_slice());
        assert!(!found, "{} still holds the key", path.display());
    }
}

#[tokio::test]
async fn whoever_is_held_is_not_erased_and_reads_words_of_the_list_alone() {
    let mut stage = stage().await;
    let user: UserId = register(&stage, "ada@example.com").await.user_id.parse().unwrap();
    let held = moneta_contracts::doubles::HoldsDouble::new(|request| {
        assert_eq!(request.action, "erasure");
        Ok(moneta_contracts::compliance::CheckHoldResponse {
            allowed: false,
            client_text: "contact_us".to_owned(),
            message: "AML review".to_owned(),
        })
    });
    stage.fake("compliance", tonic::service::Routes::new(held));
    let call = stage.call_user(user, &[Role::Investor]);
    let erase = EraseUserRequest { user_id: String::new(), reason: "the client asked".to_owned() };
    let refused = stage.directory().user().erase_user(call.request(erase)).await.unwrap_err();
    let problem = Problem::from_status(&refused);
    assert_eq!(
        (problem.code.as_str(), problem.message.as_str()),
        ("held", "we cannot do this at the moment; please contact us")
    );
    let request = call.request(GetAccountRequest { user_id: String::new() });
    assert_eq!(stage.directory().user().get_account(request).await.unwrap().into_inner().status, "active");
}

async fn obstacles(listed: ListPortfoliosResponse, orders: ListOrdersResponse) -> Vec<(String, String)> {
    let mut stage = stage().await;
    let user: UserId = register(&stage, "ada@example.com").await.user_id.parse().unwrap();
    stage.fake("portfolio", common::neighbours::answering(&listed));
    stage.fake("trading", common::neighbours::answering(&orders));
    let call = stage.call_user(user, &[Role::Investor]);
    let erase = EraseUserRequest { user_id: String::new(), reason: "the client asked".to_owned() };
    let refused = stage.directory().user().erase_user(call.request(erase)).await.unwrap_err();
    let problem = Problem::from_status(&refused);
    assert_eq!(problem.code, "account_not_settled");
    let request = call.request(GetAccountRequest { user_id: String::new() });
    assert_eq!(stage.directory().user().get_account(request).await.unwrap().into_inner().status, "active");
    problem.fields.into_iter().map(|field| (field.field, field.value)).collect()
}

fn portfolio_with(minor_units: i64) -> PortfolioView {
    PortfolioView {
        portfolio_id: "98".to_owned(),
        cash: Some(Money { minor_units, currency: "USD".to_owned() }),
        ..Default::default()
    }
}

#[tokio::test]
async fn whoever_still_holds_something_is_not_erased() {
    let listed = ListPortfoliosResponse { portfolios: vec![portfolio_with(1)], ..Default::default() };
    let named = obstacles(listed, ListOrdersResponse::default()).await;
    assert_eq!(named, [("portfolio_id".to_owned(), "98".to_owned())]);
}

#[tokio::test]
async fn a_portfolio_that_cannot_be_read_or_is_set_aside_is_an_obstacle_and_no_absence() {
    let unreadable = ListPortfoliosResponse { unreadable: vec!["97".to_owned()], ..Default::default() };
    let named = obstacles(unreadable, ListOrdersResponse::default()).await;
    assert_eq!(named, [("portfolio_id".to_owned(), "97".to_owned())]);
    let set_aside = PortfolioView { quarantined: true, ..portfolio_with(0) };
    let listed = ListPortfoliosResponse { portfolios: vec![set_aside], ..Default::default() };
    let named = obstacles(listed, ListOrdersResponse::default()).await;
    assert_eq!(named, [("portfolio_id".to_owned(), "98".to_owned())]);
}

#[tokio::test]
async fn a_working_order_is_an_obstacle_by_its_name() {
    let listed = ListPortfoliosResponse { portfolios: vec![portfolio_with(0)], ..Default::default() };
    let working = Order { order_id: "o-1".to_owned(), status: "accepted".to_owned(), ..Default::default() };
    let named = obstacles(listed, ListOrdersResponse { orders: vec![working], ..Default::default() }).await;
    assert_eq!(named, [("order_id".to_owned(), "o-1".to_owned())]);
}

#[tokio::test]
async fn without_an_answer_about_orders_nobody_is_erased() {
    let mut stage = stage().await;
    let user: UserId = register(&stage, "ada@example.com").await.user_id.parse().unwrap();
    // It is there, and knows no such method.
    stage.fake("trading", tonic::service::Routes::new(moneta_contracts::doubles::HoldsDouble::nothing_held()));
    let call = stage.call_user(user, &[Role::Investor]);
    let erase = EraseUserRequest { user_id: String::new(), reason: "the client asked".to_owned() };
    assert_eq!(code(stage.directory().user().erase_user(call.request(erase)).await), "dependency_unavailable");
}
