//! Who is calling: the key in `Authorization`, looked up by its digest, and what it may do here.

use countersign_types::{
    UnixSeconds,
    api_key::{KeyKind, Permission},
    audit::Actor,
    bearer::{BearerError, bearer_key},
    digest::KeyDigest,
    id::{ApiKeyId, OrganizationId},
};
use http::{HeaderMap, HeaderValue, header};

use super::{App, edge::Record, error::ApiError, operation::Needs};
use crate::store;

const NO_KEY: &str = "No API key was given. Send the header `Authorization: Bearer KEY`.";
const UNREADABLE: &str = "The `Authorization` header cannot be read. Send it once, as \
    `Authorization: Bearer KEY`.";
const UNKNOWN: &str = "This API key is unknown, deleted or expired. Use another, or ask who manages \
    your organization for one.";
const WRONG_KIND: &str = "This key is not of the kind that this path takes. The certificates API \
    takes an admin key (`sk-admin-…`), the bundle a gateway key (`sk-gateway-…`).";
const OTHER_ORGANIZATION: &str = "The `OpenAI-Organization` header names another organization than \
    the key's. Leave the header out, or use a key of that organization.";

/// Whose request it is.
pub(super) enum Caller {
    /// No key is asked for.
    Nobody,
    /// An admin key of an organization.
    Admin(Admin),
    /// A gateway of this deployment.
    Gateway,
}

/// An admin key that may make the request.
pub(super) struct Admin {
    pub(super) organization: OrganizationId,
    pub(super) key: ApiKeyId,
    pub(super) permissions: Vec<Permission>,
}

impl Admin {
    /// Who writes, for the audit log.
    pub(super) fn actor(&self) -> Actor {
        Actor::ApiKey(self.key.clone())
    }

    /// Refuses a permission that this key does not have itself.
    pub(super) fn check(&self, permission: Permission) -> Result<(), ApiError> {
        if self.permissions.contains(&permission) {
            return Ok(());
        }
        Err(ApiError::missing_permission(permission))
    }
}

/// Finds out whose request it is and whether that key may make it.
pub(super) async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    needs: Needs,
    record: &mut Record,
) -> Result<Caller, ApiError> {
    if needs == Needs::Nothing {
        return Ok(Caller::Nobody);
    }
    let found = app.store().caller(key_digest(headers)?).await?;
    let found = found.ok_or_else(|| ApiError::invalid_key(UNKNOWN))?;
    record.key = Some(found.key.clone());
    record.organization.clone_from(&found.organization);
    if !is_good(&found, app.now()) {
        return Err(ApiError::invalid_key(UNKNOWN));
    }
    let caller = admit(found, needs)?;
    check_organization(headers, record.organization.as_ref())?;
    Ok(caller)
}

fn key_digest(headers: &HeaderMap) -> Result<KeyDigest, ApiError> {
    let values = headers.get_all(header::AUTHORIZATION).iter();
    match bearer_key(values.map(HeaderValue::as_bytes)) {
        Ok(key) => Ok(KeyDigest::of(key)),
        Err(BearerError::Missing) => Err(ApiError::invalid_key(NO_KEY)),
        Err(BearerError::Unreadable) => Err(ApiError::invalid_key(UNREADABLE)),
    }
}

fn is_good(found: &store::Caller, now: UnixSeconds) -> bool {
    found.expires_at.is_none_or(|expires_at| now < expires_at) && !found.project_archived
}

/// A key of one kind is nothing where another is asked for: not a lesser key, none at all.
fn admit(found: store::Caller, needs: Needs) -> Result<Caller, ApiError> {
    let wanted = match needs {
        Needs::Admin(permission) | Needs::AdminOrGateway(permission) => Some(permission),
        Needs::Gateway | Needs::Nothing => None,
    };
    let gateway = matches!(needs, Needs::Gateway | Needs::AdminOrGateway(_));
    match (found.kind, found.organization, wanted) {
        (KeyKind::Admin, Some(organization), Some(permission)) => {
            let admin = Admin {
                organization,
                key: found.key,
                permissions: found.permissions,
            };
            admin.check(permission)?;
            Ok(Caller::Admin(admin))
        }
        (KeyKind::Gateway, None, _) if gateway => Ok(Caller::Gateway),
        _ => Err(ApiError::invalid_key(WRONG_KIND)),
    }
}

/// Refuses a request that means another organization than its key does: to go on with the key's
/// would do to one organization what was meant for another.
fn check_organization(
    headers: &HeaderMap,
    organization: Option<&OrganizationId>,
) -> Result<(), ApiError> {
    let Some(organization) = organization else {
        return Ok(());
    };
    let named = headers.get_all("openai-organization").iter();
    for value in named.filter(|value| !value.is_empty()) {
        if value.as_bytes() != organization.as_str().as_bytes() {
            return Err(ApiError::invalid_key(OTHER_ORGANIZATION));
        }
    }
    Ok(())
}
