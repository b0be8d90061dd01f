//! What a client wrote is gone for good when he is erased: from every file of the data directory.
use moneta_tests::{Stagehand, text};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const EMAIL: &str = "quincy.zephyrine@example.com";
const PASSWORD: &str = "four quiet marmalade foxes";

/// Words that stand nowhere else.
const WORDS: [&str; 9] = [
    "zephyrine",
    "Quincy Zephyrine-Holt",
    "Marmaduke's barn fund",
    "from aunt Ottoline's will",
    "ottoline-deposit-key",
    "zanzibar-withdrawal-key",
    "barn-portfolio-key",
    "wombat questions",
    "my wombat Bartholomew",
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    files(folder, &mut found);
    // A file may go while the platform runs.
    found.into_iter().filter_map(|path| std::fs::read(&path).ok().map(|bytes| (path, bytes))).collect()
}

fn holding(folder: &Path, secrets: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, bytes) in contents(folder) {
        for secret in secrets {
            if bytes.windows(secret.len()).any(|window| window == secret.as_slice()) {
                found.push(format!("{} holds {:?}", path.display(), String::from_utf8_lossy(secret)));
            }
        }
    }
    found
}

pub async fn an_erased_client_leaves_no_word_behind(stage: &Stagehand) {
    let account = json!({ "email": EMAIL, "password": PASSWORD, "display_name": WORDS[1] });
    let user = text(&stage.api().post("/api/v1/auth/register", account).await.ok(), "user_id");
    let api = stage.api().login_with(EMAIL, PASSWORD).await;
    let opened =
        api.post_once("/api/v1/portfolios", WORDS[6], json!({ "name": WORDS[2], "currency": "USD" })).await.ok();
    let portfolio = text(&opened, "portfolio_id");
    assert_eq!(text(&opened, "name"), WORDS[2]);
    let amount = |note: &str| json!({ "amount": { "amount": "12.34", "currency": "USD" }, "note": note });
    api.post_once(&format!("/api/v1/portfolios/{portfolio}/deposits"), WORDS[4], amount(WORDS[3])).await.ok();
    let chat = api.post("/api/v1/conversations", json!({ "title": WORDS[7] })).await.ok();
    let messages = format!("/api/v1/conversations/{}/messages", text(&chat, "conversation_id"));
    api.post(&messages, json!({ "text": format!("what does volatility mean for {}?", WORDS[8]) })).await.ok();
    stage.settle().await;

    let copy = api.get("/api/v1/me/export").await.ok().to_string();
    for word in [EMAIL, WORDS[1], WORDS[2], WORDS[3], WORDS[7], WORDS[8]] {
        assert!(copy.contains(word), "the export must hold {word:?}");
    }
    let erase = |api: &moneta_tests::Api| {
        let api = api.clone();
        let reason = json!({ "reason": "zephyrine asked" });
        async move { api.send(Method::DELETE, "/api/v1/me", Some(reason), &[]).await }
    };
    erase(&api).await.refused(422, "account_not_settled");
    api.post_once(&format!("/api/v1/portfolios/{portfolio}/withdrawals"), WORDS[5], amount(WORDS[3])).await.ok();

    let keys: Vec<Vec<u8>> = contents(&stage.data().join("keys").join("users"))
        .into_iter()
        .filter(|(path, _)| path.components().any(|part| part.as_os_str() == user.as_str()))
        .map(|(_, bytes)| bytes)
        .collect();
    assert!(keys.len() >= 3, "the account's, the texts' and the adviser's: {}", keys.len());
    erase(&api).await.ok();
    api.get("/api/v1/me").await.refused(401, "session_ended");
    stage.settle().await;

    let mut secrets: Vec<Vec<u8>> = WORDS.iter().map(|word| word.as_bytes().to_vec()).collect();
    secrets.extend([PASSWORD.as_bytes().to_vec(), EMAIL.as_bytes().to_vec()]);
    secrets.extend(keys);
    let data = stage.data();
    let mut left = Vec::new();
    // Readers may hold a write-ahead log for a moment; whoever consumes the erasure tries again.
    for _ in 0..20 {
        left = holding(&data, &secrets);
        if left.is_empty() {
            break;
        }
        moneta_kit::entropy::pause(Duration::from_millis(500)).await;
    }
    assert!(left.is_empty(), "{}", left.join("\n"));
    // What the law keeps is still there, without a word of his.
    let compliance = stage.user("compliance").await;
    let kept: Value = compliance.get(&format!("/api/v1/portfolios/{portfolio}")).await.ok();
    assert_eq!(kept["name"], "");
}
