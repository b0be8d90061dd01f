//! Questionnaires, preferences, encryption at rest, export and erasure, through the gRPC contract.
#![allow(clippy::unwrap_used)]

mod common;

use common::{PASSWORD, answers, code, register, stage};
use moneta_contracts::{
    events::{QuestionnaireSubmitted, UserErased},
    user::{
        EraseUserRequest, ExportDataRequest, GetAccountRequest, GetPreferencesRequest, GetQuestionnaireRequest,
        ListQuestionnairesRequest, LoginRequest, RegisterRequest, SetPreferencesRequest, SubmitQuestionnaireRequest,
    },
};
use moneta_kit::{client::Call, entropy::fresh_cause, identity::Role, problem::Problem};
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
        // The same request again makes no further version.
        assert_eq!(users.submit_questionnaire(call.request(request)).await.unwrap().into_inner(), first);
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
    let given = users.set_preferences(call.request(set(&[("theme", "dark")]))).await.unwrap().into_inner().values;
    assert_eq!((given["theme"].as_str(), given["language"].as_str()), ("dark", "en"));
    assert_eq!(given["algorithm_disclosure"], "accepted");
    let refused = users.set_preferences(call.request(set(&[("language", "de"), ("theme", "pink")]))).await;
    assert_eq!(code(refused), "invalid_argument");
    assert_eq!(code(users.set_preferences(call.request(set(&[("colour", "red")]))).await), "invalid_argument");
    let now = users.get_preferences(call.request(GetPreferencesRequest { user_id: String::new() })).await.unwrap();
    assert_eq!(now.into_inner().values["language"], "en");
}

#[tokio::test]
async fn personal_fields_are_not_readable_in_the_files_of_the_database() {
    let stage = stage().await;
    let user: UserId = register(&stage, "ada@example.com").await.user_id.parse().unwrap();
    let call = stage.call_user(user, &[Role::Investor]);
    let request = SubmitQuestionnaireRequest { user_id: String::new(), answers: Some(answers()) };
    stage.directory().user().submit_questionnaire(call.request(request)).await.unwrap();
    let mut read = 0;
    for entry in std::fs::read_dir(stage.data_dir().join("user")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        read += bytes.len();
        for secret in ["ada@example.com", "Ada Lovelace", "51234", PASSWORD] {
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
    let withdrawn = HashMap::from([("algorithm_disclosure".to_owned(), "withdrawn".to_owned())]);
    let request = SetPreferencesRequest { user_id: String::new(), values: withdrawn };
    users.set_preferences(call.request(request)).await.unwrap();
    let json =
        users.export_data(call.request(ExportDataRequest { user_id: String::new() })).await.unwrap().into_inner().json;
    let copy: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(copy["account"]["email"], "ada@example.com");
    assert_eq!(copy["questionnaires"][0]["answers"]["annual_income"], "51234");
    assert_eq!(copy["preferences"]["algorithm_disclosure"], "withdrawn");
    let decisions: Vec<_> =
        copy["consents"].as_array().unwrap().iter().map(|consent| consent["decision"].as_str().unwrap()).collect();
    assert_eq!(decisions, ["accepted", "accepted", "accepted", "withdrawn"]);
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
        let request = LoginRequest { email: "ada@example.com".to_owned(), password: PASSWORD.to_owned() };
        Call::anonymous(fresh_cause()).request(request)
    };
    let session = users.login(login()).await.unwrap().into_inner();

    let stranger = stage.call_user(UserId::from_uuid(fresh_cause().uuid()), &[Role::Investor]);
    let erase = EraseUserRequest { user_id: user.to_string(), reason: "the client asked".to_owned() };
    assert_eq!(code(users.erase_user(stranger.request(erase.clone())).await), "not_found");
    let no_reason = EraseUserRequest { user_id: user.to_string(), reason: " ".to_owned() };
    assert_eq!(code(users.erase_user(call.request(no_reason)).await), "invalid_argument");
    let erased = users.erase_user(call.request(erase.clone())).await.unwrap().into_inner();
    assert!(erased.retained.iter().any(|kept| kept.contains("article 72")), "{:?}", erased.retained);
    assert_eq!(users.erase_user(call.request(erase)).await.unwrap().into_inner().erased_micros, erased.erased_micros);

    assert_eq!(code(users.login(login()).await), "bad_credentials");
    let refresh = moneta_contracts::user::RefreshRequest { refresh_token: session.refresh_token };
    assert_eq!(code(users.refresh(Call::anonymous(fresh_cause()).request(refresh)).await), "session_ended");
    let compliance = stage.call_user(UserId::from_uuid(fresh_cause().uuid()), &[Role::Compliance]);
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
    assert_eq!(code(users.submit_questionnaire(call.request(request)).await), "account_erased");

    // The address is free again, and the new account is another user.
    let request = RegisterRequest {
        email: "ada@example.com".to_owned(),
        password: PASSWORD.to_owned(),
        display_name: "Ada".to_owned(),
        base_currency: String::new(),
    };
    let again = users.register(Call::anonymous(fresh_cause()).request(request)).await.unwrap().into_inner();
    assert_ne!(again.user_id, account.user_id);
    stage.quiet().await;
    assert_eq!(stage.events::<UserErased>().await, [UserErased { user_id: user }]);
}
