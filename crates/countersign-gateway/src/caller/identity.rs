//! Who is calling: an organization, and a project or key of it.

use std::sync::{Arc, OnceLock};

use countersign_types::{
    UnixSeconds,
    certificate::Scope,
    id::{ApiKeyId, OrganizationId, ProjectId, ServiceAccountId, TokenId},
};
use http::HeaderValue;

use super::organization::Organization;
use crate::{
    json_line::Fields,
    log_fields::{SharedFields, write_caller, write_token},
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
    /// The token that it calls with, if it is no key.
    pub(crate) token: Option<Box<TokenIdentity>>,
    // Of many keys, few are in use: what only requests need is made by the first of them.
    headers: OnceLock<Box<IdentityHeaders>>,
    log_fields: SharedFields,
}

/// What a token says of who calls with it, besides organization and project.
#[derive(Debug)]
pub(crate) struct TokenIdentity {
    pub(crate) id: TokenId,
    pub(crate) service_account: ServiceAccountId,
    /// Its scopes, with spaces between them; none for those of the account.
    pub(crate) scope: Option<String>,
}

/// The ids as they go upstream.
#[derive(Debug)]
pub(crate) struct IdentityHeaders {
    pub(crate) organization: HeaderValue,
    pub(crate) project: Option<HeaderValue>,
    pub(crate) key: Option<HeaderValue>,
    /// The service account and the scopes of a token.
    pub(crate) service_account: Option<HeaderValue>,
    pub(crate) scope: Option<HeaderValue>,
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
            token: None,
            headers: OnceLock::new(),
            log_fields: SharedFields::default(),
        }
    }

    /// Who calls with a token until then.
    pub(super) fn of_token(
        organization: OrganizationId,
        scope: Scope,
        expires_at: UnixSeconds,
        token: TokenIdentity,
    ) -> Self {
        Self {
            token: Some(Box::new(token)),
            ..Self::new(organization, scope, None, Some(expires_at))
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
            let token = self.token.as_ref();
            let scope = token.and_then(|token| token.scope.as_deref());
            Box::new(IdentityHeaders {
                organization: organization.unwrap_or(HeaderValue::from_static("")),
                project: self.project().and_then(|project| header(project.as_str())),
                key: self.key.as_ref().and_then(|key| header(key.as_str())),
                service_account: token.and_then(|token| header(token.service_account.as_str())),
                scope: scope.and_then(header),
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
            if let Some(token) = &self.token {
                write_token(line, token.service_account.as_str(), token.id.as_str());
            }
        })
    }

    /// The project that it calls as; none for an admin key.
    pub(crate) const fn project(&self) -> Option<&ProjectId> {
        self.scope.project()
    }
}
