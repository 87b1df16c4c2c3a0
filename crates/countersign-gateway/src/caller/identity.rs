//! Who is calling: an organization, and a project or key of it.

use std::sync::{Arc, OnceLock};

use countersign_types::{
    UnixSeconds,
    certificate::Scope,
    id::{ApiKeyId, OrganizationId, ProjectId},
};
use http::HeaderValue;

use super::organization::Organization;
use crate::{
    json_line::Fields,
    log_fields::{SharedFields, write_caller},
};

/// Who a request is from, and its organization as it is enforced now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'s> {
    pub(crate) identity: &'s Arc<Identity>,
    pub(crate) organization: &'s Arc<Organization>,
}

/// Who a request is from. It stays the same through changes of its organization that do not touch it.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) organization: OrganizationId,
    pub(crate) scope: Scope,
    pub(crate) key: Option<ApiKeyId>,
    /// When its key expires.
    pub(crate) expires_at: Option<UnixSeconds>,
    // Of many keys, few are in use: what only requests need is made by the first of them.
    headers: OnceLock<Box<IdentityHeaders>>,
    log_fields: SharedFields,
}

/// The ids as they go upstream.
#[derive(Debug)]
pub(crate) struct IdentityHeaders {
    pub(crate) organization: HeaderValue,
    pub(crate) project: Option<HeaderValue>,
    pub(crate) key: Option<HeaderValue>,
}

impl Identity {
    pub(crate) fn new(
        organization: OrganizationId,
        scope: Scope,
        key: Option<ApiKeyId>,
        expires_at: Option<UnixSeconds>,
    ) -> Self {
        Self {
            organization,
            scope,
            key,
            expires_at,
            headers: OnceLock::new(),
            log_fields: SharedFields::default(),
        }
    }

    /// Whether it is the same caller as another, of the same organization.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.organization == other.organization
            && self.scope == other.scope
            && self.key == other.key
            && self.expires_at == other.expires_at
    }

    /// The ids as they go upstream.
    pub(crate) fn headers(&self) -> &IdentityHeaders {
        self.headers.get_or_init(|| {
            let header = |id: &str| HeaderValue::from_str(id).ok();
            let organization = header(self.organization.as_str());
            Box::new(IdentityHeaders {
                organization: organization.unwrap_or(HeaderValue::from_static("")),
                project: self.project().and_then(|project| header(project.as_str())),
                key: self.key.as_ref().and_then(|key| header(key.as_str())),
            })
        })
    }

    /// What the access log has of it.
    pub(crate) fn log_fields(&self) -> &Fields {
        self.log_fields.get_or_write(|line| {
            let organization = Some(self.organization.as_str());
            let project = self.project().map(ProjectId::as_str);
            let key = self.key.as_ref().map(ApiKeyId::as_str);
            write_caller(line, organization, project, key);
        })
    }

    /// The project that it calls as; none for an admin key.
    pub(crate) const fn project(&self) -> Option<&ProjectId> {
        self.scope.project()
    }
}
