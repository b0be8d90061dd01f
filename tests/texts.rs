//! Nothing is said to a person that the code does not do: every sentence of ours that sends a client somewhere, or promises
//! that somebody does something, names a mechanism that is in the tree.
#![allow(clippy::unwrap_used)]

use moneta_tests::repository;
use std::path::{Path, PathBuf};

/// Words that promise a mechanism.
const PROMISES: &[&str] = &[
    "on the page",
    "the page",
    "your moneta page",
    "settings",
    "statement",
    "yearly report",
    "fill in the form",
    "contact form",
    "adviser can",
    "advisers can",
    "ask the adviser",
    "we will",
    "we call you",
    "contact us",
    "tell us",
    "write to us",
    "in the app",
    "passed to a person",
    "pass it on",
    "passed on",
    "in the chat",
    "telling the chat",
];

/// What a sentence with such words may say, and where the mechanism stands: a file, and what it must contain.
const MECHANISMS: &[(&str, &str, &str)] = &[
    ("shows your present allocation beside the target", "services/gateway/web/index.html", "id=\"allocation-chart\""),
    ("messages on the page", "services/gateway/web/index.html", "id=\"notifications\""),
    ("there is no yearly report", "services/gateway/web/index.html", "<html"),
    (
        "tell us by redoing the suitability questionnaire",
        "services/gateway/src/rest/account.rs",
        "post, path = \"/questionnaire\"",
    ),
    ("never changed by a message in the chat", "advisor/src/chat/answers/settings.rs", "fn change_risk"),
    ("changed by a message in the chat", "advisor/src/chat/answers/settings.rs", "fn change_risk"),
    ("never by a message in the chat", "advisor/src/chat/answers/settings.rs", "fn change_risk"),
    ("pause it at any moment by saying so in the chat", "advisor/src/chat/answers/mod.rs", "\"pause_agent\""),
    ("\"pause the agent\" in the chat", "advisor/src/chat/answers/mod.rs", "\"pause_agent\""),
    ("say in the chat that you want to complain", "advisor/src/chat/care.rs", "\"complaint\" | \"talk_to_human\""),
    (
        "say in the chat that you want to speak to a person",
        "advisor/src/chat/care.rs",
        "\"complaint\" | \"talk_to_human\"",
    ),
    ("speak to a person", "advisor/src/chat/care.rs", "\"complaint\" | \"talk_to_human\""),
    ("look at it: say so in the chat", "services/compliance/src/surveillance/mod.rs", "\"human_review\""),
    ("i have passed", "services/compliance/src/surveillance/mod.rs", "\"client_complaint\""),
    (
        "switch a topic off or on by telling the chat",
        "advisor/src/chat/answers/settings.rs",
        "Pending::SetNotification",
    ),
    ("say in the chat which messages to turn off", "advisor/src/chat/answers/settings.rs", "Pending::SetNotification"),
    ("these are your notification settings", "services/contracts/proto/notification.proto", "rpc GetPreferences"),
    ("depending on your settings the agent", "advisor/src/mandate/mod.rs", "autonomy"),
    ("contact us", "advisor/src/chat/mod.rs", "self.contact()?.sentence()"),
    ("by the client in the chat", "advisor/src/chat/answers/orders.rs", "fn carry_out"),
    ("never asks for your password in the chat", "advisor/src/chat/mod.rs", "LONGEST"),
    ("an order in the chat needs your confirmation", "advisor/src/chat/answers/orders.rs", "fn confirmation"),
    ("passes it on", "services/compliance/src/surveillance/mod.rs", "\"human_review\""),
    ("by a sentence in the chat", "services/gateway/src/rest/portfolios.rs", "/withdrawals"),
    ("honest statement of how uncertain", "advisor/knowledge/how-forecasts-are-made.md", "honest statement"),
];

fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let ends = path.extension().is_some_and(|ending| endings.contains(&ending.to_string_lossy().as_ref()));
            if path.is_dir() {
                folders.push(path);
            } else if ends {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The texts in quotes of a source file, without its tests and comments; a text over several lines is one.
fn quoted(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        // A quotation mark between two apostrophes begins no text.
        if letter == '\'' && letters.peek() == Some(&'"') {
            letters.next();
            continue;
        }
        if letter != '"' {
            continue;
        }
        let mut text = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => break,
                '\\' => match letters.next() {
                    Some('\n') => while letters.next_if(|next| next.is_whitespace()).is_some() {},
                    Some('n') => text.push(' '),
                    Some(other) => text.push(other),
                    None => break,
                },
                other => text.push(other),
            }
        }
        found.push(text);
    }
    found
}

/// The words of a page without its markup.
fn shown(page: &str) -> Vec<String> {
    let mut text = String::new();
    let mut inside = false;
    for letter in page.chars() {
        match letter {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push('\n');
            }
            other if !inside => text.push(other),
            _ => {}
        }
    }
    text.lines().map(str::to_owned).collect()
}

fn texts(path: &Path) -> Vec<String> {
    let source = std::fs::read_to_string(path).unwrap();
    match path.extension().unwrap().to_string_lossy().as_ref() {
        "md" => source.split("\n---\n").skip(1).map(str::to_owned).collect(),
        "html" => shown(&source),
        _ => quoted(&source),
    }
}

fn sentences(text: &str) -> Vec<String> {
    let plain = text.to_lowercase().replace('\n', " ");
    let mut found: Vec<String> = Vec::new();
    for part in plain.split_inclusive(['.', '?', '!']) {
        match found.last_mut() {
            // A full stop without a blank after it ends no sentence ("/api/v1.2").
            Some(last) if !part.starts_with([' ', '"', ')']) => last.push_str(part),
            _ => found.push(part.to_owned()),
        }
    }
    found
}

#[test]
fn whatever_a_text_promises_is_there() {
    let mut paths = files("advisor/knowledge", &["md"]);
    paths.extend(files("advisor/src/chat", &["rs"]));
    paths.push(repository().join("advisor/src/cycle/explain.rs"));
    paths.push(repository().join("services/types/src/conduct.rs"));
    paths.extend(files("services/notification/src/templates", &["rs"]));
    paths.push(repository().join("services/notification/src/delivery/mod.rs"));
    paths.extend(files("services/gateway/web", &["js", "html"]));
    assert!(paths.len() > 70, "{} files", paths.len());
    let mut empty = Vec::new();
    for path in &paths {
        for text in texts(path) {
            for sentence in sentences(&text) {
                let padded = format!("{sentence} ");
                let Some(promise) = PROMISES.iter().find(|promise| padded.contains(**promise)) else { continue };
                if !MECHANISMS.iter().any(|(said, _, _)| sentence.contains(said)) {
                    empty.push(format!("{}: \"{}\" ({promise})", path.display(), sentence.trim()));
                }
            }
        }
    }
    assert!(
        empty.is_empty(),
        "no mechanism is named for these; build it, or say something else:\n{}",
        empty.join("\n")
    );
}

#[test]
fn every_mechanism_that_texts_promise_stands_where_the_table_says() {
    for (said, file, needle) in MECHANISMS {
        let source = std::fs::read_to_string(repository().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(needle), "\"{said}\" is promised, and {file} has no {needle}");
    }
}

#[test]
fn texts_in_quotes_are_found_whole() {
    let source =
        "let a = \"one \\\n    two\"; // \"not this\"\nlet c = '\"'; say(\"say \\\"so\\\".\");\n// \"nor this\"\n";
    assert_eq!(quoted(source), ["one two", "not this", "say \"so\"."]);
}
