//! Who is calling: an organization, and a project or key of it.

use std::sync::Arc;

use countersign_types::{
    UnixSeconds,
    bundle::OrganizationBundle,
    certificate::Scope,
    id::{ApiKeyId, OrganizationId, ProjectId},
};
use http::HeaderValue;

use crate::{
    json_line::Fields,
    log_fields::{SharedFields, write_caller},
    verdict::authorization::OrganizationTrust,
};

/// An organization as it is enforced.
#[derive(Debug)]
pub(crate) struct Organization {
    pub(crate) id: OrganizationId,
    pub(crate) trust: OrganizationTrust,
    /// What it was compiled from.
    pub(crate) bundle: OrganizationBundle,
}

impl Organization {
    pub(crate) fn compile(bundle: OrganizationBundle) -> Arc<Self> {
        Arc::new(Self {
            id: bundle.id.clone(),
            trust: OrganizationTrust::compile(&bundle),
            bundle,
        })
    }
}

/// Who a request is from.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) organization: Arc<Organization>,
    pub(crate) scope: Scope,
    pub(crate) key: Option<ApiKeyId>,
    /// When its key expires.
    pub(crate) expires_at: Option<UnixSeconds>,
    /// The ids as they go upstream.
    pub(crate) organization_header: HeaderValue,
    pub(crate) project_header: Option<HeaderValue>,
    pub(crate) key_header: Option<HeaderValue>,
    log_fields: SharedFields,
}

impl Identity {
    pub(crate) fn new(
        organization: &Arc<Organization>,
        scope: Scope,
        key: Option<ApiKeyId>,
        expires_at: Option<UnixSeconds>,
    ) -> Arc<Self> {
        let header = |id: &str| HeaderValue::from_str(id).ok();
        let project_header = scope.project().and_then(|project| header(project.as_str()));
        Arc::new(Self {
            organization_header: header(organization.id.as_str())
                .unwrap_or(HeaderValue::from_static("")),
            project_header,
            key_header: key.as_ref().and_then(|key| header(key.as_str())),
            organization: Arc::clone(organization),
            scope,
            key,
            expires_at,
            log_fields: SharedFields::default(),
        })
    }

    /// What the access log has of it.
    pub(crate) fn log_fields(&self) -> &Fields {
        self.log_fields.get_or_write(|line| {
            let organization = Some(self.organization.id.as_str());
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
