//! One advice cycle: snapshot → features → forecast → risk → optimise → trades with costs → compliance → explanation →
//! decision record; and the replay of a record.
mod decide;
mod explain;
mod market;
mod optimise;
mod record;
mod replay;
mod run;
#[cfg(test)]
pub(crate) mod testing;
mod trades;

pub use decide::{DecideError, decide, float, fraction, weights_after};
pub use explain::{explanation, summary, withheld, withheld_verdicts};
pub use market::{FeatureRow, ForecastRow, MarketView, ModelUse, TRADING_DAYS, settle};
pub use optimise::{Limits, OptimiseError, Problem as OptimiseProblem, Solution, optimise, volatility};
pub use record::{
    DecisionRecord, Inputs, MandateTerms, Parameters, Position, Profile, Results, SCHEMA, Snapshot, TargetWeight,
    Trigger, Verdict, autonomy, differences, digest, proposal_digest,
};
pub use replay::{Replay, replay};
pub use run::{Cycle, Outcome};
pub(crate) use run::{closed, snapshot};
pub use trades::{Aim, PlannedTrade, decimal, percent, plan};
