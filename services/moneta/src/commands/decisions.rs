//! `moneta decisions …`: reads and recomputes decision records in a data directory.
use crate::{
    Error, Result, SERVICES,
    cli::{Common, Decisions},
    output, settings,
};
use indicatif::ProgressBar;
use moneta_contracts::{
    advisor::{Decision, GetDecisionRequest, ListDecisionsRequest, ReplayDecisionRequest},
    common::Page,
};
use moneta_kit::runner::{Runner, Running, Selection};
use serde_json::json;

/// Lists, shows or recomputes decisions.
pub async fn run(command: Decisions) -> Result<()> {
    match command {
        Decisions::List { portfolio, limit, common } => {
            let running = inspect(&common, &["advisor"]).await?;
            let listed = list(&running, portfolio.unwrap_or_default(), limit as usize).await?;
            let rows: Vec<_> = listed.iter().map(summary).collect::<Result<_>>()?;
            output::rows(common.json, &rows, &["date", "id", "portfolio", "trigger", "outcome", "digest"], |row| {
                ["date", "decision_id", "portfolio_id", "trigger", "outcome", "digest"]
                    .map(|key| {
                        let text = row[key].as_str().unwrap_or_default();
                        if key == "digest" { output::short(text) } else { text.to_owned() }
                    })
                    .to_vec()
            })
        }
        Decisions::Show { id, common } => {
            let running = inspect(&common, &["advisor"]).await?;
            let request = running.call().request(GetDecisionRequest { decision_id: id });
            let decision = running.directory().advisor().get_decision(request).await?.into_inner();
            let record: serde_json::Value = serde_json::from_str(&decision.record)?;
            if common.json {
                return output::json(&json!({ "digest": decision.digest, "record": record }));
            }
            println!("decision {} of {}: {}", decision.decision_id, decision.date, decision.outcome);
            println!("digest   {}\n", decision.digest);
            println!("{}\n", record["results"]["explanation"].as_str().unwrap_or_default());
            println!("{}", serde_json::to_string_pretty(&record)?);
            Ok(())
        }
        Decisions::Replay { id, common } => replay(id, &common).await,
    }
}

async fn replay(id: Option<String>, common: &Common) -> Result<()> {
    let running = inspect(common, &["advisor", "market-data"]).await?;
    let ids = match id {
        Some(id) => vec![id],
        None => list(&running, String::new(), usize::MAX).await?.into_iter().map(|item| item.decision_id).collect(),
    };
    let progress = ProgressBar::new(ids.len() as u64);
    let mut results = Vec::new();
    for id in ids {
        let call = running.call().deadline(std::time::Duration::from_secs(120));
        let request = call.request(ReplayDecisionRequest { decision_id: id.clone() });
        let answer = running.directory().advisor().replay_decision(request).await?.into_inner();
        results.push(json!({
            "decision_id": id, "identical": answer.identical, "digest": answer.digest,
            "replayed_digest": answer.replayed_digest, "differences": answer.differences,
        }));
        progress.inc(1);
    }
    progress.finish_and_clear();
    let different = results.iter().filter(|result| result["identical"] != true).count();
    if common.json {
        output::json(&results)?;
    } else {
        for result in results.iter().filter(|result| result["identical"] != true).take(10) {
            println!("{} differs:", result["decision_id"].as_str().unwrap_or_default());
            for line in result["differences"].as_array().into_iter().flatten().take(10) {
                println!("  {}", line.as_str().unwrap_or_default());
            }
        }
        println!("{} decisions computed again, {} identical", results.len(), results.len() - different);
    }
    if different > 0 {
        return Err(Error::Failed(format!("{different} decisions differ from their records")));
    }
    Ok(())
}

async fn list(running: &Running, portfolio_id: String, limit: usize) -> Result<Vec<Decision>> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    while found.len() < limit {
        let request = ListDecisionsRequest {
            portfolio_id: portfolio_id.clone(),
            page: Some(Page { limit: u32::try_from((limit - found.len()).min(200)).unwrap_or(200), cursor }),
            ..ListDecisionsRequest::default()
        };
        let page = running.directory().advisor().list_decisions(running.call().request(request)).await?.into_inner();
        found.extend(page.decisions);
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    Ok(found)
}

fn summary(decision: &Decision) -> Result<serde_json::Value> {
    let record: serde_json::Value = serde_json::from_str(&decision.record)?;
    Ok(json!({
        "decision_id": decision.decision_id, "portfolio_id": decision.portfolio_id, "date": decision.date,
        "outcome": decision.outcome, "trigger": record["trigger"], "digest": decision.digest,
    }))
}

/// Opens services on the data directory without running them: nothing is consumed, published or listened to.
async fn inspect(common: &Common, services: &[&str]) -> Result<Running> {
    let config = settings::load(common)?;
    settings::existing_data_dir(&config)?;
    let selection = Selection::Only(services.iter().map(|name| (*name).to_owned()).collect());
    Ok(Runner::inspect(SERVICES, &selection, config).await?)
}
