//! What a change of trust would do to the observed traffic.

mod comparison;
mod sides;
mod toggle;
mod trial;

pub(crate) use comparison::{Comparing, leaf};
pub use comparison::{Comparison, Observed, compare};
pub(crate) use toggle::ToggleTrial;
pub(crate) use trial::{Judgement, Trial, TrialError, TrialJudge};
