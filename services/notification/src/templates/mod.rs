//! What is told, topic by topic. Each file is a topic: what it is called, whether it can be switched off, the typed variables
//! of its text, and the text. To add one: write the file and add its name below.
//!
//! A text promises nothing that no code does, and quotes the firm's contact where it asks somebody to get in touch.
//!
//! Texts are plain. Whatever enters one from outside goes through [`line()`], so that it can neither begin a new line nor,
//! in a subject, a new header.

macro_rules! topics {
    ($($module:ident,)*) => {
        $(pub mod $module;)*

        /// Every topic.
        pub const TOPICS: &[&Topic] = &[$(&$module::TOPIC,)*];

        /// The file of each topic.
        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($module),)*];
    };
}

topics! {
    trade_executed,
    order_not_executed,
    recommendation_issued,
    recommendation_closed,
    market_fall,
    portfolio_fall_10,
    mandate_changed,
    kill_switch,
    security,
}

/// Something that a user can be told about.
pub struct Topic {
    /// Stable name, the same as its file's.
    pub id: &'static str,
    /// What it is, for whoever chooses what he is told.
    pub description: &'static str,
    /// Why it cannot be switched off; nothing when it can.
    pub mandatory: Option<&'static str>,
    /// The text with sample values.
    pub sample: fn() -> Text,
}

/// A text to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// One line.
    pub title: String,
    /// Plain text, one paragraph a line.
    pub body: String,
    /// A path in the web page.
    pub link: String,
}

/// The topic of a name.
pub fn find(id: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.id == id).copied()
}

/// A value from outside on one line: control characters become blanks, and it is cut at 300 characters.
pub fn line(text: &str) -> String {
    let one_line: String = text
        .chars()
        // Line and paragraph separator are not control characters, and some programs break lines at them.
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect();
    let trimmed = one_line.trim();
    if trimmed.chars().count() > 300 { trimmed.chars().take(299).chain(['…']).collect() } else { trimmed.to_owned() }
}

/// A day as people read it: "28 November 2022".
pub fn day(date: moneta_types::Date) -> String {
    date.format("%-d %B %Y").to_string()
}

/// A moment as people read it, by the clock of the account's time zone: "28 November 2022, 21:00 GMT".
pub fn moment(at: moneta_types::Timestamp, zone: chrono_tz::Tz) -> String {
    at.utc().with_timezone(&zone).format("%-d %B %Y, %H:%M %Z").to_string()
}

/// A price as people read it, with its currency: "$28.0756".
pub fn price(price: moneta_types::Price, currency: moneta_types::Currency) -> String {
    format!("{}{price}", currency.sign())
}

/// A fraction as people read it: "12.5 %".
pub fn percent(fraction: rust_decimal::Decimal) -> String {
    format!("{} %", fraction.saturating_mul(rust_decimal::Decimal::ONE_HUNDRED).round_dp(1).normalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_in_the_folder_is_a_topic_in_the_array() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/templates");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .filter(|name| name != "mod")
            .collect();
        assert_eq!(files, FILES.iter().map(|name| (*name).to_owned()).collect());
        for (file, topic) in FILES.iter().zip(TOPICS) {
            assert_eq!(*file, topic.id);
        }
    }

    #[test]
    fn every_sample_is_a_whole_text_with_one_line_of_title() {
        for topic in TOPICS {
            let text = (topic.sample)();
            assert!(!text.title.is_empty() && !text.body.is_empty(), "{}", topic.id);
            assert!(!text.title.contains(['\r', '\n', '{']), "{}", text.title);
            assert!(text.link.starts_with('/'), "{}", topic.id);
        }
    }

    #[test]
    fn times_are_told_in_words_by_the_accounts_own_clock() {
        let at: moneta_types::Timestamp = "2026-12-05T02:36:07.062357Z".parse().unwrap();
        assert_eq!(moment(at, chrono_tz::UTC), "5 December 2026, 02:36 UTC");
        assert_eq!(moment(at, chrono_tz::America::New_York), "4 December 2026, 21:36 EST");
        assert_eq!(day(at.date()), "5 December 2026");
        for topic in TOPICS {
            let body = (topic.sample)().body;
            let digits = |part: &str| part.len() == 4 && part.chars().all(|c| c.is_ascii_digit());
            let machine = body
                .split(|c: char| !c.is_alphanumeric() && c != '-')
                .any(|word| word.split_once('-').is_some_and(|(year, rest)| digits(year) && rest.contains('-')));
            assert!(!machine, "{} tells a machine's date: {body}", topic.id);
        }
    }

    #[test]
    fn a_value_cannot_begin_a_new_line() {
        assert_eq!(line("AAPL\r\nBcc: eve@example.com\u{2028}x"), "AAPL  Bcc: eve@example.com x");
        assert_eq!(line(&"ä".repeat(400)).chars().count(), 300);
    }
}
