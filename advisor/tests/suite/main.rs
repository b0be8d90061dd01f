//! The adviser on a stage, with its own models and real market history, among doubles of its neighbours. The tests need
//! the files that `make up` fetches into `.moneta`.
#![allow(clippy::unwrap_used)]

mod agent;
mod approval;
mod attacks;
mod chat;
mod chat_answers;
mod decisions;
mod mandate;
mod models;
mod support;
mod withheld;
