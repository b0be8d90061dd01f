//! `moneta chat`: the adviser in the terminal, over the gateway's REST interface.
use crate::{Error, Result, cli::Chat, output};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// Signs in, opens a conversation, and talks until the input ends.
pub async fn run(args: Chat) -> Result<()> {
    let client = Client::new();
    let base = format!("{}/api/v1", args.url.trim_end_matches('/'));
    let password = match std::env::var("MONETA_PASSWORD") {
        Ok(password) => password,
        Err(_) => ask(&format!("password of {}: ", args.user))?
            .ok_or_else(|| Error::Usage("no password: set MONETA_PASSWORD or type one".to_owned()))?,
    };
    let login = client
        .post(format!("{base}/auth/login"))
        .json(&json!({ "email": args.user, "password": password }))
        .send()
        .await
        .map_err(|error| Error::Failed(format!("no gateway answers at {}: {error}", args.url)))?;
    let session = expect(login).await?;
    let token = session["access_token"].as_str().unwrap_or_default().to_owned();
    let opened = client
        .post(format!("{base}/conversations"))
        .bearer_auth(&token)
        .json(&json!({ "title": "terminal" }))
        .send()
        .await?;
    let conversation = expect(opened).await?;
    let id = conversation["conversation_id"].as_str().unwrap_or_default().to_owned();
    println!("You are talking to Moneta as {}. An empty line ends the conversation.", args.user);
    while let Some(text) = ask("> ")? {
        let sent = client
            .post(format!("{base}/conversations/{id}/messages"))
            .bearer_auth(&token)
            .json(&json!({ "text": text }))
            .send()
            .await?;
        if sent.status() == StatusCode::UNAUTHORIZED {
            return Err(Error::Failed("the session has expired; sign in again".to_owned()));
        }
        show(&expect(sent).await?);
    }
    Ok(())
}

/// One line of input; nothing at the end or for an empty line.
fn ask(prompt: &str) -> Result<Option<String>> {
    if std::io::stdin().is_terminal() {
        print!("{prompt}");
        output::Stdout.flush()?;
    }
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line)?;
    let line = line.trim().to_owned();
    Ok((read > 0 && !line.is_empty()).then_some(line))
}

async fn expect(response: Response) -> Result<Value> {
    let status = response.status();
    let body: Value = response.json().await?;
    if status.is_success() {
        return Ok(body);
    }
    Err(Error::Failed(body["detail"].as_str().or(body["title"].as_str()).unwrap_or("the gateway refused").to_owned()))
}

fn show(message: &Value) {
    println!("{}", message["text"].as_str().unwrap_or_default());
    for citation in message["citations"].as_array().into_iter().flatten() {
        println!(
            "  [{}] {}",
            citation["id"].as_str().unwrap_or_default(),
            citation["title"].as_str().unwrap_or_default()
        );
    }
}
