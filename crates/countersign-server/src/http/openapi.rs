//! The OpenAPI document, made from the router's table and the types that cross the wire.

use std::{collections::BTreeMap, sync::LazyLock};

use bytes::Bytes;
use countersign_types::error::{ErrorCode, ErrorResponse};
use serde_json::{Map, Value, json};

use super::{caller::Needs, contract::Presence, operation::Operation, schemas::Schemas, table};

/// The document as `GET /openapi.json` serves it: pretty, with a newline at its end.
pub(super) static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    Bytes::from(text)
});

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut schemas = Schemas::default();
    let error = schemas.of::<ErrorResponse>();
    let mut paths: Map<String, Value> = Map::new();
    for operation in table::operations() {
        let described = describe(operation, &mut schemas, &error);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.as_str().to_lowercase(), described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign",
            "description": "Manage mutual TLS for your API, and prove what it enforces: the OpenAI \
                organization certificates API and related APIs, with Countersign's extensions.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.into_components(),
            "securitySchemes": {
                "AdminApiKeyAuth": {
                    "type": "http", "scheme": "bearer",
                    "description": "An admin key of an organization, `sk-admin-…`.",
                },
                "GatewayKeyAuth": {
                    "type": "http", "scheme": "bearer",
                    "description": "The key of a gateway, `sk-gateway-…`.",
                },
            },
        },
    })
}

fn describe(operation: &Operation, schemas: &mut Schemas, error: &Value) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": security(operation.needs()),
        "parameters": parameters(operation),
        "responses": responses(operation, schemas, error),
    });
    if let Needs::Admin(permission) | Needs::AdminOrGateway(permission) = operation.needs() {
        let text = format!("Needs the permission `{}`.", permission.as_str());
        set(&mut described, "description", json!(text));
    }
    let contract = &operation.contract;
    if let Some(schema) = contract.body {
        let body = json!({
            "required": contract.presence == Presence::Required,
            "content": { "application/json": { "schema": schema(schemas) } },
        });
        set(&mut described, "requestBody", body);
    }
    described
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn security(needs: Needs) -> Value {
    match needs {
        Needs::Nothing => json!([]),
        Needs::Admin(_) => json!([{ "AdminApiKeyAuth": [] }]),
        Needs::Gateway => json!([{ "GatewayKeyAuth": [] }]),
        Needs::AdminOrGateway(_) => json!([{ "AdminApiKeyAuth": [] }, { "GatewayKeyAuth": [] }]),
    }
}

fn parameters(operation: &Operation) -> Value {
    let in_path = operation.names().map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let in_query = operation.contract.query.iter().map(|each| json!(each));
    in_path.chain(in_query).collect()
}

fn responses(operation: &Operation, schemas: &mut Schemas, error: &Value) -> Value {
    let mut responses = Map::new();
    let success = json!({
        "description": "Done.",
        "headers": { "x-request-id": { "schema": { "type": "string" } } },
        "content": { "application/json": { "schema": (operation.contract.answer)(schemas) } },
    });
    responses.insert("200".to_owned(), success);
    let mut by_status: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    for code in codes(operation) {
        let codes = by_status.entry(code.status()).or_default();
        // An operation may name one that follows from its contract too.
        if !codes.contains(&code.as_str()) {
            codes.push(code.as_str());
        }
    }
    for (status, codes) in by_status {
        let refusal = json!({
            "description": format!("`{}`", codes.join("`, `")),
            "content": { "application/json": { "schema": error } },
        });
        responses.insert(status.to_string(), refusal);
    }
    Value::Object(responses)
}

/// Every code that an operation can answer: its own, and those that follow from its contract.
fn codes(operation: &Operation) -> Vec<ErrorCode> {
    let mut codes = Vec::new();
    if operation.needs() != Needs::Nothing {
        codes.extend([
            ErrorCode::InvalidApiKey,
            ErrorCode::Overloaded,
            ErrorCode::StorageUnavailable,
            ErrorCode::ServerError,
        ]);
    }
    if matches!(
        operation.needs(),
        Needs::Admin(_) | Needs::AdminOrGateway(_)
    ) {
        codes.push(ErrorCode::MissingScope);
    }
    if !operation.contract.ids.is_empty() {
        codes.push(ErrorCode::NotFound);
    }
    if !operation.contract.query.is_empty() || operation.needs() != Needs::Nothing {
        codes.push(ErrorCode::InvalidValue);
    }
    if operation.contract.presence != Presence::None {
        codes.extend([
            ErrorCode::InvalidJson,
            ErrorCode::BadRequest,
            ErrorCode::RequestTimeout,
            ErrorCode::RequestTooLarge,
            ErrorCode::UnsupportedMediaType,
        ]);
    }
    codes.extend_from_slice(operation.codes);
    codes
}
