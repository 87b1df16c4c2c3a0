//! Revocation lists of a trust anchor: `/organization/certificates/{id}/crls` (an extension).

use std::time::Duration;

use countersign_types::{
    certificate::Certificate,
    crl::{Crl, CrlAddRequest, CrlMissing, DeletedCrl, RevokedRecords, UpdateCrlMissingRequest},
    digest::Sha256,
    id::{CertificateId, CrlId},
    page::Page,
};

use crate::{
    Client, Countersign, Error, ItemStream, ListParams, Received, Response, request::Request,
};

const PATH: [&str; 2] = ["organization", "certificates"];

/// How much longer than another answer that to a large list may take.
const READING: Duration = Duration::from_secs(60);

/// The revocation lists of a trust anchor: see [`Client::crls`].
#[derive(Debug, Clone)]
pub struct Crls {
    client: Client,
    certificate: CertificateId,
}

impl Crls {
    /// One page of the lists.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(&self, params: &ListParams) -> Result<Response<Page<Received<Crl>>>, Error> {
        let request = params.apply(Request::get(&self.all()));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All lists.
    pub fn stream(&self, params: &ListParams) -> ItemStream<Received<Crl>> {
        let request = params.apply(Request::get(&self.all()));
        self.client.pages(request, params.after.clone())
    }

    /// Adds a CA's list, or puts it in the place of the CA's earlier one.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn add(&self, list: &CrlAddRequest) -> Result<Response<Received<Crl>>, Error> {
        let request = Request::post(&self.all()).json(list)?;
        self.client.send(request.held_open(READING)).await
    }

    /// What is kept of a list.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve(&self, id: &CrlId) -> Result<Response<Received<Crl>>, Error> {
        self.client.send(Request::get(&self.one(id))).await
    }

    /// Deletes a list: what it names is not revoked any more.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete(&self, id: &CrlId) -> Result<Response<Received<DeletedCrl>>, Error> {
        self.client.send(Request::delete(&self.one(id))).await
    }

    /// Sets what happens to a certificate of whose issuer there is no current list; with `None`, what holds by
    /// default.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn set_missing(
        &self,
        crl_missing: Option<CrlMissing>,
    ) -> Result<Response<Received<Certificate>>, Error> {
        let [organization, certificates] = PATH;
        let path = [
            organization,
            certificates,
            self.certificate.as_str(),
            "crl_missing",
        ];
        let body = UpdateCrlMissingRequest { crl_missing };
        self.client.send(Request::post(&path).json(&body)?).await
    }

    fn all(&self) -> [&str; 4] {
        let [organization, certificates] = PATH;
        [
            organization,
            certificates,
            self.certificate.as_str(),
            "crls",
        ]
    }

    fn one<'a>(&'a self, id: &'a CrlId) -> [&'a str; 5] {
        let [organization, certificates, certificate, crls] = self.all();
        [organization, certificates, certificate, crls, id.as_str()]
    }
}

impl Client {
    /// The revocation lists of a trust anchor.
    #[must_use]
    pub fn crls(&self, certificate: &CertificateId) -> Crls {
        Crls {
            client: self.clone(),
            certificate: certificate.clone(),
        }
    }
}

impl Countersign {
    /// A part of the serial numbers that a list names, from a record on. Needs a gateway key.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn revoked_records(
        &self,
        sha256: Sha256,
        from: u64,
    ) -> Result<Response<RevokedRecords>, Error> {
        let request = Request::get(&["countersign", "revoked-sets"])
            .query("sha256", [sha256])
            .query("from", [from]);
        self.client.send(request).await
    }
}
