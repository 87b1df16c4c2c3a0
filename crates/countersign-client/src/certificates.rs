//! Trust anchors: `/organization/certificates`, and the scopes where they are active.

use countersign_types::{
    UnixSeconds,
    certificate::{
        ActiveCertificate, ActiveCertificates, Certificate, CertificateToggle, DeletedCertificate,
        Enforcement, ModifyCertificateRequest, Scope, ScopedCertificate,
        SetActiveCertificatesRequest, ToggleCertificatesRequest, UpdatePolicyRequest,
        UploadCertificateRequest,
    },
    expiry::{Expiring, ExpiringList},
    extension,
    floor::UpdateFloorRequest,
    id::CertificateId,
    page::Page,
    preview::TogglePreview,
    usage::CertificateUse,
};
use serde::de::DeserializeOwned;

use crate::{Client, Error, ItemStream, ListParams, Received, Response, request::Request};

const PATH: [&str; 2] = ["organization", "certificates"];

/// The certificates of an organization: see [`Client::certificates`].
#[derive(Debug, Clone)]
pub struct Certificates {
    client: Client,
}

/// What is told of a certificate only when it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Include {
    /// Its PEM.
    Content,
    /// How it was used.
    Usage,
    /// Every scope where it is active.
    ActiveAt,
}

impl Include {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Usage => "usage",
            Self::ActiveAt => extension::ACTIVE_AT,
        }
    }
}

impl Certificates {
    /// Active anchors and observed leaves that expire within this many days (an extension).
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list_expiring(
        &self,
        within_days: Option<u64>,
    ) -> Result<Response<ExpiringList<Received<Expiring>>>, Error> {
        let request = Request::get(&["organization", "expiring"]);
        let request = request.query("within_days", within_days);
        self.client.send(request).await
    }

    /// One page of the organization's certificates, each with whether it is active at `scope`.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list(
        &self,
        scope: &Scope,
        params: &ListParams,
    ) -> Result<Response<Page<Received<ScopedCertificate>>>, Error> {
        let request = params.apply(Request::get(&scope_path(scope)));
        self.client.page(request, params.after.as_deref()).await
    }

    /// All of the organization's certificates, each with whether it is active at `scope`.
    pub fn stream(
        &self,
        scope: &Scope,
        params: &ListParams,
    ) -> ItemStream<Received<ScopedCertificate>> {
        let request = params.apply(Request::get(&scope_path(scope)));
        self.client.pages(request, params.after.clone())
    }

    /// One certificate, without its PEM.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve(
        &self,
        id: &CertificateId,
    ) -> Result<Response<Received<Certificate>>, Error> {
        self.client.send(Request::get(&one(id))).await
    }

    /// One certificate, with its PEM in `certificate_details.content`.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve_with_content(
        &self,
        id: &CertificateId,
    ) -> Result<Response<Received<Certificate>>, Error> {
        let request = Request::get(&one(id)).query("include[]", ["content"]);
        self.client.send(request).await
    }

    /// One certificate, with how it was used in `usage`: Countersign's extension.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve_with_usage(
        &self,
        id: &CertificateId,
    ) -> Result<Response<Received<Certificate>>, Error> {
        let request = Request::get(&one(id)).query("include[]", ["usage"]);
        self.client.send(request).await
    }

    /// One certificate, with what is asked for: besides the content, Countersign's extensions.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn retrieve_including(
        &self,
        id: &CertificateId,
        include: &[Include],
    ) -> Result<Response<Received<Certificate>>, Error> {
        let names = include.iter().map(|each| each.as_str());
        let request = Request::get(&one(id)).query("include[]", names);
        self.client.send(request).await
    }

    /// All of the organization's certificates, each with every scope where it is active:
    /// Countersign's extension.
    pub fn stream_with_active_at(
        &self,
        scope: &Scope,
        params: &ListParams,
    ) -> ItemStream<Received<ScopedCertificate>> {
        let request = params.apply(Request::get(&scope_path(scope)));
        let request = request.query("include[]", [Include::ActiveAt.as_str()]);
        self.client.pages(request, params.after.clone())
    }

    /// All of the organization's certificates, each with how it was used: Countersign's extension.
    pub fn stream_with_usage(
        &self,
        scope: &Scope,
        params: &ListParams,
    ) -> ItemStream<Received<ScopedCertificate>> {
        let request = params.apply(Request::get(&scope_path(scope)));
        let request = request.query("include[]", ["usage"]);
        self.client.pages(request, params.after.clone())
    }

    /// The leaves that a certificate let through, and who called with them: Countersign's
    /// extension.
    pub fn stream_uses(
        &self,
        id: &CertificateId,
        params: &ListParams,
    ) -> ItemStream<Received<CertificateUse>> {
        let [organization, certificates] = PATH;
        let path = [organization, certificates, id.as_str(), "usage"];
        let request = params.apply(Request::get(&path));
        self.client.pages(request, params.after.clone())
    }

    /// Uploads a trust anchor without activating it.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn upload(
        &self,
        certificate: &UploadCertificateRequest,
    ) -> Result<Response<Received<Certificate>>, Error> {
        self.client
            .send(Request::post(&PATH).json(certificate)?)
            .await
    }

    /// Renames a certificate. Without a name, nothing changes.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn update(
        &self,
        id: &CertificateId,
        change: &ModifyCertificateRequest,
    ) -> Result<Response<Received<Certificate>>, Error> {
        self.client
            .send(Request::post(&one(id)).json(change)?)
            .await
    }

    /// Countersign's extension: sets a certificate's CEL policy, or removes it.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn set_policy(
        &self,
        id: &CertificateId,
        cel_policy: Option<&str>,
    ) -> Result<Response<Received<Certificate>>, Error> {
        let [organization, certificates] = PATH;
        let path = [organization, certificates, id.as_str(), "policy"];
        let body = UpdatePolicyRequest {
            cel_policy: cel_policy.map(str::to_owned),
            enforcement: None,
        };
        self.client.send(Request::post(&path).json(&body)?).await
    }

    /// Countersign's extension: sets or removes a CEL policy that is only reported; the one that is
    /// enforced stays. A server that does not support it would enforce the policy, so the client asks
    /// first, and sends such a server nothing.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the server does not support it; those of every call: see [`Error`].
    pub async fn report_policy(
        &self,
        id: &CertificateId,
        cel_policy: Option<&str>,
    ) -> Result<Response<Received<Certificate>>, Error> {
        let countersign = self.client.countersign();
        countersign.require(extension::REPORTED_POLICY).await?;
        let [organization, certificates] = PATH;
        let path = [organization, certificates, id.as_str(), "policy"];
        let body = UpdatePolicyRequest {
            cel_policy: cel_policy.map(str::to_owned),
            enforcement: Some(Enforcement::Report),
        };
        self.client.send(Request::post(&path).json(&body)?).await
    }

    /// Countersign's extension: refuses leaves under a certificate that were issued before a time, or with `None`
    /// none by their age; with [`Enforcement::Report`], what would be refused is only counted and logged.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn set_floor(
        &self,
        id: &CertificateId,
        refuse_issued_before: Option<UnixSeconds>,
        enforcement: Enforcement,
    ) -> Result<Response<Received<Certificate>>, Error> {
        let [organization, certificates] = PATH;
        let path = [organization, certificates, id.as_str(), "floor"];
        let body = UpdateFloorRequest {
            refuse_issued_before,
            enforcement: Some(enforcement),
        };
        self.client.send(Request::post(&path).json(&body)?).await
    }

    /// Deletes a certificate that is active nowhere.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete(
        &self,
        id: &CertificateId,
    ) -> Result<Response<Received<DeletedCertificate>>, Error> {
        self.client.send(Request::delete(&one(id))).await
    }

    /// Activates 1 to 10 certificates at `scope`, all or none.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn activate(
        &self,
        scope: &Scope,
        ids: &[CertificateId],
    ) -> Result<Response<CertificateToggle<Received<ScopedCertificate>>>, Error> {
        self.toggle(scope, "activate", &named(ids)).await
    }

    /// Countersign's extension: activates with this enforcement, which also replaces the
    /// enforcement of certificates that are active already. A server that does not support
    /// report-only anchors would enforce them, so the client asks first, and sends such a server
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the server does not support it; those of every call: see [`Error`].
    pub async fn activate_as(
        &self,
        scope: &Scope,
        ids: &[CertificateId],
        enforcement: Enforcement,
    ) -> Result<Response<CertificateToggle<Received<ScopedCertificate>>>, Error> {
        if enforcement == Enforcement::default() {
            return self.activate(scope, ids).await;
        }
        let countersign = self.client.countersign();
        countersign.require(extension::ENFORCEMENT).await?;
        let body = ToggleCertificatesRequest {
            enforcement: Some(enforcement),
            ..named(ids)
        };
        self.toggle(scope, "activate", &body).await
    }

    /// Deactivates 1 to 10 certificates at `scope`, all or none.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn deactivate(
        &self,
        scope: &Scope,
        ids: &[CertificateId],
    ) -> Result<Response<CertificateToggle<Received<ScopedCertificate>>>, Error> {
        self.toggle(scope, "deactivate", &named(ids)).await
    }

    /// Countersign's extension: makes exactly these certificates active at `scope`, in one step.
    /// With `expected`, only if exactly those are active now. A successful call can be repeated.
    ///
    /// # Errors
    /// `scope_changed` if something other than `expected` is active; those of every call: see [`Error`].
    pub async fn set_active(
        &self,
        scope: &Scope,
        active: &[ActiveCertificate],
        expected: Option<&[ActiveCertificate]>,
    ) -> Result<Response<ActiveCertificates>, Error> {
        let mut path = scope_path(scope);
        path.push("active");
        let body = SetActiveCertificatesRequest {
            active: active.to_vec(),
            expected: expected.map(<[_]>::to_vec),
        };
        self.client.send(Request::post(&path).json(&body)?).await
    }

    /// Countersign's extension: what an activation would do to the traffic that was observed.
    /// Nothing is changed. A server that does not support previews would activate, so the client
    /// asks first, and sends such a server nothing.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the server does not support it; the errors of the activation
    /// itself; those of every call: see [`Error`].
    pub async fn preview_activate(
        &self,
        scope: &Scope,
        ids: &[CertificateId],
        enforcement: Enforcement,
    ) -> Result<Response<Received<TogglePreview>>, Error> {
        let is_default = enforcement == Enforcement::default();
        let body = ToggleCertificatesRequest {
            enforcement: (!is_default).then_some(enforcement),
            ..named(ids)
        };
        self.preview(scope, "activate", body).await
    }

    /// Countersign's extension: what a deactivation would do to the traffic that was observed.
    /// Nothing is changed.
    ///
    /// # Errors
    /// Those of [`Certificates::preview_activate`].
    pub async fn preview_deactivate(
        &self,
        scope: &Scope,
        ids: &[CertificateId],
    ) -> Result<Response<Received<TogglePreview>>, Error> {
        self.preview(scope, "deactivate", named(ids)).await
    }

    async fn preview(
        &self,
        scope: &Scope,
        verb: &str,
        body: ToggleCertificatesRequest,
    ) -> Result<Response<Received<TogglePreview>>, Error> {
        let countersign = self.client.countersign();
        countersign.require(extension::PREVIEW).await?;
        let body = ToggleCertificatesRequest {
            preview: Some(true),
            ..body
        };
        self.toggle(scope, verb, &body).await
    }

    async fn toggle<T: DeserializeOwned>(
        &self,
        scope: &Scope,
        verb: &str,
        body: &ToggleCertificatesRequest,
    ) -> Result<Response<T>, Error> {
        let mut path = scope_path(scope);
        path.push(verb);
        self.client.send(Request::post(&path).json(body)?).await
    }
}

/// Activates or deactivates these, with nothing else in the request.
fn named(ids: &[CertificateId]) -> ToggleCertificatesRequest {
    ToggleCertificatesRequest {
        certificate_ids: ids.to_vec(),
        enforcement: None,
        preview: None,
    }
}

fn one(id: &CertificateId) -> [&str; 3] {
    let [organization, certificates] = PATH;
    [organization, certificates, id.as_str()]
}

fn scope_path(scope: &Scope) -> Vec<&str> {
    scope.project().map_or(PATH.to_vec(), |id| {
        vec!["organization", "projects", id.as_str(), "certificates"]
    })
}

impl Client {
    /// The organization's certificates.
    #[must_use]
    pub fn certificates(&self) -> Certificates {
        Certificates {
            client: self.clone(),
        }
    }
}
