//! One row of the table of operations: where an operation is, who may call it, and its handler,
//! whose signature says the rest. Routing, checks, metrics and the OpenAPI document all read it.

use std::pin::Pin;

use countersign_types::{api_key::Permission, error::ErrorCode};
use http::{HeaderMap, Method};

use super::{
    answer::Answered,
    app::App,
    call::Call,
    caller::{
        Access, Admin, AdminOrGateway, Anyone, ForAdmins, ForAdminsAndGateways, ForAnyone,
        ForGateways, Gateway, Needs,
    },
    contract::Contract,
    error::ApiError,
    handler::{Answering, Handler},
    record::Record,
};

type Admitting<'a> = Pin<Box<dyn Future<Output = Result<Permitted, ApiError>> + Send + 'a>>;
type Admit =
    Box<dyn for<'a> Fn(&'a App, &'a HeaderMap, &'a mut Record) -> Admitting<'a> + Send + Sync>;

/// A handler that has its caller: the request may be made.
pub(super) struct Permitted(Box<dyn FnOnce(Call) -> Answering + Send>);

impl Permitted {
    pub(super) async fn answer(self, call: Call) -> Answered {
        (self.0)(call).await
    }
}

/// Where an operation is and what it is called.
pub(super) struct Route {
    method: Method,
    path: &'static str,
    /// Its `operationId`.
    id: &'static str,
}

impl Route {
    pub(super) fn new(method: Method, path: &'static str, id: &'static str) -> Self {
        Self { method, path, id }
    }
}

pub(super) fn get(path: &'static str, id: &'static str) -> Route {
    Route::new(Method::GET, path, id)
}

pub(super) fn post(path: &'static str, id: &'static str) -> Route {
    Route::new(Method::POST, path, id)
}

pub(super) fn delete(path: &'static str, id: &'static str) -> Route {
    Route::new(Method::DELETE, path, id)
}

/// One row of the table.
///
/// Its fields that decide who may call it are private, and only `Operation::public`,
/// `Operation::gateway`, `Operation::admin` and `Operation::admin_or_gateway` make one. Each
/// takes only handlers whose first parameter is that caller, so no operation is written without
/// its caller, or with another handler's.
///
/// ```compile_fail,E0451
/// # use countersign_server::{Needs, Operation};
/// fn open(operation: Operation) -> Operation {
///     Operation { needs: Needs::Nothing, ..operation }
/// }
/// ```
pub struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) tag: &'static str,
    pub(super) contract: Contract,
    pub(super) codes: &'static [ErrorCode],
    pub(super) waits: bool,
    needs: Needs,
    admit: Admit,
}

impl Operation {
    /// The method that it answers to.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Its path, with `{names}` for what varies, `/v1` included.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Its `operationId`.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// Who may call it.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// An operation for anyone.
    pub(super) fn public<Arguments>(
        route: Route,
        handler: impl Handler<Anyone, Arguments>,
    ) -> Self {
        Self::new(route, ForAnyone, handler)
    }

    /// An operation for gateways.
    pub(super) fn gateway<Arguments>(
        route: Route,
        handler: impl Handler<Gateway, Arguments>,
    ) -> Self {
        Self::new(route, ForGateways, handler)
    }

    /// An operation for admin keys that have a permission.
    pub(super) fn admin<Arguments>(
        permission: Permission,
        route: Route,
        handler: impl Handler<Admin, Arguments>,
    ) -> Self {
        Self::new(route, ForAdmins(permission), handler)
    }

    /// An operation for gateways, and for admin keys that have a permission.
    pub(super) fn admin_or_gateway<Arguments>(
        permission: Permission,
        route: Route,
        handler: impl Handler<AdminOrGateway, Arguments>,
    ) -> Self {
        Self::new(route, ForAdminsAndGateways(permission), handler)
    }

    fn new<A: Access, Arguments, H: Handler<A::Caller, Arguments>>(
        route: Route,
        access: A,
        handler: H,
    ) -> Self {
        Self {
            method: route.method,
            path: route.path,
            id: route.id,
            summary: "",
            tag: "",
            contract: H::contract(),
            codes: &[],
            waits: false,
            needs: access.needs(),
            admit: admit(access, handler),
        }
    }

    pub(super) fn summary(mut self, tag: &'static str, summary: &'static str) -> Self {
        self.tag = tag;
        self.summary = summary;
        self
    }

    /// The codes that are this operation's own; those that go with keys, ids, bodies and queries
    /// follow from its contract.
    pub(super) fn refuses(mut self, codes: &'static [ErrorCode]) -> Self {
        self.codes = codes;
        self
    }

    /// It may hold the request open, past the time limit of ordinary requests.
    pub(super) fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    /// Lets the caller of a request through to the handler, or refuses it.
    pub(super) async fn admit(
        &self,
        app: &App,
        headers: &HeaderMap,
        record: &mut Record,
    ) -> Result<Permitted, ApiError> {
        (self.admit)(app, headers, record).await
    }

    /// The names of what varies in its path, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(name)
    }

    /// What stands in a path of a request where the operation's has a name.
    pub(super) fn ids(&self, path: &str) -> Vec<String> {
        let segments = self.path.split('/').zip(path.split('/'));
        let ids = segments.filter(|(ours, _)| name(ours).is_some());
        ids.map(|(_, sent)| sent.to_owned()).collect()
    }
}

/// The name in a segment of a path that varies.
fn name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Binds the handler to the caller that it was written for. Since both are of one type here, there
/// is no caller that a handler has to expect and refuse.
fn admit<A: Access, Arguments>(access: A, handler: impl Handler<A::Caller, Arguments>) -> Admit {
    Box::new(move |app: &App, headers: &HeaderMap, record: &mut Record| {
        admitting(access, handler, app, headers, record)
    })
}

fn admitting<'a, A: Access, Arguments>(
    access: A,
    handler: impl Handler<A::Caller, Arguments>,
    app: &'a App,
    headers: &'a HeaderMap,
    record: &'a mut Record,
) -> Admitting<'a> {
    Box::pin(async move {
        let caller = access.authenticate(app, headers, record).await?;
        Ok(Permitted(Box::new(move |call| {
            handler.answer(caller, call)
        })))
    })
}
