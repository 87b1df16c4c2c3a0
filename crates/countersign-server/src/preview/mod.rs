//! What a change of trust would do to the observed traffic.

mod assertions;
mod changes;
mod comparison;
mod observed;
mod sides;
mod toggle;
mod tokens;
mod trial;

pub(crate) use changes::{ChangesTrial, judge as judge_changes};
pub(crate) use comparison::Comparing;
pub use comparison::{Comparison, compare};
pub use observed::Observed;
pub(crate) use observed::leaf;
pub(crate) use toggle::ToggleTrial;
pub(crate) use trial::{Judgement, Trial, TrialError, TrialJudge};
