//! Staff: the founding accounts, four eyes, passwords that must be changed, disabling, and notes about clients.
#![allow(clippy::unwrap_used)]

mod common;

use common::{PASSWORD, code, register, stage};
use moneta_contracts::{
    events::{SessionEnded, StaffChanged, VulnerabilityNoted},
    user::{
        AddStaffRequest, AddStaffResponse, ApproveRolesRequest, ChangePasswordRequest, DisableStaffRequest,
        GetAccountRequest, ListStaffRequest, LoginRequest, ResetStaffRequest, Session, SetVulnerableRequest,
        StaffMember,
    },
};
use moneta_kit::{args, client::Call, entropy::fresh_cause, identity::Role, testing::Stage};
use moneta_types::UserId;
use tonic::Status;

const NEW_PASSWORD: &str = "eleven grey umbrellas";

async fn add(stage: &Stage, call: &Call, email: &str, roles: &[&str]) -> Result<AddStaffResponse, Status> {
    let request = AddStaffRequest {
        email: email.to_owned(),
        display_name: "Some One".to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    };
    // Each is a request of its own: whom it adds has an id that comes of its cause.
    let call = call.clone().because(fresh_cause());
    stage.directory().accounts().add_staff(call.request(request)).await.map(tonic::Response::into_inner)
}

async fn login(stage: &Stage, email: &str, password: &str) -> Result<Session, Status> {
    let request = LoginRequest { email: email.to_owned(), password: password.to_owned(), ..Default::default() };
    let call = Call::anonymous(fresh_cause());
    stage.directory().user().login(call.request(request)).await.map(tonic::Response::into_inner)
}

async fn change(stage: &Stage, session: &Session, current: &str, new: &str) -> Result<Session, Status> {
    let request = ChangePasswordRequest { current_password: current.to_owned(), new_password: new.to_owned() };
    let call = Call::bearer(&session.access_token, fresh_cause());
    stage.directory().accounts().change_password(call.request(request)).await.map(tonic::Response::into_inner)
}

async fn me(stage: &Stage, session: &Session) -> Result<(), Status> {
    let call = Call::bearer(&session.access_token, fresh_cause());
    let request = call.request(GetAccountRequest { user_id: String::new() });
    stage.directory().user().get_account(request).await.map(|_| ())
}

/// Adds somebody, who then chooses a password; the call of his session.
async fn arrive(stage: &Stage, by: &Call, email: &str, roles: &[&str]) -> Call {
    let added = add(stage, by, email, roles).await.unwrap();
    let first = login(stage, email, &added.one_time_password).await.unwrap();
    let session = change(stage, &first, &added.one_time_password, NEW_PASSWORD).await.unwrap();
    Call::bearer(&session.access_token, fresh_cause())
}

fn roles(member: &StaffMember) -> Vec<&str> {
    member.roles.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn the_first_account_is_an_admins_and_after_it_nobody_gets_in_without_one() {
    let stage = stage().await;
    let operator = stage.call_service("moneta");
    assert_eq!(code(add(&stage, &operator, "ann@firm.example", &["adviser"]).await), "first_needs_admin");
    let first = add(&stage, &operator, "ann@firm.example", &["admin"]).await.unwrap();
    assert_eq!(roles(&first.member.unwrap()), ["admin"]);
    assert_eq!(first.one_time_password.len(), 29);
    assert_eq!(code(add(&stage, &operator, "bob@firm.example", &["admin"]).await), "person_required");
    let investor = register(&stage, "ada@example.com").await;
    let investor = stage.call_user(investor.user_id.parse().unwrap(), &[Role::Investor]);
    assert_eq!(code(add(&stage, &investor, "eve@firm.example", &["adviser"]).await), "role_required");
    // A token that says admin is not enough: the account says it, or not.
    let forged = stage.call_user(UserId::from_uuid(fresh_cause().uuid()), &[Role::Admin]);
    assert_eq!(code(add(&stage, &forged, "eve@firm.example", &["adviser"]).await), "not_found");
}

#[tokio::test]
async fn a_one_time_password_opens_a_session_that_can_only_change_it() {
    let stage = stage().await;
    let added = add(&stage, &stage.call_service("moneta"), "ann@firm.example", &["admin"]).await.unwrap();
    let session = login(&stage, "ann@firm.example", &added.one_time_password).await.unwrap();
    assert!(session.password_change_only);
    assert_eq!(code(me(&stage, &session).await), "password_change_required");
    let call = Call::bearer(&session.access_token, fresh_cause());
    assert_eq!(code(add(&stage, &call, "bob@firm.example", &["adviser"]).await), "password_change_required");
    let weak = change(&stage, &session, &added.one_time_password, "password12345").await.unwrap_err();
    let problem = moneta_kit::problem::Problem::from_status(&weak);
    assert_eq!((problem.code.as_str(), problem.fields[0].field.as_str()), ("invalid_argument", "new_password"));
    assert_eq!(code(change(&stage, &session, "guess", NEW_PASSWORD).await), "bad_credentials");
    let changed = change(&stage, &session, &added.one_time_password, NEW_PASSWORD).await.unwrap();
    assert!(!changed.password_change_only);
    me(&stage, &changed).await.unwrap();
    assert_eq!(code(me(&stage, &session).await), "session_ended");
    assert_eq!(code(login(&stage, "ann@firm.example", &added.one_time_password).await), "bad_credentials");
    assert!(!login(&stage, "ann@firm.example", NEW_PASSWORD).await.unwrap().password_change_only);
}

#[tokio::test]
async fn compliance_and_admin_need_a_second_admin_and_the_rest_does_not() {
    let stage = stage().await;
    let ann = arrive(&stage, &stage.call_service("moneta"), "ann@firm.example", &["admin"]).await;
    // The founder's only way to a second admin; everybody after that needs two.
    let bob = arrive(&stage, &ann, "bob@firm.example", &["admin"]).await;
    let carl = add(&stage, &ann, "carl@firm.example", &["adviser", "compliance"]).await.unwrap();
    let member = carl.member.unwrap();
    assert_eq!(roles(&member), ["adviser"]);
    assert_eq!(member.requests[0].role, "compliance");
    let approve = |call: &Call| {
        let request = call.request(ApproveRolesRequest { email: "carl@firm.example".to_owned() });
        let mut accounts = stage.directory().accounts();
        async move { accounts.approve_roles(request).await.map(tonic::Response::into_inner) }
    };
    assert_eq!(code(approve(&ann).await), "second_admin_required");
    // Asking again does not make somebody else the one who asked.
    add(&stage, &bob, "carl@firm.example", &["compliance"]).await.unwrap();
    assert_eq!(code(approve(&ann).await), "second_admin_required");
    // Whoever was told the one-time password must not come by what is approved.
    let one_time = login(&stage, "carl@firm.example", &carl.one_time_password).await.unwrap();
    assert_eq!(code(approve(&bob).await), "password_change_required");
    let changed = change(&stage, &one_time, &carl.one_time_password, NEW_PASSWORD).await.unwrap();
    assert_eq!(roles(&approve(&bob).await.unwrap()), ["adviser", "compliance"]);
    // The old token says the old roles, and is no longer good.
    assert_eq!(code(me(&stage, &changed).await), "session_ended");
    assert_eq!(code(approve(&bob).await), "not_found");
    stage.quiet().await;
    let told: Vec<_> = stage.events::<StaffChanged>().await.into_iter().map(|event| event.change).collect();
    assert_eq!(told, ["added", "added", "added", "roles_requested", "roles_granted"]);
    // What ended were sessions of the one whose roles changed, and of those who changed their passwords.
    assert_eq!(stage.events::<SessionEnded>().await.len(), 4);
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once_and_the_last_admin_stays() {
    let stage = stage().await;
    let ann = arrive(&stage, &stage.call_service("moneta"), "ann@firm.example", &["admin"]).await;
    let disable = |call: &Call, email: &str| {
        let request = call.request(DisableStaffRequest { email: email.to_owned() });
        let mut accounts = stage.directory().accounts();
        async move { accounts.disable_staff(request).await.map(tonic::Response::into_inner) }
    };
    assert_eq!(code(disable(&ann, "ann@firm.example").await), "last_admin");
    arrive(&stage, &ann, "bob@firm.example", &["admin"]).await;
    let bob = login(&stage, "bob@firm.example", NEW_PASSWORD).await.unwrap();
    me(&stage, &bob).await.unwrap();
    assert_eq!(disable(&ann, "bob@firm.example").await.unwrap().status, "locked");
    assert_eq!(code(me(&stage, &bob).await), "session_ended");
    assert_eq!(code(login(&stage, "bob@firm.example", NEW_PASSWORD).await), "bad_credentials");
    // One admin was there when there was only one; that does not come again.
    let carl = add(&stage, &ann, "carl@firm.example", &["admin"]).await.unwrap().member.unwrap();
    assert!(carl.roles.is_empty() && carl.requests.len() == 1);
    let listed = stage.directory().accounts().list_staff(ann.request(ListStaffRequest {})).await.unwrap().into_inner();
    let mut listed: Vec<_> =
        listed.members.iter().map(|member| (member.email.as_str(), member.status.as_str())).collect();
    listed.sort_unstable();
    assert_eq!(
        listed,
        [("ann@firm.example", "active"), ("bob@firm.example", "locked"), ("carl@firm.example", "active")]
    );
}

async fn disable(stage: &Stage, call: &Call, email: &str) -> Result<StaffMember, Status> {
    let request = call.clone().because(fresh_cause()).request(DisableStaffRequest { email: email.to_owned() });
    stage.directory().accounts().disable_staff(request).await.map(tonic::Response::into_inner)
}

async fn approve(stage: &Stage, call: &Call, email: &str) -> Result<StaffMember, Status> {
    let request = call.clone().because(fresh_cause()).request(ApproveRolesRequest { email: email.to_owned() });
    stage.directory().accounts().approve_roles(request).await.map(tonic::Response::into_inner)
}

async fn reset(stage: &Stage, call: &Call, email: &str) -> Result<AddStaffResponse, Status> {
    let request = call.clone().because(fresh_cause()).request(ResetStaffRequest { email: email.to_owned() });
    stage.directory().accounts().reset_staff(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn what_a_disabled_admin_was_about_to_bring_about_ends_with_him() {
    let stage = stage().await;
    let ann = arrive(&stage, &stage.call_service("moneta"), "ann@firm.example", &["admin"]).await;
    let bob = arrive(&stage, &ann, "bob@firm.example", &["admin"]).await;
    let carl = add(&stage, &ann, "carl@firm.example", &["adviser", "admin"]).await.unwrap();
    let opened = login(&stage, "carl@firm.example", &carl.one_time_password).await.unwrap();
    let dora = arrive(&stage, &ann, "dora@firm.example", &["adviser", "compliance"]).await;
    disable(&stage, &bob, "ann@firm.example").await.unwrap();
    // The password that she was told opens nothing, nor does the session that it had opened.
    assert_eq!(code(login(&stage, "carl@firm.example", &carl.one_time_password).await), "one_time_password_ended");
    let taken = change(&stage, &opened, &carl.one_time_password, NEW_PASSWORD).await;
    assert_eq!(code(taken), "one_time_password_ended");
    // What she asked for cannot be approved; who has chosen a password keeps the account.
    for email in ["carl@firm.example", "dora@firm.example"] {
        assert_eq!(code(approve(&stage, &bob, email).await), "not_found");
    }
    stage.directory().user().get_account(dora.request(GetAccountRequest::default())).await.unwrap();
    stage.quiet().await;
    let told: Vec<_> = stage.events::<StaffChanged>().await.into_iter().map(|event| event.change).collect();
    let dropped = ["disabled", "requests_dropped", "requests_dropped", "one_time_password_ended"];
    assert_eq!(told[told.len() - 4..], dropped);
    // Carl comes in by another password, and his roles by two admins again: bob and, as he is the last one, the operator.
    let renewed = reset(&stage, &bob, "carl@firm.example").await.unwrap();
    let session = login(&stage, "carl@firm.example", &renewed.one_time_password).await.unwrap();
    change(&stage, &session, &renewed.one_time_password, NEW_PASSWORD).await.unwrap();
    add(&stage, &bob, "carl@firm.example", &["admin"]).await.unwrap();
    let operator = stage.call_service("moneta");
    assert_eq!(code(approve(&stage, &bob, "carl@firm.example").await), "second_admin_required");
    assert_eq!(roles(&approve(&stage, &operator, "carl@firm.example").await.unwrap()), ["adviser", "admin"]);
    add(&stage, &bob, "dora@firm.example", &["compliance"]).await.unwrap();
    // Now there are two, and a service is nobody again.
    assert_eq!(code(approve(&stage, &operator, "dora@firm.example").await), "person_required");
}

#[tokio::test]
async fn one_time_passwords_end_by_themselves_and_an_admin_who_has_not_changed_his_is_none() {
    let stage = stage().await;
    let operator = stage.call_service("moneta");
    let founder = add(&stage, &operator, "ann@firm.example", &["admin"]).await.unwrap();
    // While she may still come, nobody else is let in by the operator.
    assert_eq!(code(reset(&stage, &operator, "ann@firm.example").await), "person_required");
    end_one_time_passwords(&stage).await;
    let late = login(&stage, "ann@firm.example", &founder.one_time_password).await;
    assert_eq!(code(late), "one_time_password_ended");
    let again = reset(&stage, &operator, "ann@firm.example").await.unwrap();
    assert_eq!(roles(again.member.as_ref().unwrap()), ["admin"]);
    assert_eq!(code(login(&stage, "ann@firm.example", &founder.one_time_password).await), "bad_credentials");
    let session = login(&stage, "ann@firm.example", &again.one_time_password).await.unwrap();
    let session = change(&stage, &session, &again.one_time_password, NEW_PASSWORD).await.unwrap();
    let ann = Call::bearer(&session.access_token, fresh_cause());
    // Nobody knows whether bob will ever come, so ann is the last admin.
    add(&stage, &ann, "bob@firm.example", &["admin"]).await.unwrap();
    assert_eq!(code(disable(&stage, &ann, "ann@firm.example").await), "last_admin");
    assert_eq!(code(reset(&stage, &ann, "ann@firm.example").await), "own_account");
}

#[tokio::test]
async fn a_reset_brings_a_disabled_account_back_without_what_needs_two() {
    let stage = stage().await;
    let ann = arrive(&stage, &stage.call_service("moneta"), "ann@firm.example", &["admin"]).await;
    let bob = arrive(&stage, &ann, "bob@firm.example", &["admin"]).await;
    let carl = arrive(&stage, &ann, "carl@firm.example", &["adviser", "compliance"]).await;
    approve(&stage, &bob, "carl@firm.example").await.unwrap();
    disable(&stage, &ann, "carl@firm.example").await.unwrap();
    assert_eq!(code(reset(&stage, &carl, "carl@firm.example").await), "session_ended");
    let renewed = reset(&stage, &ann, "carl@firm.example").await.unwrap();
    let member = renewed.member.unwrap();
    assert_eq!((member.status.as_str(), roles(&member)), ("active", vec!["adviser"]));
    assert_eq!(member.requests[0].role, "compliance");
    assert_eq!(code(login(&stage, "carl@firm.example", NEW_PASSWORD).await), "bad_credentials");
    let session = login(&stage, "carl@firm.example", &renewed.one_time_password).await.unwrap();
    change(&stage, &session, &renewed.one_time_password, NEW_PASSWORD).await.unwrap();
    assert_eq!(code(approve(&stage, &ann, "carl@firm.example").await), "second_admin_required");
    assert_eq!(roles(&approve(&stage, &bob, "carl@firm.example").await.unwrap()), ["adviser", "compliance"]);
}

/// A day passes.
async fn end_one_time_passwords(stage: &Stage) {
    let mut tx = stage.db("user").begin().await.unwrap();
    tx.execute("UPDATE one_time_passwords SET ends = ends - 86400000000", args![]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn staff_note_that_a_client_is_vulnerable_and_he_reads_that_but_not_why() {
    let stage = stage().await;
    let ada = register(&stage, "ada@example.com").await;
    let id: UserId = ada.user_id.parse().unwrap();
    let note = |call: &Call, vulnerable: bool, reason: &str| {
        let request = SetVulnerableRequest { user_id: ada.user_id.clone(), vulnerable, reason: reason.to_owned() };
        let request = call.request(request);
        let mut accounts = stage.directory().accounts();
        async move { accounts.set_vulnerable(request).await.map(tonic::Response::into_inner) }
    };
    let owner = stage.call_user(id, &[Role::Investor]);
    assert_eq!(code(note(&owner, true, "me").await), "role_required");
    let adviser = stage.call_user(UserId::from_uuid(fresh_cause().uuid()), &[Role::Adviser]);
    assert_eq!(code(note(&adviser, true, " ").await), "invalid_argument");
    assert!(note(&adviser, true, "recently bereaved").await.unwrap().vulnerable);
    note(&adviser, true, "again").await.unwrap();
    stage.quiet().await;
    let noted = stage.events::<VulnerabilityNoted>().await;
    assert_eq!(noted.iter().map(|event| (event.vulnerable, event.note)).collect::<Vec<_>>(), [(true, 1)]);
    let request = moneta_contracts::user::ExportDataRequest { user_id: String::new() };
    let copy = stage.directory().user().export_data(owner.request(request)).await.unwrap().into_inner().json;
    let copy: serde_json::Value = serde_json::from_str(&copy).unwrap();
    assert_eq!(copy["particular_care"][0]["vulnerable"], true);
    assert!(!copy.to_string().contains("bereaved"), "what staff wrote stays with staff: {copy}");
}

#[tokio::test]
async fn a_client_changes_his_password_and_every_other_session_ends() {
    let stage = stage().await;
    register(&stage, "ada@example.com").await;
    let phone = login(&stage, "ada@example.com", PASSWORD).await.unwrap();
    let laptop = login(&stage, "ada@example.com", PASSWORD).await.unwrap();
    let changed = change(&stage, &phone, PASSWORD, NEW_PASSWORD).await.unwrap();
    me(&stage, &changed).await.unwrap();
    assert_eq!(code(me(&stage, &phone).await), "session_ended");
    assert_eq!(code(me(&stage, &laptop).await), "session_ended");
    assert_eq!(code(login(&stage, "ada@example.com", PASSWORD).await), "bad_credentials");
    // Passwords are not tried faster in an open session than at the door.
    for _ in 0..5 {
        assert_eq!(code(change(&stage, &changed, "guess", PASSWORD).await), "bad_credentials");
    }
    assert_eq!(code(change(&stage, &changed, NEW_PASSWORD, PASSWORD).await), "too_many_attempts");
    login(&stage, "ada@example.com", NEW_PASSWORD).await.unwrap();
}
