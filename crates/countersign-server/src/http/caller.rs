//! Who is calling: the key in `Authorization`, looked up by its digest, and what it may do.

use countersign_types::{
    UnixSeconds,
    api_key::{KeyKind, Permission},
    audit::Actor,
    bearer::{BearerError, bearer_key},
    digest::KeyDigest,
    id::{ApiKeyId, OrganizationId},
};
use http::{HeaderMap, HeaderValue, header};

use super::{app::App, error::ApiError, record::Record};
use crate::store::{self, Reach, StoreError, WriteTx};

const NO_KEY: &str = "No API key was given. Send the header `Authorization: Bearer KEY`.";
const UNREADABLE: &str = "The `Authorization` header cannot be read. Send it once, as \
    `Authorization: Bearer KEY`.";
const UNKNOWN: &str = "This API key is unknown, deleted or expired. Use another, or ask your \
    organization's administrator for one.";
const WRONG_KIND: &str = "This path does not accept this kind of key. The certificates API \
    takes an admin key (`sk-admin-…`), the bundle a gateway key (`sk-gateway-…`).";
const OTHER_ORGANIZATION: &str = "The `OpenAI-Organization` header names another organization than \
    the key's. Leave the header out, or use a key of that organization.";

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Anyone, without a key.
    Nothing,
    /// An admin key with this permission.
    Admin(Permission),
    /// A gateway key.
    Gateway,
    /// An admin key with this permission, or a gateway key.
    AdminOrGateway(Permission),
}

/// Anyone: no key is asked for.
pub(super) struct Anyone(());

/// A gateway of this deployment.
pub(super) struct Gateway {
    /// The key that it calls with.
    pub(super) key: ApiKeyId,
    /// The organizations that the key reaches.
    pub(super) reach: Reach,
}

/// A gateway, or an admin key that may make the request.
pub(super) enum AdminOrGateway {
    Admin(Admin),
    Gateway(Gateway),
}

/// An admin key that may make the request.
pub(super) struct Admin {
    pub(super) organization: OrganizationId,
    pub(super) permissions: Vec<Permission>,
    key: ApiKeyId,
    /// When the key stops working, in Unix seconds.
    expires_at: Option<UnixSeconds>,
}

impl Admin {
    /// Who writes, for the audit log.
    pub(super) fn actor(&self) -> Actor {
        Actor::ApiKey(self.key.clone())
    }

    /// Begins a write to the caller's organization.
    pub(super) async fn write(&self, app: &App) -> Result<WriteTx, StoreError> {
        app.store().write(&self.organization, self.actor()).await
    }

    /// Refuses a new key that would still work when this one has expired.
    pub(super) fn check_lifetime(
        &self,
        now: UnixSeconds,
        expires_in: Option<u32>,
    ) -> Result<(), ApiError> {
        let Some(expires_at) = self.expires_at else {
            return Ok(());
        };
        let most = expires_at.saturating_sub(now);
        if expires_in.is_some_and(|seconds| u64::from(seconds) <= most) {
            return Ok(());
        }
        const PARAM: &str = "expires_in_seconds";
        let message = format!(
            "The key that makes this request expires at {expires_at} (Unix seconds), and a key that it \
             creates cannot work for longer. Give `{PARAM}` of at most {most}."
        );
        Err(ApiError::value(PARAM, message))
    }

    /// Refuses a permission that this key does not have itself.
    pub(super) fn check(&self, permission: Permission) -> Result<(), ApiError> {
        if self.permissions.contains(&permission) {
            return Ok(());
        }
        Err(ApiError::missing_permission(permission))
    }
}

/// Lets callers of one kind through. What it gives is proof: only this file makes these types.
pub(super) trait Access: Copy + Send + Sync + 'static {
    type Caller: Send + 'static;

    /// Who is let through, for the document.
    fn needs(self) -> Needs;

    /// Finds out whose request it is and whether that caller may make it.
    fn authenticate(
        self,
        app: &App,
        headers: &HeaderMap,
        record: &mut Record,
    ) -> impl Future<Output = Result<Self::Caller, ApiError>> + Send;
}

/// Lets everyone through.
#[derive(Clone, Copy)]
pub(super) struct ForAnyone;
/// Lets gateway keys through.
#[derive(Clone, Copy)]
pub(super) struct ForGateways;
/// Lets admin keys with a permission through.
#[derive(Clone, Copy)]
pub(super) struct ForAdmins(pub(super) Permission);
/// Lets gateway keys, and admin keys with a permission, through.
#[derive(Clone, Copy)]
pub(super) struct ForAdminsAndGateways(pub(super) Permission);

impl Access for ForAnyone {
    type Caller = Anyone;

    fn needs(self) -> Needs {
        Needs::Nothing
    }

    async fn authenticate(
        self,
        _: &App,
        _: &HeaderMap,
        _: &mut Record,
    ) -> Result<Anyone, ApiError> {
        Ok(Anyone(()))
    }
}

impl Access for ForGateways {
    type Caller = Gateway;

    fn needs(self) -> Needs {
        Needs::Gateway
    }

    async fn authenticate(
        self,
        app: &App,
        headers: &HeaderMap,
        record: &mut Record,
    ) -> Result<Gateway, ApiError> {
        gateway(&known_key(app, headers, record).await?)
    }
}

impl Access for ForAdmins {
    type Caller = Admin;

    fn needs(self) -> Needs {
        Needs::Admin(self.0)
    }

    async fn authenticate(
        self,
        app: &App,
        headers: &HeaderMap,
        record: &mut Record,
    ) -> Result<Admin, ApiError> {
        admin(known_key(app, headers, record).await?, self.0, headers)
    }
}

impl Access for ForAdminsAndGateways {
    type Caller = AdminOrGateway;

    fn needs(self) -> Needs {
        Needs::AdminOrGateway(self.0)
    }

    async fn authenticate(
        self,
        app: &App,
        headers: &HeaderMap,
        record: &mut Record,
    ) -> Result<AdminOrGateway, ApiError> {
        let found = known_key(app, headers, record).await?;
        match gateway(&found) {
            Ok(gateway) => Ok(AdminOrGateway::Gateway(gateway)),
            Err(_) => admin(found, self.0, headers).map(AdminOrGateway::Admin),
        }
    }
}

/// The key of a request, if it is in force.
async fn known_key(
    app: &App,
    headers: &HeaderMap,
    record: &mut Record,
) -> Result<store::Caller, ApiError> {
    let found = app.store().caller(key_digest(headers)?).await?;
    let found = found.ok_or_else(|| ApiError::invalid_key(UNKNOWN))?;
    record.key = Some(found.key.clone());
    record.organization.clone_from(&found.organization);
    if !in_force(&found, app.now()) {
        return Err(ApiError::invalid_key(UNKNOWN));
    }
    Ok(found)
}

fn key_digest(headers: &HeaderMap) -> Result<KeyDigest, ApiError> {
    let values = headers.get_all(header::AUTHORIZATION).iter();
    match bearer_key(values.map(HeaderValue::as_bytes)) {
        Ok(key) => Ok(KeyDigest::of(key)),
        Err(BearerError::Missing) => Err(ApiError::invalid_key(NO_KEY)),
        Err(BearerError::Unreadable) => Err(ApiError::invalid_key(UNREADABLE)),
    }
}

fn in_force(found: &store::Caller, now: UnixSeconds) -> bool {
    found.expires_at.is_none_or(|expires_at| now < expires_at) && !found.project_archived
}

/// A key of one kind is not a weaker key where another kind is needed: it is refused as unknown
/// keys are.
fn gateway(found: &store::Caller) -> Result<Gateway, ApiError> {
    match (found.kind, &found.organization) {
        (KeyKind::Gateway, None) => Ok(Gateway {
            key: found.key.clone(),
            reach: found.reach.clone(),
        }),
        _ => Err(ApiError::invalid_key(WRONG_KIND)),
    }
}

fn admin(
    found: store::Caller,
    permission: Permission,
    headers: &HeaderMap,
) -> Result<Admin, ApiError> {
    let (KeyKind::Admin, Some(organization)) = (found.kind, found.organization) else {
        return Err(ApiError::invalid_key(WRONG_KIND));
    };
    let admin = Admin {
        organization,
        permissions: found.permissions,
        key: found.key,
        expires_at: found.expires_at,
    };
    admin.check(permission)?;
    check_organization(headers, &admin.organization)?;
    Ok(admin)
}

/// Refuses a request that names another organization than its key's: going on with the key's would
/// do to one organization what was meant for another.
fn check_organization(headers: &HeaderMap, organization: &OrganizationId) -> Result<(), ApiError> {
    let named = headers.get_all("openai-organization").iter();
    for value in named.filter(|value| !value.is_empty()) {
        if value.as_bytes() != organization.as_str().as_bytes() {
            return Err(ApiError::invalid_key(OTHER_ORGANIZATION));
        }
    }
    Ok(())
}
