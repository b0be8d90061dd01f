//! The model store from outside, as one binary: the engines that it links are large.
#![allow(clippy::unwrap_used)]

mod crash;
mod fuzz;
mod registry;
mod signing;
mod vectors;
