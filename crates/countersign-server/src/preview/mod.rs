//! What a change of trust would do to the observed traffic.

mod assertions;
mod changes;
mod comparison;
mod sides;
mod toggle;
mod tokens;
mod trial;

pub(crate) use changes::{ChangesTrial, judge as judge_changes};
pub(crate) use comparison::{Comparing, leaf};
pub use comparison::{Comparison, Observed, compare};
pub(crate) use toggle::ToggleTrial;
pub(crate) use trial::{Judgement, Trial, TrialError, TrialJudge};
