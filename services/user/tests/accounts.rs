//! Registration, login, sessions and ownership, through the gRPC contract.
#![allow(clippy::unwrap_used)]

mod common;

use common::{PASSWORD, code, register, stage};
use moneta_contracts::{
    events::{SessionChanged, UserRegistered},
    user::{
        Account, GetAccountRequest, ListInvestorsRequest, LoginRequest, LogoutRequest, ProvisionAccountRequest,
        RefreshRequest, RegisterRequest, Session, UpdateProfileRequest,
    },
};
use moneta_kit::{client::Call, entropy::fresh_cause, identity::Role, testing::Stage};
use moneta_types::Cause;
use tonic::Status;

async fn login(stage: &Stage, email: &str, password: &str) -> Result<Session, Status> {
    let request = LoginRequest { email: email.to_owned(), password: password.to_owned(), ..Default::default() };
    let call = Call::anonymous(moneta_kit::entropy::fresh_cause());
    stage.directory().user().login(call.request(request)).await.map(tonic::Response::into_inner)
}

async fn refresh(stage: &Stage, token: &str) -> Result<Session, Status> {
    let call = Call::anonymous(moneta_kit::entropy::fresh_cause());
    let request = RefreshRequest { refresh_token: token.to_owned() };
    stage.directory().user().refresh(call.request(request)).await.map(tonic::Response::into_inner)
}

async fn me(stage: &Stage, session: &Session) -> Result<Account, Status> {
    let call = Call::bearer(&session.access_token, Cause::named("me"));
    stage
        .directory()
        .user()
        .get_account(call.request(GetAccountRequest { user_id: String::new() }))
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_registered_investor_signs_in_with_any_spelling_of_his_address() {
    let stage = stage().await;
    let account = register(&stage, " Ada@Example.com").await;
    assert_eq!(
        (account.email.as_str(), account.roles.as_slice()),
        ("ada@example.com", ["investor".to_owned()].as_slice())
    );
    let session = login(&stage, "ADA@example.COM", PASSWORD).await.unwrap();
    assert_eq!(session.expires_in, 900);
    assert_eq!(me(&stage, &session).await.unwrap(), account);
    stage.quiet().await;
    let registered = stage.events::<UserRegistered>().await;
    assert_eq!(registered.len(), 1);
    assert_eq!(registered[0].user_id.to_string(), account.user_id);
}

#[tokio::test]
async fn a_second_account_of_one_address_is_refused_and_a_retried_request_is_not() {
    let stage = stage().await;
    let request = RegisterRequest {
        email: "ada@example.com".to_owned(),
        password: PASSWORD.to_owned(),
        display_name: "Ada".to_owned(),
        base_currency: "EUR".to_owned(),
        ..Default::default()
    };
    let call = Call::anonymous(Cause::named("one request"));
    let mut users = stage.directory().user();
    let first = users.register(call.request(request.clone())).await.unwrap().into_inner();
    let again = users.register(call.request(request.clone())).await.unwrap().into_inner();
    assert_eq!(first, again);
    // Whoever knows the key and the address alone is told nothing of the account.
    let stranger = RegisterRequest { password: "nine loud harbour pilots".to_owned(), ..request.clone() };
    assert_eq!(code(users.register(call.request(stranger)).await), "idempotency_key_reused");
    let other = Call::anonymous(Cause::named("another request"));
    assert_eq!(code(users.register(other.request(request)).await), "email_taken");
}

#[tokio::test]
async fn registration_names_the_field_that_is_wrong() {
    let stage = stage().await;
    let good = RegisterRequest {
        email: "ada@example.com".to_owned(),
        password: PASSWORD.to_owned(),
        display_name: "Ada".to_owned(),
        base_currency: "USD".to_owned(),
        ..Default::default()
    };
    type Spoil = fn(&mut RegisterRequest);
    let cases: [(&str, Spoil); 4] = [
        ("email", |request| request.email = "ada".to_owned()),
        ("password", |request| request.password = "short".to_owned()),
        ("display_name", |request| request.display_name = String::new()),
        ("base_currency", |request| request.base_currency = "XXX".to_owned()),
    ];
    for (field, spoil) in cases {
        let mut request = good.clone();
        spoil(&mut request);
        let call = Call::anonymous(moneta_kit::entropy::fresh_cause());
        let status = stage.directory().user().register(call.request(request)).await.unwrap_err();
        let problem = moneta_kit::problem::Problem::from_status(&status);
        assert_eq!(problem.fields[0].field, field, "{status:?}");
        assert!(!status.message().contains("short"));
    }
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_get_the_same_answer() {
    let stage = stage().await;
    register(&stage, "ada@example.com").await;
    let wrong = login(&stage, "ada@example.com", "not the password").await.unwrap_err();
    let unknown = login(&stage, "bob@example.com", "not the password").await.unwrap_err();
    let nonsense = login(&stage, "not an address", "not the password").await.unwrap_err();
    assert_eq!((wrong.code(), wrong.message()), (unknown.code(), unknown.message()));
    assert_eq!((wrong.code(), wrong.message()), (nonsense.code(), nonsense.message()));
    assert_eq!(code(Err::<(), _>(wrong)), "bad_credentials");
}

#[tokio::test]
async fn repeated_failures_make_the_next_attempt_from_there_wait_whether_or_not_the_account_exists() {
    let stage = stage().await;
    register(&stage, "ada@example.com").await;
    for email in ["ada@example.com", "bob@example.com"] {
        for attempt in 0..5 {
            assert_eq!(code(login(&stage, email, "wrong password").await), "bad_credentials", "{email} {attempt}");
        }
        assert_eq!(code(login(&stage, email, PASSWORD).await), "too_many_attempts", "{email}");
    }
    stage.quiet().await;
    let changes = stage.events::<SessionChanged>().await;
    assert_eq!(changes.iter().filter(|event| event.change == "login_failed").count(), 5);
}

#[tokio::test]
async fn a_success_forgets_the_failures_before_it() {
    let stage = stage().await;
    register(&stage, "ada@example.com").await;
    for _ in 0..2 {
        for _ in 0..4 {
            assert_eq!(code(login(&stage, "ada@example.com", "wrong password").await), "bad_credentials");
        }
        assert!(login(&stage, "ada@example.com", PASSWORD).await.is_ok());
    }
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_session() {
    let stage = stage().await;
    register(&stage, "ada@example.com").await;
    let first = login(&stage, "ada@example.com", PASSWORD).await.unwrap();
    let other_device = login(&stage, "ada@example.com", PASSWORD).await.unwrap();
    let second = refresh(&stage, &first.refresh_token).await.unwrap();
    assert_ne!(first.refresh_token, second.refresh_token);
    assert!(me(&stage, &second).await.is_ok());
    assert_eq!(code(refresh(&stage, &first.refresh_token).await), "session_ended");
    // The thief's or the client's newer token is dead too; another session is not touched.
    assert_eq!(code(refresh(&stage, &second.refresh_token).await), "session_ended");
    assert!(refresh(&stage, &other_device.refresh_token).await.is_ok());
    assert_eq!(code(refresh(&stage, "made up").await), "session_ended");
    stage.quiet().await;
    let reused = stage.events::<SessionChanged>().await.into_iter().filter(|event| event.change == "refresh_reused");
    assert_eq!(reused.count(), 1);
}

#[tokio::test]
async fn after_a_logout_the_refresh_token_is_dead_and_a_strangers_logout_changes_nothing() {
    let stage = stage().await;
    register(&stage, "ada@example.com").await;
    register(&stage, "eve@example.com").await;
    let ada = login(&stage, "ada@example.com", PASSWORD).await.unwrap();
    let eve = login(&stage, "eve@example.com", PASSWORD).await.unwrap();
    let logout = |session: &Session, token: &str| {
        let call = Call::bearer(&session.access_token, moneta_kit::entropy::fresh_cause());
        let request = call.request(LogoutRequest { refresh_token: token.to_owned() });
        let mut users = stage.directory().user();
        async move { users.logout(request).await }
    };
    logout(&eve, &ada.refresh_token).await.unwrap();
    let ada = refresh(&stage, &ada.refresh_token).await.unwrap();
    logout(&ada, &ada.refresh_token).await.unwrap();
    assert_eq!(code(refresh(&stage, &ada.refresh_token).await), "session_ended");
}

#[tokio::test]
async fn sessions_survive_a_crash() {
    let mut stage = stage().await;
    register(&stage, "ada@example.com").await;
    let session = login(&stage, "ada@example.com", PASSWORD).await.unwrap();
    stage.crash().await;
    assert!(me(&stage, &session).await.is_ok());
    assert!(refresh(&stage, &session.refresh_token).await.is_ok());
}

#[tokio::test]
async fn another_users_account_does_not_exist_and_staff_may_read_it() {
    let stage = stage().await;
    let ada = register(&stage, "ada@example.com").await;
    let eve = register(&stage, "eve@example.com").await;
    let get = |call: Call| {
        let request = call.request(GetAccountRequest { user_id: ada.user_id.clone() });
        let mut users = stage.directory().user();
        async move { users.get_account(request).await }
    };
    let eve_id = eve.user_id.parse().unwrap();
    assert_eq!(code(get(stage.call_user(eve_id, &[Role::Investor])).await), "not_found");
    assert_eq!(code(get(stage.call_user(eve_id, &[Role::ModelOps])).await), "not_found");
    for role in [Role::Adviser, Role::Compliance, Role::Admin] {
        assert_eq!(get(stage.call_user(eve_id, &[role])).await.unwrap().into_inner().email, "ada@example.com");
    }
    assert!(get(stage.call_service("advisor")).await.is_ok());
    assert_eq!(code(get(stage.call_service_for("advisor", eve_id)).await), "not_found");
    assert_eq!(code(get(Call::anonymous(Cause::named("nobody"))).await), "unauthenticated");
}

#[tokio::test]
async fn provisioning_is_idempotent_by_address_and_gives_the_same_ids_on_every_run() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let stage = stage().await;
        let request = ProvisionAccountRequest {
            email: "compliance@example.com".to_owned(),
            password: PASSWORD.to_owned(),
            display_name: "Carla".to_owned(),
            roles: vec!["compliance".to_owned()],
            ..Default::default()
        };
        let mut users = stage.directory().user();
        let first =
            users.provision_account(stage.call_service("moneta").request(request.clone())).await.unwrap().into_inner();
        let again =
            users.provision_account(stage.call_service("moneta").request(request.clone())).await.unwrap().into_inner();
        assert_eq!(first, again);
        assert_eq!(first.roles, ["compliance"]);
        let investor = stage.call_user(first.user_id.parse().unwrap(), &[Role::Investor]);
        assert_eq!(code(users.provision_account(investor.request(request)).await), "service_required");
        assert!(login(&stage, "compliance@example.com", PASSWORD).await.is_ok());
        ids.push(first.user_id);
    }
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn the_owner_changes_his_profile_and_nobody_else_does() {
    let stage = stage().await;
    let ada = register(&stage, "ada@example.com").await;
    let id = ada.user_id.parse().unwrap();
    let mut users = stage.directory().user();
    let owner = stage.call_user(id, &[Role::Investor]);
    let change = UpdateProfileRequest {
        display_name: Some("Ada L.".to_owned()),
        time_zone: Some("Europe/London".to_owned()),
        ..Default::default()
    };
    let changed = users.update_profile(owner.request(change)).await.unwrap().into_inner();
    assert_eq!((changed.display_name.as_str(), changed.time_zone.as_str()), ("Ada L.", "Europe/London"));
    let staff = stage.call_user(Cause::named("adviser").uuid().to_string().parse().unwrap(), &[Role::Adviser]);
    let rename =
        UpdateProfileRequest { user_id: ada.user_id, display_name: Some("X".to_owned()), ..Default::default() };
    assert_eq!(code(users.update_profile(staff.request(rename)).await), "not_owner");
    // The mandate says how far the agent may go, and nothing beside it does.
    let second_source = UpdateProfileRequest { autonomy: Some("discretionary".to_owned()), ..Default::default() };
    assert_eq!(code(users.update_profile(owner.request(second_source)).await), "invalid_argument");
}

#[tokio::test]
async fn investors_are_listed_for_staff_and_services_alone() {
    let stage = stage().await;
    let ada = register(&stage, "ada@example.com").await;
    let mut users = stage.directory().user();
    let listed = users.list_investors(stage.call_service("advisor").request(ListInvestorsRequest {})).await.unwrap();
    assert_eq!(listed.into_inner().accounts, std::slice::from_ref(&ada));
    let investor = stage.call_user(ada.user_id.parse().unwrap(), &[Role::Investor]);
    assert_eq!(code(users.list_investors(investor.request(ListInvestorsRequest {})).await), "role_required");
}

/// A login as the gateway passes it on.
async fn login_from(
    stage: &Stage,
    email: &str,
    password: &str,
    address: &str,
    device: &str,
) -> Result<Session, Status> {
    let request = LoginRequest {
        email: email.to_owned(),
        password: password.to_owned(),
        client_address: address.to_owned(),
        device_token: device.to_owned(),
    };
    stage
        .directory()
        .user()
        .login(stage.call_service("gateway").request(request))
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_thousand_failures_elsewhere_keep_nobody_out_and_the_attacker_waits() {
    let stage = stage().await;
    register(&stage, "ada@example.com").await;
    let known = login_from(&stage, "ada@example.com", PASSWORD, "192.0.2.7", "").await.unwrap();
    assert_eq!(known.device_token.len(), 43);
    let mut heard = 0;
    for _ in 0..1_000 {
        match code(login_from(&stage, "ada@example.com", "wrong password", "198.51.100.1", "").await).as_str() {
            "bad_credentials" => heard += 1,
            other => assert_eq!(other, "too_many_attempts"),
        }
    }
    assert_eq!(heard, 5, "the attacker is heard five times, and then waits");
    // The right password does not help him before his time.
    let stolen = login_from(&stage, "ada@example.com", PASSWORD, "198.51.100.1", "").await;
    assert_eq!(code(stolen), "too_many_attempts");
    // From an address that never failed, and on a known device even behind the attacker's address, the owner gets in.
    assert!(login_from(&stage, "ada@example.com", PASSWORD, "203.0.113.9", "").await.is_ok());
    let device = login_from(&stage, "ada@example.com", PASSWORD, "198.51.100.1", &known.device_token).await.unwrap();
    assert_eq!(device.device_token, "", "it is known already");
    // Another account's device opens nothing here.
    register(&stage, "eve@example.com").await;
    let evil = login_from(&stage, "eve@example.com", PASSWORD, "198.51.100.2", "").await.unwrap().device_token;
    assert_eq!(code(login_from(&stage, "ada@example.com", PASSWORD, "198.51.100.1", &evil).await), "too_many_attempts");
}

#[tokio::test]
async fn one_address_that_tries_many_accounts_waits_and_its_own_account_does_not_free_it() {
    let stage = stage().await;
    register(&stage, "eve@example.com").await;
    let mut heard = 0;
    for nth in 0..60 {
        let email = format!("victim{nth}@example.com");
        if code(login_from(&stage, &email, "wrong password", "198.51.100.1", "").await) == "bad_credentials" {
            heard += 1;
        }
        if nth == 30 {
            assert!(login_from(&stage, "eve@example.com", PASSWORD, "198.51.100.1", "").await.is_ok());
        }
    }
    assert_eq!(heard, 50);
}

#[tokio::test]
async fn an_address_that_nobody_vouches_for_is_not_believed() {
    let stage = stage().await;
    register(&stage, "ada@example.com").await;
    for nth in 0..6 {
        let request = LoginRequest {
            email: "ada@example.com".to_owned(),
            password: "wrong password".to_owned(),
            client_address: format!("192.0.2.{nth}"),
            ..Default::default()
        };
        let call = Call::anonymous(moneta_kit::entropy::fresh_cause());
        let expected = if nth < 5 { "bad_credentials" } else { "too_many_attempts" };
        assert_eq!(code(stage.directory().user().login(call.request(request)).await), expected, "{nth}");
    }
}

#[tokio::test]
async fn who_comes_past_the_gateway_registers_no_faster_than_who_comes_through_it() {
    let stage = Stage::builder(&[moneta_user::SERVICE])
        .config(|config| {
            let config = config.with("user.password.memory_kib", 64_u32).with("user.password.iterations", 1_u32);
            config.with("user.unvouched_registrations", 3_u32)
        })
        .start()
        .await;
    let register = async |call: Call, name: u32| {
        let request = RegisterRequest {
            email: format!("{name}@example.com"),
            password: PASSWORD.to_owned(),
            display_name: "Somebody".to_owned(),
            base_currency: "USD".to_owned(),
            accepts: Vec::new(),
        };
        stage.directory().user().register(call.request(request)).await
    };
    for name in 0..3 {
        register(Call::anonymous(fresh_cause()), name).await.unwrap();
    }
    assert_eq!(code(register(Call::anonymous(fresh_cause()), 3).await), "rate_limited");
    // The gateway has counted whom it lets through.
    register(stage.call_service("gateway"), 4).await.unwrap();
}

#[tokio::test]
async fn the_audit_log_names_who_signed_in_and_which_account_a_stranger_tried() {
    let stage = stage().await;
    let ada = register(&stage, "ada@example.com").await.user_id;
    for password in [PASSWORD, "wrong password"] {
        let request = LoginRequest {
            email: "ada@example.com".to_owned(),
            password: password.to_owned(),
            client_address: "192.0.2.1".to_owned(),
            ..Default::default()
        };
        // As the gateway does it, which vouches for the address.
        let _ = stage.directory().user().login(stage.call_service("gateway").request(request)).await;
    }
    stage.quiet().await;
    let told = stage.envelopes().await.into_iter().filter(moneta_kit::bus::Envelope::is::<SessionChanged>);
    let actors: Vec<_> = told.map(|envelope| envelope.actor).collect();
    assert_eq!(actors, [ada.clone(), format!("anonymous for {ada}")]);
}

#[tokio::test]
async fn a_confirmation_with_the_password_leaves_no_device_behind() {
    let stage = stage().await;
    let ada = register(&stage, "ada@example.com").await.user_id;
    let request =
        LoginRequest { email: "ada@example.com".to_owned(), password: PASSWORD.to_owned(), ..Default::default() };
    let devices = async || {
        let sql = "SELECT COUNT(*) AS n FROM devices";
        stage.db("user").fetch_one(sql, moneta_kit::args![]).await.unwrap().int("n").unwrap()
    };
    let mut users = stage.directory().user();
    let confirming = stage.call_service_for("advisor", ada.parse().unwrap());
    let confirmed = users.login(confirming.request(request.clone())).await.unwrap().into_inner();
    assert_eq!((confirmed.device_token.as_str(), devices().await), ("", 0));
    let signed_in = users.login(stage.call_service("gateway").request(request)).await.unwrap().into_inner();
    assert_eq!((signed_in.device_token.is_empty(), devices().await), (false, 1));
}
