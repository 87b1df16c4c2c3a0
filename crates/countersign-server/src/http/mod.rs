//! The HTTP API: one table of operations, the order of one request, and one file per resource.

mod active;
mod admin_api_keys;
mod answer;
mod audit_logs;
mod body;
mod call;
mod caller;
mod certificates;
mod edge;
mod error;
mod expiring;
mod gateways;
mod health;
mod json;
mod meters;
mod observations;
mod openapi;
mod operation;
mod parameters;
mod project_api_keys;
mod projects;
mod query;
mod rotations;
mod service_accounts;
mod store_error;
mod table;
mod upload;
mod webhooks;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    routing::{MethodFilter, on},
};
use countersign_types::{UnixSeconds, error::ErrorCode, id::RequestId, request_ids::RequestIds};
use http::Method;
use tokio_util::sync::CancellationToken;

use crate::{
    preview::TrialJudge,
    store::{Clock, Sources, Store, StoreError},
};
use error::ApiError;
use meters::Meters;

pub use openapi::document;
pub use operation::{Needs, Operation};
pub use table::operations;

/// How many days observations are kept when nobody says otherwise.
pub const OBSERVATION_DAYS: u32 = 90;

/// What every request shares. A clone is the same one.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    store: Store,
    clock: Clock,
    closing: CancellationToken,
    trials: TrialJudge,
    request_ids: RequestIds,
    options: AppOptions,
}

/// What the operator says of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppOptions {
    /// For how many days observations are kept, today included.
    pub observation_days: u32,
    /// Whether webhooks may go to addresses that are not public, and without TLS.
    pub private_webhooks: bool,
}

impl Default for AppOptions {
    fn default() -> Self {
        Self {
            observation_days: OBSERVATION_DAYS,
            private_webhooks: false,
        }
    }
}

impl App {
    /// The API over a store, with the same clock and randomness as the store's.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn new(store: Store, sources: &Sources) -> Result<Self, StoreError> {
        Self::with_options(store, sources, AppOptions::default())
    }

    /// The same, as the operator wants it.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn with_options(
        store: Store,
        sources: &Sources,
        options: AppOptions,
    ) -> Result<Self, StoreError> {
        let mut seed = [0; 16];
        (sources.random)(&mut seed)?;
        let trials = TrialJudge::new(store.clone(), Arc::clone(&sources.clock));
        Ok(Self(Arc::new(Shared {
            store,
            clock: Arc::clone(&sources.clock),
            closing: CancellationToken::new(),
            trials,
            request_ids: RequestIds::new(u128::from_be_bytes(seed)),
            options,
        })))
    }

    /// Begins the end: requests that wait for a change are answered at once, and `/readyz` says
    /// no. Requests go on being answered.
    pub fn close(&self) {
        self.0.closing.cancel();
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    fn private_webhooks(&self) -> bool {
        self.0.options.private_webhooks
    }

    fn now(&self) -> UnixSeconds {
        (self.0.clock)()
    }

    fn observation_days(&self) -> u32 {
        self.0.options.observation_days
    }

    fn trials(&self) -> &TrialJudge {
        &self.0.trials
    }

    fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    fn next_request_id(&self) -> RequestId {
        self.0.request_ids.next()
    }
}

/// The router: every operation of the table, and an answer for everything else. It never redirects.
pub fn router(app: App) -> Router {
    let unmatched = Arc::new(Meters::new("unmatched", &Method::GET));
    let mut router = Router::new();
    for operation in operations() {
        let (app, meters) = (
            app.clone(),
            Arc::new(Meters::new(operation.path, &operation.method)),
        );
        let handler = move |request: Request| async move {
            edge::answer(app, operation, &meters, request).await
        };
        let method = MethodFilter::try_from(operation.method.clone()).unwrap_or(MethodFilter::GET);
        router = router.route(operation.path, on(method, handler));
    }
    let (other_app, other_meters) = (app.clone(), Arc::clone(&unmatched));
    router
        .method_not_allowed_fallback(move |request: Request| async move {
            edge::refuse(other_app, &other_meters, request, wrong_method()).await
        })
        .fallback(move |request: Request| async move {
            edge::refuse(app, &unmatched, request, ApiError::no_such_path()).await
        })
}

fn wrong_method() -> ApiError {
    ApiError::new(
        ErrorCode::MethodNotAllowed,
        "This path does not know this method. The `Allow` header lists those that it knows.",
    )
}
