//! Whether what a gateway names of an organization belongs to it: its projects, keys and anchors.
//! Each is looked up once for a batch.

use std::collections::HashMap;

use countersign_types::id::{ApiKeyId, CertificateId, OrganizationId, ProjectId};

use super::{StoreError, connection::Connection, value::params};

/// Whose an anchor is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    This,
    Another,
    /// It was deleted, or never existed.
    Nobody,
}

/// An organization, and the project and the key that were called with.
pub(super) type Caller<'a> = (
    &'a OrganizationId,
    Option<&'a ProjectId>,
    Option<&'a ApiKeyId>,
);

/// What was looked up.
#[derive(Default)]
pub(super) struct Belonging<'a> {
    callers: HashMap<Caller<'a>, bool>,
    anchors: HashMap<(&'a OrganizationId, &'a CertificateId), Owner>,
}

impl<'a> Belonging<'a> {
    /// Whether project and key are the organization's, and belong together.
    pub(super) async fn is_caller(
        &mut self,
        connection: &mut Connection,
        caller: Caller<'a>,
    ) -> Result<bool, StoreError> {
        if let Some(known) = self.callers.get(&caller) {
            return Ok(*known);
        }
        let (organization, project, key) = caller;
        let (sql, id) = match (key, project) {
            (Some(key), _) => (
                "SELECT coalesce(project_id, '') FROM api_keys WHERE organization_id = $1 \
                 AND id = $2 AND kind IN ('admin', 'project')",
                key.as_str(),
            ),
            (None, Some(project)) => (
                "SELECT id FROM projects WHERE organization_id = $1 AND id = $2",
                project.as_str(),
            ),
            (None, None) => return Ok(false),
        };
        let found: Option<String> = connection.find(sql, params![organization, id]).await?;
        let is_caller = found.as_deref() == Some(project.map_or("", ProjectId::as_str));
        self.callers.insert(caller, is_caller);
        Ok(is_caller)
    }

    /// Whose an anchor is, seen from an organization.
    pub(super) async fn owner(
        &mut self,
        connection: &mut Connection,
        organization: &'a OrganizationId,
        anchor: Option<&'a CertificateId>,
    ) -> Result<Owner, StoreError> {
        let Some(anchor) = anchor else {
            return Ok(Owner::Nobody);
        };
        if let Some(known) = self.anchors.get(&(organization, anchor)) {
            return Ok(*known);
        }
        let sql = "SELECT organization_id FROM certificates WHERE id = $1";
        let found: Option<OrganizationId> = connection.find(sql, params![anchor]).await?;
        let owner = match found {
            Some(found) if found == *organization => Owner::This,
            Some(_) => Owner::Another,
            None => Owner::Nobody,
        };
        self.anchors.insert((organization, anchor), owner);
        Ok(owner)
    }
}
