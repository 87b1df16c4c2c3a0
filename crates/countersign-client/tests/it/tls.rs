//! TLS to a server that asks for a client certificate.

use std::{fs, net::Ipv4Addr, path::PathBuf, sync::Arc};

use countersign_client::{ClientBuilder, Error};
use countersign_testca::{General, Minted, oid, root};
use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio_rustls::TlsAcceptor;

use crate::peer::{self, Peer};

/// A server whose certificate `server_ca` issued, and which wants one that `client_ca` did.
fn acceptor(server_ca: &Minted, client_ca: &Minted) -> TlsAcceptor {
    let leaf = server_ca
        .leaf("server")
        .eku(&[oid::SERVER_AUTH])
        .san(General::Ip(Ipv4Addr::LOCALHOST.into()))
        .mint();
    let mut roots = RootCertStore::empty();
    roots.add(der(client_ca)).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::try_from(leaf.key().pkcs8().to_vec()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![der(&leaf)], key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

fn der(minted: &Minted) -> CertificateDer<'static> {
    CertificateDer::from(minted.der().to_vec())
}

struct Scene {
    directory: tempfile::TempDir,
    server_ca: Minted,
    client_ca: Minted,
    leaf: Minted,
    peer: Peer,
}

impl Scene {
    async fn set() -> Self {
        let server_ca = root("Server Root").mint();
        let client_ca = root("Client Root").mint();
        let issuing = client_ca.intermediate("Client Issuing").mint();
        let leaf = issuing.leaf("client").mint();
        let answer = json!({ "revision": 1, "gateways": [] });
        let script = vec![peer::json(200, &[], &answer)];
        let peer = Peer::start_tls(script, acceptor(&server_ca, &client_ca)).await;
        let scene = Self {
            directory: tempfile::tempdir().unwrap(),
            server_ca,
            client_ca,
            leaf,
            peer,
        };
        let chain = format!("{}{}", scene.leaf.pem(), issuing.pem());
        scene.file("chain.pem", &chain);
        scene.file("client.key", &scene.leaf.key_pem());
        scene.file("server-ca.pem", &scene.server_ca.pem());
        scene.file("other-ca.pem", &scene.client_ca.pem());
        scene
    }

    fn file(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn builder(&self) -> ClientBuilder {
        let url = self.peer.url("https", "/v1");
        self.peer.builder().base_url(url).max_retries(0)
    }
}

async fn call(builder: ClientBuilder) -> Result<(), Error> {
    let client = builder.build().unwrap();
    client.countersign().gateways().await.map(drop)
}

#[tokio::test]
async fn the_client_certificate_and_its_intermediates_are_presented() {
    let scene = Scene::set().await;
    let builder = scene
        .builder()
        .ca_file(scene.path("server-ca.pem"))
        .client_certificate(scene.path("chain.pem"), scene.path("client.key"));
    call(builder).await.unwrap();
    let seen = scene.peer.seen();
    assert_eq!(seen[0].leaf.as_deref(), Some(scene.leaf.der()));
}

#[tokio::test]
async fn the_environment_of_openais_examples_is_enough() {
    let scene = Scene::set().await;
    let builder = ClientBuilder::from_env(|name| {
        let path = |name| scene.path(name).display().to_string();
        match name {
            "OPENAI_ADMIN_KEY" => Some("k".to_owned()),
            "OPENAI_BASE_URL" => Some(scene.peer.url("https", "/v1")),
            "OPENAI_MTLS_CERTIFICATE_CHAIN" => Some(path("chain.pem")),
            "OPENAI_MTLS_PRIVATE_KEY" => Some(path("client.key")),
            "OPENAI_MTLS_CA_BUNDLE" => Some(path("server-ca.pem")),
            _ => None,
        }
    });
    call(builder.unwrap()).await.unwrap();
    assert_eq!(scene.peer.seen().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_no_request() {
    let scene = Scene::set().await;
    let identity = |builder: ClientBuilder| {
        builder.client_certificate(scene.path("chain.pem"), scene.path("client.key"))
    };
    let untrusted = [
        scene.builder(),
        scene.builder().ca_file(scene.path("other-ca.pem")),
        scene.builder().ca_bundle(scene.path("other-ca.pem")),
    ];
    for builder in untrusted {
        let error = call(identity(builder)).await.unwrap_err();
        assert!(matches!(error, Error::Connection { .. }), "{error:?}");
        assert!(error.to_string().contains("not trusted"), "{error}");
    }
    assert_eq!(scene.peer.seen().len(), 0);
}

#[tokio::test]
async fn without_the_certificate_that_a_server_insists_on_the_call_fails() {
    let scene = Scene::set().await;
    let builder = scene.builder().ca_file(scene.path("server-ca.pem"));
    let error = call(builder).await.unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error:?}");
    assert_eq!(scene.peer.seen().len(), 0);
}
