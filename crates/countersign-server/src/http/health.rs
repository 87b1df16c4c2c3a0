//! Whether this process is alive, whether it is ready, and what it offers.

use countersign_types::{
    error::ErrorCode,
    extension::{self, Extensions, ExtensionsObject},
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ObjectBuilder, Type},
    },
};

use super::{
    answer::{self, Answer},
    app::{App, Warning},
    caller::Anyone,
    error::ApiError,
};

/// The process is alive.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    status: HealthStatus,
}

/// The process can answer requests.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    status: HealthStatus,
    /// The revision of the latest change.
    revision: u64,
    /// What is wrong though it can.
    warnings: Vec<Warning>,
}

/// The word `ok`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum HealthStatus {
    Ok,
}

/// An OpenAPI document.
pub(super) struct OpenapiDocument;

impl PartialSchema for OpenapiDocument {
    fn schema() -> RefOr<Schema> {
        RefOr::from(ObjectBuilder::new().schema_type(Type::Object).build())
    }
}

impl ToSchema for OpenapiDocument {}

/// The process is alive. This reads nothing, so that a database that is down restarts nobody.
pub(super) async fn live(_: Anyone) -> Answer<Health> {
    answer::read(&Health {
        status: HealthStatus::Ok,
    })
}

/// The database can be read and, if the last write failed, written again; the process is not
/// shutting down.
pub(super) async fn ready(_: Anyone, app: App) -> Answer<Readiness> {
    if app.is_leaving() {
        return Err(ApiError::new(
            ErrorCode::Overloaded,
            "This process is shutting down. Ask another one.",
        ));
    }
    app.store().check_writes().await?;
    answer::read(&Readiness {
        status: HealthStatus::Ok,
        revision: app.store().revision().await?,
        warnings: app.warnings(),
    })
}

/// What this server can do beyond the reference.
pub(super) async fn extensions(_: Anyone) -> Answer<Extensions> {
    answer::read(&Extensions {
        object: ExtensionsObject::Extensions,
        extensions: extension::ALL.iter().copied().map(str::to_owned).collect(),
    })
}

/// The OpenAPI document.
pub(super) async fn document(_: Anyone, app: App) -> Answer<OpenapiDocument> {
    let document = app.document().cloned();
    document
        .map(answer::ready_made)
        .ok_or_else(|| ApiError::internal("no router set the document"))
}
