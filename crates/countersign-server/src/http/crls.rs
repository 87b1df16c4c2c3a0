//! Revocation lists of trust anchors (an extension).

use std::collections::HashMap;

use bytes::Bytes;
use countersign_types::{
    audit::AuditEvent,
    certificate::Certificate,
    crl::{
        CertificateCrl, Crl, CrlAddRequest, DEFAULT_CRL_INTERVAL, DeletedCrl, MAX_CRL_INTERVAL,
        MIN_CRL_INTERVAL, RevokedRecords, UpdateCrlMissingRequest,
    },
    digest::Sha256,
    id::{CertificateId, CrlId},
    preview::TrustChange,
    revoked_set::{MAX_REVOKED, RECORD_BYTES},
};
use countersign_verify::{
    certificate::Anchor,
    crl::{self, CrlRejection, RevocationList},
};
use data_encoding::BASE64;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{Body, RequestBody},
    caller::{Admin, Gateway},
    error::ApiError,
    paging::Paging,
    path::Path,
    query::{Query, WholeOr},
    trust_write::{self, Override},
};
use crate::{
    crl_fetching::not_fetched,
    store::{CrlSource, WriteTx},
    webhooks::{Fetched, Validators},
};

/// The most bytes of a body with a list: the largest list in base64, its line breaks escaped, and the certificates
/// of its issuers.
pub(super) const MAX_BODY_BYTES: usize = 104 * 1024 * 1024;
/// How many records a gateway gets at a time: some 3 MB.
const RECORDS_AT_A_TIME: usize = 100_000;

const CRL: &str = "crl";
const URL: &str = "url";

/// The number of a record.
type Record = WholeOr<0, { MAX_REVOKED as u64 }, 0>;

/// Which part of a set is asked for.
#[derive(Deserialize, IntoParams)]
pub(super) struct RevokedSetQuery {
    /// The SHA-256 of the set, as the bundle names it.
    #[param(value_type = String, pattern = "^[0-9a-f]{64}$")]
    sha256: Sha256,
    /// The number of the first record: `next` of the answer before.
    #[serde(default)]
    #[param(inline)]
    from: Record,
}

pub(super) async fn list(
    admin: Admin,
    app: App,
    Path(certificate): Path<CertificateId>,
    page: Paging<CrlId>,
) -> PageAnswer<Crl> {
    let store = app.store();
    let crls = store.list_crls(&admin.organization, &certificate, &page.request);
    answer::page(&crls.await?)
}

pub(super) async fn add(
    admin: Admin,
    app: App,
    Path(certificate): Path<CertificateId>,
    Query(allow): Query<Override>,
    Body(request): Body<CrlAddRequest>,
) -> Answer<Crl> {
    let interval = request.interval.unwrap_or(DEFAULT_CRL_INTERVAL);
    let request = CertificateCrl {
        certificate_id: certificate.clone(),
        crl: request.crl,
        url: request.url,
        issuer_certificates: request.issuer_certificates,
    };
    // Before the write begins: it may have a million entries.
    let (list, source) = read(&admin, &app, request, interval).await?;
    let make = || async {
        let mut tx = admin.write(&app).await?;
        let change = tx.add_crl(&certificate, &list, source.as_ref()).await?;
        Ok((tx, change))
    };
    trust_write::commit(&admin, &app, &allow, make).await
}

pub(super) async fn retrieve(
    admin: Admin,
    app: App,
    Path(certificate): Path<CertificateId>,
    Path(id): Path<CrlId>,
) -> Answer<Crl> {
    let store = app.store();
    let crl = store.retrieve_crl(&admin.organization, &certificate, &id);
    answer::read(&crl.await?)
}

pub(super) async fn delete(
    admin: Admin,
    app: App,
    Path(certificate): Path<CertificateId>,
    Path(id): Path<CrlId>,
    Query(allow): Query<Override>,
) -> Answer<DeletedCrl> {
    let make = || async {
        let mut tx = admin.write(&app).await?;
        let change = tx.delete_crl(&certificate, &id).await?;
        Ok((tx, change))
    };
    trust_write::commit(&admin, &app, &allow, make).await
}

pub(super) async fn update_missing(
    admin: Admin,
    app: App,
    Path(id): Path<CertificateId>,
    Query(allow): Query<Override>,
    Body(request): Body<UpdateCrlMissingRequest>,
) -> Answer<Certificate> {
    let make = || async {
        let mut tx = admin.write(&app).await?;
        let change = tx.set_crl_missing(&id, request.crl_missing).await?;
        Ok((tx, change))
    };
    trust_write::commit(&admin, &app, &allow, make).await
}

/// A part of the serial numbers that a list names.
pub(super) async fn revoked_set(
    gateway: Gateway,
    app: App,
    Query(query): Query<RevokedSetQuery>,
) -> Answer<RevokedRecords> {
    let store = app.store();
    let set = store.revoked_set(&gateway.reach, query.sha256).await?;
    let from = usize::try_from(query.from.0).unwrap_or(usize::MAX);
    let next = from.saturating_add(RECORDS_AT_A_TIME);
    let records = set.as_bytes();
    let [start, end] = [from, next].map(|at| at.saturating_mul(RECORD_BYTES).min(records.len()));
    let part = records.get(start..end).unwrap_or_default();
    answer::read(&RevokedRecords {
        sha256: query.sha256,
        records: BASE64.encode(part),
        next: (end < records.len()).then(|| u64::try_from(next).unwrap_or(u64::MAX)),
    })
}

/// The lists that are added by some of these changes, by the changes' places. They are read before a write begins.
pub(super) async fn read_among(
    admin: &Admin,
    app: &App,
    changes: &mut [TrustChange],
) -> Result<HashMap<usize, RevocationList>, (usize, ApiError)> {
    let mut lists = HashMap::new();
    for (place, change) in changes.iter_mut().enumerate() {
        let TrustChange::AddCertificateCrl(request) = change else {
            continue;
        };
        // Read once, it is of no more use.
        let request = CertificateCrl {
            certificate_id: request.certificate_id.clone(),
            crl: request.crl.take(),
            url: request.url.take(),
            issuer_certificates: request.issuer_certificates.take(),
        };
        let read = match check(request.crl.as_ref(), request.url.as_ref()) {
            Ok(()) => read(admin, app, request, DEFAULT_CRL_INTERVAL).await,
            Err(error) => Err(error),
        };
        let (list, _) = read.map_err(|error| (place, error))?;
        lists.insert(place, list);
    }
    Ok(lists)
}

/// Makes a change of revocation lists among others.
pub(super) async fn make_in(
    tx: &mut WriteTx,
    change: TrustChange,
    list: Option<&RevocationList>,
) -> Result<Vec<AuditEvent>, ApiError> {
    Ok(match (change, list) {
        (TrustChange::AddCertificateCrl(CertificateCrl { certificate_id, .. }), Some(list)) => {
            tx.add_crl(&certificate_id, list, None).await?.events
        }
        (
            TrustChange::DeleteCertificateCrl {
                certificate_id,
                crl_id,
            },
            _,
        ) => tx.delete_crl(&certificate_id, &crl_id).await?.events,
        (
            TrustChange::SetCertificateCrlMissing {
                certificate_id: id,
                crl_missing,
            },
            _,
        ) => tx.set_crl_missing(&id, crl_missing).await?.events,
        _ => {
            return Err(ApiError::internal(
                "a change of no list, or of one that was not read",
            ));
        }
    })
}

/// A list that is believed because of a certificate of the organization, and where it was fetched from.
async fn read(
    admin: &Admin,
    app: &App,
    request: CertificateCrl,
    interval: u64,
) -> Result<(RevocationList, Option<CrlSource>), ApiError> {
    let id = &request.certificate_id;
    let store = app.store();
    let found = store.retrieve_certificate(&admin.organization, id, true);
    let pem = found.await?.certificate_details.content.unwrap_or_default();
    let anchor = Anchor::from_pem(&pem).map_err(|rejection| {
        let message = format!(
            "The certificate cannot be a trust anchor any more: {rejection} Upload another, and add the list to that."
        );
        ApiError::value("certificate_id", message)
    })?;
    let issuers = request.issuer_certificates;
    let (sent, source) = match (request.crl, request.url) {
        (Some(crl), _) => (Bytes::from(crl), None),
        (None, url) => {
            let url = url.ok_or_else(|| ApiError::missing(CRL))?;
            let (sent, source) = fetched(app, url, interval, issuers.clone()).await?;
            (sent, Some(source))
        }
    };
    let (now, param) = (app.now(), if source.is_some() { URL } else { CRL });
    let read =
        tokio::task::spawn_blocking(move || crl::read(&sent, &anchor, issuers.as_deref(), now));
    let read = read
        .await
        .map_err(|error| ApiError::internal(error.to_string()))?;
    let list = read.map_err(|rejection| ApiError::value(param, rejection.message))?;
    Ok((list, source))
}

/// What is at a URL now.
async fn fetched(
    app: &App,
    url: String,
    interval: u64,
    issuer_certificates: Option<String>,
) -> Result<(Bytes, CrlSource), ApiError> {
    let fetcher = app.crl_fetcher().ok_or_else(|| {
        let message = "This server fetches no revocation lists. Send the list itself, as `crl`.";
        ApiError::value(URL, message)
    })?;
    let checked = fetcher.check(&url).map_err(|why| {
        let message = format!("The URL cannot be used. {why}");
        ApiError::value(URL, message)
    })?;
    let found = fetcher.fetch(&checked, &Validators::default()).await;
    match found {
        Ok(Fetched::Whole(sent, validators)) => {
            let source = CrlSource {
                url,
                interval,
                issuer_certificates,
                etag: validators.etag,
                last_modified: validators.last_modified,
            };
            Ok((sent, source))
        }
        Ok(Fetched::Unchanged) => Err(ApiError::value(
            URL,
            "The server there answers 304 to a request without a condition. Have it mended.",
        )),
        Err(error) => Err(ApiError::value(URL, not_fetched(&error))),
    }
}

/// Exactly one of the two is given.
fn check(crl: Option<&String>, url: Option<&String>) -> Result<(), ApiError> {
    match (crl, url) {
        (Some(_), Some(_)) => Err(ApiError::value(URL, "Give either `crl` or `url`.")),
        (None, None) => Err(ApiError::missing(CRL)),
        _ => Ok(()),
    }
}

impl From<CrlRejection> for ApiError {
    fn from(rejection: CrlRejection) -> Self {
        Self::value(CRL, rejection.message)
    }
}

impl RequestBody for CrlAddRequest {
    const MAX_BYTES: usize = MAX_BODY_BYTES;

    fn check(&mut self) -> Result<(), ApiError> {
        check(self.crl.as_ref(), self.url.as_ref())?;
        let Some(interval) = self.interval else {
            return Ok(());
        };
        if self.url.is_none() {
            let message =
                "`interval` says how often a `url` is fetched. Leave it out, or give the URL.";
            return Err(ApiError::value("interval", message));
        }
        if !(MIN_CRL_INTERVAL..=MAX_CRL_INTERVAL).contains(&interval) {
            let message = format!(
                "`interval` is {interval}. Give {MIN_CRL_INTERVAL} to {MAX_CRL_INTERVAL} seconds."
            );
            return Err(ApiError::value("interval", message));
        }
        Ok(())
    }
}

impl RequestBody for UpdateCrlMissingRequest {}
