//! Changes of trust together, before any of them is made.

use countersign_types::{
    extension,
    preview::{ChangesPreview, PreviewChangesRequest, TrustChange},
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
        let body = PreviewChangesRequest {
            changes: changes.to_vec(),
        };
        let path = ["organization", "changes", "preview"];
        self.send(Request::post(&path).json(&body)?).await
    }
}
