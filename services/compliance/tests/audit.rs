//! The audit log: everything enters it once, any change shows, and each sees of it what he may.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Scene, client, code};
use moneta_compliance::{
    audit::{Verification, export, verify, verify_export},
    store::Store,
};
use moneta_contracts::{
    common::Page,
    compliance::{ListAuditRequest, VerifyAuditRequest},
    events::{AlertRaised, SessionClosed, StaffRead, UserRegistered},
};
use moneta_kit::{args, attest::Attestor, identity::Role, keys::KeyRing, testing::Stage};
use moneta_types::{AlertId, Cause, UserId};

fn user(name: &str) -> UserId {
    UserId::from_uuid(Cause::named(name).uuid())
}

async fn publish_registrations(stage: &Stage, names: &[&str]) {
    for name in names {
        let event = UserRegistered { user_id: user(name), roles: vec!["investor".to_owned()] };
        stage.publish(&event, Cause::named(name)).await;
    }
    stage.quiet().await;
}

/// The log as somebody reads it who has the data directory and no running process.
async fn open(stage: &Stage) -> Store {
    let keys = KeyRing::load(stage.data_dir(), None).unwrap();
    Store::open(stage.db("compliance").clone(), keys).await.unwrap()
}

async fn verified(stage: &Stage) -> Verification {
    verify(&open(stage).await).await.unwrap()
}

/// Does to the database what the program never does, as somebody with the file in his hands would.
async fn tamper(stage: &Stage, statements: &[&str]) {
    let mut tx = stage.db("compliance").begin().await.unwrap();
    for trigger in ["audit_entries_are_never_changed", "audit_entries_are_never_removed"] {
        tx.execute(&format!("DROP TRIGGER IF EXISTS {trigger}"), args![]).await.unwrap();
    }
    for statement in statements {
        tx.execute(statement, args![]).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn every_event_enters_the_log_once_however_often_it_is_delivered() {
    let mut scene = Scene::start().await;
    publish_registrations(&scene.stage, &["a", "b", "c"]).await;
    publish_registrations(&scene.stage, &["b"]).await;
    // A bus that has lost its memory delivers what was done before, as after a crash between effect and acknowledgement.
    scene.stage.crash_and_redeliver().await;
    publish_registrations(&scene.stage, &["c", "a", "d"]).await;
    let found = verified(&scene.stage).await;
    assert_eq!((found.valid, found.entries), (true, 4), "{found:?}");
    let store = open(&scene.stage).await;
    let entries = store.entries_after(0, 10).await.unwrap();
    assert_eq!(entries[3].hash, found.head);
    let users: Vec<_> = entries.iter().map(|entry| entry.user_id.clone()).collect();
    assert_eq!(users, ["a", "b", "c", "d"].map(|name| user(name).to_string()));
}

#[tokio::test]
async fn an_empty_log_verifies() {
    let scene = Scene::start().await;
    let found = verified(&scene.stage).await;
    assert_eq!((found.valid, found.entries), (true, 0));
}

#[tokio::test]
async fn the_database_refuses_to_change_or_remove_an_entry() {
    let scene = Scene::start().await;
    publish_registrations(&scene.stage, &["a"]).await;
    for statement in ["UPDATE audit_entries SET actor = 'x'", "DELETE FROM audit_entries"] {
        let mut tx = scene.stage.db("compliance").begin().await.unwrap();
        assert!(tx.execute(statement, args![]).await.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn any_change_behind_the_programs_back_is_found() {
    let recomputed = "UPDATE audit_entries SET payload = '{}' WHERE sequence = 3";
    let cases: [(&[&str], &str); 8] = [
        (&["UPDATE audit_entries SET payload = '{}' WHERE sequence = 2"], "entry 2 (user.registered.v1) was changed"),
        (&["UPDATE audit_entries SET at = at + 1 WHERE sequence = 1"], "entry 1 (user.registered.v1) was changed"),
        (&["UPDATE audit_entries SET actor = 'nobody' WHERE sequence = 4"], "entry 4 (user.registered.v1) was changed"),
        (&["DELETE FROM audit_entries WHERE sequence = 2"], "entry 2 is missing"),
        (&["DELETE FROM audit_entries WHERE sequence = 4"], "its end was cut off"),
        (&["DELETE FROM audit_entries"], "its end was cut off"),
        (
            &[
                "UPDATE audit_entries SET sequence = 99 WHERE sequence = 2",
                "UPDATE audit_entries SET sequence = 2 WHERE sequence = 3",
                "UPDATE audit_entries SET sequence = 3 WHERE sequence = 99",
            ],
            "entry 2 does not follow entry 1",
        ),
        (&[recomputed, "UPDATE audit_head SET sealed = zeroblob(60)"], "was not sealed with this platform's key"),
    ];
    for (statements, problem) in cases {
        let scene = Scene::start().await;
        publish_registrations(&scene.stage, &["a", "b", "c", "d"]).await;
        assert!(verified(&scene.stage).await.valid);
        tamper(&scene.stage, statements).await;
        let found = verified(&scene.stage).await;
        assert!(!found.valid && found.problem.contains(problem), "{statements:?}: {found:?}");
    }
}

#[tokio::test]
async fn an_entry_with_a_right_hash_that_was_added_from_outside_is_found() {
    let scene = Scene::start().await;
    publish_registrations(&scene.stage, &["a"]).await;
    let store = open(&scene.stage).await;
    let first = store.entries_after(0, 1).await.unwrap().remove(0);
    let mut forged = first.clone();
    (forged.sequence, forged.event_id, forged.previous_hash) = (2, "forged".to_owned(), first.hash);
    forged.hash = forged.computed_hash();
    let mut tx = scene.stage.db("compliance").begin().await.unwrap();
    tx.execute(
        "INSERT INTO audit_entries VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        args![
            forged.sequence,
            forged.at,
            forged.event_id,
            forged.event_type,
            forged.subject,
            forged.actor,
            forged.user_id,
            forged.payload,
            forged.previous_hash,
            forged.hash
        ],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let found = verified(&scene.stage).await;
    assert!(!found.valid && found.problem.contains("added from outside"), "{found:?}");
}

#[tokio::test]
async fn an_export_is_verified_without_the_platform() {
    let scene = Scene::start().await;
    publish_registrations(&scene.stage, &["a", "b", "c"]).await;
    let mut text = Vec::new();
    let attestor = Attestor::load(scene.stage.data_dir()).unwrap();
    let made = export(&open(&scene.stage).await, &attestor, scene.stage.clock().now(), &mut text).await.unwrap();
    assert_eq!(made.entries, 3);
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "a line an entry, and the statement");
    let check = |text: &str, key: Option<&str>| verify_export(&mut text.as_bytes(), None, key).unwrap();
    let found = check(&text, Some(&attestor.public_key()));
    assert!(found.valid && found.entries == 3 && found.head == made.head, "{found:?}");
    let other = Attestor::load(tempfile::tempdir().unwrap().path()).unwrap();
    assert!(check(&text, Some(&other.public_key())).problem.contains("is not the one that was given"));
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    for (spoiled, expected) in [
        (joined(&[lines[0], lines[1], lines[2]]), "the statement at the end is missing"),
        (joined(&[lines[0], lines[1], lines[3]]), "lines were removed or added"),
        (joined(&[lines[0], lines[2], lines[3]]), "entry 2 is missing"),
        (joined(&[lines[0], lines[0], lines[3]]), "entry 1 comes again"),
        (text.replacen("investor", "admin", 1), "entry 1 (user.registered.v1) was changed"),
        (text.replacen("\"actor\":\"service:user\"", "\"actor\":\"x\"", 1), "entry 1 (user.registered.v1) was changed"),
        (text.replacen("\"exported_at\":\"20", "\"exported_at\":\"21", 1), "signature does not hold"),
        (text.replacen(&attestor.public_key(), &other.public_key(), 1), "signature does not hold"),
        (format!("{text}{}\n", lines[0]), "stands after the statement"),
        (text[..text.len() / 2].to_owned(), ""),
        ("[]\n".to_owned(), "is not an entry"),
        (String::new(), "the statement at the end is missing"),
    ] {
        let found = check(&spoiled, None);
        assert!(!found.valid && found.problem.contains(expected), "{expected}: {found:?}");
    }
}

#[tokio::test]
async fn what_staff_see_of_a_client_is_an_entry_once_a_minute() {
    let scene = Scene::start().await;
    publish_registrations(&scene.stage, &["client"]).await;
    let mut compliance = scene.stage.directory().compliance();
    let officer = scene.stage.call_user(user("officer"), &[Role::Compliance]);
    let looks = || ListAuditRequest { user_id: client().to_string(), ..Default::default() };
    for _ in 0..3 {
        compliance.list_audit(officer.request(looks())).await.unwrap();
    }
    let own = scene.stage.call_user(client(), &[Role::Investor]);
    compliance.list_audit(own.request(ListAuditRequest::default())).await.unwrap();
    scene.stage.quiet().await;
    let reads = scene.stage.events::<StaffRead>().await;
    // Three looks may fall into two minutes, never into three.
    assert!((1..=2).contains(&reads.len()), "{reads:?}");
    assert_eq!(reads[0].staff_id, user("officer").to_string());
    assert_eq!(reads[0].user_id, Some(client()));
    assert_eq!(reads[0].method, "moneta.compliance.v1.Compliance/ListAudit");
    assert_eq!(reads[0].cause, officer.cause());
    let entries = open(&scene.stage).await.entries_after(0, 10).await.unwrap();
    assert!(entries.iter().all(|entry| !entry.actor.is_empty()), "{entries:?}");
    let read = entries.iter().find(|entry| entry.event_type == "kit.staff_read.v1").unwrap();
    assert_eq!((&read.actor, &read.user_id), (&user("officer").to_string(), &client().to_string()));
    // The client is not told who looks at him (POCA section 333A).
    let seen = compliance.list_audit(own.request(ListAuditRequest::default())).await.unwrap().into_inner().entries;
    assert!(seen.iter().all(|entry| entry.event_type == "user.registered.v1"), "{seen:?}");
}

#[tokio::test]
async fn what_staff_saw_just_before_a_crash_is_an_entry() {
    let mut scene = Scene::start().await;
    // What was remembered of the minute is gone with the process: the same look may be recorded again, never not at all.
    for times in 1..=3 {
        let officer = scene.stage.call_user(user("officer"), &[Role::Compliance]);
        let looks = ListAuditRequest { user_id: client().to_string(), ..Default::default() };
        scene.stage.directory().compliance().list_audit(officer.request(looks)).await.unwrap();
        scene.stage.crash().await;
        scene.stage.quiet().await;
        assert_eq!(scene.stage.events::<StaffRead>().await.len(), times);
    }
}

#[tokio::test]
async fn an_investor_sees_what_concerns_him_and_never_what_surveillance_did() {
    let scene = Scene::start().await;
    publish_registrations(&scene.stage, &["a", "client", "b"]).await;
    let date = scene.stage.clock().today();
    scene.stage.publish(&SessionClosed { date }, Cause::named("day")).await;
    let alert = AlertRaised {
        alert_id: AlertId::from_uuid(Cause::named("alert").uuid()),
        rule_id: "mlr_structuring".to_owned(),
        user_id: Some(client()),
        severity: "critical".to_owned(),
        message: "suspicion".to_owned(),
    };
    scene.stage.publish(&alert, Cause::named("alert")).await;
    scene.stage.quiet().await;
    let mut compliance = scene.stage.directory().compliance();

    let own = scene.stage.call_user(client(), &[Role::Investor]);
    let seen = compliance.list_audit(own.request(ListAuditRequest::default())).await.unwrap().into_inner().entries;
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].event_type.as_str(), &seen[0].user_id), ("user.registered.v1", &client().to_string()));
    let asks_for_alerts =
        ListAuditRequest { event_type: "compliance.alert_raised.v1".to_owned(), ..Default::default() };
    let seen = compliance.list_audit(own.request(asks_for_alerts)).await.unwrap().into_inner().entries;
    assert!(seen.is_empty());
    let other = ListAuditRequest { user_id: user("a").to_string(), ..Default::default() };
    assert_eq!(code(compliance.list_audit(own.request(other)).await), "not_found");
    let for_client = scene.stage.call_service_for("advisor", client());
    let seen =
        compliance.list_audit(for_client.request(ListAuditRequest::default())).await.unwrap().into_inner().entries;
    assert_eq!(seen.len(), 1);
    assert_eq!(code(compliance.verify_audit(own.request(VerifyAuditRequest {})).await), "role_required");

    let officer = scene.stage.call_user(user("officer"), &[Role::Compliance]);
    let seen = compliance.list_audit(officer.request(ListAuditRequest::default())).await.unwrap().into_inner().entries;
    assert_eq!(seen.len(), 5);
    // That he looked is an entry as well.
    scene.stage.quiet().await;
    let found = compliance.verify_audit(officer.request(VerifyAuditRequest {})).await.unwrap().into_inner();
    assert!(found.valid && found.entries == 6, "{found:?}");
}

#[tokio::test]
async fn pages_of_the_log_follow_each_other_without_gap_or_overlap() {
    let scene = Scene::start().await;
    publish_registrations(&scene.stage, &["a", "b", "c", "d", "e"]).await;
    let officer = scene.stage.call_user(user("officer"), &[Role::Admin]);
    let mut compliance = scene.stage.directory().compliance();
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let request = ListAuditRequest { page: Some(Page { limit: 2, cursor }), ..Default::default() };
        let page = compliance.list_audit(officer.request(request)).await.unwrap().into_inner();
        seen.extend(page.entries.iter().map(|entry| entry.sequence));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    for page in [Page { limit: 501, cursor: String::new() }, Page { limit: 1, cursor: "x".to_owned() }] {
        let request = ListAuditRequest { page: Some(page), ..Default::default() };
        assert_eq!(code(compliance.list_audit(officer.request(request)).await), "invalid_argument");
    }
}
