//! Commands on a data directory, while no process runs on it and while one does.
#![allow(clippy::unwrap_used)]

use moneta_kit::{
    args,
    store::{Db, Durability, sqlite_url},
};
use moneta_tests::{Fixture, Shape, Stagehand, copy_folder, eventually, outcome, repository, run, seeded};
use serde_json::Value;
use std::{path::Path, time::Duration};

/// The last day that the fixture's demo replays.
const LAST: &str = "2020-01-07";

fn strings(list: &Value, field: &str) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item[field].as_str().map(str::to_owned)).collect()
}

/// What every command must answer on a seeded directory, whether or not a process runs on it.
fn commands_answer(data: &Path) {
    let models = run(data, &["models", "list", "--json"]).json();
    for model in ["forecast", "nlu", "risk"] {
        let found = models.as_array().into_iter().flatten().find(|item| item["model"] == model).unwrap();
        assert!(found["aliases"].to_string().contains("champion"), "{model} has a champion: {found}");
        let shown = run(data, &["models", "show", model]);
        assert!(shown.out.contains("Intended use"), "show prints the card: {}", shown.out);
        run(data, &["models", "verify", &format!("{model}@champion")]);
    }
    let history = run(data, &["models", "history", "forecast", "--json"]).json();
    assert!(history.as_array().is_some_and(|changes| !changes.is_empty()), "{history}");

    let decisions = run(data, &["decisions", "list", "--json"]).json();
    let ids = strings(&decisions, "decision_id");
    assert!(ids.len() >= 3, "each investor's first review: {decisions}");
    let shown = run(data, &["decisions", "show", &ids[0], "--json"]).json();
    assert_eq!(shown["digest"], decisions[0]["digest"]);
    assert!(shown["record"].is_object(), "{shown}");
    let replayed = run(data, &["decisions", "replay", &ids[0], "--json"]).json();
    assert_eq!(replayed[0]["identical"], true, "{replayed}");

    let audit = run(data, &["audit", "verify", "--json"]).json();
    assert!(audit["valid"] == true && audit["entries"].as_u64().is_some_and(|entries| entries > 10), "{audit}");
    let exported = run(data, &["audit", "export"]).out;
    assert!(exported.lines().count() as u64 >= audit["entries"].as_u64().unwrap(), "one line an entry");
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (statement, entries) = lines.split_last().unwrap();
    assert_eq!(statement["statement"]["entries"].as_u64(), Some(entries.len() as u64), "{statement}");
    for entry in entries {
        assert!(entry["actor"].as_str().is_some_and(|actor| !actor.is_empty()), "every entry has an actor: {entry}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    std::fs::write(&file, &exported).unwrap();
    let verified = run(folder.path(), &["audit", "verify", &file.display().to_string(), "--json"]).json();
    assert_eq!(verified["entries"].as_u64(), Some(entries.len() as u64), "{verified}");

    let tail = run(data, &["events", "tail", "-n", "7", "--json"]).out;
    assert_eq!(tail.lines().count(), 7, "{tail}");
    for line in tail.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["specversion"], "1.0", "a CloudEvent: {event}");
    }
    let dead = run(data, &["events", "dead", "list", "--json"]).json();
    assert_eq!(dead, serde_json::json!([]));

    let features = run(data, &["features", "list", "--json"]).json();
    assert!(features.as_array().is_some_and(|all| all.len() >= 20), "{features}");
    let market = run(data, &["market", "list", "--json"]).json();
    assert!(strings(&market, "symbol").contains(&"AAPL".to_owned()), "{market}");
    // Tables are for people: the same without --json is not JSON and not empty.
    let table = run(data, &["models", "list"]).out;
    assert!(table.contains("forecast") && serde_json::from_str::<Value>(&table).is_err(), "{table}");
}

/// Wrong rows, files and names are refused in full, and nothing is half done.
fn mistakes_are_named(data: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("GOOD.csv");
    std::fs::write(&good, "date,open,high,low,close,adj_close,volume\n2020-01-02,1,2,1,2,2,100\n").unwrap();
    let bad = folder.path().join("BAD.csv");
    let rows = "2020-01-02,1,2,1,2,2,100\n2020-01-03,1,2,1,much,2,100\n";
    std::fs::write(&bad, format!("date,open,high,low,close,adj_close,volume\n{rows}")).unwrap();
    let refused = outcome(data, &["market", "import", folder.path().to_str().unwrap()]);
    assert_eq!(refused.code, 1, "{}", refused.err);
    for part in ["BAD.csv", "line 3", "column close", "\"much\""] {
        assert!(refused.err.contains(part), "{part} is not named: {}", refused.err);
    }
    let listed = strings(&run(data, &["market", "list", "--json"]).json(), "symbol");
    assert!(!listed.contains(&"GOOD".to_owned()), "nothing of a refused import stays");

    for (args, code, named) in [
        (&["decisions", "show", "42"][..], 1, "42"),
        (&["decisions", "show", "00000000-0000-7000-8000-000000000000"][..], 1, "decision"),
        (&["models", "show", "oracle"][..], 1, "oracle"),
        (&["models", "show", "forecast@99"][..], 1, "99"),
        (&["models", "promote", "forecast", "--alias", "king"][..], 1, "king"),
        (&["models", "rollback", "risk"][..], 1, "risk"),
        (&["events", "dead", "requeue", "portfolio", "nonsense"][..], 1, "nonsense"),
        (&["models", "crown"][..], 2, "crown"),
        (&["demo", "--from", "yesterday"][..], 2, "yesterday"),
        (&["market", "import", "/nowhere/at/all.csv"][..], 1, "/nowhere/at/all.csv"),
    ] {
        let refused = outcome(data, args);
        assert_eq!(refused.code, code, "moneta {}: {}{}", args.join(" "), refused.out, refused.err);
        assert!(refused.err.contains(named), "moneta {}: {named} is not named: {}", args.join(" "), refused.err);
        assert!(!refused.err.contains("panicked"), "moneta {}: {}", args.join(" "), refused.err);
    }
    let nowhere = Path::new("/nonexistent/data");
    let refused = outcome(nowhere, &["decisions", "list"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("/nonexistent/data"), "{}", refused.err);
}

/// A copy of the forecast model with another version, card and (with `worse`) figures.
fn another_forecast(folder: &Path, version: &str, worse: bool) {
    copy_folder(&repository().join("models/forecast"), folder);
    let path = folder.join("model.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let present = text.lines().find(|line| line.starts_with("version = ")).unwrap().to_owned();
    let mut text = text.replacen(&present, &format!("version = \"{version}\""), 1);
    if worse {
        let figure = text.lines().find(|line| line.starts_with("crps_1d_over_garch = ")).unwrap().to_owned();
        text = text.replacen(&figure, "crps_1d_over_garch = 1.5", 1);
    }
    std::fs::write(&path, text).unwrap();
    let card = folder.join("card.md");
    let text = std::fs::read_to_string(&card).unwrap();
    std::fs::write(&card, format!("{text}\nRegistered again as {version}, with the same weights.\n")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_work_while_nothing_runs() {
    let fixture = seeded(LAST).await;
    commands_answer(&fixture.data());
    mistakes_are_named(&fixture.data());
    commands_answer(&fixture.data());

    let checked = run(&fixture.data(), &["features", "check", "--json"]).json();
    assert_eq!((&checked["look_ahead"], &checked["online_differs"]), (&Value::from(0), &Value::from(0)), "{checked}");
    let printed = outcome(&fixture.data(), &["config", "print"]);
    assert!(printed.code == 0 && printed.out.contains("replay"), "{}{}", printed.out, printed.err);
    tampering_is_found(&fixture).await;
}

/// A change of one word in the audit log, or a last entry taken away, does not verify.
async fn tampering_is_found(fixture: &Fixture) {
    for change in [
        "UPDATE audit_entries SET payload = replace(payload, 'buy', 'sell') WHERE sequence = \
         (SELECT MIN(sequence) FROM audit_entries WHERE payload LIKE '%buy%')",
        "DELETE FROM audit_entries WHERE sequence = (SELECT MAX(sequence) FROM audit_entries)",
    ] {
        let copy = fixture.copied();
        let service = moneta_compliance::SERVICE;
        let url = sqlite_url(&copy.data().join("compliance/compliance.db"));
        let db = Db::open_with(&url, service.name, service.migrations, Durability::Process).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        tx.execute("DROP TRIGGER audit_entries_are_never_changed", args![]).await.unwrap();
        tx.execute("DROP TRIGGER audit_entries_are_never_removed", args![]).await.unwrap();
        assert_eq!(tx.execute(change, args![]).await.unwrap(), 1, "{change}");
        tx.commit().await.unwrap();
        db.close().await;
        let found = outcome(&copy.data(), &["audit", "verify"]);
        assert_eq!(found.code, 1, "after {change}: {}{}", found.out, found.err);
        assert!(found.err.contains("does not verify"), "{}", found.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_work_beside_a_running_process_and_a_promotion_is_served_at_once() {
    let stage = Stagehand::start(Shape::OneProcess, seeded(LAST).await, "2020-01-31").await;
    let data = stage.data();
    commands_answer(&data);
    mistakes_are_named(&data);

    let staff = stage.user("modelops").await;
    let served = async || -> String {
        let models = staff.list("/api/v1/models").await;
        let forecast = models.iter().find(|model| model["name"] == "forecast").unwrap();
        forecast["digest"].as_str().unwrap_or_default().to_owned()
    };
    let first = served().await;

    let folder = tempfile::tempdir().unwrap();
    let (better, worse) = (folder.path().join("better"), folder.path().join("worse"));
    another_forecast(&better, "1.0.1", false);
    another_forecast(&worse, "1.0.2", true);
    let registered = run(&data, &["models", "register", better.to_str().unwrap(), "--json"]).json();
    assert_eq!((&registered["number"], &registered["created"]), (&Value::from(2), &Value::from(true)), "{registered}");
    let again = run(&data, &["models", "register", better.to_str().unwrap(), "--json"]).json();
    assert_eq!(
        (&again["number"], &again["created"]),
        (&Value::from(2), &Value::from(false)),
        "the same bytes: {again}"
    );
    run(&data, &["models", "evaluate", "forecast@2"]);
    run(&data, &["models", "promote", "forecast@2", "--alias", "challenger"]);
    assert_eq!(served().await, first, "a challenger does not serve");
    run(&data, &["models", "promote", "forecast@2", "--actor", "mona"]);
    let second = eventually("the new champion is served", Duration::from_secs(30), async || {
        let now = served().await;
        (now != first).then_some(now)
    })
    .await;

    // The next day's decisions are made with it, and say so.
    stage.close_day().await;
    run(&data, &["models", "register", worse.to_str().unwrap()]);
    let refused = outcome(&data, &["models", "promote", "forecast@3"]);
    assert_eq!(refused.code, 1, "{}", refused.out);
    assert!(refused.err.contains("crps_1d_over_garch") && refused.err.contains("1.5"), "{}", refused.err);
    assert_eq!(served().await, second, "what does not pass the gates is not served");

    run(&data, &["models", "rollback", "forecast"]);
    eventually("the old champion is served again", Duration::from_secs(30), async || {
        (served().await == first).then_some(())
    })
    .await;
    let history = run(&data, &["models", "history", "forecast", "--json"]).json();
    let champions: Vec<&Value> =
        history.as_array().unwrap().iter().filter(|item| item["alias"] == "champion").collect();
    let numbers: Vec<&Value> = champions.iter().map(|change| &change["number"]).collect();
    assert_eq!(numbers, [1, 2, 1], "{history}");
    assert_eq!(champions[1]["actor"], "mona", "{history}");
    // The command ran beside the platform; its entry is in the platform's audit log all the same.
    let officer = stage.user("compliance").await;
    let told = eventually("the promotion is in the audit log", Duration::from_secs(30), async || {
        let entries = officer.list("/api/v1/audit?event_type=models.alias_changed.v1").await;
        entries.into_iter().find(|entry| entry["actor"] == "mona")
    })
    .await;
    assert_eq!(told["payload"]["kind"], "promote", "{told}");
    let diff = run(&data, &["models", "diff", "forecast@1", "forecast@2"]).out;
    assert!(diff.contains("card.md"), "{diff}");
    let replayed = outcome(&data, &["decisions", "replay"]);
    assert_eq!(replayed.code, 0, "old decisions compute with the model of their day: {}{}", replayed.out, replayed.err);
    stage.stop().await;
}
