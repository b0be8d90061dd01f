//! What the end-to-end tests share: processes of the platform, a client of its API, and the stage that scenarios play on.
//!
//! The tests drive the program that people run. It must have been built (`cargo build -p moneta`), and `.moneta/` must have
//! been filled (`make up` does both).
#![allow(clippy::unwrap_used)]

mod api;
mod fixture;
mod history;
mod mails;
mod program;
mod stage;
mod wait;

pub use api::{Answer, Api, PASSWORD, decimal, items, text};
pub use fixture::{Fixture, copy_folder, seeded};
pub use history::{History, ids_in};
pub use mails::{Mail, Mails};
pub use program::{Output, Program, free_port, moneta, outcome, repository, run};
pub use stage::{Shape, Stagehand};
pub use wait::eventually;
