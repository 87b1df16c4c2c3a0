//! The certificates API as the `async-openai` crate drives it, unmodified.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong while a test sets its scene should stop it"
)]

#[path = "it/running.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod running;

use async_openai::{
    Client,
    config::OpenAIConfig,
    error::OpenAIError,
    traits::RequestOptionsBuilder,
    types::admin::certificates::{
        ListOrganizationCertificatesOrder, ListOrganizationCertificatesQuery,
        ModifyCertificateRequest, ToggleCertificatesRequest, UploadCertificateRequest,
    },
};
use running::Dev;

/// A client as a user of that crate makes it from `dev.env`.
fn client(dev: &Dev) -> Client<OpenAIConfig> {
    let config = OpenAIConfig::new()
        .with_api_base(&dev.env["OPENAI_BASE_URL"])
        .with_api_key(&dev.env["OPENAI_ADMIN_KEY"]);
    Client::with_config(config)
}

fn upload(dev: &Dev, name: &str) -> UploadCertificateRequest {
    UploadCertificateRequest {
        name: Some(name.to_owned()),
        certificate: std::fs::read_to_string(&dev.env["COUNTERSIGN_CLIENT_CA"]).unwrap(),
    }
}

/// The documented code of a refusal.
fn code<T: std::fmt::Debug>(answer: Result<T, OpenAIError>) -> String {
    match answer.unwrap_err() {
        OpenAIError::ApiError(refused) => refused.api_error.code.unwrap(),
        other => panic!("no answer of the API: {other}"),
    }
}

#[tokio::test]
async fn a_certificate_from_upload_to_deletion() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let client = client(&dev);
    let admin = client.admin();
    let certificates = admin.certificates();

    let uploaded = certificates
        .upload_organization(upload(&dev, "first"))
        .await
        .unwrap();
    assert_eq!(
        (uploaded.object.as_str(), uploaded.active),
        ("certificate", None)
    );
    let id = uploaded.id.as_str();
    let plain = certificates.retrieve(id).await.unwrap();
    assert_eq!(
        (&plain, plain.certificate_details.content.is_none()),
        (&uploaded, true)
    );
    let asked = admin
        .certificates()
        .query(&[("include[]", "content")])
        .unwrap();
    let content = asked
        .retrieve(id)
        .await
        .unwrap()
        .certificate_details
        .content;
    assert_eq!(content, Some(upload(&dev, "").certificate), "byte for byte");

    let rename = ModifyCertificateRequest {
        name: Some("second".to_owned()),
    };
    let renamed = certificates.modify(id, rename).await.unwrap();
    assert_eq!(renamed.name.as_deref(), Some("second"));

    let toggle = || ToggleCertificatesRequest {
        certificate_ids: vec![id.to_owned()],
    };
    let activated = certificates.activate_organization(toggle()).await.unwrap();
    assert_eq!(activated.object, "organization.certificate.activation");
    assert!(activated.data[0].active);
    let projects = admin.projects();
    let at_project = projects.certificates(&dev.env["OPENAI_PROJECT_ID"]);
    assert!(!at_project.list().await.unwrap().data[0].active);
    at_project.activate(toggle()).await.unwrap();
    assert!(at_project.list().await.unwrap().data[0].active);

    assert_eq!(code(certificates.delete(id).await), "certificate_in_use");
    certificates
        .deactivate_organization(toggle())
        .await
        .unwrap();
    at_project.deactivate(toggle()).await.unwrap();
    let deleted = certificates.delete(id).await.unwrap();
    assert_eq!(
        (deleted.object.as_str(), deleted.id.as_str()),
        ("certificate.deleted", id)
    );
    assert_eq!(code(certificates.retrieve(id).await), "not_found");
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let client = client(&dev);
    let admin = client.admin();
    let mut made = Vec::new();
    for number in 0..7 {
        let request = upload(&dev, &format!("ca-{number}"));
        made.push(
            admin
                .certificates()
                .upload_organization(request)
                .await
                .unwrap()
                .id,
        );
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let query = ListOrganizationCertificatesQuery {
            limit: Some(3),
            after,
            order: Some(ListOrganizationCertificatesOrder::Asc),
        };
        let asked = admin.certificates().query(&query).unwrap();
        let page = asked.list_organization().await.unwrap();
        assert_eq!(page.last_id.as_ref(), page.data.last().map(|last| &last.id));
        seen.extend(page.data.into_iter().map(|certificate| certificate.id));
        if !page.has_more {
            break;
        }
        after = page.last_id;
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn refusals_are_typed() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let client = client(&dev);
    let certificates = client.admin();
    let certificates = certificates.certificates();
    let mut leaf = upload(&dev, "leaf");
    leaf.certificate = std::fs::read_to_string(&dev.env["OPENAI_MTLS_CLIENT_CERT_FILE"]).unwrap();
    let refused = certificates.upload_organization(leaf).await;
    assert_eq!(code(refused), "mtls_certificate_invalid");
    let unknown = OpenAIConfig::new()
        .with_api_base(&dev.env["OPENAI_BASE_URL"])
        .with_api_key("sk-admin-nobody");
    let unknown = Client::with_config(unknown);
    let refused = unknown.admin().certificates().list_organization().await;
    assert_eq!(code(refused), "invalid_api_key");
}
