//! The operations on certificates under the names that the reference gives them.

use countersign_types::{
    certificate::{
        Certificate, CertificateToggle, DeletedCertificate, ModifyCertificateRequest, Scope,
        ScopedCertificate, UploadCertificateRequest,
    },
    id::{CertificateId, ProjectId},
    page::Page,
};

use crate::{Client, Error, ListParams, Received, Response};

impl Client {
    /// [`Certificates::list`](crate::certificates::Certificates::list) for the organization.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list_organization_certificates(
        &self,
        params: &ListParams,
    ) -> Result<Response<Page<Received<ScopedCertificate>>>, Error> {
        self.certificates().list(&Scope::Organization, params).await
    }

    /// [`Certificates::list`](crate::certificates::Certificates::list) for a project.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn list_project_certificates(
        &self,
        project: &ProjectId,
        params: &ListParams,
    ) -> Result<Response<Page<Received<ScopedCertificate>>>, Error> {
        let scope = Scope::Project(project.clone());
        self.certificates().list(&scope, params).await
    }

    /// [`Certificates::upload`](crate::certificates::Certificates::upload).
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn upload_certificate(
        &self,
        certificate: &UploadCertificateRequest,
    ) -> Result<Response<Received<Certificate>>, Error> {
        self.certificates().upload(certificate).await
    }

    /// [`Certificates::retrieve`](crate::certificates::Certificates::retrieve).
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn get_certificate(
        &self,
        id: &CertificateId,
    ) -> Result<Response<Received<Certificate>>, Error> {
        self.certificates().retrieve(id).await
    }

    /// [`Certificates::retrieve_with_content`](crate::certificates::Certificates::retrieve_with_content).
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn get_certificate_with_content(
        &self,
        id: &CertificateId,
    ) -> Result<Response<Received<Certificate>>, Error> {
        self.certificates().retrieve_with_content(id).await
    }

    /// [`Certificates::update`](crate::certificates::Certificates::update).
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn modify_certificate(
        &self,
        id: &CertificateId,
        change: &ModifyCertificateRequest,
    ) -> Result<Response<Received<Certificate>>, Error> {
        self.certificates().update(id, change).await
    }

    /// [`Certificates::delete`](crate::certificates::Certificates::delete).
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn delete_certificate(
        &self,
        id: &CertificateId,
    ) -> Result<Response<Received<DeletedCertificate>>, Error> {
        self.certificates().delete(id).await
    }

    /// [`Certificates::activate`](crate::certificates::Certificates::activate) for the organization.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn activate_organization_certificates(
        &self,
        ids: &[CertificateId],
    ) -> Result<Response<CertificateToggle<Received<ScopedCertificate>>>, Error> {
        self.certificates()
            .activate(&Scope::Organization, ids)
            .await
    }

    /// [`Certificates::deactivate`](crate::certificates::Certificates::deactivate) for the organization.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn deactivate_organization_certificates(
        &self,
        ids: &[CertificateId],
    ) -> Result<Response<CertificateToggle<Received<ScopedCertificate>>>, Error> {
        self.certificates()
            .deactivate(&Scope::Organization, ids)
            .await
    }

    /// [`Certificates::activate`](crate::certificates::Certificates::activate) for a project.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn activate_project_certificates(
        &self,
        project: &ProjectId,
        ids: &[CertificateId],
    ) -> Result<Response<CertificateToggle<Received<ScopedCertificate>>>, Error> {
        let scope = Scope::Project(project.clone());
        self.certificates().activate(&scope, ids).await
    }

    /// [`Certificates::deactivate`](crate::certificates::Certificates::deactivate) for a project.
    ///
    /// # Errors
    /// Those of every call: see [`Error`].
    pub async fn deactivate_project_certificates(
        &self,
        project: &ProjectId,
        ids: &[CertificateId],
    ) -> Result<Response<CertificateToggle<Received<ScopedCertificate>>>, Error> {
        let scope = Scope::Project(project.clone());
        self.certificates().deactivate(&scope, ids).await
    }
}
