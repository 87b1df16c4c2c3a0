//! Changes of trust together: previewed, and made in one step.

use countersign_types::{
    extension,
    preview::{ChangesMade, ChangesPreview, TrustChange, TrustChangesRequest},
};

use crate::{Client, Error, Response, request::Request};

impl Client {
    /// Countersign's extension: what these changes would do, one after another, to the traffic that
    /// was observed. None of them is made.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the server does not support it; the errors of the changes
    /// themselves; those of every call: see [`Error`].
    pub async fn preview_changes(
        &self,
        changes: &[TrustChange],
    ) -> Result<Response<ChangesPreview>, Error> {
        let extension = extension::PREVIEW_CHANGES;
        self.countersign().require(extension).await?;
        let body = TrustChangesRequest {
            changes: changes.to_vec(),
        };
        let path = ["organization", "changes", "preview"];
        self.send(Request::post(&path).json(&body)?).await
    }

    /// Countersign's extension: sets policies and what is active at scopes, all together or not at
    /// all.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the server does not support it; `scope_changed` if something else is
    /// active than was expected; the errors of the changes themselves; those of every call: see
    /// [`Error`].
    pub async fn make_changes(
        &self,
        changes: &[TrustChange],
    ) -> Result<Response<ChangesMade>, Error> {
        self.countersign().require(extension::MAKE_CHANGES).await?;
        let body = TrustChangesRequest {
            changes: changes.to_vec(),
        };
        let path = ["organization", "changes"];
        self.send(Request::post(&path).json(&body)?).await
    }
}
