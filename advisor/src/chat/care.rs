//! What must not hang on a classifier: somebody who may harm himself, and the question who is answering. Both are closed
//! lists of words, looked at before anything else (FCA FG21/1, customers in vulnerable circumstances; EU AI Act article 50(1),
//! being told that one speaks with a machine).
use super::answers::Reply;
use moneta_kit::contact::Contact;
use moneta_types::{AlertId, Cause, ConversationId, Timestamp};

/// The intent under which somebody in distress is noted.
pub(super) const DISTRESS: &str = "distress";
/// The intent of the question who is answering.
pub(super) const WHO_ANSWERS: &str = "who_answers";

/// An hour in microseconds: what is asked for again in one conversation within it is one request.
const HOUR: i64 = 3_600_000_000;

/// Words of somebody who may harm himself. One too many points a healthy client to a telephone number; one too few is worse.
const IN_DISTRESS: &[&str] = &[
    "kill myself",
    "killing myself",
    "end my life",
    "ending my life",
    "take my life",
    "take my own life",
    "taking my own life",
    "suicide",
    "suicidal",
    "want to die",
    "wish i was dead",
    "wish i were dead",
    "better off dead",
    "do not want to live",
    "don't want to live",
    "dont want to live",
    "do not want to be alive",
    "don't want to be alive",
    "no reason to live",
    "nothing to live for",
    "can't go on living",
    "cannot go on living",
    "hurt myself",
    "hurting myself",
    "harm myself",
    "harming myself",
    "self harm",
    "jump off a bridge",
    "hang myself",
    "shoot myself",
];

/// Questions who is answering.
const WHO: &[&str] = &[
    "are you a human",
    "are you human",
    "are you a person",
    "are you a real person",
    "are you real",
    "are you a robot",
    "are you a bot",
    "are you a machine",
    "are you a program",
    "are you a computer",
    "are you an ai",
    "are you ai",
    "am i talking to a human",
    "am i talking to a person",
    "am i talking to a robot",
    "am i talking to a machine",
    "am i speaking to a human",
    "am i speaking to a person",
    "am i chatting with a human",
    "is this a human",
    "is this a bot",
    "is this a real person",
];

/// The intent of a text that no classifier is asked about.
pub(super) fn spoken(text: &str) -> Option<&'static str> {
    let words = words(text);
    let has = |list: &[&str]| list.iter().any(|phrase| words.contains(&format!(" {phrase} ")));
    if has(IN_DISTRESS) {
        Some(DISTRESS)
    } else if has(WHO) {
        Some(WHO_ANSWERS)
    } else {
        None
    }
}

/// A text in lower case with one blank around every word; apostrophes stay within words.
pub(super) fn words(text: &str) -> String {
    let plain: String = text
        .to_lowercase()
        .chars()
        .map(|c| match c {
            '\u{2019}' => '\'',
            c if c.is_alphanumeric() || c == '\'' => c,
            _ => ' ',
        })
        .collect();
    format!(" {} ", plain.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether a person at the firm is to look at a turn of this intent.
pub(super) fn wants_a_person(intent: &str) -> bool {
    matches!(intent, "complaint" | "talk_to_human" | DISTRESS)
}

/// The alert that a turn asks compliance for: one an intent, a conversation and an hour, so that whoever asks again within
/// the hour hears the same number, and nobody floods those who must read it.
pub(super) fn alert(intent: &str, conversation: ConversationId, now: Timestamp) -> AlertId {
    let hour = now.micros().div_euclid(HOUR);
    AlertId::from_uuid(Cause::named(&format!("alert/{intent}/{conversation}/{hour}")).uuid())
}

/// The answer to what [`spoken`] hears.
pub(super) fn answer(intent: &str, conversation: ConversationId, now: Timestamp, contact: &Contact) -> Reply {
    match intent {
        DISTRESS => Reply { alert: Some(alert(intent, conversation, now)), ..in_distress(contact) },
        _ => who_answers(),
    }
}

/// What somebody in distress reads.
fn in_distress(contact: &Contact) -> Reply {
    let help = contact.crisis_help.trim();
    let help = if help.is_empty() { String::new() } else { format!(" You can speak to somebody now: {help}.") };
    Reply::say(format!(
        "I am sorry that it is so hard. I am a program and cannot help you as a person can, and no loss of money is worth your \
         life. If you are in danger, call the emergency number where you are.{help} I have told the people of the firm that you \
         may need somebody. {}",
        contact.sentence()
    ))
}

/// Who is answering.
fn who_answers() -> Reply {
    Reply::say(
        "No person writes here: I am a program. A person at the firm can look at any decision about you; say \"I want to speak \
         to a person\", and I pass it on.",
    )
}

/// A complaint, or a request for a person, that was passed on.
pub(super) fn passed_on(intent: &str, number: AlertId, contact: &Contact) -> Reply {
    let (what, after) = match intent {
        "complaint" => (
            "I am a program, and I am sorry that something went wrong. I have passed your complaint on to the people of the firm",
            " It is free, and if you are not content with the answer you may take it to the ombudsman of your country.",
        ),
        _ => (
            "I am a program. I have passed on to the people of the firm that you want to speak to a person",
            " A person can look at any automated decision about you, and you can contest it.",
        ),
    };
    let text = format!(
        "{what}; the number is {number}. They see the number of this conversation and not its words, so tell them what it is \
         about. {}{after}",
        contact.sentence()
    );
    Reply { alert: Some(number), ..Reply::say(text) }.figure("number", number, "compliance alert")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distress_is_heard_whatever_stands_around_it() {
        for text in [
            "I want to kill myself, I lost everything",
            "i don\u{2019}t want to live any more",
            "Sell all. I'm SUICIDAL!",
            "are you a human? i want to die",
        ] {
            assert_eq!(spoken(text), Some(DISTRESS), "{text}");
        }
        for text in ["these fees are killing me", "what is a bond", "Is this position dead money?"] {
            assert_eq!(spoken(text), None, "{text}");
        }
    }

    #[test]
    fn the_question_who_answers_is_not_a_call_for_a_person() {
        for text in ["are you a human?", "Am I talking to a person", "hey, are you a bot"] {
            assert_eq!(spoken(text), Some(WHO_ANSWERS), "{text}");
        }
        assert_eq!(spoken("I want to speak to a person"), None);
        assert!(who_answers().text.starts_with("No person writes here: I am a program."));
    }

    #[test]
    fn help_is_pointed_to_and_the_firms_contact_told() {
        let contact = Contact { telephone: "+44 1".to_owned(), ..Contact::default() };
        let text = in_distress(&contact).text;
        assert!(text.contains("116 123") && text.contains("+44 1"), "{text}");
        let none = Contact { crisis_help: String::new(), ..Contact::default() };
        let text = in_distress(&none).text;
        assert!(!text.contains("speak to somebody now") && text.contains("No contact of the firm"), "{text}");
    }

    #[test]
    fn asked_again_within_the_hour_is_the_same_number() {
        let conversation = ConversationId::from_uuid(Cause::named("c").uuid());
        let at = |minutes: i64| alert("complaint", conversation, Timestamp::from_micros(minutes * 60_000_000));
        assert_eq!(at(0), at(59));
        assert_ne!(at(0), at(60));
        assert_ne!(at(0), alert("talk_to_human", conversation, Timestamp::EPOCH));
    }
}
