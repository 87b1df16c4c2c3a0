//! The OpenAPI document, made from the router's table and the types that cross the wire.

use std::{collections::BTreeMap, sync::LazyLock};

use bytes::Bytes;
use countersign_types::{
    error::{ErrorCode, ErrorResponse},
    page::{ListObject, Page},
};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema as _, ToSchema};

use super::{
    operation::{Needs, Operation, Takes},
    table,
};

/// The document as `GET /openapi.json` serves it: pretty, with a newline at its end.
pub(super) static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    Bytes::from(text)
});

/// The schemas that the operations speak of, by name.
#[derive(Default)]
pub(super) struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// Keeps the schema of a type, and those that it speaks of, and gives the reference to it.
    pub(super) fn of<T: ToSchema>(&mut self) -> Value {
        let mut found = Vec::new();
        T::schemas(&mut found);
        for (name, schema) in found {
            self.0.insert(name, json!(schema));
        }
        self.keep(T::name().into_owned(), json!(T::schema()))
    }

    /// The same for a page of them. Every `Page<T>` has one name in the derived schemas, so each
    /// gets its own here.
    pub(super) fn page_of<T: ToSchema>(&mut self) -> Value {
        self.of::<T>();
        self.of::<ListObject>();
        self.keep(format!("{}Page", T::name()), json!(Page::<T>::schema()))
    }

    fn keep(&mut self, name: String, schema: Value) -> Value {
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        self.0.insert(name, schema);
        reference
    }
}

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
            "description": "Mutual TLS that can be managed and proved: the OpenAI organization \
                certificates API and its neighbours, with Countersign's extensions.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.0,
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
        "security": security(operation.needs),
        "parameters": parameters(operation),
        "responses": responses(operation, schemas, error),
    });
    if let Needs::Admin(permission) | Needs::AdminOrGateway(permission) = operation.needs {
        let text = format!("Needs the permission `{}`.", permission.as_str());
        set(&mut described, "description", json!(text));
    }
    let (schema, required) = match operation.takes {
        Takes::NoBody => return described,
        Takes::OptionalBody(schema) => (schema, false),
        Takes::Body(schema) => (schema, true),
    };
    let body = json!({
        "required": required,
        "content": { "application/json": { "schema": schema(schemas) } },
    });
    set(&mut described, "requestBody", body);
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
    let in_path = operation.parameters().map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let in_query = operation.query.iter().map(|parameter| {
        let mut described = json!({
            "name": parameter.name,
            "in": "query",
            "required": false,
            "description": parameter.description,
            "schema": parameter.schema,
        });
        if parameter.schema.get("type") == Some(&json!("object")) {
            set(&mut described, "style", json!("deepObject"));
            set(&mut described, "explode", json!(true));
        }
        described
    });
    in_path.chain(in_query).collect()
}

fn responses(operation: &Operation, schemas: &mut Schemas, error: &Value) -> Value {
    let mut responses = Map::new();
    let success = json!({
        "description": "Done.",
        "headers": { "x-request-id": { "schema": { "type": "string" } } },
        "content": { "application/json": { "schema": (operation.answers)(schemas) } },
    });
    responses.insert("200".to_owned(), success);
    let mut by_status: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    for code in codes(operation) {
        by_status
            .entry(code.status())
            .or_default()
            .push(code.as_str());
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

/// Every code that an operation can answer: its own, and those that follow from its row.
fn codes(operation: &Operation) -> Vec<ErrorCode> {
    let mut codes = Vec::new();
    if operation.needs != Needs::Nothing {
        codes.extend([
            ErrorCode::InvalidApiKey,
            ErrorCode::Overloaded,
            ErrorCode::StorageUnavailable,
            ErrorCode::ServerError,
        ]);
    }
    if matches!(operation.needs, Needs::Admin(_) | Needs::AdminOrGateway(_)) {
        codes.push(ErrorCode::MissingScope);
    }
    if operation.parameters().next().is_some() {
        codes.push(ErrorCode::NotFound);
    }
    if !operation.query.is_empty() || operation.needs != Needs::Nothing {
        codes.push(ErrorCode::InvalidValue);
    }
    if !matches!(operation.takes, Takes::NoBody) {
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
