//! The router: every operation of the table, and an answer for everything else. It never redirects.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    routing::{MethodFilter, on},
};
use countersign_types::error::ErrorCode;
use http::Method;

use super::{
    app::App, error::ApiError, middleware, openapi, request_metrics::Meters, table::operations,
    unreadable_heads::UnreadableHeads,
};
use crate::serve::Routes;

/// The API as a service, and what it answers to requests that cannot be read.
pub fn router(app: App) -> Routes {
    let unreadable = UnreadableHeads::new(app.clone());
    Routes::new(operation_router(app), unreadable)
}

fn operation_router(app: App) -> Router {
    app.set_document(&openapi::TEXT);
    let unmatched = Arc::new(Meters::new("unmatched", &Method::GET));
    let mut router = Router::new();
    for operation in operations() {
        let (app, meters) = (
            app.clone(),
            Arc::new(Meters::new(operation.path, &operation.method)),
        );
        let handler = move |request: Request| async move {
            middleware::answer(app, operation, &meters, request).await
        };
        let method = MethodFilter::try_from(operation.method.clone()).unwrap_or(MethodFilter::GET);
        router = router.route(operation.path, on(method, handler));
    }
    let (other_app, other_meters) = (app.clone(), Arc::clone(&unmatched));
    router
        .method_not_allowed_fallback(move |request: Request| async move {
            middleware::refuse(other_app, &other_meters, request, wrong_method()).await
        })
        .fallback(move |request: Request| async move {
            middleware::refuse(app, &unmatched, request, ApiError::no_such_path()).await
        })
}

fn wrong_method() -> ApiError {
    ApiError::new(
        ErrorCode::MethodNotAllowed,
        "This path does not support this method. The `Allow` header lists those that it supports.",
    )
}
