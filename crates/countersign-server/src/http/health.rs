//! Whether this process lives, whether it can work, and what it offers.

use countersign_types::extension::{self, Extensions, ExtensionsObject};
use serde_json::json;

use super::{answer::Answer, call::Call, error::ApiError, openapi, operation::Answered};

/// The process lives. It looks at nothing else, so that a database that is down restarts nobody.
pub(super) async fn live(_call: Call) -> Answered {
    Answer::read(&json!({ "status": "ok" }))
}

/// The store can be read, and the process does not mean to end.
pub(super) async fn ready(call: Call) -> Answered {
    if call.app.closing().is_cancelled() {
        return Err(ApiError::new(
            countersign_types::error::ErrorCode::Overloaded,
            "This process is about to end. Ask another one.",
        ));
    }
    let revision = call.app.store().revision().await?;
    Answer::read(&json!({ "status": "ok", "revision": revision }))
}

/// What this server can do beyond the reference.
pub(super) async fn extensions(_call: Call) -> Answered {
    Answer::read(&Extensions {
        object: ExtensionsObject::Extensions,
        extensions: [
            extension::ENFORCEMENT,
            extension::SET_ACTIVE,
            extension::CEL_POLICY,
            extension::PREVIEW,
            extension::ROTATIONS,
        ]
        .map(str::to_owned)
        .to_vec(),
    })
}

/// The OpenAPI document.
pub(super) async fn document(_call: Call) -> Answered {
    Ok(Answer::ready_made(openapi::TEXT.clone()))
}
