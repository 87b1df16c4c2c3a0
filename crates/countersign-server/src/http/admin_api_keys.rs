//! Admin keys of an organization.

use countersign_types::{api_key::Permission, id::ApiKeyId, page::Order};
use serde_json::Value;

use super::{
    answer::Answer,
    body::{Fields, wrong_type},
    call::Call,
    caller::Admin,
    error::ApiError,
    operation::Answered,
};
use crate::store::NewAdminApiKey;

/// A year: the longest that a key which expires may live, as in the reference.
const MAX_EXPIRES_IN: u32 = 31_536_000;

pub(super) async fn list(admin: Admin, call: Call) -> Answered {
    let request = call.query.page::<ApiKeyId>(Order::Asc)?;
    let store = call.app.store();
    Answer::read(
        &store
            .list_admin_api_keys(&admin.organization, &request)
            .await?,
    )
}

pub(super) async fn create(admin: Admin, mut call: Call) -> Answered {
    let new = NewAdminApiKey {
        name: call.fields.required_name()?,
        expires_in_seconds: expires_in(&mut call.fields)?,
        permissions: permissions(&admin, &mut call.fields)?,
    };
    let mut tx = call.write(&admin).await?;
    let change = tx.create_admin_api_key(new).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn retrieve(admin: Admin, call: Call) -> Answered {
    let id = id(&call)?;
    Answer::read(
        &call
            .app
            .store()
            .retrieve_admin_api_key(&admin.organization, &id)
            .await?,
    )
}

pub(super) async fn delete(admin: Admin, call: Call) -> Answered {
    let id = id(&call)?;
    let mut tx = call.write(&admin).await?;
    let change = tx.delete_admin_api_key(&id).await?;
    Answer::commit(tx, change).await
}

fn id(call: &Call) -> Result<ApiKeyId, ApiError> {
    call.id("key_id", "API key")
}

fn expires_in(fields: &mut Fields) -> Result<Option<u32>, ApiError> {
    const PARAM: &str = "expires_in_seconds";
    let given = match fields.take(PARAM) {
        None => return Ok(None),
        Some(Value::Number(number)) => number,
        Some(other) => return Err(wrong_type(PARAM, "a whole number", &other)),
    };
    let seconds = given
        .as_u64()
        .and_then(|seconds| u32::try_from(seconds).ok());
    let seconds = seconds.filter(|seconds| (1..=MAX_EXPIRES_IN).contains(seconds));
    seconds.map(Some).ok_or_else(|| {
        let message = format!("`{PARAM}` must be a whole number from 1 to {MAX_EXPIRES_IN}.");
        ApiError::value(PARAM, message)
    })
}

/// What the new key may do: no more than the key that makes it, and as much when nothing is said.
fn permissions(admin: &Admin, fields: &mut Fields) -> Result<Vec<Permission>, ApiError> {
    let Some(names) = fields.texts("scopes")? else {
        return Ok(admin.permissions.clone());
    };
    let mut permissions = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let known = Permission::from_name(name).ok_or_else(|| unknown(place))?;
        admin.check(known)?;
        permissions.push(known);
    }
    permissions.sort_unstable();
    permissions.dedup();
    Ok(permissions)
}

fn unknown(place: usize) -> ApiError {
    let names = Permission::ALL.map(Permission::as_str).join("`, `");
    let message = format!("`scopes[{place}]` is not a permission. There are `{names}`.");
    ApiError::value(format!("scopes[{place}]"), message)
}
