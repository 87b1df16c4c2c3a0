//! Writes that change what is let through. Where an organization has assertions, such a write is tried,
//! judged by them, and made only if it breaks none, or if the caller allows it to.

use countersign_types::{
    assertion::{ALLOW_BROKEN_ASSERTIONS, AssertionResult},
    error::ErrorCode,
};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    answer::{self, Answer, Committed},
    app::App,
    caller::Admin,
    error::{ApiError, CHANGED_EACH_TIME},
};
use crate::{
    preview::Trial,
    store::{Change, JudgedChange, UnjudgedChange, WriteTx},
};

/// How often a change is judged again when the organization changed in between.
const ATTEMPTS: usize = 5;
/// How many assertions a refusal names.
const MAX_NAMED: usize = 10;

/// Whether a change may break assertions.
#[derive(Deserialize, IntoParams)]
pub(super) struct Override {
    /// Make the change although assertions that hold would not hold any more (an extension). The audit
    /// log names them.
    #[serde(default)]
    #[param(inline)]
    allow_broken_assertions: bool,
}

/// Makes a change of trust durable and answers with what it made. `make` begins the write and makes the
/// change; it is called again once the change was judged, and then in the same state as before.
pub(super) async fn commit<T, F>(
    admin: &Admin,
    app: &App,
    allow: &Override,
    make: impl Fn() -> F,
) -> Answer<T>
where
    T: Serialize,
    F: Future<Output = Result<(WriteTx, Change<T>), ApiError>>,
{
    let mut judged: Option<JudgedChange> = None;
    for _ in 0..ATTEMPTS {
        let (mut tx, change) = make().await?;
        if let Some(judged) = judged.take() {
            tx.accept(judged);
        }
        match answer::try_commit(tx, change).await? {
            Committed::Done(answer) => return Ok(answer),
            Committed::Unjudged(change) => {
                judged = Some(check(admin, app, allow, *change).await?);
            }
        }
    }
    let why = "the organization changed each time that a change was judged";
    Err(ApiError::storage_unavailable(CHANGED_EACH_TIME, why))
}

/// Judges a change by the assertions.
async fn check(
    admin: &Admin,
    app: &App,
    allow: &Override,
    change: UnjudgedChange,
) -> Result<JudgedChange, ApiError> {
    let UnjudgedChange { before, after } = change;
    let trial = Trial {
        before: before.clone(),
        after: after.clone(),
        tokens: None,
    };
    let broken = app.trials().broken(&admin.organization, trial);
    let broken = broken.await?;
    if !broken.is_empty() && !allow.allow_broken_assertions {
        return Err(refusal(&broken));
    }
    let overridden = broken.into_iter().map(|one| (one.assertion_id, one.name));
    Ok(JudgedChange {
        before,
        after,
        overridden: overridden.collect(),
    })
}

fn refusal(broken: &[AssertionResult]) -> ApiError {
    let mut named: Vec<String> = broken.iter().take(MAX_NAMED).map(described).collect();
    if let Some(more) = broken.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        named.push(format!("and {more} more"));
    }
    let message = format!(
        "Assertions that hold now would not hold after this change: {}. Nothing was changed. Delete the \
         assertions that are no longer meant, or send `?{ALLOW_BROKEN_ASSERTIONS}=true`.",
        named.join(", ")
    );
    ApiError::new(ErrorCode::AssertionFailed, message)
}

/// An assertion's name, and what would happen instead.
fn described(result: &AssertionResult) -> String {
    let happens = match &result.verdict_code {
        Some(code) => format!("refused with `{code}`"),
        None => "let through".to_owned(),
    };
    format!("`{}` ({happens})", result.name)
}
