//! The agent's mandate changed.
use super::{Text, Topic, line};
use moneta_kit::contact::Contact;

/// The topic.
pub const TOPIC: Topic = Topic {
    id: "mandate_changed",
    description: "what the agent may do with your portfolio was changed",
    mandatory: Some("a change that you did not make must come to your notice"),
    sample: || {
        let contact = Contact::default();
        Mandate { version: 2, autonomy: "discretionary".to_owned(), paused: false, contact }.render()
    },
};

/// What the text tells.
pub struct Mandate {
    /// Version after the change.
    pub version: u32,
    /// advise, approve or discretionary.
    pub autonomy: String,
    /// Whether the agent stands still.
    pub paused: bool,
    /// How the firm is reached.
    pub contact: Contact,
}

impl Mandate {
    /// The text.
    pub fn render(&self) -> Text {
        let may = match self.autonomy.as_str() {
            "discretionary" => "The agent may trade inside the mandate's limits without asking you.".to_owned(),
            "approve" => "The agent proposes, and nothing is traded before you approve.".to_owned(),
            "advise" => "The agent advises, and trades nothing.".to_owned(),
            other => format!("The agent's autonomy is now {}.", line(other)),
        };
        let paused = if self.paused { "\nThe agent is paused: it does nothing until you let it go on." } else { "" };
        Text {
            title: if self.paused { "Your agent is paused".to_owned() } else { "Your mandate was changed".to_owned() },
            body: format!("Version {} of your mandate is in force. {may}{paused}\nIf you did not make this change, tell the firm at once. {}", self.version, self.contact.sentence()),
            link: "/mandate".to_owned(),
        }
    }
}
