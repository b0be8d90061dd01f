//! Trading was stopped, or goes on. Why is staff's, and is not told.
use super::{Text, Topic, line};

/// The topic.
pub const TOPIC: Topic = Topic {
    id: "kill_switch",
    description: "trading that concerns you was stopped or goes on",
    mandatory: Some("orders that you rely on may not be carried out"),
    sample: || {
        Switch {
            scope: "all".to_owned(),
            target: String::new(),
            engaged: true,
        }
        .render()
    },
};

/// What the text tells.
pub struct Switch {
    /// all, agent or instrument.
    pub scope: String,
    /// Whom or what.
    pub target: String,
    /// Stopped, or released.
    pub engaged: bool,
}

impl Switch {
    /// The text.
    pub fn render(&self) -> Text {
        let what = match self.scope.as_str() {
            "all" => "All trading".to_owned(),
            "agent" => "Trading by the agent".to_owned(),
            "instrument" => format!("Trading in {}", line(&self.target)),
            other => format!("Trading ({})", line(other)),
        };
        let (title, told) = if self.engaged {
            (format!("{what} is stopped"), "Orders are not sent until it is released. What you hold is not touched.")
        } else {
            (format!("{what} goes on"), "Orders are sent again.")
        };
        Text { title, body: told.to_owned(), link: "/orders".to_owned() }
    }
}
