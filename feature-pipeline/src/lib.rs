//! Features over daily bars: one definition each, run over history offline and on the newest rows online.
//!
//! A [`Feature`] is a pure function over the newest rows of one symbol. Polars carries the frames, the sorting, the
//! point-in-time join and Parquet; the numbers come from that function alone, offline and online. Polars' own rolling
//! kernels keep running sums, so the same window reached along two paths differs in its last bits; a function of the
//! window cannot, and that is what makes a decision reproducible byte for byte.
//!
//! To add a feature: write it in a file under `features/`, and name the family in [`REGISTRY`]. The tests over the
//! registry (no look-ahead, online equals offline, honest inputs, golden values) find it by themselves.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod checks;
mod error;
mod feature;
mod features;
pub mod frame;
mod join;
mod offline;
mod online;
mod series;
mod statistics;
pub mod storage;
mod vector;
mod view;

pub use error::Error;
pub use feature::{Feature, Input, TRADING_DAYS_A_YEAR, Window};
pub use features::{Family, REGISTRY, all, by_name};
pub use join::join_as_of;
pub use online::OnlineState;
pub use polars;
pub use series::Bar;
pub use vector::{FeatureValue, FeatureVector};
pub use view::{FeatureView, Manifest, ManifestEntry};
