//! Target allocation, drift from it, and the trades that bring a portfolio back. Pure functions.
mod drift;
mod plan;
mod target;

pub use drift::{Difference, Drift, drift};
pub use plan::{Costs, Limits, Plan, Planned, Snapshot, Stock, plan};
pub use target::Target;
