//! Assertions of an organization: what must pass and what must be refused (an extension).

use countersign_types::{
    api_key::Permission,
    assertion::{
        Assertion, AssertionCreateRequest, AssertionRun, AssertionUpdateRequest, DeletedAssertion,
        Expectation, MAX_ASSERTED_BYTES, MAX_ASSERTED_CERTIFICATES, MAX_REASON_CHARACTERS,
    },
    certificate::Scope,
    digest::Sha256,
    id::AssertionId,
    observation::Der,
};
use countersign_verify::{certificate::leaf_validity, presented::Presented};
use rustls_pki_types::CertificateDer;
use serde_json::{Map, Value};

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{Body, RequestBody, check_name, check_optional_name, check_text, refuse_properties},
    caller::Admin,
    error::ApiError,
    paging::Paging,
    path::Path,
};
use crate::store::NewAssertion;

const LEAF: &str = "leaf_sha256";

/// What another expectation would be, and so another assertion.
const NOT_MODIFIABLE: [&str; 7] = [
    "project_id",
    "expect",
    "code",
    "chain",
    "id",
    "object",
    "created_at",
];

pub(super) async fn list(
    admin: Admin,
    app: App,
    page: Paging<AssertionId>,
) -> PageAnswer<Assertion> {
    let assertions = app
        .store()
        .list_assertions(&admin.organization, &page.request);
    answer::page(&assertions.await?)
}

pub(super) async fn create(
    admin: Admin,
    app: App,
    Body(request): Body<AssertionCreateRequest>,
) -> Answer<Assertion> {
    let chain = match (request.chain, request.leaf_sha256) {
        (Some(chain), _) => chain.into_iter().map(|Der(der)| der).collect(),
        (None, Some(leaf)) => observed(&admin, &app, &leaf).await?,
        (None, None) => return Err(ApiError::missing("chain")),
    };
    let chain = chain.into_iter().map(CertificateDer::from);
    let new = NewAssertion {
        name: request.name,
        reason: request.reason,
        scope: Scope::from(request.project_id),
        expect: request.expect,
        code: request.code,
        presented: Presented::new(chain.collect()),
    };
    let mut tx = admin.write(&app).await?;
    let change = tx.create_assertion(new).await?;
    answer::commit(tx, change).await
}

/// The chain that gateways saw a leaf with. It is observed traffic, which is not for everybody who may
/// write.
async fn observed(admin: &Admin, app: &App, leaf: &Sha256) -> Result<Vec<Vec<u8>>, ApiError> {
    admin.check(Permission::MtlsRead)?;
    let found = app.store().chain_of_leaf(&admin.organization, leaf);
    found.await?.ok_or_else(|| {
        let message = "No client certificate with this SHA-256 was let through lately, so its chain is \
                       not kept. Send the chain itself as `chain`.";
        ApiError::value(LEAF, message)
    })
}

pub(super) async fn retrieve(
    admin: Admin,
    app: App,
    Path(id): Path<AssertionId>,
) -> Answer<Assertion> {
    let assertion = app.store().retrieve_assertion(&admin.organization, &id);
    answer::read(&assertion.await?)
}

pub(super) async fn update(
    admin: Admin,
    app: App,
    Path(id): Path<AssertionId>,
    Body(request): Body<AssertionUpdateRequest>,
) -> Answer<Assertion> {
    let mut tx = admin.write(&app).await?;
    let changed = tx.update_assertion(&id, request.name, request.reason);
    let change = changed.await?;
    answer::commit(tx, change).await
}

pub(super) async fn delete(
    admin: Admin,
    app: App,
    Path(id): Path<AssertionId>,
) -> Answer<DeletedAssertion> {
    let mut tx = admin.write(&app).await?;
    let change = tx.delete_assertion(&id).await?;
    answer::commit(tx, change).await
}

/// Judges all of them by what is in force. Nothing is changed.
pub(super) async fn run(admin: Admin, app: App) -> Answer<AssertionRun> {
    answer::read(&app.trials().run(&admin.organization).await?)
}

impl RequestBody for AssertionCreateRequest {
    fn check(&mut self) -> Result<(), ApiError> {
        check_name("name", &self.name)?;
        if let Some(reason) = &self.reason {
            check_text("reason", reason, 1..=MAX_REASON_CHARACTERS)?;
        }
        if self.expect == Expectation::Permit && self.code.is_some() {
            let message = "`code` goes with `\"expect\": \"deny\"`: a chain that passes has no code. \
                           Leave it out.";
            return Err(ApiError::value("code", message));
        }
        match (&self.chain, &self.leaf_sha256) {
            (Some(_), Some(_)) => {
                let message = "Give either `chain` or `leaf_sha256`.";
                Err(ApiError::value(LEAF, message))
            }
            (Some(chain), None) => check_chain(chain),
            (None, Some(_)) => Ok(()),
            (None, None) => Err(ApiError::missing("chain")),
        }
    }
}

impl RequestBody for AssertionUpdateRequest {
    fn prepare(properties: &mut Map<String, Value>) -> Result<(), ApiError> {
        let why = "only `name` and `reason` of an assertion can be modified. Create another one, and \
                   delete this.";
        refuse_properties(properties, &NOT_MODIFIABLE, why)
    }

    fn check(&mut self) -> Result<(), ApiError> {
        check_optional_name("name", self.name.as_ref())?;
        match &self.reason {
            Some(reason) => check_text("reason", reason, 0..=MAX_REASON_CHARACTERS),
            None => Ok(()),
        }
    }
}

/// A chain that could arrive at a gateway, of certificates only: a private key must never be kept.
fn check_chain(chain: &[Der]) -> Result<(), ApiError> {
    let bytes: usize = chain.iter().map(|Der(der)| der.len()).sum();
    if chain.len() > MAX_ASSERTED_CERTIFICATES || bytes > MAX_ASSERTED_BYTES {
        let message = format!(
            "`chain` has {} certificates and {bytes} bytes. Gateways take {MAX_ASSERTED_CERTIFICATES} \
             certificates and {MAX_ASSERTED_BYTES} bytes at most.",
            chain.len()
        );
        return Err(ApiError::value("chain", message));
    }
    let unreadable = |Der(der): &Der| leaf_validity(der).is_none();
    if let Some(place) = chain.iter().position(unreadable) {
        let param = format!("chain[{place}]");
        let message = format!(
            "`{param}` is not a certificate that can be read. Send the base64 of its DER: its PEM \
             without the first and the last line."
        );
        return Err(ApiError::value(param, message));
    }
    Ok(())
}
