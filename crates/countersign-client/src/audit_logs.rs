//! The audit log: `/organization/audit_logs`.

use countersign_types::{
    UnixSeconds,
    audit::{AuditDocument, AuditHead, AuditLog},
    id::ProjectId,
    page::Page,
};

use crate::{Client, Error, ItemStream, Received, Response, request::Request};

/// The audit log of an organization: see [`Client::audit_logs`].
#[derive(Debug, Clone)]
pub struct AuditLogs {
    client: Client,
}

/// Which events to list, newest first. An empty filter matches all events. Times are in Unix
/// seconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditLogParams {
    /// Later than this.
    pub effective_after: Option<UnixSeconds>,
    /// At this time or later.
    pub effective_from: Option<UnixSeconds>,
    /// Earlier than this.
    pub effective_before: Option<UnixSeconds>,
    /// At this time or earlier.
    pub effective_until: Option<UnixSeconds>,
    /// About one of these projects.
    pub project_ids: Vec<ProjectId>,
    /// Of one of these types, for example `certificate.deleted`.
    pub event_types: Vec<String>,
    /// Done by one of these keys or users.
    pub actor_ids: Vec<String>,
    /// Done to one of these certificates, projects, accounts or keys.
    pub resource_ids: Vec<String>,
    /// The most events of a page, 1 to 100.
    pub limit: Option<u32>,
    /// The id of the event before the page.
    pub after: Option<String>,
    /// The id of the event after the page.
    pub before: Option<String>,
}

impl AuditLogParams {
    /// The request, without the cursor that paging moves.
    fn request(&self) -> Request {
        Request::get(&["organization", "audit_logs"])
            .query("effective_at[gt]", self.effective_after)
            .query("effective_at[gte]", self.effective_from)
            .query("effective_at[lt]", self.effective_before)
            .query("effective_at[lte]", self.effective_until)
            .query("project_ids[]", &self.project_ids)
            .query("event_types[]", &self.event_types)
            .query("actor_ids[]", &self.actor_ids)
            .query("resource_ids[]", &self.resource_ids)
            .query("limit", self.limit)
            .query("before", self.before.as_deref())
    }
}

impl AuditLogs {
    /// One page of the audit log.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        params: &AuditLogParams,
    ) -> Result<Response<Page<Received<AuditLog>>>, Error> {
        let after = params.after.as_deref();
        self.client.page(params.request(), after).await
    }

    /// All events that match, newest first.
    pub fn stream(&self, params: &AuditLogParams) -> ItemStream<Received<AuditLog>> {
        self.client.pages(params.request(), params.after.clone())
    }

    /// The same, each exactly as it was sent, to verify the hash chain.
    pub fn stream_documents(&self, params: &AuditLogParams) -> ItemStream<AuditDocument> {
        self.client.pages(params.request(), params.after.clone())
    }

    /// The number and the hash of the newest event (an extension).
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve_head(&self) -> Result<Response<Received<AuditHead>>, Error> {
        let path = &["organization", "audit_logs", "head"];
        self.client.send(Request::get(path)).await
    }
}

impl Client {
    /// The organization's audit log.
    #[must_use]
    pub fn audit_logs(&self) -> AuditLogs {
        AuditLogs {
            client: self.clone(),
        }
    }

    /// [`AuditLogs::list`] under the reference's name.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list_audit_logs(
        &self,
        params: &AuditLogParams,
    ) -> Result<Response<Page<Received<AuditLog>>>, Error> {
        self.audit_logs().list(params).await
    }
}
